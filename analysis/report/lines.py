"""The trials of one problem as lines: their names, and the colours of the best."""

from typing import Any

import pandas as pd

from analysis.palette import OKABE_ITO
from analysis.report.board import trial_label

MOST_COLOURED = len(OKABE_ITO)


def trial_lines(board: pd.DataFrame, metric: str, settings: list[str]) -> list[dict[str, Any]]:
    """Trials of the board in its order: trial, rank, label, and a colour or None.

    The best `MOST_COLOURED` by the metric have a colour, as the same trial has all over the page.
    """
    lines: list[dict[str, Any]] = []
    for row in board[board["trial"].notna()].to_dict("records"):
        coloured = len(lines) < MOST_COLOURED and not pd.isna(row[metric])
        lines.append(
            {
                "trial": row["trial"],
                "rank": int(row["rank"]),
                "label": trial_label(row, settings),
                "colour": OKABE_ITO[len(lines)] if coloured else None,
            }
        )
    return lines
