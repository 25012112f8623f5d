"""Tuning: hand a plan to Ray Tune and bring back how each trial ended."""

import contextlib
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial

from dipray.errors import DiprayError, FolderError
from dipray.folder import TUNE
from dipray.recorder import one_line
from dipray.sweep.cluster import alive_nodes, may_have_other_disks, share_out
from dipray.sweep.dropped import Dropped
from dipray.sweep.extension import kept_states
from dipray.sweep.lean import Lean
from dipray.sweep.plan import Plan, Request
from dipray.sweep.recall import masks, recall
from dipray.sweep.relay import open_desk
from dipray.sweep.schedulers import Noting, make_scheduler, pace
from dipray.sweep.search import ListSearch, OptunaPerPicture, Planned
from dipray.sweep.trainable import FitTrainable, TrialSettings

Ended = tuple[Planned, Exception | None]


def run_trials(
    plan: Plan, call: str, callbacks: Sequence[tune.Callback]
) -> tuple[float, list[Ended]]:
    """Run the plan on the Ray that is up: seconds, and each trial begun, with its error.

    call: tells this call's folder from others.
    Raises ConfigError where the cluster cannot hold a trial, and FolderError where the sweep broke
    off, e.g. at a full disk.
    """
    request, config, store = plan.request, plan.request.config, plan.request.store
    nodes = [node["Resources"] for node in alive_nodes()]
    share = share_out(config, request.base.device, nodes)
    at_once = config.max_concurrent or share.slots
    relays = store.is_local and may_have_other_disks(config.address)
    started = time.perf_counter()
    settings = TrialSettings(
        problems={problem.name: ray.put(problem) for problem in request.problems},
        base=request.base,
        sweep=store,
        call=call,
        desk=open_desk(store) if relays else None,
        pace=pace(config, min(at_once, len(plan.search))),
        threads=max(1, math.floor(share.cpus)),
        gpu_share=share.gpus,
        checkpoint_every_s=config.checkpoint_every_s,
        keep_states=config.keep_states,
        shorter=kept_states(request.trials),
    )
    trainable = tune.with_resources(
        tune.with_parameters(FitTrainable, settings=settings),
        {"cpu": share.cpus, "gpu": share.gpus},
    )
    ended: dict[str, Ended] = {}
    search, rounds = plan.search, 0
    while True:
        left = _time_left(config.time_budget_s, since=started)
        results, dropped = _round(request, search, trainable, callbacks, at_once, seconds=left)
        ended |= results
        rounds += 1
        given_up = rounds > config.max_failures >= 0
        if not dropped or given_up or _time_left(config.time_budget_s, since=started) == 0:
            return time.perf_counter() - started, list(ended.values())
        search = ListSearch(ended[trial][0] for trial in dropped)


def _time_left(budget: float | None, *, since: float) -> float | None:
    return None if budget is None else max(0.0, budget - (time.perf_counter() - since))


def _round(
    request: Request,
    search: ListSearch | OptunaPerPicture,
    trainable: Any,
    callbacks: Sequence[tune.Callback],
    at_once: int,
    *,
    seconds: float | None,
) -> tuple[dict[str, Ended], set[str]]:
    """One call of Tune: each trial begun with its error, and those that are to be run again.

    These are none if it was interrupted.
    """
    config, store = request.config, request.store
    scheduler, dropped = _scheduler(request), Dropped()
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=scheduler,
            num_samples=len(search),
            max_concurrent_trials=at_once,
            time_budget_s=seconds,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f"),
            storage_path=str(store.child(TUNE)),
            callbacks=[*callbacks, Lean(), dropped],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=config.max_failures),
            verbose=0,
        ),
    )
    try:
        results = tuner.fit()
    except DiprayError:
        raise
    except Exception as error:  # Tune at a full disk: OSError, TuneError, UnpicklingError...
        reason = "the disk is full" if store.is_full else one_line(error)
        raise FolderError(
            f"{store}: the sweep broke off ({reason}); what is finished is kept, and the same "
            "command goes on"
        ) from error
    with contextlib.suppress(FolderError):  # which the next call makes up for
        scheduler.write_notes()
    ended: dict[str, Ended] = {}
    is_whole = not len(search)
    for each in (results[i] for i in range(len(results))):
        planned = search.given[Path(each.path).name]
        ended[planned.trial] = (planned, each.error)
        is_whole &= bool(each.error or (each.metrics or {}).get("done"))
    return ended, dropped.trials if is_whole else set()


def _scheduler(request: Request) -> Noting:
    """The scheduler, knowing what earlier calls have seen."""
    config = request.config
    scheduler = make_scheduler(config, request.trials)
    if config.scheduler == "none":
        return scheduler
    compared = masks(request.pictures, request.base, config.metric)
    for known in recall(
        request.trials, compared, metric=config.metric, report_every=config.report_every
    ):
        scheduler.recall(known)
    return scheduler


def _trial_name(trial: Trial) -> str:
    return str(trial.config["trial"])
