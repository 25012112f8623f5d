"""Curves over iterations and paths of PSNR against TV, for plotly.

The numbers of the lines are in the page once (`series`); a figure says which of them it shows.
"""

from typing import Any

import pandas as pd

from analysis.palette import METHOD_GREY
from analysis.report.series import COLUMN_CHOICE
from analysis.report.theme import Drawing, axis, layout, plain
from analysis.report.words import column_title
from analysis.sweep import Sweep
from dipray.trace import COLUMNS

_LOG_COLUMNS = ("loss", "grad_norm")  # they span decades
_PSNR_COLUMNS = ("psnr", "psnr_ema")  # that a known method's PSNR stands against
_MEANINGS = {column.name: column.meaning for column in COLUMNS}
_LABEL_GAP = 0.05  # of the height of a plot


def method_levels(sweep: Sweep, problem: str) -> list[dict[str, Any]]:
    """Known methods of a problem with a PSNR, the worst first: method and psnr (dB)."""
    methods = sweep.baselines.dropna(subset="psnr")
    ours = methods[methods["problem"] == problem].sort_values("psnr")
    return [
        {"method": str(name), "psnr": float(level)}
        for name, level in zip(ours["method"], ours["psnr"], strict=True)
    ]


def column_choices(points: pd.DataFrame, *, first: str) -> list[dict[str, Any]]:
    """The columns that a plot offers: name, title, meaning, whether it starts on a log axis."""
    known = [name for name in COLUMN_CHOICE if name in points.columns]
    known.sort(key=lambda name: name != first)
    return [
        {
            "name": name,
            "title": column_title(name),
            "meaning": _MEANINGS[name],
            "log": name in _LOG_COLUMNS,
            "levels": name in _PSNR_COLUMNS,
        }
        for name in known
    ]


def draw_curves(levels: list[dict[str, Any]]) -> Drawing:
    """The frame of the curves: axes, and the dotted lines of known methods beside a PSNR."""
    figure = layout(x=axis("iteration"), y=axis(""))
    return {"layout": figure, "levels": _draw_levels(levels)}


def path_ends(points: pd.DataFrame, *, end: str = "") -> pd.DataFrame:
    """trial, place ("best" or "last"), tv and psnr of every trial that has both.

    end: "" for the output, "_ema" for its average.
    """
    tv, psnr = f"tv{end}", f"psnr{end}"
    columns = ["trial", "place", "tv", "psnr"]
    if not {tv, psnr} <= set(points.columns):
        return pd.DataFrame(columns=columns)
    known = points.dropna(subset=[tv, psnr])
    by_trial = known.groupby("trial", observed=True)
    best = known.loc[by_trial[psnr].idxmax()].assign(place="best")
    last = known.loc[by_trial["iteration"].idxmax()].assign(place="last")
    both = pd.concat([best, last], ignore_index=True)[["trial", "place", tv, psnr]]
    return both.set_axis(columns, axis=1)


def draw_paths(
    points: pd.DataFrame,
    lines: list[dict[str, Any]],
    levels: list[dict[str, Any]],
    *,
    averaged: bool = False,
) -> Drawing | None:
    """PSNR against TV, of the output and of its average: a dot at the best, a square at the end.

    averaged: the average comes first. None where no trial has both numbers.
    """
    kinds = []
    for end, title in (("", "output"), ("_ema", "its average")):
        ends = path_ends(points, end=end)
        if ends.empty:
            continue
        marks = [_marks(ends, lines, place) for place in ("best", "last")]
        kinds.append({"title": title, "x": f"tv{end}", "y": f"psnr{end}", "marks": marks})
    if not kinds:
        return None
    kinds.sort(key=lambda kind: (kind["y"] == "psnr_ema") != averaged)
    figure = layout(x=axis("total variation (1/px)"), y=axis("PSNR (dB)"))
    return {"layout": figure, "kinds": kinds, "levels": _draw_levels(levels)}


def _marks(ends: pd.DataFrame, lines: list[dict[str, Any]], place: str) -> Drawing:
    at = ends[ends["place"] == place].set_index("trial")
    shown = [line for line in lines if line["colour"] and line["trial"] in at.index]
    there = at.loc[[line["trial"] for line in shown]]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": there["tv"].tolist(),
        "y": there["psnr"].tolist(),
        "text": [f"{plain(line['label'])}<br>{place}" for line in shown],
        "hovertemplate": "%{text}<br>TV %{x:.4g}, %{y:.2f} dB<extra></extra>",
        "marker": {
            "symbol": "circle" if place == "best" else "square",
            "size": 10,
            "color": [line["colour"] for line in shown],
            "line": {"color": "#ffffff", "width": 1},
        },
    }


def _draw_levels(levels: list[dict[str, Any]]) -> Drawing:
    """Dotted lines across the plot and their names at its right edge, apart from each other."""
    shapes = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": level["psnr"],
            "y1": level["psnr"],
            "line": {"color": METHOD_GREY, "width": 1.2, "dash": "dot"},
        }
        for level in levels
    ]
    names = [
        {"y": level["psnr"], "text": plain(f"{level['method']} {level['psnr']:.2f}")}
        for level in levels
    ]
    return {"shapes": shapes, "names": names, "gap": _LABEL_GAP}
