"""A sweep's folder, outside of its trials: what lies there, and writing it."""

import math
from collections.abc import Sequence

from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import (
    CONFIG,
    FAILED,
    INTERRUPTED,
    OUTCOME,
    PROBLEM,
    PROBLEMS,
    RUNNING,
    is_finished,
    problem_said,
    read_outcome,
)
from dipray.problem import Problem
from dipray.problem_folder import write_problem
from dipray.recorder import one_line, record_failure
from dipray.store import Store
from dipray.sweep.draws import Draws
from dipray.sweep.search import Picture, Planned
from dipray.sweep.space import Space, plain_space
from dipray.sweep_config import SweepConfig, table_number


def finished(trials: Store, metric: str) -> dict[str, dict[str, float]]:
    """The finished trials of each picture and their metric, NaN where they have none."""
    known: dict[str, dict[str, float]] = {}
    for name in trials.names():
        folder = trials.child(name)
        if is_finished(folder):
            problem = problem_said(folder, "name")
            value = read_outcome(folder).get(table_number(metric))
            known.setdefault(problem, {})[name] = math.nan if value is None else float(value)
    return known


def draws_of(store: Store, space: Space, base: FitConfig, config: SweepConfig) -> Draws:
    """What the Optuna search of these settings has drawn, in all its calls."""
    return Draws(store, [plain_space(space), base.digest(), config.metric, config.search_seed])


def settle(trials: Store, planned: Planned, base: FitConfig, error: Exception | None) -> str:
    """The outcome of a trial of this call, written for it if its worker could not.

    A worker that died leaves none, nor does one that was busy for too long when the sweep ended,
    or one whose disk was full.
    """
    folder = trials.child(planned.trial)
    outcome = str(read_outcome(folder)["outcome"])
    if outcome not in (RUNNING, INTERRUPTED):
        return outcome
    if error is not None and not folder.exists(CONFIG):
        config = base.replace(**planned.point)
        record_failure(folder, config, planned.problem, reason=one_line(error))
    elif error is not None:
        folder.write_json(OUTCOME, {"outcome": FAILED, "reason": one_line(error)})
    elif outcome == RUNNING and folder.exists(CONFIG):
        folder.write_json(OUTCOME, {"outcome": INTERRUPTED})
    return INTERRUPTED if error is None else FAILED


def write_problems(store: Store, problems: Sequence[Problem], pictures: Sequence[Picture]) -> None:
    """Write pictures and baselines once; raises FolderError if the name means another picture."""
    for problem, picture in zip(problems, pictures, strict=True):
        folder = store.child(PROBLEMS, problem.name)
        if folder.exists(PROBLEM):
            if problem_said(folder, "fingerprint") != picture.fingerprint:
                raise FolderError(
                    f"{folder}: an earlier call has another picture of this name, or this one with "
                    "another truth; choose another folder"
                )
            continue
        write_problem(folder, problem)
