"""The leaderboard for a terminal."""

from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.configuration import label
from analysis.leaderboard import SHOWN
from analysis.trials import SETTINGS, is_count

_METHOD_STYLE = "cyan italic"
_HEADINGS = {
    "psnr_peak": "peak dB",
    "iteration_peak": "at",
    "psnr_ema_peak": "EMA dB",
    "iteration_ema_peak": "at",
    "val_psnr_peak": "held-out dB",
    "iteration_val_peak": "at",
    "psnr_at_val_peak": "is dB",
    "val_psnr_ema_peak": "held-out dB",
    "iteration_val_ema_peak": "at",
    "psnr_ema_at_val_peak": "is dB",
}
_MISSING = "–"
_PSNR = ("psnr", "val_psnr", "iteration")  # and where it was best


def leaderboard_table(frame: pd.DataFrame) -> Table:
    """A frame of `leaderboard` as a table of at most 100 columns of text, or a stack of them.

    One table a problem; known methods are set apart by their style.
    """
    tables = [_of_problem(str(name), rows) for name, rows in frame.groupby("problem")]
    if len(tables) == 1:
        return tables[0]
    stack = Table.grid(padding=(0, 0, 1, 0))
    for table in tables:
        stack.add_row(table)
    return stack


def _of_problem(problem: str, rows: pd.DataFrame) -> Table:
    settings = [name for name in rows.columns if name in SETTINGS]
    shown = [
        name for name in rows.columns if name in SHOWN or name.endswith(("_final", "_at_val_peak"))
    ]
    # without the truth there is no PSNR
    numbers = [name for name in shown if not name.startswith(_PSNR) or rows[name].notna().any()]
    table = Table(
        title=Text(problem, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("configuration" if settings else "method", overflow="fold", ratio=1)
    for name in numbers:
        table.add_column(_HEADINGS.get(name, name), justify="right", no_wrap=True)
    table.add_column("ended by, at", no_wrap=True, overflow="ellipsis", max_width=20)
    table.add_column("s", justify="right", no_wrap=True)
    for row in rows.to_dict("records"):
        is_method = pd.isna(row["trial"])
        words = label(row, settings)
        cells = [
            str(row["rank"]),
            row["method"] if is_method or not settings else words,
            *(_number_text(name, row[name]) for name in numbers),
            _MISSING if is_method else _end_text(row),
            _number_text("seconds", row["seconds"]),
        ]
        # as Text, since brackets in a name are no markup
        table.add_row(*(Text(cell) for cell in cells), style=_METHOD_STYLE if is_method else None)
    return table


def _end_text(row: dict[Any, Any]) -> str:
    """`asha 200`: the iterations before the words of a failure, which may be cut off."""
    run = _number_text("iterations_run", row["iterations_run"])
    who, _, reason = row["ended_by"].partition(":")
    return f"{who} {run}{reason and ':'}{reason}"


def _number_text(name: str, value: Any) -> str:
    if pd.isna(value):
        return _MISSING
    if is_count(name):
        return f"{value:,}"
    if name.startswith(("psnr", "val_psnr")):
        return f"{value:.2f}"
    return f"{value:.1f}" if name == "seconds" else f"{value:#.4g}"
