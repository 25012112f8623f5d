"""What each setting does to the metric, and how much of its spread it explains."""

from typing import Any

import pandas as pd

from analysis.effects import effects
from analysis.findings import sentences, unit_of
from analysis.importance import FEWEST_TRIALS, LITTLE, PICTURE, importance
from analysis.leaderboard import ranking_metric
from analysis.palette import GREY, METHOD_GREY, OKABE_ITO
from analysis.report.theme import Drawing, axis, layout, plain
from analysis.report.words import METRICS, MISSING
from analysis.sweep import Sweep

_BETTER, _WORSE = (OKABE_ITO[0], "triangle-up"), (OKABE_ITO[1], "triangle-down")
_UNDECIDED = ("#8a8a8a", "circle-open")
_ROW = 26  # pixels of a line of text beside a plot
_MOST_ROWS = 40


def factor_section(sweep: Sweep, *, metric: str | None = None) -> dict[str, Any]:
    """Effects and importance for the page; a part that does not apply is missing.

    Raises UnknownNameError for a metric that trials do not have.
    """
    metric = ranking_metric(sweep, metric)
    title = METRICS.get(metric, metric)
    content: dict[str, Any] = {}
    frame = effects(sweep, metric=metric)
    if len(frame):
        content["effects"] = {
            "sentences": [str(each) for each in sentences(frame)],
            "figure": draw_effects(frame, title),
            "table": effect_table(frame),
            "left_out": max(0, len(frame) - _MOST_ROWS),
        }
    enough = sweep.trials[metric].notna().sum() >= FEWEST_TRIALS
    shares = importance(sweep, metric=metric) if enough else pd.DataFrame()
    if len(shares):
        content["importance"] = {
            "figure": draw_importance(shares, title),
            "r2": f"{shares.attrs['r2']:.2f}",
            "metric": title,
        }
    return content


def effect_table(frame: pd.DataFrame) -> dict[str, Any]:
    """Heads and rows of texts, a row for each factor and pair of its values."""
    heads = ["setting", "value", "versus", "pairs", "pictures", "seeds", "difference"]
    heads += ["95 % interval", "seed spread", "verdict"]
    rows = [
        [
            *(str(row["factor"]), _arm(row, "value"), _arm(row, "versus")),
            *(f"{int(row[name])}" for name in ("pairs", "pictures", "seeds")),
            _signed(row["difference"]),
            MISSING if pd.isna(row["low"]) else f"{_signed(row['low'])} to {_signed(row['high'])}",
            MISSING if pd.isna(row["seed_std"]) else f"{row['seed_std']:.3g}",
            str(row["verdict"]),
        ]
        for row in frame.to_dict("records")
    ]
    return {"heads": heads, "rows": rows}


def draw_effects(frame: pd.DataFrame, title: str) -> Drawing:
    """Differences with their intervals, a line each, in the table's order; the greatest of many."""
    greatest = frame["difference"].abs().nlargest(_MOST_ROWS).index
    rows = frame[frame.index.isin(greatest)].to_dict("records")
    good = "larger" if frame.attrs["higher_is_better"] else "smaller"
    looks = [_look(str(row["verdict"]), good) for row in rows]
    names = [
        plain(f"{row['factor']}: {_arm(row, 'value')} vs {_arm(row, 'versus')}") for row in rows
    ]
    above = [_gap(row["high"], row["difference"]) for row in rows]
    below = [_gap(row["difference"], row["low"]) for row in rows]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [float(row["difference"]) for row in rows],
        "y": list(range(len(rows))),
        "text": [
            f"{name}<br>{plain(str(row['verdict']))}" for name, row in zip(names, rows, strict=True)
        ],
        "hovertemplate": "%{text}<br>%{x:+.4g}<extra></extra>",
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "color": METHOD_GREY,
            "thickness": 1.2,
            "width": 0,  # a cap would stand where there is no interval, too
        },
        "marker": {
            "size": 10,
            "color": [colour for colour, _ in looks],
            "symbol": [symbol for _, symbol in looks],
        },
    }
    unit = unit_of(str(frame.attrs["metric"]))
    x = axis(
        f"difference in {title}{f', {unit}' if unit else ''}; "
        f"{'higher' if good == 'larger' else 'lower'} is better",
        zeroline=True,
        zerolinecolor=METHOD_GREY,
    )
    y = _named_axis(names)
    return {"data": [trace], "layout": layout(x=x, y=y, height=_height(len(rows)))}


def draw_importance(shares: pd.DataFrame, title: str) -> Drawing:
    """Permutation importance with its standard deviation, a bar a setting.

    The picture's bar is grey; all are where the forest explains next to nothing.
    """
    useless = not shares.attrs["r2"] >= LITTLE
    ordered = shares.sort_values("importance", ascending=False).head(_MOST_ROWS)
    names = [plain(str(name)) for name in ordered["setting"]]
    values = [float(value) for value in ordered["importance"]]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": list(range(len(names))),
        "text": names,
        "textposition": "none",
        "width": 0.6,
        "hovertemplate": "%{text}: %{x:.3f}<extra></extra>",
        "marker": {
            "color": [
                GREY if useless or name == PICTURE else OKABE_ITO[0] for name in ordered["setting"]
            ]
        },
        "error_x": {
            "type": "data",
            "array": [0.0 if pd.isna(value) else float(value) for value in ordered["std"]],
            "color": METHOD_GREY,
            "thickness": 1.2,
            "width": 0,  # a cap would stand where there is no interval, too
        },
    }
    x = axis(f"share of the variance of {title}", zeroline=True)
    return {
        "data": [trace],
        "layout": layout(x=x, y=_named_axis(names), height=_height(len(names))),
    }


def _look(verdict: str, good: str) -> tuple[str, str]:
    """Colour and symbol of a difference whose value is better if it is `good`."""
    if verdict not in ("larger", "smaller"):
        return _UNDECIDED
    return _BETTER if verdict == good else _WORSE


def _arm(row: dict[Any, Any], name: str) -> str:
    """A value with the settings that follow from it: `sgd (momentum 0.9)`."""
    companions = row.get(f"{name}_with")
    return f"{row[name]} ({companions})" if companions else str(row[name])


def _named_axis(names: list[str]) -> Drawing:
    return axis(
        "",
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        ticks="",
    )


def _height(rows: int) -> int:
    return 90 + _ROW * max(rows, 2)


def _gap(high: float, low: float) -> float | None:
    return None if pd.isna(high) or pd.isna(low) else max(0.0, float(high - low))


def _signed(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:+.3g}"
