"""How much is lost by choosing configuration and iteration without the truth?

Command: python -m experiments.studies.choosing [--gpus-per-trial 0.25] [--smoke-test]
Cost: 72 fits, 108,000 iterations in all: the 4 networks of `dipray restore` on 6 photographs, for 3
tasks: noise of sigma 25, enlarging 4 times, half of the pixels missing. Photographs of 96x96, for
enlarging 128x128. About 40 minutes on two CPU cores.
Expected: the choice by held-out pixels loses at most 0.25 dB in the mean when denoising, and at
most 0.4 dB for the other tasks, against the best that any fit reached at any iteration. It is
refuted where the mean lies above. Variance of the outputs (ES-WMV) and a plateau of the loss stand
beside it. Fits run to their end, so that every rule is asked of all of every fit.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import tyro
from rich.console import Console

from analysis import load_sweep, write_tables
from dipray.config import FitConfig
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep
from dipray.sweep_config import Resources
from dipray.task_config import TaskConfig
from dipray.tasks import build_problem
from experiments.audit import audit
from experiments.exits import INTERRUPTED, exit_code
from experiments.live import LiveTable
from experiments.outcomes import Lines
from experiments.studies.pictures import (
    ALL_PHOTOGRAPHS,
    NOISE_SIGMA,
    PICTURES,
    Photograph,
    noise_seed,
    photograph_file,
)
from search_spaces import SPACES

Task = Literal["denoise", "superres", "inpaint"]
TASKS: tuple[Task, ...] = get_args(Task)
ENLARGED = 4
MISSING = 0.5


@dataclass(frozen=True)
class ChoosingFlags:
    """The size of the study."""

    resources: Resources = field(default_factory=Resources)
    smoke_test: bool = False
    """a real run that is too small to mean anything"""
    pictures: tuple[Photograph, ...] = ALL_PHOTOGRAPHS
    """photographs, in scikit-image's words"""
    tasks: tuple[Task, ...] = TASKS
    """what is undone"""
    size: int = 96
    """pixels a side; for superres a third more"""
    iterations: int = 1500
    """of each fit"""
    holdout: float | None = None
    """share of the measured pixels that the fits are judged by; None: as `dipray sweep`"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""
    save_dir: str = "runs/choosing"
    """where the results lie, a folder for each task"""


SMOKE = ChoosingFlags(
    smoke_test=True,
    pictures=("astronaut", "camera"),
    size=48,
    iterations=40,
    device="cpu",
    save_dir="runs/choosing-smoke",
)


def problem(task: Task, name: Photograph, flags: ChoosingFlags) -> Problem:
    """A photograph, damaged; the damage of no two photographs is the same."""
    size = flags.size if task != "superres" else flags.size * 4 // 3
    file, seed = photograph_file(name, size, Path(PICTURES)), noise_seed(name, 0)
    config = {
        "denoise": lambda: TaskConfig(clean=file, noise_sigma=NOISE_SIGMA, noise_seed=seed),
        "superres": lambda: TaskConfig(clean=file, task="superres", scale=ENLARGED),
        "inpaint": lambda: TaskConfig(
            clean=file, task="inpaint", mask_share=MISSING, mask_seed=seed
        ),
    }[task]()
    return build_problem(config, name=name)


def run(flags: ChoosingFlags) -> int:
    """Run what is not finished, a folder for each task, then audit them together."""
    console = Console()
    lines = Lines(console)
    base = FitConfig(iterations=flags.iterations, device=flags.device, holdout=flags.holdout)
    base = base.replace(depth=2 if flags.smoke_test else 5)
    config = SweepConfig(scheduler="none", metric="val_psnr_ema_peak", **flags.resources.to_dict())
    places = []
    for task in flags.tasks:
        lines.say(f"{task}: {len(flags.pictures)} pictures")
        problems = [problem(task, name, flags) for name in flags.pictures]
        store = Store(flags.save_dir).child(task)
        live = LiveTable(console, metric=config.metric, mode=config.mode)
        space = SPACES["restore"].grid
        result = run_sweep(problems, space, store, base=base, config=config, callbacks=[live])
        write_tables(load_sweep(store))
        places.append(str(store))
        if result.interrupted:
            lines.say(f"{result.interrupted} fits are not finished; the same command goes on")
            return 0 if flags.resources.time_budget_s else INTERRUPTED
    audit(places, lines)
    if flags.smoke_test:
        lines.say("a smoke test: these numbers mean nothing")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study as its command line says; the exit code."""

    def parse(default: ChoosingFlags) -> ChoosingFlags:
        return tyro.cli(
            ChoosingFlags,
            prog="python -m experiments.studies.choosing",
            description=__doc__,
            args=arguments,
            default=default,
            config=(tyro.conf.OmitArgPrefixes,),
        )

    def begin() -> int:
        flags = parse(ChoosingFlags())
        return run(parse(SMOKE) if flags.smoke_test else flags)

    return exit_code("choosing", begin)


if __name__ == "__main__":
    sys.exit(main())
