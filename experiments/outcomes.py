"""What programs say of their trials on a terminal."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console

from analysis import Sweep
from analysis.endings import ended_by


@dataclass(frozen=True)
class Lines:
    """Prints plain lines: nothing in them is markup, and paths are not broken."""

    console: Console

    def say(self, line: str) -> None:
        """One line."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def explain_missing(lines: Lines, sweep: Sweep, asked: Iterable[str], there: Iterable[str]) -> None:
    """A line for each of the trials asked for that is not there, with its settings and end."""
    have = set(there)
    table = sweep.trials
    endings = ended_by(table)
    for trial in asked:
        if trial in have:
            continue
        if trial not in table.index:
            lines.say(f"left out: {trial}, not begun")
            continue
        row = table.loc[trial]
        lines.say(
            f"left out: seed {row['seed']}, lr {row['lr']:g}, {row['iterations']:,} iterations: "
            f"{endings[trial]}"
        )
