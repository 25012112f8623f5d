"""What can be wrong with a grid before its values are combined, and where."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import create_model
from ray.tune.search.sample import Domain, Float, Integer

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.strict_model import StrictModel
from dipray.sweep.grid import Grid, Place, items_of, placed_items, settings, short, spell

DEEPEST = 20  # grids within grids

# every field of FitConfig by itself, without what fields ask of each other
_FIELDS: dict[str, Any] = {
    name: (info.annotation, info) for name, info in FitConfig.model_fields.items()
}
_Alone = create_model("_Alone", __base__=StrictModel, **_FIELDS)


@dataclass(frozen=True)
class Fault:
    """Something wrong in a grid: where, and what."""

    place: Place
    what: str

    def __str__(self) -> str:
        return short(f"{spell(self.place)}{self.what}", 1000)

    @property
    def field(self) -> str:
        """The innermost field or label."""
        return next((step for step in reversed(self.place) if isinstance(step, str)), "")


def check_fields(grid: Grid) -> None:
    """Raises ConfigError, with the place in the grid, for names and values that no fit can have.

    What fields ask of each other shows only in a combination and is not looked at.
    """
    if not isinstance(grid, Mapping):
        raise ConfigError(f"a grid is an object of fields; this is a {type(grid).__name__}")
    for fault in faults(grid):
        raise ConfigError(str(fault), field=fault.field)


def faults(grid: Grid, place: Place = ()) -> Iterator[Fault]:
    """All that is wrong with the entries of a grid, in its order."""
    if len(place) > 2 * DEEPEST:
        yield Fault(place[:4], f"...: write at most {DEEPEST} grids within each other")
        return
    taken: dict[str, Place] = {}
    for name, value in grid.items():
        here = (*place, name)
        is_wrong = False
        for fault in _faults_of_entry(name, value, here):
            is_wrong = True
            yield fault
        if is_wrong:
            continue
        ours = list(settings(name, value, here))
        for field, where, _ in ours:
            if field in taken:
                other = spell(taken[field])
                yield Fault(where, f": set twice in one combination, also at {other}; drop one")
        taken.update({field: where for field, where, _ in reversed(ours)})


def _faults_of_entry(name: str, value: Any, here: Place) -> Iterator[Fault]:
    items = items_of(value)
    grids = sum(isinstance(item, Mapping) for item in items)
    if not items:
        yield Fault(here, ": an empty list; give at least one value")
    elif 0 < grids < len(items):
        yield Fault(here, ": mixes values and grids; write grids only")
    elif not grids and name not in FitConfig.model_fields:
        yield Fault(here, complaint(name, items[0]))
    elif len(items) > 1 and any(isinstance(item, Domain) for item in items):
        yield Fault(here, ": a range among other values; write it alone, or grids with one each")
    else:
        for place, item in placed_items(value, here):
            if isinstance(item, Mapping):
                yield from faults(item, place)
            elif isinstance(item, Domain):
                yield from _faults_of_range(name, item, place)
            elif what := complaint(name, item):
                yield Fault(place, what)


def complaint(name: str, value: Any) -> str:
    """What is wrong with a field's value, as it reads right behind the field's name, or nothing."""
    # the range of betas is known to the whole configuration only, which uses them by default
    model = FitConfig if name == "betas" else _Alone
    try:
        model(**{str(name): value})
    except ConfigError as error:
        what = str(error).removeprefix(str(name)).replace(repr(value), short(repr(value), 60))
        nested = isinstance(value, list) and name in FitConfig.model_fields and name != "betas"
        return f"{what}; lists of values do not nest" if nested else what
    return ""


def _faults_of_range(name: str, domain: Domain, place: Place) -> Iterator[Fault]:
    """Ends that the field cannot have; those that it only just cannot, such as 0 for lr, are fine.

    Ranges without ends are left to who draws.
    """
    if not isinstance(domain, (Float, Integer)):
        return
    lower, upper = domain.lower, domain.upper
    if lower is None or upper is None or not (math.isfinite(lower) and math.isfinite(upper)):
        return
    if isinstance(domain, Integer):
        inner = (lower, upper - 1)  # the upper end is not drawn
    else:
        inner = (math.nextafter(lower, upper), math.nextafter(upper, lower))
    for end, inside in zip((lower, upper), inner, strict=True):
        if complaint(name, inside) and (what := complaint(name, end)):
            yield Fault(place, f": the range reaches {name}{what}")
            return
