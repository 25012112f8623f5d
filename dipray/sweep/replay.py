"""Replay: what a scheduler would have ended of fits that ran to their end, told by their traces."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import TrialScheduler

from dipray.errors import ConfigError
from dipray.sweep.reports import Reports
from dipray.sweep.schedulers import per_picture
from dipray.sweep_config import SweepConfig


@dataclass(frozen=True)
class WholeFit:
    """A fit that ended by itself: what it reported, and how long after its beginning.

    times: one for each report, ascending, in any unit that all fits share.
    """

    trial: str
    problem: str
    reports: Reports
    times: Sequence[float]


@dataclass(frozen=True)
class Told:
    """A report that a scheduler was told; value: of the metric."""

    trial: str
    problem: str
    iteration: int
    value: float


@dataclass(frozen=True)
class Replay:
    """All reports in the order in which they came, and the trials that the scheduler ended."""

    told: tuple[Told, ...]
    stopped: frozenset[str]

    @property
    def ends(self) -> dict[str, int]:
        """The last iteration of each trial."""
        return {each.trial: each.iteration for each in self.told}


@dataclass(frozen=True)
class _Running:
    """A trial as schedulers know it."""

    config: dict[str, str]


def replay(fits: Sequence[WholeFit], config: SweepConfig, *, parallel: int) -> Replay:
    """What the scheduler of `config` would have done with the fits, begun in their order.

    config: settled; of it the scheduler, its settings and the metric count. parallel: fits that run
    at a time; the next begins when one ends. Of reports at the same time that comes first whose
    fit has waited for it since earlier. Raises ConfigError for parallel below 1.
    """
    if parallel < 1:
        raise ConfigError(f"parallel={parallel}: allowed is 1 or more", field="parallel")
    scheduler = per_picture(config)
    controller: Any = None  # none of these schedulers looks at it
    waiting = list(reversed(fits))
    due: list[tuple[float, int, float, int, WholeFit]] = []  # at, turn, begun, report, fit
    trials: dict[str, Any] = {}
    told: list[Told] = []
    stopped: set[str] = set()
    turn = 0

    def begin(now: float) -> None:
        nonlocal turn
        if waiting:
            fit, turn = waiting.pop(), turn + 1
            trials[fit.trial] = _Running({"trial": fit.trial, "problem": fit.problem})
            scheduler.on_trial_add(controller, trials[fit.trial])
            heapq.heappush(due, (now + fit.times[0], turn, now, 0, fit))

    for _ in range(parallel):
        begin(0.0)
    while due:
        now, _, begun, report, fit = heapq.heappop(due)
        trial, result = trials[fit.trial], fit.reports[report]
        told.append(Told(fit.trial, fit.problem, int(result["iteration"]), result[config.metric]))
        has_ended = report == len(fit.reports) - 1  # of which Tune asks no decision
        if not has_ended:
            decision = scheduler.on_trial_result(controller, trial, result)
            if decision == TrialScheduler.STOP:
                stopped.add(fit.trial)
                has_ended = True
        if has_ended:
            scheduler.on_trial_complete(controller, trial, result)
            begin(now)
        else:
            turn += 1
            heapq.heappush(due, (begun + fit.times[report + 1], turn, begun, report + 1, fit))
    return Replay(tuple(told), frozenset(stopped))
