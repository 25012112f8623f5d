"""Learning rates compared where they have come equally far, in tables and a plot."""

import math
from collections.abc import Sequence
from typing import Any, get_args

import pandas as pd

from analysis.configuration import label, varying_settings
from analysis.groups import SEEDS
from analysis.lr_bias import change_text, level_sentences, lr_sentences, lr_slopes, lr_table
from analysis.matched import COMPARED, HEAD, By, lr_groups, matched, path_data
from analysis.palette import OKABE_ITO
from analysis.report.theme import Drawing, axis, layout, plain
from analysis.report.words import MISSING, column_title, rounded
from analysis.sweep import Sweep

BY: dict[str, str] = {
    "loss": "equal training loss",
    "iteration": "equal iterations",
    "lr_x_iteration": "equal learning rate × iterations",
}
_LEVELS = {"loss": "loss", "iteration": "iteration", "lr_x_iteration": "lr × iterations"}
_COLUMNS = {
    "psnr": "PSNR, dB",
    "psnr_ema": "PSNR of average, dB",
    "tv": "TV, 1/px",
    "hf_energy": "HF energy",
    "laplacian": "Laplacian, 1/px²",
}
# changes are shares, but for a PSNR
_UNITLESS = {name: title.partition(",")[0] for name, title in _COLUMNS.items() if name[0] != "p"}
_FIRST = "tv"  # the column that the plot starts with
_SAID = ("tv", "psnr")  # the columns of the sentences
_MOST_GROUPS = 3  # each reads its traces four times
_POINTS = 80  # of a line
_DASHES = ("solid", "dash", "dot")


def rate_sections(sweep: Sweep, problem: str) -> list[dict[str, Any]]:
    """What the page shows of each group of a problem's learning rates: its tables and its plot.

    The groups with most learning rates, and of those the largest, come first.
    """
    trials = sweep.trials
    fixed = [name for name in varying_settings(trials) if name not in ("lr", *SEEDS)]
    ours = trials[(trials["problem"] == problem) & trials["iterations_run"].gt(1).fillna(False)]
    found = []
    for group in lr_groups(sweep):
        rows = ours.loc[[trial for trial in group if trial in ours.index]]
        if rows["lr"].nunique() > 1:
            found.append(rows)
    found.sort(key=lambda rows: (-rows["lr"].nunique(), -len(rows)))
    return [
        {
            "label": label(rows.iloc[0], fixed) or "all other settings alike",
            "tables": [rate_table(sweep, list(rows.index), by) for by in get_args(By)],
            "plots": draw_rates(sweep, list(rows.index)),
        }
        for rows in found[:_MOST_GROUPS]
    ]


def rate_table(sweep: Sweep, members: Sequence[str], by: By) -> dict[str, Any]:
    """Title, heads, rows of texts for each level and learning rate, and what they say.

    At equal loss also `slopes`, the table of what a tenfold learning rate changes; else None.
    """
    points = matched(sweep, by=by, trials=members)
    frame = lr_table(points)
    shown = [name for name in _COLUMNS if name in frame and frame[name].notna().any()]
    heads = [_LEVELS[by], "lr", "trials there", *(_COLUMNS[name] for name in shown)]
    rows = [
        [
            f"{row['level']:.4g}",
            f"{row['lr']:.4g}",
            f"{int(row['reached'])} of {int(row['trials'])}",
            *(_mean_text(row, name) for name in shown),
        ]
        for row in frame.sort_values(["level", "lr"]).to_dict("records")
    ]
    table = {"title": BY[by], "heads": heads, "rows": rows, "slopes": None}
    if by != "loss":
        slopes = lr_slopes(points[[*HEAD, *_SAID]])
        return table | {"sentences": lr_sentences(slopes, by=by, columns=_SAID)}
    slopes = lr_slopes(points)
    said = level_sentences(slopes, by=by, columns=_SAID)
    if len(slopes) and slopes["low"].isna().all():
        said = ["One seed alone, so the noise of these changes is not known."]
    return table | {"slopes": slope_table(slopes), "sentences": said}


