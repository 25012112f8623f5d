"""One fit beside the textbook loop: iterations of both in turn, each in its own process."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch

from experiments.bench.finding import Finding, Goal
from experiments.bench.rivals import Case, rival
from experiments.bench.timing import Times, ratio, take_turns

NO_GPU = "not measured: there is no CUDA device here"


@dataclass(frozen=True)
class Match:
    """dipray against the textbook: iterations a turn, and what is aimed at."""

    case: Case
    iterations: int
    goal: Goal | None = None


STANDARD = Case("dipray", depth=5, features=128, side=256, threads=1)
SMALL = Case("dipray", depth=4, features=32, side=128, threads=1)

ON_CPU = [
    Match(replace(case, threads=threads), iterations, Goal("at least", goal))
    for case, iterations, goal in ((STANDARD, 2, 2.5), (SMALL, 20, 2.0))
    for threads in (1, 2)
]
ON_GPU = [
    Match(replace(STANDARD, side=512, precision="bf16"), 100, Goal("at least", 450, of="value")),
    Match(replace(STANDARD, side=512, precision="tf32"), 100),
    Match(replace(STANDARD, side=512), 100),
    Match(replace(STANDARD, precision="bf16"), 200, Goal("at least", 5)),
    Match(replace(STANDARD, precision="tf32"), 200, Goal("at least", 5)),
    Match(STANDARD, 200),
    Match(replace(SMALL, precision="bf16"), 200, Goal("at least", 10)),
    Match(SMALL, 200, Goal("at least", 10)),
]
QUICK = Match(Case("dipray", depth=2, features=8, side=32, threads=1), 3)


def measure(*, device: str, quick: bool) -> list[Finding]:
    """On the CPU seconds an iteration, on a GPU iterations a second."""
    if quick:
        return [_match(replace(QUICK, case=replace(QUICK.case, device=device)), turns=2)]
    if device == "cpu":
        there = torch.cuda.is_available()
        unmeasured = (
            []
            if there
            else [
                Finding(_name(m.case, True), None, "it/s", goal=m.goal, remark=NO_GPU)
                for m in ON_GPU
            ]
        )
        return [_match(match, turns=9) for match in ON_CPU] + unmeasured
    return [_match(replace(m, case=replace(m.case, device=device)), turns=9) for m in ON_GPU]


def _match(match: Match, *, turns: int) -> Finding:
    is_gpu = match.case.device != "cpu"
    candidates = {}
    with ExitStack() as stack:
        for manner in ("dipray", "textbook"):
            run = stack.enter_context(rival(replace(match.case, manner=manner)))
            candidates[manner] = lambda run=run: run(match.iterations)
        seconds = take_turns(candidates, turns=turns)
    each = {
        manner: [match.iterations / s if is_gpu else s / match.iterations for s in values]
        for manner, values in seconds.items()
    }
    return Finding(
        _name(match.case, is_gpu),
        Times.of(each["dipray"]),
        "it/s" if is_gpu else "s/it",
        "textbook loop, fp32",
        Times.of(each["textbook"]),
        ratio(seconds["textbook"], seconds["dipray"]),
        match.goal,
    )


def _name(case: Case, is_gpu: bool) -> str:
    size = f"{case.features}x{case.depth} at {case.side}x{case.side}"
    return f"{size}, GPU, {case.precision}" if is_gpu else f"{size}, threads: {case.threads}"
