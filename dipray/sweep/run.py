"""Run a sweep: space x pictures x scheduler x resources -> a folder of trials."""

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.experiment import Trial

import dipray
from dipray.baselines import baselines
from dipray.config import FitConfig
from dipray.errors import ConfigError, FolderError
from dipray.folder import CONFIG, PROBLEM, is_finished, read_outcome, safe_name
from dipray.images import encode_png
from dipray.problem import Problem
from dipray.recorder import describe_problem
from dipray.store import Store
from dipray.sweep.schedulers import make_scheduler
from dipray.sweep.search import ListSearch, OptunaPerPicture, Picture, Planned
from dipray.sweep.space import Space, as_define_by_run, draw, expand
from dipray.sweep.trainable import FitTrainable, TrialSettings
from dipray.sweep_config import SweepConfig

SWEEP = "sweep.json"
PROBLEMS, TRIALS, TUNE = "problems", "trials", "tune"
DEFAULT_SAMPLES = 16


@dataclass(frozen=True)
class SweepResult:
    """What a call of `run_sweep` did; the results themselves lie in `store`."""

    store: Store
    kept: int  # trials that an earlier call had finished
    run: int  # trials that this call ran, to whatever end
    failed: int  # of these, with an exception
    seconds: float  # of the search, the start of Ray apart


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
    base, config = base or FitConfig(), config or SweepConfig()
    store = location if isinstance(location, Store) else Store(location)
    pictures = _check(problems, config)
    if store.exists(CONFIG):
        raise FolderError(f"{store} holds a single fit; give the sweep a folder of its own")
    trials = store.child(TRIALS)
    planned = None
    if config.search != "optuna":
        planned = _plan(pictures, space, base, config)
    known = _finished(trials, config.metric)
    _write_problems(store, problems, pictures)
    store.write_json(SWEEP, _description(space, base, config, pictures))
    if planned is not None:
        waiting = [each for each in planned if each.trial not in known]
        kept = len(planned) - len(waiting)
        if not waiting:
            return SweepResult(store, kept, 0, 0, 0.0)
        search: tune.search.Searcher = ListSearch(waiting)
        longest = max(each.point.get("iterations", base.iterations) for each in waiting)
    else:
        by_picture = {
            picture.name: _of_picture(known, trials, picture.name) for picture in pictures
        }
        kept = sum(len(each) for each in by_picture.values())
        search = OptunaPerPicture(
            as_define_by_run(space),
            pictures,
            base,
            metric=config.metric,
            mode=config.mode,
            num_samples=config.num_samples or DEFAULT_SAMPLES,
            seed=config.search_seed,
            known=by_picture,
        )
        longest = base.iterations
    with _ray(config.address), _quiet():
        started = time.perf_counter()
        settings = TrialSettings(
            problems={problem.name: ray.put(problem) for problem in problems},
            base=base,
            trials=trials,
            report_every=config.report_every,
            threads=max(1, math.floor(config.cpus_per_trial)),
        )
        trainable = tune.with_resources(
            tune.with_parameters(FitTrainable, settings=settings),
            {"cpu": config.cpus_per_trial, "gpu": config.gpus_per_trial},
        )
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=make_scheduler(config, longest, trials),
                num_samples=-1,  # the searcher says when it is done
                max_concurrent_trials=config.max_concurrent or _slots(config),
                time_budget_s=config.time_budget_s,
                reuse_actors=True,
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
            ),
            run_config=tune.RunConfig(
                name=datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f"),
                storage_path=str(store.child(TUNE)),
                callbacks=list(callbacks),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        results = tuner.fit()
        seconds = time.perf_counter() - started
    return SweepResult(store, kept, len(results), len(results.errors), seconds)


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
                "write --scheduler none with a grid or random search, or --metric loss",
                field="metric",
            )
    return [Picture.of(problem) for problem in problems]


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
            each = picture.plan(base, point)
            planned.setdefault(each.trial, each)
    return list(planned.values())


def _finished(trials: Store, metric: str) -> dict[str, float]:
    """The finished trials of a folder and their metric, NaN where they have none."""
    known = {}
    for name in trials.names():
        folder = trials.child(name)
        if is_finished(folder):
            row = read_outcome(folder)
            value = row.get("loss_final" if metric == "loss" else metric)
            known[name] = math.nan if value is None else float(value)
    return known


def _of_picture(known: Mapping[str, float], trials: Store, picture: str) -> dict[str, float]:
    """Of the finished trials those of one picture, by what their folders say."""
    return {
        name: value
        for name, value in known.items()
        if trials.child(name).read_json(PROBLEM).get("name") == picture
    }


def _write_problems(store: Store, problems: Sequence[Problem], pictures: Sequence[Picture]) -> None:
    """Write pictures and baselines once; raises FolderError if the name means another picture."""
    for problem, picture in zip(problems, pictures, strict=True):
        folder = store.child(PROBLEMS, problem.name)
        if folder.exists(PROBLEM):
            if folder.read_json(PROBLEM).get("fingerprint") != picture.fingerprint:
                raise FolderError(
                    f"{folder}: an earlier sweep has another picture of this name; choose another "
                    "folder for this sweep"
                )
            continue
        folder.write("measurement.png", encode_png(problem.y, bits=problem.bits))
        if problem.reference is not None:
            folder.write("reference.png", encode_png(problem.reference, bits=problem.bits))
        rows = []
        for baseline in baselines(problem):
            file = f"{safe_name(baseline.method)}.png"
            folder.write(file, encode_png(baseline.picture, bits=problem.bits))
            rows.append(
                {
                    "method": baseline.method,
                    "psnr": baseline.psnr,
                    "seconds": baseline.seconds,
                    "picture": file,
                }
            )
        folder.write_json("baselines.json", rows)
        folder.write_json(PROBLEM, describe_problem(problem))


def _description(
    space: Space, base: FitConfig, config: SweepConfig, pictures: Sequence[Picture]
) -> dict[str, Any]:
    return {
        "dipray": dipray.__version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "problems": [picture.name for picture in pictures],
        "space": getattr(space, "__qualname__", repr(space)) if callable(space) else dict(space),
        "base": base.to_dict(),
        "mode": config.mode,
        **config.to_dict(),
    }


def _slots(config: SweepConfig) -> int:
    """How many trials the cluster's resources hold at once, at least one."""
    resources = ray.cluster_resources()
    slots = resources.get("CPU", 1.0) / config.cpus_per_trial
    if config.gpus_per_trial:
        slots = min(slots, resources.get("GPU", 0.0) / config.gpus_per_trial)
    return max(1, math.floor(slots + 1e-6))


def _trial_name(trial: Trial) -> str:
    return str(trial.config["trial"])


@contextmanager
def _ray(address: str | None) -> Iterator[None]:
    """The Ray that runs already, or the one at `address`, or a local one for the time."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if address is None:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        else:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise ConfigError(
            f"address={address!r}: no Ray cluster answers ({error}); drop it to start a local one",
            field="address",
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _quiet() -> Iterator[None]:
    """Tune and Optuna without their own lines: a failed trial is a row with its reason."""
    settings = {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_PRINT_ALL_TRIAL_ERRORS": "0"}
    before = {name: os.environ.get(name) for name in settings}
    tune_log = logging.getLogger("ray.tune")
    levels = tune_log.level, optuna.logging.get_verbosity()
    os.environ.update(settings)
    tune_log.setLevel(logging.CRITICAL)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        tune_log.setLevel(levels[0])
        optuna.logging.set_verbosity(levels[1])
