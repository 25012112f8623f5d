"""Two loops, each in a process of its own, that take turns at a number of iterations."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import torch


@dataclass(frozen=True)
class Case:
    """One fit to time: the skip network, a picture of side x side pixels, where it runs.

    manner: "textbook" or "dipray"; precision, more: of the latter, more being further settings.
    """

    manner: str
    depth: int
    features: int
    side: int
    threads: int
    device: str = "cpu"
    precision: str = "fp32"
    more: tuple[tuple[str, Any], ...] = ()

    def having(self, **settings: Any) -> "Case":
        """The same with further settings of FitConfig."""
        return replace(self, more=(*self.more, *settings.items()))


@contextmanager
def rival(case: Case) -> Iterator[Callable[[int], float]]:
    """A function that runs so many iterations in the other process and returns their seconds."""
    with other_process(_prepare, case, threads=case.threads) as (start, wait):

        def run(iterations: int) -> float:
            start(iterations)
            return wait()

        yield run


@contextmanager
def other_process(
    prepare: Callable[[Any], Callable[[int], None]], case: object, *, threads: int
) -> Iterator[tuple[Callable[[int], None], Callable[[], float]]]:
    """In a new process `prepare(case)` makes something to run with a number of iterations.

    Gives a function that starts it, and one that waits for it and returns its seconds.
    """
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(prepare, case, threads, theirs)
    )
    process.start()
    theirs.close()
    try:
        yield ours.send, ours.recv
        ours.send(0)
    finally:
        ours.close()
        process.join(timeout=60)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(
    prepare: Callable[[Any], Callable[[int], None]], case: object, threads: int, orders: Connection
) -> None:
    torch.set_num_threads(threads)
    run = prepare(case)
    while iterations := orders.recv():
        started = time.perf_counter()
        run(iterations)
        orders.send(time.perf_counter() - started)


def _prepare(case: Case) -> Callable[[int], None]:
    return _textbook(case) if case.manner == "textbook" else _dipray(case)


def _picture(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.rand(1, 3, case.side, case.side, generator=torch.Generator().manual_seed(0))
    return (truth + 0.1 * torch.randn_like(truth)).clamp(0, 1), truth


def _textbook(case: Case) -> Callable[[int], None]:
    from experiments.bench.textbook import TextbookFit

    noisy, truth = _picture(case)
    fit = TextbookFit(noisy, truth, depth=case.depth, features=case.features, device=case.device)

    def run(iterations: int) -> None:
        for _ in range(iterations):
            fit.step()

    return run


def _dipray(case: Case) -> Callable[[int], None]:
    from dipray.config import FitConfig
    from dipray.loop import Fit
    from dipray.problem import Problem

    noisy, truth = _picture(case)
    config = FitConfig.from_dict(
        {
            "depth": case.depth,
            "features": case.features,
            "device": case.device,
            "precision": case.precision,
            "iterations": 10_000_000,
            "snapshots": 0,
            **dict(case.more),
        }
    )
    fit = Fit(Problem(noisy, reference=truth), config)

    def run(iterations: int) -> None:
        end = fit.iteration + iterations
        for _ in fit.blocks(iterations):
            if fit.iteration >= end:
                break

    return run
