"""Which reports a trial makes to Tune: those that a scheduler waits for, and others not too often.

Each report is work for the one process that drives the sweep, so a fast fit does not report at
every block. What it leaves out is in its trace; schedulers lose nothing by it, since what they look
at is reported always, at the same iterations whatever the clock says.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LEAST_PAUSE_S = 1.0  # between two reports of one trial, which nobody would read


@dataclass(frozen=True)
class Pace:
    """How often a trial reports.

    every: iterations between two places where it can. awaited: places where it does, whatever the
    time. pause_s: seconds between any other report and the one before; 0 for one at every place.
    """

    every: int
    awaited: frozenset[int] = frozenset()
    pause_s: float = 0.0

    def most(self, iterations: int, seconds: float) -> int:
        """Reports at most of a fit that takes so long."""
        places = iterations // self.every
        if not self.pause_s:
            return places
        awaited = sum(place <= iterations for place in self.awaited)
        return min(places, int(seconds / self.pause_s) + awaited)


def places(rungs: Iterable[float], every: int) -> frozenset[int]:
    """Where a scheduler enters a trial at its rungs, each at a multiple of `every`.

    That is the first one at or after a rung. It enters one rung at a report, so where another has
    taken that place it is the next one that is free.
    """
    taken: set[int] = set()
    for rung in sorted(rungs):
        place = max(1, int(rung // every)) * every
        while place < rung or place in taken:
            place += every
        taken.add(place)
    return frozenset(taken)


class Pacer:
    """The pace of one trial, from the moment that this is made."""

    def __init__(self, pace: Pace, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace = pace
        self._clock = clock
        self._reported_at = clock()

    def is_due(self, iteration: int) -> bool:
        """Whether to report at this iteration, which then counts as done."""
        if iteration % self._pace.every:
            return False
        now = self._clock()
        has_rested = now - self._reported_at >= self._pace.pause_s
        if not (has_rested or iteration in self._pace.awaited):
            return False
        self._reported_at = now
        return True
