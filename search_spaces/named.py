"""NamedSpace: a search space and the question that it asks."""

from dataclasses import dataclass

from dipray.sweep import Grid, Space


@dataclass(frozen=True)
class NamedSpace:
    """What a sweep may search by name.

    grid: every combination, or None where there is no sensible grid.
    ranges: what random and Optuna searches draw from; None is the grid.
    """

    question: str
    grid: Grid | None
    ranges: Space | None = None

    def for_search(self, search: str) -> Space | None:
        """The space for a `SweepConfig.search`, None if it has none."""
        return self.grid if search == "grid" else self.ranges or self.grid
