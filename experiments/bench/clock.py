"""What a sweep takes from its first trial to its last, beside the same fits without it."""

import os
import time
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from dipray.errors import FolderError
from experiments.bench.finding import Finding, Goal
from experiments.faults.processes import cpu_seconds, descendants

AT_ONCE = 2  # fits, of one thread each


@dataclass
class Side:
    """Sums over rounds, in seconds: wall of sweeps, wall of the same fits bare, processor time."""

    remark: str
    wall: float = 0.0
    cpu: float = 0.0
    bare: float = 0.0
    bare_cpu: float = 0.0
    fits: int = 0
    reports: int = 0

    def finding(self, what: str, goal: Goal | None = None) -> Finding:
        """Wall over the sum of bare fits divided by how many ran at once."""
        alone = self.bare / AT_ONCE
        more = AT_ONCE * (self.wall - alone) / self.fits
        return Finding(
            what,
            self.wall,
            beside=f"bare fits / {AT_ONCE}",
            theirs=alone,
            ratio=self.wall / alone,
            goal=goal,
            remark=f"a bare fit {self.bare / self.fits:.2f} s, a trial {more:.2f} s more; "
            f"{self.remark}",
        )


class Clock(tune.Callback):
    """When the first trial began and the last one ended, and the reports in between.

    Processor time counts once all workers are up; that of a worker that ends before the last trial
    counts up to the trial before.
    """

    def __init__(self) -> None:
        self.began = 0.0
        self.started = 0
        self.cpu_before: dict[int, float] = {}
        self.cpu_now: dict[int, float] = {}
        self.ended = 0.0
        self.completed = 0
        self.reports = 0

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial begins."""
        self.started += 1
        if self.started == 1:
            self.began = time.perf_counter()
        if self.started == AT_ONCE:
            self.cpu_before = _processor_time()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: Any, **info: Any
    ) -> None:
        """A trial reports."""
        self.reports += 1

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial ends."""
        self.ended = time.perf_counter()
        self.completed += 1
        self.cpu_now |= _processor_time()

    def add_to(self, side: Side, trials: int) -> None:
        """What this sweep took; raises FolderError if not all of its trials came to their end."""
        if self.completed != trials:
            raise FolderError(
                f"only {self.completed} of {trials} trials of a sweep came to their end; nothing "
                "is measured that way: see that nothing interrupts it, and run it again"
            )
        side.wall += self.ended - self.began
        side.cpu += sum(now - self.cpu_before.get(pid, 0.0) for pid, now in self.cpu_now.items())
        side.reports += self.reports


def _processor_time() -> dict[int, float]:
    """Of this process and all below it."""
    return {pid: cpu_seconds(pid) for pid in (os.getpid(), *descendants(os.getpid()))}
