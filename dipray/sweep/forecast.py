"""What a sweep would take: trials, resources, time, memory and disk, before anything starts."""

import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass

import ray
import torch

from dipray.checkpoint import encode_state
from dipray.config import FitConfig
from dipray.footprint import footprint
from dipray.images import encode_png
from dipray.loop import Fit
from dipray.problem import Problem
from dipray.sweep.cluster import Share, alive_nodes, quiet_tune, running_ray, share_out
from dipray.sweep.plan import DEFAULT_SAMPLES, Plan, Request
from dipray.sweep.schedulers import pace
from dipray.sweep.search import OptunaPerPicture, Planned
from dipray.sweep.space import draw

MOST_MEASURED = 12  # kinds of fits that are tried for a moment
_MOMENT = 1.5  # seconds
_ROW = 110  # bytes of a trace's row on disk, and
_PART = 12_000  # of each part beside its rows
_REPORT = 1_400  # of Tune's own files for each report

# settings that change nothing of what an iteration costs
_FREE = frozenset(
    {"seed", "seed_weights", "seed_input", "seed_jitter", "lr", "momentum", "nesterov", "betas"}
    | {"weight_decay", "lr_schedule", "lr_jump_at", "lr_jump_by"}
    | {"init", "iterations", "ema_decay", "tv_weight", "holdout_seed"}
    | {"stop", "patience", "snapshots", "fourier_scale", "input_jitter"}
)


@dataclass(frozen=True)
class Moment:
    """What a fit was seen to take: seconds an iteration, bytes of a checkpoint and of a picture."""

    seconds: float
    checkpoint: int
    picture: int


@dataclass(frozen=True)
class Forecast:
    """What is to be expected. Bytes and seconds are estimates.

    trials: name and varied settings of each that would run; of an Optuna search, which draws as it
    goes, one drawn at random for each that it would draw. seconds: if no fit ends early.
    memory: of the greatest trial, without the process itself. disk: of the results, and beside
    them as much as `disk_checkpoints` while fits run. kinds, measured: of fits.
    """

    trials: tuple[Planned, ...]
    kept: int
    iterations: int
    share: Share
    at_once: int
    seconds: float
    slowest: float  # seconds an iteration
    fastest: float
    memory: int
    disk: int
    disk_checkpoints: int
    kinds: int
    measured: int


@quiet_tune()
def forecast(request: Request) -> Forecast:
    """See what the request's trials would take, some of them tried for a moment each.

    Nothing is written. Uses Ray as the sweep would, so that it measures where fits would run.
    Raises ConfigError where the cluster cannot hold a trial.
    """
    plan = request.plan()
    trials = _trials(request, plan)
    problems = {problem.name: problem for problem in request.problems}
    kinds: dict[tuple[object, ...], tuple[str, FitConfig]] = {}
    fits = [(trial, request.base.replace(**trial.point)) for trial in trials]
    for trial, config in fits:
        kinds.setdefault(_kind(trial.problem, config), (trial.problem, config))
    needs = {
        key: footprint(config, problems[name].picture_shape)
        for key, (name, config) in kinds.items()
    }
    with running_ray(request.config.address):
        nodes = [node["Resources"] for node in alive_nodes()]
        share = share_out(request.config, request.base.device, nodes)
        seen = _measure(kinds, needs, problems, share)
    moments = {key: _moment(key, needs, seen) for key in kinds}
    at_once = min(request.config.max_concurrent or share.slots, share.slots)
    paced = pace(request.config, at_once)
    durations, disk = [], 0
    for trial, config in fits:
        moment = moments[_kind(trial.problem, config)]
        duration = moment.seconds * config.iterations
        durations.append(duration)
        pictures = 8 + config.snapshots
        disk += pictures * moment.picture + _ROW * config.iterations
        disk += _PART * (1 + int(duration / 20))
        disk += _REPORT * (1 + paced.most(config.iterations, duration))
    checkpoints = sorted((moment.checkpoint for moment in moments.values()), reverse=True)
    speeds = [moment.seconds for moment in moments.values()]
    return Forecast(
        trials=tuple(trials),
        kept=plan.kept,
        iterations=sum(config.iterations for _, config in fits),
        share=share,
        at_once=at_once,
        seconds=_makespan(durations, at_once),
        slowest=max(speeds, default=0.0),
        fastest=min(speeds, default=0.0),
        memory=max(needs.values(), default=0),
        disk=disk,
        disk_checkpoints=2 * at_once * max(checkpoints, default=0),
        kinds=len(kinds),
        measured=len(seen),
    )


