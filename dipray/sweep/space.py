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
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform, Quantized

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
        grid = json.loads(path.read_text())
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


def check_fields(grid: Grid, place: str = "") -> None:
    """Raises ConfigError, with the place in the grid, for names that are no field."""
    for name, value in grid.items():
        here = f"{place}{name}"
        alternatives = value if isinstance(value, list) else [value]
        if not alternatives:
            raise ConfigError(f"{here}: an empty list; give at least one value", field=name)
        grids = [item for item in alternatives if isinstance(item, Mapping)]
        if grids and len(grids) < len(alternatives):
            raise ConfigError(f"{here}: mixes values and grids; write grids only", field=name)
        if not grids and name not in FitConfig.model_fields:
            FitConfig(**{name: alternatives[0]})  # raises, with the nearest name
        for index, item in enumerate(grids):
            check_fields(item, f"{here}[{index}].")


def expand(grid: Grid) -> list[Point]:
    """Every combination of a grid, in its order; raises ConfigError where a range has no list."""
    axes: list[list[Point]] = []
    for name, value in grid.items():
        if isinstance(value, Domain) and not isinstance(value, Categorical):
            raise ConfigError(
                f"{name}: a range cannot be a grid; write a list, or search random or optuna",
                field=name,
            )
        axes.append(list(_alternatives(name, value)))
    return [_merge(parts) for parts in itertools.product(*axes)]


def _alternatives(name: str, value: Any) -> Iterator[Point]:
    if isinstance(value, Categorical):
        value = value.categories
    for item in value if isinstance(value, list) else [value]:
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
    """A grid as a define-by-run function: lists become categories, ranges stay ranges.

    An instance pickles, which Tune needs when it saves the searcher.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def __call__(self, trial: optuna.Trial) -> Point:
        """A point of the grid, drawn by `trial`."""
        return self._draw(trial, self.grid, "")

    def _draw(self, trial: optuna.Trial, grid: Grid, place: str) -> Point:
        point: Point = {}
        for name, value in grid.items():
            here = f"{place}{name}"
            if isinstance(value, Domain):
                point[name] = _suggest(trial, here, value)
                continue
            items = value if isinstance(value, list) else [value]
            at = 0
            if len(items) > 1:
                at = trial.suggest_categorical(f"{here}#", list(range(len(items))))
            chosen = items[at]
            if isinstance(chosen, Mapping):
                point |= self._draw(trial, chosen, f"{here}[{at}].")
            else:
                point[name] = chosen
        return point


def _suggest(trial: optuna.Trial, name: str, domain: Domain) -> Any:
    # the trailing @ keeps Optuna's names apart from fields, which the point alone sets
    sampler, step = domain.get_sampler(), None
    if isinstance(sampler, Quantized):
        step, sampler = sampler.q, sampler.sampler
    log = isinstance(sampler, LogUniform)
    if isinstance(domain, Float):
        return trial.suggest_float(f"{name}@", domain.lower, domain.upper, step=step, log=log)
    if isinstance(domain, Integer):
        # Optuna's upper end is inclusive; ray's is too for quantized integers, but for no others
        upper = domain.upper - (0 if step else 1)
        return trial.suggest_int(f"{name}@", domain.lower, upper, step=int(step or 1), log=log)
    if isinstance(domain, Categorical):
        chosen = trial.suggest_categorical(f"{name}@", list(range(len(domain.categories))))
        return domain.categories[chosen]
    raise ConfigError(f"{name}: {type(domain).__name__} ranges are not known", field=name)


def as_define_by_run(space: Space) -> DefineByRun:
    """The space as a function that Optuna can call."""
    return space if callable(space) else Suggester(space)


def draw(space: Space, count: int, *, seed: int) -> list[Point]:
    """`count` independent random points, the same for the same seed."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    define = as_define_by_run(space)
    return [fields_only(define(study.ask())) for _ in range(count)]


def fields_only(point: Mapping[str, Any]) -> Point:
    """The point without what is no field of FitConfig."""
    return {name: value for name, value in point.items() if name in FitConfig.model_fields}
