"""Tuning: hand a plan to Ray Tune and bring back how each trial ended."""

import contextlib
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import ray
from ray import tune
from ray.tune.experiment import Trial

from dipray.errors import DiprayError, FolderError
from dipray.folder import TUNE
from dipray.recorder import one_line
from dipray.sweep.cluster import alive_nodes, may_have_other_disks, share_out
from dipray.sweep.extension import kept_states
from dipray.sweep.lean import Lean
from dipray.sweep.plan import Plan, Request
from dipray.sweep.recall import masks, recall
from dipray.sweep.relay import open_desk
from dipray.sweep.schedulers import Noting, make_scheduler, pace
from dipray.sweep.search import Planned
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
    request, search = plan.request, plan.search
    config, store = request.config, request.store
    nodes = [node["Resources"] for node in alive_nodes()]
    share = share_out(config, request.base.device, nodes)
    at_once = config.max_concurrent or share.slots
    scheduler = _scheduler(request)
    relays = store.is_local and may_have_other_disks(config.address)
    started = time.perf_counter()
    settings = TrialSettings(
        problems={problem.name: ray.put(problem) for problem in request.problems},
        base=request.base,
        sweep=store,
        call=call,
        desk=open_desk(store) if relays else None,
        pace=pace(config, min(at_once, len(search))),
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
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=scheduler,
            num_samples=len(search),
            max_concurrent_trials=at_once,
            time_budget_s=config.time_budget_s,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f"),
            storage_path=str(store.child(TUNE)),
            callbacks=[*callbacks, Lean()],
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
    seconds = time.perf_counter() - started
    with contextlib.suppress(FolderError):  # which the next call makes up for
        scheduler.write_notes()
    ended = [results[i] for i in range(len(results))]
    return seconds, [(search.given[Path(each.path).name], each.error) for each in ended]


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
