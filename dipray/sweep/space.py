"""Spaces: what a sweep searches, a grid or an Optuna define-by-run function; drawing from them."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from ray.tune.search.sample import Domain, Float, Integer, LogUniform, Normal, Quantized

from dipray.errors import ConfigError
from dipray.sweep.grid import Grid, items_of
from dipray.sweep.grid_check import check_fields
from dipray.sweep.points import Point

DefineByRun = Callable[[optuna.Trial], dict[str, Any]]
Space = Grid | DefineByRun


class Suggester:
    """A grid as a define-by-run function: lists become categories, ranges stay ranges."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def __call__(self, trial: optuna.Trial) -> Point:
        """A point of the grid, drawn by `trial`."""
        return self._draw(trial, self.grid, "")

    def _draw(self, trial: optuna.Trial, grid: Grid, place: str) -> Point:
        point: Point = {}
        for name, value in grid.items():
            here = f"{place}{name}"
            items = items_of(value)
            if isinstance(items[0], Domain):
                point[name] = _suggest(trial, here, items[0])
                continue
            at = 0
            if len(items) > 1:
                at = trial.suggest_categorical(here, list(range(len(items))))
            chosen = items[at]
            if isinstance(chosen, Mapping):
                point |= self._draw(trial, chosen, f"{here}[{at}].")
            else:
                point[name] = chosen
        return point


def _suggest(trial: optuna.Trial, name: str, domain: Domain) -> Any:
    sampler, step = domain.get_sampler(), None
    if isinstance(sampler, Quantized):
        step, sampler = sampler.q, sampler.sampler
    log = isinstance(sampler, LogUniform)
    if isinstance(sampler, Normal) or (log and step):
        raise ConfigError(
            f"{name}: Optuna has no normal and no stepped logarithmic ranges; write uniform, "
            "loguniform, quniform, randint, qrandint, lograndint or choice",
            field=name,
        )
    if isinstance(domain, Float):
        return trial.suggest_float(name, domain.lower, domain.upper, step=step, log=log)
    if isinstance(domain, Integer):
        # Optuna's upper end is inclusive; ray's is too for quantized integers, but for no others
        upper = domain.upper - (0 if step else 1)
        return trial.suggest_int(name, domain.lower, upper, step=int(step or 1), log=log)
    raise ConfigError(f"{name}: {type(domain).__name__} ranges are not known", field=name)


def as_define_by_run(space: Space) -> DefineByRun:
    """The space as a function that Optuna can call; raises ConfigError for what no fit can have."""
    if callable(space):
        return space
    check_fields(space)
    return Suggester(space)


def draw(space: Space, count: int, *, seed: int) -> list[Point]:
    """`count` independent random points, the same for the same seed."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    define = as_define_by_run(space)
    return [define(study.ask()) for _ in range(count)]


def plain_space(space: Space) -> Any:
    """A grid as it is, ranges and functions by what they call themselves."""
    if callable(space):
        return getattr(space, "__qualname__", repr(space))
    return json.loads(json.dumps(dict(space), default=_range))


def _range(domain: Domain) -> dict[str, Any]:
    """A range of Tune as plain data."""
    known = {name: getattr(domain, name, None) for name in ("lower", "upper", "categories")}
    return {
        "range": type(domain).__name__,
        "sampler": type(domain.get_sampler()).__name__,
        **{name: value for name, value in known.items() if value is not None},
    }
