"""Points: the combinations of a grid, and what to say of one that cannot be fitted."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from ray.tune.search.sample import Domain

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.sweep.grid import Grid, items_of, origin, settings, short, spell
from dipray.sweep.grid_check import check_fields

Point = dict[str, Any]

MOST_POINTS = 100_000


def count_points(grid: Grid) -> int:
    """The number of combinations of a grid."""
    return math.prod(
        sum(count_points(item) if isinstance(item, Mapping) else 1 for item in items_of(value))
        for value in grid.values()
    )


def expand(grid: Grid) -> list[Point]:
    """Every combination of a grid, in its order.

    Raises ConfigError for what `check_fields` refuses, for ranges, and for more than 100,000
    combinations.
    """
    check_fields(grid)
    for name, value in grid.items():
        for field, place, item in settings(name, value, (name,)):
            if isinstance(item, Domain):
                raise ConfigError(
                    f"{spell(place)}: a range cannot be a grid; write a list, or search random or "
                    "optuna",
                    field=field,
                )
    if (count := count_points(grid)) > MOST_POINTS:
        raise ConfigError(
            f"{origin(grid)}{count:,} combinations; allowed are {MOST_POINTS:,}; write fewer "
            "values, or draw some of them with search random or optuna"
        )
    return list(_combinations(grid))


def _combinations(grid: Grid) -> Iterator[Point]:
    axes = [list(_alternatives(name, value)) for name, value in grid.items()]
    for parts in itertools.product(*axes):
        yield {name: value for part in parts for name, value in part.items()}


def _alternatives(name: str, value: Any) -> Iterator[Point]:
    for item in items_of(value):
        if isinstance(item, Mapping):
            yield from _combinations(item)
        else:
            yield {name: item}


def refusal(error: ConfigError, space: object, base: FitConfig, point: Point) -> ConfigError:
    """The error of a point that cannot be fitted, with the file, the combination, and advice."""
    said = [f"{origin(space)}{error}"]
    if len(point) > 1:
        combination = ", ".join(f"{name}={value}" for name, value in point.items())
        said.append(f"in the combination {short(combination, 160)}")
    if error.field and error.field not in point:
        said.append(f"{error.field} is set outside of the space")
    if isinstance(space, Mapping) and _contradicts_itself(base, point):
        said.append(
            'write fields that belong together as alternatives, such as "optimizer": '
            '[{"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.9}]'
        )
    return type(error)("; ".join(said), field=error.field)


def _contradicts_itself(base: FitConfig, point: Point) -> bool:
    try:
        base.replace(**point)
    except ConfigError:
        return True
    return False  # so it is the picture that it does not suit
