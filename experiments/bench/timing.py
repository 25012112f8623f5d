"""Timing side by side: candidates take turns in one process, so that a busy machine hits all."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Times:
    """Seconds of one candidate: median and quartiles over its turns."""

    median: float
    low: float
    high: float
    turns: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Times":
        """Their median and quartiles."""
        low, median, high = np.percentile(seconds, [25, 50, 75])
        return cls(float(median), float(low), float(high), len(seconds))


def take_turns(
    candidates: Mapping[str, Callable[[], object]], *, turns: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of each turn by candidate; the order is reversed at every other round.

    A candidate that works on a device waits for it before it returns. The first `warm_up` rounds
    are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for round_ in range(turns + warm_up):
        order = list(candidates)
        for name in order if round_ % 2 else reversed(order):
            started = time.perf_counter()
            candidates[name]()
            if round_ >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(theirs: list[float], ours: list[float]) -> float:
    """How many times faster ours is: the median over rounds of the ratio within a round."""
    return float(np.median(np.array(theirs) / np.array(ours)))
