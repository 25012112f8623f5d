"""Arm: fits of a study that are compared with each other."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Arm:
    """Fits that are compared with each other: their settings, and their learning rates."""

    name: str
    settings: dict[str, Any]
    lrs: tuple[float, ...]

    def trials(self, table: pd.DataFrame) -> list[str]:
        """The arm's own among the trials of a table."""
        ours = (table[list(self.settings)] == pd.Series(self.settings)).all(axis=1)
        return [str(trial) for trial in table.index[ours]]

    def points(self, **more: Any) -> dict[str, Any]:
        """Its part of a grid: settings, and a list of learning rates."""
        return {**self.settings, "lr": list(self.lrs), **more}


def trials_of(arms: Iterable[Arm], table: pd.DataFrame) -> dict[str, list[str]]:
    """The trials of each arm that has any in a table, by its name."""
    found = {arm.name: arm.trials(table) for arm in arms}
    return {name: trials for name, trials in found.items() if trials}
