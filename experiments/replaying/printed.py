"""Scores of replays for a terminal."""

from collections.abc import Iterator

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from experiments.replaying.scores import together

_MOST_ENDS = 8  # iterations that are told apart in words


def scores_table(table: pd.DataFrame, metric: str) -> Table:
    """A line for each picture and one for all: means over orders, and their least and greatest.

    table: `scores` below each other, the order in `seed`.
    """
    shown = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    shown.add_column("picture")
    lost, digits = ("lost", ".2g") if metric == "loss" else ("lost, dB", ".2f")
    for heading in ("iterations", "of the grid's", "saved", "found", "grid", lost):
        shown.add_column(heading, justify="right", no_wrap=True)
    for problem, rows in table.groupby("problem", sort=False):
        shown.add_row(Text(str(problem)), *_cells(rows, digits))
    if table["problem"].nunique() > 1:
        shown.add_row("all", *_cells(together(table, "seed"), digits))
    return shown


def _cells(rows: pd.DataFrame, digits: str) -> list[str]:
    share, lost = rows["share"], rows["lost"]
    return [
        f"{rows['iterations'].mean():,.0f}",
        f"{share.mean():.1%} ({share.min():.0%} to {share.max():.0%})",
        f"{1 - share.mean():.1%}",
        f"{rows['best'].mean():.4g}",
        f"{rows['grid_best'].iloc[0]:.4g}",
        f"{lost.mean():{digits}} ({lost.min():{digits}} to {lost.max():{digits}})",
    ]


def truth_lines(table: pd.DataFrame) -> Iterator[str]:
    """What is chosen, judged by the truth, a line for each picture of which it is known."""
    for problem, rows in table.dropna(subset="best_psnr").groupby("problem", sort=False):
        yield (
            f"{problem}, PSNR against the truth: {rows['psnr'].mean():.2f} dB is chosen, "
            f"{rows['grid_psnr'].iloc[0]:.2f} in the whole grid; the best there is "
            f"{rows['best_psnr'].iloc[0]:.2f}"
        )


def endings(ends: pd.DataFrame) -> str:
    """Where fits were ended: at which iterations, and how many of an order in the mean.

    ends: seed (of the order), iteration and whether `stopped`, a row for each fit.
    """
    orders = ends["seed"].nunique()
    stopped = ends.loc[ends["stopped"], "iteration"]
    whole = f"{(len(ends) - len(stopped)) / orders:.3g} fits ran to their end"
    if stopped.empty:
        return whole
    counts = stopped.value_counts().sort_index()
    if len(counts) > _MOST_ENDS:
        low, middle, high = (int(stopped.quantile(part)) for part in (0, 0.5, 1))
        where = f"{len(stopped) / orders:.3g} between {low:,} and {high:,}, half by {middle:,}"
    else:
        where = ", ".join(f"{count / orders:.3g} at {at:,}" for at, count in counts.items())
    return f"ended: {where}; {whole}"