def _trials(request: Request, plan: Plan) -> list[Planned]:
    if not isinstance(plan.search, OptunaPerPicture):
        return list(plan.search.waiting)
    config = request.config
    points = draw(request.space, config.num_samples or DEFAULT_SAMPLES, seed=config.search_seed)
    drawn = [picture.plan(request.base, point) for point in points for picture in request.pictures]
    return drawn[: len(plan.search)]


def _kind(problem: str, config: FitConfig) -> tuple[object, ...]:
    """What decides how long an iteration takes."""
    said = config.model_dump()
    said["holdout"] = bool(config.holdout)
    said["sure_sigma"] = config.sure_sigma is not None
    return (problem, *(value for name, value in said.items() if name not in _FREE))


def _measure(
    kinds: Mapping[tuple[object, ...], tuple[str, FitConfig]],
    needs: Mapping[tuple[object, ...], int],
    problems: Mapping[str, Problem],
    share: Share,
) -> dict[tuple[object, ...], Moment]:
    """Try some kinds, from the least to the greatest, with the resources of a trial each."""
    ordered = sorted(kinds, key=lambda key: needs[key])
    if len(ordered) > MOST_MEASURED:
        steps = MOST_MEASURED - 1
        ordered = [ordered[round(i * (len(ordered) - 1) / steps)] for i in range(MOST_MEASURED)]
    look = ray.remote(num_cpus=share.cpus, num_gpus=share.gpus, max_retries=0)(moment_of)
    there = {name: ray.put(problem) for name, problem in problems.items()}
    threads = max(1, int(share.cpus))
    asked = {key: look.remote(there[kinds[key][0]], kinds[key][1], threads) for key in ordered}
    return {key: ray.get(answer) for key, answer in asked.items()}


def moment_of(problem: Problem, config: FitConfig, threads: int) -> Moment:
    """Fit for a moment, and see what it takes."""
    torch.set_num_threads(threads)
    fit = Fit(problem, config.replace(iterations=10_000, snapshots=0, stop="none"))
    blocks = fit.blocks(1)
    next(blocks)
    before, started = fit.seconds, time.perf_counter()
    for _ in blocks:
        if time.perf_counter() - started > _MOMENT or fit.iteration > 50:
            break
    return Moment(
        (fit.seconds - before) / (fit.iteration - 1),
        len(encode_state(fit.state())),
        len(encode_png(fit.keeper.final.cpu(), bits=problem.bits)),
    )


def _moment(
    key: tuple[object, ...],
    needs: Mapping[tuple[object, ...], int],
    seen: Mapping[tuple[object, ...], Moment],
) -> Moment:
    """What was seen, or of the kind nearest in memory, in proportion to it."""
    if key in seen:
        return seen[key]
    nearest = min(seen, key=lambda other: abs(needs[other] - needs[key]))
    factor = needs[key] / needs[nearest]
    of = seen[nearest]
    return Moment(of.seconds * factor, int(of.checkpoint * factor), of.picture)


def _makespan(durations: list[float], at_once: int) -> float:
    """Seconds until all are done, each begun in its turn wherever there is room."""
    ends = [0.0] * max(1, at_once)
    for duration in durations:
        heapq.heappush(ends, heapq.heappop(ends) + duration)
    return max(ends)
