"""Many fits on one device: one after the other, fused, on streams of one graph, in processes."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from experiments.bench.finding import Finding
from experiments.bench.members import Crowd, fused, separate, streams
from experiments.bench.rivals import other_process
from experiments.bench.timing import Times, ratio, take_turns

CROWDS = [
    (Crowd(8, depth=3, features=16, side=32), 10),
    (Crowd(8, depth=4, features=32, side=64), 3),
    (Crowd(8, depth=4, features=32, side=128), 1),
]
QUICK = [(Crowd(2, depth=2, features=4, side=32), 1)]
WORTH = 1.5  # what a way must win by, to be worth its own code


def measure(*, device: str, quick: bool) -> list[Finding]:
    """Seconds for an iteration of every member, beside one after the other in one process."""
    findings = []
    for crowd, iterations in QUICK if quick else CROWDS:
        findings += _compare(replace(crowd, device=device), iterations, turns=2 if quick else 7)
    return findings


def _compare(crowd: Crowd, iterations: int, *, turns: int) -> list[Finding]:
    cores = len(os.sched_getaffinity(0))
    on_gpu = crowd.device != "cpu"
    ways = {"one after the other": separate, "fused by vmap": fused}
    if on_gpu:
        ways["streams of one graph"] = streams
    candidates = {}
    with ExitStack() as stack:
        for name, prepare in ways.items():
            start, wait = stack.enter_context(other_process(prepare, crowd, threads=cores))
            candidates[name] = _together([(start, wait)], iterations)
        processes = min(cores, 4 if on_gpu else 2, crowd.members)
        share = replace(crowd, members=crowd.members // processes)
        shares = [
            stack.enter_context(other_process(separate, share, threads=1)) for _ in range(processes)
        ]
        candidates[f"{processes} processes"] = _together(shares, iterations)
        seconds = take_turns(candidates, turns=turns)
    each = {name: [s / iterations for s in values] for name, values in seconds.items()}
    first, *others = each
    size = f"{crowd.members} fits, {crowd.features}x{crowd.depth} at {crowd.side}x{crowd.side}"
    findings = []
    for name in others:
        gain = ratio(each[first], each[name])
        findings.append(
            Finding(
                f"{size}: {name}",
                Times.of(each[name]),
                beside=f"{first}, threads: {cores}",
                theirs=Times.of(each[first]),
                ratio=gain,
                remark="worth it" if gain >= WORTH else f"not worth it, which is from {WORTH}x",
            )
        )
    if not on_gpu:
        remark = "not measured: there is no CUDA device here"
        findings.append(Finding(f"{size}: streams of one graph", None, remark=remark))
    return findings


def _together(
    processes: list[tuple[Callable[[int], None], Callable[[], float]]], iterations: int
) -> Callable[[], None]:
    def run() -> None:
        for start, _ in processes:
            start(iterations)
        for _, wait in processes:
            wait()

    return run
