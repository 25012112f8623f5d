"""Findings: the fits of a study, and where its tables, figures and sentences go."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis import Sweep, save_figure, write_table
from dipray.store import Store
from experiments.outcomes import Lines
from experiments.studies.flags import StudyFlags

FOLDER = "study"  # in the run's folder


@dataclass(frozen=True)
class Findings:
    """trials: the fits that the study asked for and that did not fail, in the order of its plan."""

    sweep: Sweep
    trials: tuple[str, ...]
    flags: StudyFlags
    lines: Lines

    @property
    def folder(self) -> Store:
        """Where tables and figures lie."""
        return self.sweep.store.child(FOLDER)

    @property
    def table(self) -> pd.DataFrame:
        """The trials' rows of `Sweep.trials`."""
        return self.sweep.trials.loc[list(self.trials)]

    def problems(self) -> list[str]:
        """The names of the problems that there are fits of."""
        return list(dict.fromkeys(map(str, self.table["problem"])))

    def write(self, name: str, frame: pd.DataFrame) -> None:
        """A table, as name.csv and name.parquet."""
        write_table(self.folder, name, frame)

    def draw(self, name: str, figure: Figure) -> None:
        """A figure, as name.png."""
        save_figure(figure, self.folder, f"{name}.png")

    def say(self, *lines: str) -> None:
        """Plain lines on the terminal."""
        for line in lines:
            self.lines.say(line)

    def say_each(self, lines: Iterable[str]) -> None:
        """Findings, each with a dash before it."""
        self.say(*(f"- {line}" for line in lines))
