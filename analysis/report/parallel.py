"""Parallel coordinates: every varying setting and the metric, a line a trial."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.configuration import setting_text, varying_settings
from analysis.groups import SEEDS
from analysis.leaderboard import higher_is_better
from analysis.report.theme import INK, Drawing, layout, plain
from analysis.report.words import HEADINGS, rounded

_WIDE_RANGE = 20  # a ratio of the largest to the smallest value; above it an axis is logarithmic
_MOST_TICKS = 12
_COLOURS = [[0, "#d0d0d0"], [0.6, "#86b5d6"], [1, "#00497f"]]  # from the worst to the best


def parallel_data(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The varying settings (seeds last) and the metric of the trials that have it, worst first."""
    known = trials[trials[metric].notna()]
    settings = varying_settings(known)
    settings.sort(key=lambda name: name in SEEDS)
    # what is drawn last lies on top
    ordered = known.sort_values(metric, ascending=higher_is_better(metric), kind="stable")
    return ordered[[*settings, metric]]


def draw_parallel(data: pd.DataFrame, metric: str) -> Drawing | None:
    """A line a trial over one axis for each column; None with fewer than two trials or axes."""
    if len(data) < 2 or len(data.columns) < 2:
        return None
    *settings, _ = data.columns
    dimensions = [_dimension(name, data[name]) for name in settings]
    values = [float(value) for value in data[metric]]
    last = {"label": HEADINGS.get(metric, metric), "values": values}
    low, high = min(values), max(values)
    pad = 0.03 * (high - low) or 1.0
    dimensions.append({**last, "range": [low - pad, high + pad]})
    trace = {
        "type": "parcoords",
        "dimensions": dimensions,
        "line": {
            "color": list(range(len(values))),  # by place, so that an outlier leaves the rest apart
            "colorscale": _COLOURS,
            "showscale": False,
        },
        "labelfont": {"size": 13, "color": INK},
        "tickfont": {"size": 12, "color": INK},
        "rangefont": {"size": 1, "color": "rgba(0,0,0,0)"},
        "labelside": "top",
    }
    figure = layout(margin={"l": 90, "r": 100, "t": 64, "b": 24})
    return {"data": [trace], "layout": figure}


def _dimension(name: str, column: pd.Series) -> dict[str, Any]:
    """One axis: numbers where they lie, on a log scale if they span much; else a tick a value."""
    label = plain(name.replace("_", " "))
    is_number = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(
        column.dtype
    )
    if is_number and column.notna().all():
        numbers = column.astype(float).to_numpy()
        distinct = np.unique(numbers)
        log = distinct[0] > 0 and distinct[-1] / distinct[0] >= _WIDE_RANGE
        placed = np.log10(numbers) if log else numbers
        axis: dict[str, Any] = {"label": label, "values": rounded(placed.tolist(), 6)}
        if len(distinct) <= _MOST_TICKS:
            ticks = distinct
        elif log:
            ticks = 10.0 ** np.arange(np.ceil(placed.min()), np.floor(placed.max()) + 1)
        else:
            return axis
        places = np.log10(ticks) if log else ticks
        return axis | {
            "tickvals": rounded(places.tolist(), 6),
            "ticktext": [f"{tick:.4g}" for tick in ticks],
        }
    texts = [plain(setting_text(value)) for value in column]
    distinct_texts = sorted(set(texts))
    return {
        "label": label,
        "values": [distinct_texts.index(text) for text in texts],
        "tickvals": list(range(len(distinct_texts))),
        "ticktext": distinct_texts,
    }
