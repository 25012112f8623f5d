"""Does a sweep cost more than its fits? Against bare fits, two at a time, without Ray.

Rounds of bare fits and of sweeps take turns, so that whatever else the machine does hits both. A
sweep's wall time is from the start of its first trial to the end of its last; the start of Ray and
of its workers comes before. Processor time, of the driver and of Ray's own processes too, tells the
same where the machine is too busy for wall times.
Beside it a plain Tune function that reports at each iteration, each trial in a process of its own,
against its own loop without Ray.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import torch
from ray import tune

from dipray.config import FitConfig
from dipray.problem import Problem
from dipray.sweep import SweepConfig, run_sweep
from dipray.sweep.cluster import quiet_tune, running_ray
from experiments.bench.bare import BLOCK, Taken, bare_seconds, textbook_seconds, textbook_trial
from experiments.bench.clock import AT_ONCE, Clock, Side
from experiments.bench.finding import Finding, Goal
from experiments.faults.endurance import endurance
from experiments.studies.pictures import noisy_problem

GOAL = Goal("at most", 1.08)
BASE = FitConfig(depth=3, features=16, device="cpu", holdout=0.0)


@dataclass(frozen=True)
class Size:
    """How much is measured: rounds, and in each so many trials of ours and of the textbook's.

    seconds: of a fit. side: of the picture, in pixels. endured: trials of the memory's run.
    """

    rounds: int
    trials: int
    textbook: int
    seconds: float
    side: int
    endured: int


FULL = Size(rounds=2, trials=50, textbook=20, seconds=5.0, side=64, endured=400)
QUICK = Size(rounds=1, trials=2, textbook=2, seconds=0.3, side=32, endured=4)


def measure(*, device: str, quick: bool) -> list[Finding]:  # noqa: ARG001 # workers have one core
    """The findings; on the CPU whatever the device, since what is asked is what comes on top."""
    size = QUICK if quick else FULL
    folder = Path(tempfile.mkdtemp(prefix="dipray-overhead-"))
    try:
        return _measure(size, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(size: Size, folder: Path) -> list[Finding]:
    problem = noisy_problem("astronaut", 0, size=size.side, folder=folder)
    with (
        running_ray(None),
        ProcessPoolExecutor(
            AT_ONCE, get_context("spawn"), torch.set_num_threads, (1,)
        ) as processes,
    ):
        bench = Bench(problem, folder, processes, _lasting(problem, processes, size.seconds))
        for round_ in range(size.rounds):
            seeds = range(round_ * size.trials, (round_ + 1) * size.trials)
            bench.round(seeds, size.textbook, sweeps_first=bool(round_ % 2))
        grown = endurance(folder / "endurance", trials=size.endured)
    ours, textbook = bench.ours, bench.textbook
    return [
        ours.finding(f"a sweep's {ours.fits} trials, {AT_ONCE} at a time", GOAL),
        Finding(
            f"processor time of these {ours.fits} trials",
            ours.cpu,
            beside="bare fits",
            theirs=ours.bare_cpu,
            ratio=ours.cpu / ours.bare_cpu,
            remark="driver and Ray included",
        ),
        textbook.finding(f"the textbook trainable's {textbook.fits} trials"),
        Finding(
            "reports of the sweep",
            ours.reports / ours.wall,
            "a second",
            beside="textbook trainable",
            theirs=textbook.reports / textbook.wall,
            goal=Goal("at most", 20, of="value"),
            remark=f"{ours.reports / ours.fits:.0f} a trial, {textbook.reports / textbook.fits:.0f}"
            " there",
        ),
        Finding(
            f"memory of the driver, {size.endured} short trials",
            grown.driver_per_100,
            "MiB for 100 trials",
            goal=Goal("at most", 2, of="value"),
            remark=f"{grown.driver_early:.0f} to {grown.driver_end:.0f} MiB",
        ),
    ]


@dataclass
class Bench:
    """What takes turns."""

    problem: Problem
    folder: Path
    processes: ProcessPoolExecutor
    base: FitConfig
    ours: Side = field(default_factory=lambda: Side("processes reused"))
    textbook: Side = field(default_factory=lambda: Side("a process a trial, a report an iteration"))

    def round(self, seeds: Sequence[int], textbook: int, *, sweeps_first: bool) -> None:
        """Bare fits and the sweep, and of the first of the seeds the textbook's."""
        configs = [self.base.replace(seed=seed) for seed in seeds]
        few = configs[:textbook]
        steps = [
            lambda: self._bare(self.ours, bare_seconds, configs),
            lambda: self._sweep(seeds),
            lambda: self._sweep_textbook(few),
            lambda: self._bare(self.textbook, textbook_seconds, few),
        ]
        for step in reversed(steps) if sweeps_first else steps:
            step()

    def _sweep(self, seeds: Sequence[int]) -> None:
        clock = Clock()
        store = str(self.folder / f"sweep-{seeds[0]}")
        config = SweepConfig(scheduler="none", max_concurrent=AT_ONCE)
        space = {"seed": list(seeds)}
        run_sweep([self.problem], space, store, base=self.base, config=config, callbacks=[clock])
        clock.add_to(self.ours, len(seeds))

    def _bare(
        self, side: Side, fit: Callable[[Problem, FitConfig], Taken], configs: list[FitConfig]
    ) -> None:
        for wall, cpu in self.processes.map(fit, [self.problem] * len(configs), configs):
            side.bare += wall
            side.bare_cpu += cpu
        side.fits += len(configs)

    @quiet_tune()
    def _sweep_textbook(self, configs: list[FitConfig]) -> None:
        clock = Clock()
        tune.Tuner(
            tune.with_resources(
                tune.with_parameters(textbook_trial, problem=self.problem, base=self.base),
                {"cpu": 1},
            ),
            param_space={"seed": tune.grid_search([config.seed for config in configs])},
            tune_config=tune.TuneConfig(max_concurrent_trials=AT_ONCE),
            run_config=tune.RunConfig(
                name=f"textbook-{configs[0].seed}",
                storage_path=str(self.folder),
                callbacks=[clock],
                verbose=0,
            ),
        ).fit()
        clock.add_to(self.textbook, len(configs))


def _lasting(problem: Problem, processes: ProcessPoolExecutor, seconds: float) -> FitConfig:
    """Iterations that last so long, two fits at a time; both processes are warm then."""
    for tried in (BLOCK, 4 * BLOCK):
        config = BASE.replace(iterations=tried)
        took = max(processes.map(bare_seconds, [problem] * AT_ONCE, [config] * AT_ONCE))[0]
    return BASE.replace(iterations=max(1, round(tried * seconds / took / BLOCK)) * BLOCK)
