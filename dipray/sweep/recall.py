"""What earlier calls of a sweep have seen, told to the scheduler of this one.

Ray does not restore a scheduler's memory with an experiment (ray-project/ray#30838). Here it need
not: the traces say what every fit reported, so they are read, and reported once more.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import CONFIG, is_finished, problem_said, read_trace
from dipray.store import Store
from dipray.sweep.reports import Reports, as_reported, column_of
from dipray.sweep.search import Picture

_THREADS = 16  # most of the time goes into waiting for files


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
    try:
        table, _ = read_trace(folder, ["iteration", column_of(metric)])
    except FolderError:
        return []
    iterations = table["iteration"].to_numpy()
    values = table[column_of(metric)].cast("float64").to_numpy(zero_copy_only=False)
    return as_reported(iterations, values, metric=metric, every=every)


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
