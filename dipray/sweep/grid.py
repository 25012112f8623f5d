"""Grids: fields of FitConfig and their values, with alternatives.

A grid maps a field to a value, a list of values, or (for random and Optuna searches) a range of
`ray.tune`. A list may also hold grids: alternatives whose fields are taken together, under any
label that is not a field unless the grids set that field themselves:

    {"lr_schedule": "cosine",
     "depth": [3, 4],
     "optimizer": [{"optimizer": "adam", "lr": [0.001, 0.01]},
                   {"optimizer": "sgd", "momentum": 0.9, "lr": [0.1, 1.0]}]}
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ray.tune.search.sample import Categorical

Grid = Mapping[str, Any]
Place = tuple[str | int, ...]  # the fields, labels and positions on the way to a value


class GridFile(dict[str, Any]):
    """A grid that knows the file it was read from."""

    def __init__(self, grid: Grid, path: str) -> None:
        super().__init__(grid)
        self.path = path


def origin(space: object) -> str:
    """What an error about a space begins with: the file of a grid that has one, else nothing."""
    return f"{space.path}: " if isinstance(space, GridFile) else ""


def items_of(value: Any) -> list[Any]:
    """The alternatives of a field: of a list or a choice its items, else the value alone."""
    if isinstance(value, Categorical):
        return list(value.categories)
    return value if isinstance(value, list) else [value]


def placed_items(value: Any, here: Place) -> Iterator[tuple[Place, Any]]:
    """The alternatives of a field that is at `here`, each with its own place."""
    alone = not isinstance(value, (list, Categorical))
    for index, item in enumerate(items_of(value)):
        yield here if alone else (*here, index), item


def settings(name: str, value: Any, here: Place) -> Iterator[tuple[str, Place, Any]]:
    """(field, place, value) of every value of an entry, those of grids within it included."""
    for place, item in placed_items(value, here):
        if isinstance(item, Mapping):
            for inner, below in item.items():
                yield from settings(inner, below, (*place, inner))
        else:
            yield name, place, item


def spell(place: Place) -> str:
    """A place as one writes it, e.g. optimizer[1].lr[0]."""
    steps = (
        f"[{step}]" if isinstance(step, int) else f".{step if step.isidentifier() else repr(step)}"
        for step in place
    )
    return "".join(steps).removeprefix(".")


def short(text: str, most: int) -> str:
    """A text on one line and of so many characters, the end left out where it is longer."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
