"""Run a sweep: space x pictures x scheduler x resources -> a folder of trials."""

import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ray import tune

from dipray.config import FitConfig
from dipray.errors import ConfigError, FolderError
from dipray.folder import FAILED, INTERRUPTED, SWEEP, TRIALS, safe_name
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep.cluster import quiet_tune, running_ray
from dipray.sweep.folder import (
    description,
    draws_of,
    finished,
    settle,
    write_problems,
)
from dipray.sweep.grid import settings
from dipray.sweep.lock import held
from dipray.sweep.points import expand, refusal
from dipray.sweep.relay import CALL
from dipray.sweep.search import ListSearch, OptunaPerPicture, Picture, Planned
from dipray.sweep.space import Space, as_define_by_run, draw
from dipray.sweep.tuning import Plan, run_trials
from dipray.sweep_config import SweepConfig

DEFAULT_SAMPLES = 16


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
    base = base or FitConfig()
    problems = [problem.to("cpu") for problem in problems]
    has_truth = all(problem.reference is not None for problem in problems)
    asked = config or SweepConfig()
    config = asked.settled(has_truth=has_truth, can_hold_out=base.holdout != 0)
    base = config.for_fits(base, has_truth=has_truth, varied=_varied(space))
    store = location if isinstance(location, Store) else Store(location)
    pictures = _check(problems, config)
    with contextlib.ExitStack() as stack:
        is_new = not store.exists(SWEEP)
        if is_new and (there := store.names()):
            raise FolderError(
                f"{store} holds something that is no sweep ({there[0]}...); give the sweep a "
                "folder of its own"
            )
        if not is_new:
            stack.enter_context(held(store))  # before looking what is finished
        search, kept = _search(pictures, space, base, config, store)
        if is_new:
            stack.enter_context(held(store))
        write_problems(store, problems, pictures)
        # auto stays: a folder may hold pictures with the truth and without
        call = uuid.uuid4().hex
        said = description(space, base, config, pictures) | {"metric": asked.metric, CALL: call}
        store.write_json(SWEEP, said)
        if not len(search):
            return SweepResult(store, tuple(search.drawn), kept, 0, 0, 0, 0.0)
        stack.enter_context(running_ray(config.address))
        plan = Plan(problems, pictures, search, base, config, store, call)
        seconds, ended = run_trials(plan, callbacks)
    outcomes = [_settled(store.child(TRIALS), planned, base, error) for planned, error in ended]
    return SweepResult(
        store,
        tuple(search.drawn),
        kept=kept,
        run=len(outcomes) - outcomes.count(INTERRUPTED),
        failed=outcomes.count(FAILED),
        interrupted=outcomes.count(INTERRUPTED) + len(search),
        seconds=seconds,
    )


def _settled(trials: Store, planned: Planned, base: FitConfig, error: Exception | None) -> str:
    """The outcome of a trial, also where the disk does not take it."""
    try:
        return settle(trials, planned, base, error)
    except FolderError:
        return INTERRUPTED if error is None else FAILED


def _check(problems: Sequence[Problem], config: SweepConfig) -> list[Picture]:
    if not problems:
        raise ConfigError("a sweep needs at least one picture")
    names = [problem.name for problem in problems]
    if len(set(names)) < len(names):
        raise ConfigError(f"pictures of one sweep need different names; given: {', '.join(names)}")
    for problem in problems:
        if problem.name != safe_name(problem.name):
            raise ConfigError(f"picture name {problem.name!r}: write {safe_name(problem.name)!r}")
        if problem.reference is None and config.needs_reference:
            raise ConfigError(
                f"metric={config.metric!r}: needs the truth of {problem.name}; give it (--gt), or "
                "write --metric val_psnr_ema_peak, the held-out error",
                field="metric",
            )
    same_holdout = config.judges_by_holdout
    return [Picture.of(problem, same_holdout=same_holdout) for problem in problems]


def _varied(space: Space) -> set[str]:
    """The fields that a grid sets; of a function nobody knows before it is called."""
    if callable(space):
        return set()
    return {field for name, value in space.items() for field, _, _ in settings(name, value, ())}


def _search(
    pictures: Sequence[Picture], space: Space, base: FitConfig, config: SweepConfig, store: Store
) -> tuple[ListSearch | OptunaPerPicture, int]:
    """The searcher for what is not finished yet, and how many trials are."""
    known = finished(store.child(TRIALS), config.metric)
    if config.search != "optuna":
        planned = _plan(pictures, space, base, config)
        search = ListSearch(planned, [trial for each in known.values() for trial in each])
        return search, len(planned) - len(search)
    drawing = OptunaPerPicture(
        as_define_by_run(space),
        pictures,
        base,
        metric=config.metric,
        mode=config.mode,
        num_samples=config.num_samples or DEFAULT_SAMPLES,
        seed=config.search_seed,
        known=known,
        draws=draws_of(store, space, base, config),
    )
    return drawing, len(drawing.drawn)


def _plan(
    pictures: Sequence[Picture], space: Space, base: FitConfig, config: SweepConfig
) -> list[Planned]:
    """Every trial of a grid or random search, each once; raises ConfigError for a bad one."""
    if config.search == "random":
        points = draw(space, config.num_samples or DEFAULT_SAMPLES, seed=config.search_seed)
    elif callable(space):
        raise ConfigError("search='grid': this space has no grid; search random or optuna")
    else:
        points = expand(space)
    planned: dict[str, Planned] = {}
    for point in points:
        for picture in pictures:
            try:
                each = picture.plan(base, point)
            except ConfigError as error:
                raise refusal(error, space, base, point) from None
            planned.setdefault(each.trial, each)
    return list(planned.values())
