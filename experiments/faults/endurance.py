"""Many short trials in reused processes: does anything grow?"""

import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune
from ray.tune.experiment import Trial

from dipray.config import FitConfig
from dipray.sweep import SweepConfig, run_sweep
from dipray.task_config import TaskConfig
from dipray.tasks import build_problem
from experiments.faults.processes import open_files, resident_bytes, workers
from experiments.studies.pictures import photograph_file

WARM_SHARE = 0.25  # of the trials, before which nothing is compared
BASE = FitConfig(
    depth=2, features=8, iterations=25, snapshots=0, variance_window=5, device="cpu", holdout=0.0
)


@dataclass(frozen=True)
class Endurance:
    """Memory in MiB without what processes share, and counts, each early and at the end.

    early: after a quarter of the trials. *_per_100: growth by the line through all since, for 100
    trials. worker_*: of the process that has most. actors: processes that ever ran a fit.
    """

    trials: int
    seconds: float
    driver_early: float
    driver_end: float
    driver_per_100: float
    worker_early: float
    worker_end: float
    worker_per_100: float
    driver_files_early: int
    driver_files_end: int
    worker_files_early: int
    worker_files_end: int
    actors: int

    def lines(self) -> str:
        """For people."""
        n = asdict(self)
        return (
            "{trials} short trials in reused processes, {seconds:.0f} s\n"
            "memory of the driver {driver_early:.0f} to {driver_end:.0f} MiB "
            "({driver_per_100:+.2f} for 100 trials), of a worker {worker_early:.0f} to "
            "{worker_end:.0f} MiB ({worker_per_100:+.2f} for 100 trials)\n"
            "open files of the driver {driver_files_early} to {driver_files_end}, of a worker "
            "{worker_files_early} to {worker_files_end}; {actors} processes ran all fits"
        ).format(**n)


class Watcher(tune.Callback):
    """Looks at the processes each time a trial ends."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float, int, int]] = []
        self.seen: set[int] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks; what was seen is not for it."""
        return {}

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Take a sample."""
        own, there = os.getpid(), workers(os.getpid())
        self.seen.update(there)
        mib = 2**20
        self.samples.append(
            (
                resident_bytes(own) / mib,
                max((resident_bytes(pid) for pid in there), default=0) / mib,
                open_files(own),
                max((open_files(pid) for pid in there), default=0),
            )
        )


def endurance(folder: Path, *, trials: int) -> Endurance:
    """Sweep so many fits of 25 iterations, and watch the processes."""
    shutil.rmtree(folder, ignore_errors=True)
    task = TaskConfig(clean=photograph_file("astronaut", 32, folder.parent), noise_sigma=25.0)
    watcher, started = Watcher(), time.perf_counter()
    run_sweep(
        [build_problem(task)],
        {"seed": list(range(trials))},
        str(folder),
        base=BASE,
        config=SweepConfig(scheduler="none"),
        callbacks=[watcher],
    )
    return summed(watcher, trials, time.perf_counter() - started)


def summed(watcher: Watcher, trials: int, seconds: float) -> Endurance:
    """The samples since the warm-up, as numbers."""
    samples = np.array(watcher.samples)
    late = samples[int(WARM_SHARE * len(samples)) :]
    few = max(1, len(late) // 10)
    early, end = np.median(late[:few], axis=0), np.median(late[-few:], axis=0)
    slopes = np.polyfit(np.arange(len(late)), late, 1)[0] * 100
    return Endurance(
        trials=trials,
        seconds=seconds,
        driver_early=float(early[0]),
        driver_end=float(end[0]),
        driver_per_100=float(slopes[0]),
        worker_early=float(early[1]),
        worker_end=float(end[1]),
        worker_per_100=float(slopes[1]),
        driver_files_early=int(early[2]),
        driver_files_end=int(end[2]),
        worker_files_early=int(early[3]),
        worker_files_end=int(end[3]),
        actors=len(watcher.seen),
    )
