"""What it costs a fit to look at its minimum every 100 iterations."""

from contextlib import ExitStack
from typing import Any

from experiments.bench.finding import Finding, Goal
from experiments.bench.rivals import Case, rival
from experiments.bench.timing import Times, ratio, take_turns

EVERY = 100
_NO_NORM = {"norm": "none", "activation": "gelu", "init": "kaiming", "input_kind": "gaussian"}
CASES: dict[str, tuple[int, int, int, dict[str, Any]]] = {
    "16x2 at 64x64, no norm, SGD": (2, 16, 64, {**_NO_NORM, "optimizer": "sgd", "lr": 1.0}),
    "16x2 at 64x64, standard, SGD": (2, 16, 64, {"optimizer": "sgd", "lr": 1.0}),
    "16x2 at 64x64, standard, Adam": (2, 16, 64, {}),
    "32x4 at 128x128, standard, Adam": (4, 32, 128, {}),
}


def measure(*, device: str, quick: bool) -> list[Finding]:
    """Seconds an iteration with a probe each 100, beside the same fit without one."""
    found = []
    for name, (depth, features, side, settings) in CASES.items():
        size = (2, 4, 32) if quick else (depth, features, side)
        case = Case("dipray", *size, threads=1, device=device).having(input_jitter=0.0, **settings)
        every = 2 if quick else EVERY
        found.append(_compare(name, case, every, turns=2 if quick else 7))
        if quick:
            break
    return found


def _compare(name: str, case: Case, every: int, *, turns: int) -> Finding:
    candidates = {}
    with ExitStack() as stack:
        for kind, each in (("with", case.having(probe_every=every)), ("without", case)):
            run = stack.enter_context(rival(each))
            candidates[kind] = lambda run=run: run(every)
        seconds = take_turns(candidates, turns=turns)
    per = {kind: [s / every for s in values] for kind, values in seconds.items()}
    return Finding(
        name,
        Times.of(per["with"]),
        "s/it",
        "without a probe",
        Times.of(per["without"]),
        ratio(seconds["with"], seconds["without"]),
        Goal("at most", 1.3),
    )