def slope_table(slopes: pd.DataFrame) -> dict[str, Any] | None:
    """Heads and rows of texts: what a tenfold learning rate changes, a row a level of the loss.

    slopes: of `lr_slopes`, one problem's. None without any.
    """
    shown = [name for name in _COLUMNS if (slopes["column"] == name).any()]
    if not shown:
        return None
    rows = []
    for level, part in slopes.groupby("level"):
        texts = {row["column"]: _unbroken(change_text(row)) for _, row in part.iterrows()}
        lrs, seeds = part["lrs"].max(), part["seeds"].max()
        rows.append(
            [f"{level:.4g}", str(lrs), str(seeds), *(texts.get(name, MISSING) for name in shown)]
        )
    heads = ["loss", "rates", "seeds", *(_UNITLESS.get(name, _COLUMNS[name]) for name in shown)]
    return {"heads": heads, "rows": rows}


def draw_rates(sweep: Sweep, members: Sequence[str]) -> list[dict[str, Any]]:
    """A plot for each column against the training loss: a line a trial, a colour a rate."""
    plots = []
    paths = path_data(sweep, COMPARED, trials=members, points=_POINTS)
    for column in sorted(COMPARED, key=lambda name: name != _FIRST):
        data = paths.dropna(subset=column)
        if data.empty:
            continue
        x = axis("training loss", log=True, autorange="reversed", tickformat="~g", dtick="D2")
        figure = layout(x=x, y=axis(column_title(column)), height=400)
        plots.append(
            {
                "title": column_title(column),
                "figure": {"data": _rate_lines(data, column), "layout": figure},
                "legend": _legend(data),
            }
        )
    return plots


def _rate_lines(data: pd.DataFrame, column: str) -> list[Drawing]:
    looks = _looks(data)
    lines = []
    for _, path in data.groupby("trial", sort=False, observed=True):
        rate, seed = float(path["lr"].iloc[0]), path["seed"].iloc[0]
        name = plain(f"lr {rate:.4g}, seed {seed}")
        colour, dash = looks[rate]
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": rounded(path["x"].tolist()),
                "y": rounded(path[column].tolist(), 5),
                "line": {"color": colour, "dash": dash, "width": 1.6},
                "hovertemplate": f"{name}<br>loss %{{x:.4g}}<br>%{{y:.5g}}<extra></extra>",
            }
        )
    return lines


def _legend(data: pd.DataFrame) -> list[list[str]]:
    return [[colour, f"lr {rate:.4g}"] for rate, (colour, _) in _looks(data).items()]


def _looks(data: pd.DataFrame) -> dict[float, tuple[str, str]]:
    """A colour and a dash for each learning rate, ascending."""
    count = len(OKABE_ITO)
    return {
        float(rate): (OKABE_ITO[place % count], _DASHES[place // count % len(_DASHES)])
        for place, rate in enumerate(sorted(set(data["lr"])))
    }


def _unbroken(text: str) -> str:
    """A change with its interval, which may stand below it but not in two lines."""
    return text.replace(" to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}")


def _mean_text(row: dict[Any, Any], name: str) -> str:
    """`26.51 ± 0.20`: mean over seeds and half its interval, where there is one."""
    mean, low, high = (row.get(each) for each in (name, f"{name}_low", f"{name}_high"))
    if mean is None or pd.isna(mean):
        return MISSING
    in_decibels = name.startswith("psnr")
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return f"{mean:.2f}" if in_decibels else f"{mean:.4g}"
    half = (high - low) / 2
    # as many decimals as two digits of the half need
    decimals = 2 if in_decibels or half <= 0 else min(8, max(0, 1 - math.floor(math.log10(half))))
    return f"{mean:.{decimals}f} ± {half:.{decimals}f}"
