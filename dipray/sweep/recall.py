"""What earlier calls of a sweep have seen, told to the scheduler of this one.

Ray does not restore a scheduler's memory with an experiment (ray-project/ray#30838). Here it need
not: the traces say what every fit reported, so they are read, and reported once more.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import CONFIG, is_finished, problem_said, read_trace
from dipray.store import Store
from dipray.sweep.search import Picture
from dipray.sweep.worst import WORST_LOSS, WORST_PSNR

_THREADS = 16  # most of the time goes into waiting for files

Reports = list[dict[str, float]]  # iteration and metric, in order


@dataclass(frozen=True)
class Known:
    """A trial of an earlier call: what it reported, and whether it needs to go on."""

    trial: str
    problem: str
    reports: Reports
    is_finished: bool


def recall(
    trials: Store,
    problems: Mapping[str, Mapping[str, object]],
    *,
    metric: str,
    report_every: int,
) -> Iterator[Known]:
    """Every trial of the problems that has come as far as a report.

    problems: name -> settings that a trial must agree in to be compared with others.
    """

    def known(name: str) -> Known | None:
        folder = trials.child(name)
        problem = problem_said(folder, "name")
        if problem not in problems or not _agrees(folder, problems[problem]):
            return None
        reports = _reports(folder, metric, report_every)
        return Known(name, problem, reports, is_finished(folder)) if reports else None

    with ThreadPoolExecutor(_THREADS) as pool:
        yield from (each for each in pool.map(known, trials.names()) if each is not None)


def _agrees(folder: Store, settings: Mapping[str, object]) -> bool:
    if not settings:
        return True
    try:
        config = folder.read_json(CONFIG)
    except FolderError:
        return False
    return isinstance(config, dict) and settings.items() <= config.items()


def _reports(folder: Store, metric: str, every: int) -> Reports:
    column = metric.removesuffix("_peak")
    try:
        table, _ = read_trace(folder, ["iteration", column])
    except FolderError:
        return []
    iterations = table["iteration"].to_numpy()
    values = table[column].cast("float64").to_numpy(zero_copy_only=False)
    if not len(iterations) or not np.isfinite(values).any():
        return []
    is_peak = metric.endswith("_peak")
    known = np.fmax.accumulate(values) if is_peak else _last_known(values)
    worst = WORST_LOSS if metric == "loss" else WORST_PSNR
    known = np.where(np.isfinite(known), known, worst)
    if metric == "loss" and not np.isfinite(values[-1]):
        known[-1] = worst  # it diverged
    ends = np.flatnonzero(
        (iterations % every == 0) | (np.arange(len(iterations)) == len(known) - 1)
    )
    return [{"iteration": int(iterations[at]), metric: float(known[at])} for at in ends]


def _last_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value, or where it is not finite the last one that was."""
    places = np.where(np.isfinite(values), np.arange(len(values)), -1)
    places = np.maximum.accumulate(places)
    return np.where(places >= 0, values[places], np.nan)


def masks(
    pictures: Iterable[Picture], base: FitConfig, metric: str
) -> dict[str, dict[str, object]]:
    """For `recall`: the pictures, and what fits hold out where they are compared by that."""
    if not metric.startswith("val"):
        return {picture.name: {} for picture in pictures}
    settled = {picture.name: picture.settled(base) for picture in pictures}
    return {
        name: {"holdout": config.holdout, "holdout_seed": config.holdout_seed}
        for name, config in settled.items()
    }
