"""Does a sweep cost more than its fits? Against bare fits, two at a time, without Ray.

Rounds of bare fits and of sweeps take turns, so that whatever else the machine does hits both. A
sweep's wall time is from the start of its first trial to the end of its last; the start of Ray and
of its workers comes before. Processor time, of the driver and of Ray's own processes too, tells the
same where the machine is too busy for wall times.
Beside it a plain Tune function that reports at each iteration, each trial in a process of its own,
against its own loop without Ray.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.tune.experiment import Trial
from torch import Tensor

from dipray.config import FitConfig
from dipray.loop import Fit
from dipray.models import build_network
from dipray.problem import Problem
from dipray.sweep import SweepConfig, run_sweep
from dipray.sweep.cluster import quiet_tune, running_ray
from experiments.bench.finding import Finding, Goal
from experiments.faults.endurance import endurance
from experiments.faults.processes import cpu_seconds, descendants
from experiments.studies.pictures import noisy_problem

AT_ONCE = 2  # fits, of one thread each
Taken = tuple[float, float]  # seconds of a fit: wall, processor
BLOCK = 25  # iterations between two looks at a bare fit, as in a sweep
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
            remark=f"{grown.driver_early:.0f} to {grown.driver_end:.0f} MiB",
        ),
    ]


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
        clock.add_to(self.ours)

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
        clock.add_to(self.textbook)


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
        self.cpu_now |= _processor_time()

    def add_to(self, side: Side) -> None:
        """What this sweep took."""
        side.wall += self.ended - self.began
        side.cpu += sum(now - self.cpu_before.get(pid, 0.0) for pid, now in self.cpu_now.items())
        side.reports += self.reports


def _processor_time() -> dict[int, float]:
    """Of this process and all below it."""
    return {pid: cpu_seconds(pid) for pid in (os.getpid(), *descendants(os.getpid()))}


def _lasting(problem: Problem, processes: ProcessPoolExecutor, seconds: float) -> FitConfig:
    """Iterations that last so long, two fits at a time; both processes are warm then."""
    for tried in (BLOCK, 4 * BLOCK):
        config = BASE.replace(iterations=tried)
        took = max(processes.map(bare_seconds, [problem] * AT_ONCE, [config] * AT_ONCE))[0]
    return BASE.replace(iterations=max(1, round(tried * seconds / took / BLOCK)) * BLOCK)


def bare_seconds(problem: Problem, config: FitConfig) -> Taken:
    """A fit and nothing else."""
    return _seconds(lambda: Fit(problem, config).blocks(BLOCK))


def textbook_fit(problem: Problem, config: FitConfig) -> Iterator[dict[str, float]]:
    """The loop as it is written in a notebook: a number of each iteration read at once."""
    torch.manual_seed(config.seed)
    channels, height, width = problem.picture_shape
    net = build_network(config, inputs=32, outputs=channels)
    z = 0.1 * torch.rand(1, 32, height, width)
    optimizer = torch.optim.Adam(net.parameters(), lr=config.lr)
    truth = problem.reference
    assert isinstance(truth, Tensor)
    for iteration in range(1, config.iterations + 1):
        optimizer.zero_grad()
        output = net(z + config.input_jitter * torch.randn_like(z))
        loss = torch.nn.functional.mse_loss(output, problem.y)
        loss.backward()
        optimizer.step()
        psnr = -10 * torch.log10(torch.nn.functional.mse_loss(output.detach(), truth))
        yield {"iteration": iteration, "loss": loss.item(), "psnr": psnr.item()}


def textbook_seconds(problem: Problem, config: FitConfig) -> Taken:
    """The same without Ray."""
    return _seconds(lambda: textbook_fit(problem, config))


def _seconds(begin: Callable[[], Iterator[object]]) -> Taken:
    started, cpu_before = time.perf_counter(), time.process_time()
    for _ in begin():
        pass
    return time.perf_counter() - started, time.process_time() - cpu_before


def textbook_trial(point: dict[str, Any], *, problem: Problem, base: FitConfig) -> None:
    """The function that Tune runs."""
    torch.set_num_threads(1)
    for numbers in textbook_fit(problem, base.replace(**point)):
        tune.report(numbers)
