"""Run a sweep: space x pictures x scheduler x resources -> a folder of trials."""

import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ray import tune

from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import FAILED, INTERRUPTED, SWEEP
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep.cluster import quiet_tune, running_ray
from dipray.sweep.folder import (
    settle,
    write_problems,
)
from dipray.sweep.lock import held
from dipray.sweep.plan import Request
from dipray.sweep.relay import CALL
from dipray.sweep.search import Planned
from dipray.sweep.space import Space
from dipray.sweep.tuning import run_trials
from dipray.sweep_config import SweepConfig


@dataclass(frozen=True)
class SweepResult:
    """What a call of `run_sweep` did; the results themselves lie in `store`."""

    store: Store
    trials: tuple[str, ...]  # all that were asked for, in order; of an Optuna search all drawn
    kept: int  # trials that an earlier call had finished
    run: int  # trials that this call brought to an end
    failed: int  # of these, with an exception
    interrupted: int  # trials left by a time budget or Ctrl-C, begun or not
    seconds: float  # of the search, the start of Ray apart


@quiet_tune()
def run_sweep(
    problems: Sequence[Problem],
    space: Space,
    location: Store | str,
    *,
    base: FitConfig | None = None,
    config: SweepConfig | None = None,
    callbacks: Sequence[tune.Callback] = (),
) -> SweepResult:
    """Fit the configurations of `space` to every problem and leave all results in a folder.

    base: what the space does not set. A trial is known by the hash of its problem and its
    configuration: finished ones are kept, only the others run. Uses the Ray that is running, or
    the cluster at `config.address`, or starts a local one and stops it at the end.
    Raises ConfigError or FolderError before anything runs.
    """
    request = Request.of(problems, space, location, base=base, config=config)
    store = request.store
    with contextlib.ExitStack() as stack:
        is_new = not store.exists(SWEEP)
        if not is_new:
            stack.enter_context(held(store))  # before looking what is finished
        plan = request.plan()
        if is_new:
            stack.enter_context(held(store))
        write_problems(store, request.problems, request.pictures)
        # auto stays: a folder may hold pictures with the truth and without
        metric = (config or SweepConfig()).metric
        call = uuid.uuid4().hex
        store.write_json(SWEEP, request.describe() | {"metric": metric, CALL: call})
        search, kept = plan.search, plan.kept
        if not len(search):
            return SweepResult(store, tuple(search.drawn), kept, 0, 0, 0, 0.0)
        stack.enter_context(running_ray(request.config.address))
        seconds, ended = run_trials(plan, call, callbacks)
    outcomes = [_settled(request, planned, error) for planned, error in ended]
    return SweepResult(
        store,
        tuple(search.drawn),
        kept=kept,
        run=len(outcomes) - outcomes.count(INTERRUPTED),
        failed=outcomes.count(FAILED),
        interrupted=outcomes.count(INTERRUPTED) + len(search),
        seconds=seconds,
    )


def _settled(request: Request, planned: Planned, error: Exception | None) -> str:
    """The outcome of a trial, also where the disk does not take it."""
    try:
        return settle(request.trials, planned, request.base, error)
    except FolderError:
        return INTERRUPTED if error is None else FAILED
