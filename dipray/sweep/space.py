"""What a sweep searches: a grid with alternatives, or an Optuna define-by-run function.

A grid maps fields of FitConfig to a value, a list of values, or (for random and Optuna searches) a
range of `ray.tune`. A list may also hold grids: alternatives whose fields are taken together, under
any label that is not a field unless the grids set that field themselves:

    {"lr_schedule": "cosine",
     "depth": [3, 4],
     "optimizer": [{"optimizer": "adam", "lr": [0.001, 0.01]},
                   {"optimizer": "sgd", "momentum": 0.9, "lr": [0.1, 1.0]}]}
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from ray.tune.search.sample import (
    Categorical,
    Domain,
    Float,
    Integer,
    LogUniform,
    Normal,
    Quantized,
)

from dipray.config import FitConfig
from dipray.errors import ConfigError

Grid = Mapping[str, Any]
DefineByRun = Callable[[optuna.Trial], dict[str, Any]]
Space = Grid | DefineByRun
Point = dict[str, Any]


def read_grid(path: str | Path) -> Grid:
    """A grid from a JSON file; raises ConfigError with the place of what is wrong."""
    path = Path(path)
    try:
        grid = json.loads(path.read_text(), object_pairs_hook=_once)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON ({error})") from None
    if not isinstance(grid, dict):
        raise ConfigError(f"{path}: a grid is an object of fields; this is a {type(grid).__name__}")
    try:
        check_fields(grid)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", field=error.field) from None
    return grid


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is there twice")
    return dict(pairs)


def check_fields(grid: Grid, place: str = "") -> None:
    """Raises ConfigError, with the place in the grid, for names that are no field."""
    for name, value in grid.items():
        here = f"{place}{name}"
        alternatives = _items(value)
        if not alternatives:
            raise ConfigError(f"{here}: an empty list; give at least one value", field=name)
        grids = [item for item in alternatives if isinstance(item, Mapping)]
        if grids and len(grids) < len(alternatives):
            raise ConfigError(f"{here}: mixes values and grids; write grids only", field=name)
        if not grids and name not in FitConfig.model_fields:
            FitConfig(**{name: alternatives[0]})  # raises, with the nearest name
        for index, item in enumerate(grids):
            check_fields(item, f"{here}[{index}].")


def _items(value: Any) -> list[Any]:
    """The alternatives of a field: of a list or a choice its items, else the value alone."""
    if isinstance(value, Categorical):
        return list(value.categories)
    return value if isinstance(value, list) else [value]


def expand(grid: Grid) -> list[Point]:
    """Every combination of a grid, in its order; raises ConfigError for ranges and wrong names."""
    check_fields(grid)
    axes: list[list[Point]] = []
    for name, value in grid.items():
        if any(isinstance(item, Domain) for item in _items(value)):
            raise ConfigError(
                f"{name}: a range cannot be a grid; write a list, or search random or optuna",
                field=name,
            )
        axes.append(list(_alternatives(name, value)))
    return [_merge(parts) for parts in itertools.product(*axes)]


def _alternatives(name: str, value: Any) -> Iterator[Point]:
    for item in _items(value):
        if isinstance(item, Mapping):
            yield from expand(item)
        else:
            yield {name: item}


def _merge(parts: tuple[Point, ...]) -> Point:
    merged: Point = {}
    for part in parts:
        for name, value in part.items():
            if name in merged:
                raise ConfigError(f"{name}: set twice in one combination", field=name)
            merged[name] = value
    return merged


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
            items = _items(value)
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
    """The space as a function that Optuna can call; raises ConfigError for names of no field."""
    if callable(space):
        return space
    check_fields(space)
    return Suggester(space)


def draw(space: Space, count: int, *, seed: int) -> list[Point]:
    """`count` independent random points, the same for the same seed."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    define = as_define_by_run(space)
    return [define(study.ask()) for _ in range(count)]
