"""NamedSpace: a search space and the question that it asks."""

from dataclasses import dataclass

from dipray.sweep import Grid, Space


@dataclass(frozen=True)
class NamedSpace:
    """What a sweep may search by name.

    grid: what a grid search tries, every combination.
    ranges: what random and Optuna searches draw from; None is the grid.
    """

    question: str
    grid: Grid
    ranges: Space | None = None

    def for_search(self, search: str) -> Space:
        """The space for a `SweepConfig.search`."""
        return self.grid if search == "grid" else self.ranges or self.grid
