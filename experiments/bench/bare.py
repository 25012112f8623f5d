"""Fits without a sweep: ours and the textbook's; and the latter as a function for Tune."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from ray import tune

from dipray.config import FitConfig
from dipray.loop import Fit
from dipray.problem import Problem
from experiments.bench.textbook import TextbookFit

Taken = tuple[float, float]  # seconds of a fit: wall, processor
BLOCK = 25  # iterations between two looks at a fit, as in a sweep


def bare_seconds(problem: Problem, config: FitConfig) -> Taken:
    """A fit and nothing else."""
    return _seconds(lambda: Fit(problem, config).blocks(BLOCK))


def textbook_fit(problem: Problem, config: FitConfig) -> Iterator[dict[str, float]]:
    """What the textbook loop knows of each iteration."""
    assert problem.reference is not None
    torch.manual_seed(config.seed)
    fit = TextbookFit(
        problem.y, problem.reference, depth=config.depth, features=config.features, lr=config.lr
    )
    for iteration in range(1, config.iterations + 1):
        loss, psnr = fit.step()
        yield {"iteration": iteration, "loss": loss, "psnr": psnr}


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
