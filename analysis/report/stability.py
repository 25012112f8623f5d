"""The edge of stability on the page: ratios, smoothness at equal loss, and rates that jumped."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.configuration import label, varying_settings
from analysis.edge import edge_summary, edge_table, edge_verdict
from analysis.groups import SEEDS, groups
from analysis.intervention import jump_effects, jump_pairs, jump_table, jump_verdict, ratio_text
from analysis.palette import METHOD_GREY, OKABE_ITO
from analysis.phases import (
    AT_EDGE,
    BEFORE,
    NOISE,
    null_verdict,
    phase_frame,
    phase_slopes,
    slope_text,
    smoothness_verdict,
)
from analysis.report.theme import Drawing, axis, layout
from analysis.report.words import MISSING, number_text, rounded
from analysis.stability_plots import TITLES, jump_data, ratio_data, relative_data
from analysis.sweep import Sweep

_JUMP = ("lr_schedule", "lr_jump_at", "lr_jump_by")
_SMOOTH = ("tv", "laplacian", NOISE)
_JUDGED = ("tv", "laplacian")
_MOST_GROUPS = 12
_DASHES = ("solid", "dash", "dot")
_POINTS = 120  # of a line


def stability_sections(sweep: Sweep) -> list[dict[str, Any]]:
    """What the page shows of fits whose sharpness was measured, over all pictures.

    One part for each combination of settings, with its learning rates, and one for each whose rate
    jumps: label, tables, plots. Nothing if no fit was probed.
    """
    trials = sweep.trials
    probed = trials[trials["probe_every"].gt(0) & trials["iterations_run"].gt(1).fillna(False)]
    if probed.empty:
        return []
    fixed = [name for name in varying_settings(probed) if name not in ("lr", *SEEDS, *_JUMP)]
    parts = []
    for rows in groups(probed, ("lr", *SEEDS, *_JUMP), by_problem=False)[:_MOST_GROUPS]:
        name = label(rows.iloc[0], fixed) or "all fits"
        steady = rows.index[rows["lr_schedule"] != "jump"]
        part = _rates_part(sweep, name, list(map(str, steady))) if len(steady) else None
        parts += [part] if part else []
        parts += [_jump_part(sweep, name, pairs) for pairs in _alike(rows)]
    return parts


def _rates_part(sweep: Sweep, name: str, members: Sequence[str]) -> dict[str, Any] | None:
    table = edge_table(sweep, members)
    if table.empty:
        return None
    summary = edge_summary(table)
    verdict, sentence = edge_verdict(table)
    tables = [
        {
            "title": "sharpness over its threshold, in the last quarter of each fit",
            "heads": [
                *("lr", "fits", "astray", "at the edge", "inside 0.9 to 1.2"),
                *("median ratio", "lowest", "highest", "reached at"),
            ],
            "rows": [
                [
                    f"{row['lr']:.4g}",
                    *(str(row[each]) for each in ("fits", "astray", "at_edge", "inside")),
                    *(_number(row[each], 3) for each in ("ratio", "lowest", "highest")),
                    _number(row["reached_at"], 4),
                ]
                for row in summary.to_dict("records")
            ],
            "slopes": None,
            "sentences": [f"Fits at the edge stay there: {verdict}. {sentence}."],
        }
    ]
    plots = [_ratio_plot(sweep, members)]
    if table["lr"].nunique() > 1:
        frame = phase_frame(sweep, members)
        columns = [each for each in _SMOOTH if each in frame and frame[each].notna().any()]
        if columns:
            is_lazy = bool(sweep.trials.loc[list(members), "linearised"].all())
            tables.append(_slopes_table(phase_slopes(frame, columns), columns, is_lazy=is_lazy))
        plots += [_equal_loss_plot(frame, column) for column in columns]
    return {"label": name, "tables": tables, "plots": plots}


def _slopes_table(slopes: pd.DataFrame, columns: Sequence[str], *, is_lazy: bool) -> dict[str, Any]:
    claim, judge = (
        ("The same picture at every rate, in the lazy regime", null_verdict)
        if is_lazy
        else ("Smoother at a larger rate, by the edge", smoothness_verdict)
    )
    rows = []
    for column in columns:
        own = {row["phase"]: row for row in slopes[slopes["column"] == column].to_dict("records")}
        texts = [slope_text(own[phase]) for phase in (BEFORE, AT_EDGE, "difference")]
        rows.append([TITLES[column], *texts])
    return {
        "title": "slope in log(lr) of the logarithm, at equal training loss",
        "heads": ["", "before the edge", "at the edge", "difference"],
        "rows": rows,
        "slopes": None,
        "sentences": [
            f"{claim}: {verdict}. {sentence}."
            for verdict, sentence in (
                judge(slopes, column) for column in columns if column in _JUDGED
            )
        ],
    }


def _ratio_plot(sweep: Sweep, members: Sequence[str]) -> dict[str, Any]:
    data = ratio_data(sweep, members)
    lines: list[Drawing] = []
    legend = []
    for place, (lr, path) in enumerate(data.groupby("lr", sort=True)):
        colour = OKABE_ITO[place % len(OKABE_ITO)]
        name = f"lr {lr:.4g}"
        thin = path.iloc[:: max(1, len(path) // _POINTS)]
        lines.append(
            _line(
                thin["iteration"],
                thin["median"],
                colour=colour,
                dash=_DASHES[place // len(OKABE_ITO) % len(_DASHES)],
                name=f"{name}, median of {int(path['fits'].max())} fits",
            )
        )
        legend.append([colour, name])
    figure = layout(
        x=axis("iteration"),
        y=axis(
            TITLES["sharpness_ratio"],
            log=True,
            range=[-1.3, _top(data["median"])],
            tickformat="~g",
            dtick="D2",
        ),
        height=420,
        shapes=[_across(1.0)],
    )
    title = "sharpness over threshold"
    return {"title": title, "figure": {"data": lines, "layout": figure}, "legend": legend}


def _equal_loss_plot(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    data = relative_data(frame, column)
    lines: list[Drawing] = []
    legend = []
    for phase, colour, symbol in (
        (BEFORE, OKABE_ITO[0], "circle-open"),
        (AT_EDGE, OKABE_ITO[1], "circle"),
    ):
        own = data[data["phase"] == phase]
        if own.empty:
            continue
        lines.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": rounded(own["lr"].tolist()),
                "y": rounded(own["value"].tolist()),
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": rounded((own["high"] - own["value"]).tolist()),
                    "arrayminus": rounded((own["value"] - own["low"]).tolist()),
                    "thickness": 1.2,
                    "width": 3,
                },
                "line": {"color": colour, "width": 1.2},
                "marker": {"symbol": symbol, "size": 8, "color": colour},
                "hovertemplate": f"{phase}<br>lr %{{x}}<br>%{{y:.4g}} of the mean<extra></extra>",
            }
        )
        legend.append([colour, phase if phase == AT_EDGE else "before the edge"])
    figure = layout(
        x=axis("learning rate", log=True, tickformat="~g", dtick="D2"),
        y=axis(f"{TITLES[column]}, times the mean of all rates there"),
        height=420,
        shapes=[_across(1.0)],
    )
    title = f"{TITLES[column]} at equal training loss"
    return {"title": title, "figure": {"data": lines, "layout": figure}, "legend": legend}


def _alike(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Trials whose rate jumps, with their twins, apart by rate and jump."""
    pairs = jump_pairs(rows)
    jumped = rows.loc[[trial for trial, _ in pairs]]
    twins = dict(pairs)
    found = []
    for _, part in jumped.groupby(["lr", "lr_jump_at", "lr_jump_by"], sort=False):
        found.append(rows.loc[[*part.index, *dict.fromkeys(twins[t] for t in part.index)]])
    return found


def _jump_part(sweep: Sweep, name: str, rows: pd.DataFrame) -> dict[str, Any]:
    members = list(map(str, rows.index))
    jumped = rows[rows["lr_schedule"] == "jump"].iloc[0]
    by, at = float(jumped["lr_jump_by"]), int(jumped["lr_jump_at"])
    table = jump_table(sweep, members)
    if by < 1:
        table = table[table["at_edge"].astype(bool)]
    effects = jump_effects(table)
    verdict, sentence = jump_verdict(effects, dropped=by < 1)
    way = "lowered" if by < 1 else "raised"
    texts = [
        [
            TITLES.get(row["column"], row["column"].replace("_", " ")),
            number_text("psnr", row["mean"]) + " dB"
            if row["column"] == "psnr"
            else ratio_text(row),
            str(row["fits"]),
        ]
        for row in effects.to_dict("records")
    ]
    return {
        "label": f"{name}: lr {jumped['lr']:.4g} {way} to {jumped['lr'] * by:.4g}",
        "tables": [
            {
                "title": "after the change, beside the fit whose rate was kept, at equal loss",
                "heads": ["", "ratio, 95 % interval", "fits"],
                "rows": texts,
                "slopes": None,
                "sentences": [f"Sharpness and smoothness follow the rate: {verdict}. {sentence}."],
            }
        ],
        "plots": [
            _jump_plot(sweep, members, column, at=at)
            for column in ("sharpness", "sharpness_ratio", "tv", "loss")
        ],
    }


def _jump_plot(sweep: Sweep, members: Sequence[str], column: str, *, at: int) -> dict[str, Any]:
    data = jump_data(sweep, members, column)
    data = data[data["iteration"] > 1]
    lines: list[Drawing] = []
    legend = []
    for kind, colour in (("constant", OKABE_ITO[0]), ("changed", OKABE_ITO[1])):
        path = data[data["kind"] == kind]
        thin = path.iloc[:: max(1, len(path) // (4 * _POINTS))]
        lines.append(_line(thin["iteration"], thin["median"], colour=colour, name=kind))
        legend.append([colour, f"rate {kind}"])
    title = TITLES.get(column, column)
    figure = layout(
        x=axis("iteration"),
        y=axis(title) if column == "tv" else axis(title, log=True, tickformat="~g", dtick="D2"),
        height=420,
        shapes=[
            {
                "type": "line",
                "x0": at,
                "x1": at,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": METHOD_GREY, "width": 1, "dash": "dash"},
            }
        ],
    )
    return {"title": title, "figure": {"data": lines, "layout": figure}, "legend": legend}


def _line(x: pd.Series, y: pd.Series, *, colour: str, name: str, dash: str = "solid") -> Drawing:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": rounded(x.tolist(), 6),
        "y": rounded(y.tolist()),
        "line": {"color": colour, "dash": dash, "width": 1.6},
        "hovertemplate": f"{name}<br>iteration %{{x}}<br>%{{y:.4g}}<extra></extra>",
    }


def _across(y: float) -> Drawing:
    line = {"color": METHOD_GREY, "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}


def _top(values: pd.Series) -> float:
    high = float(values.max()) if len(values) else 1.0
    return float(np.log10(max(3.0, min(30.0, 1.3 * high))))


def _number(value: float, digits: int) -> str:
    return MISSING if pd.isna(value) else f"{value:.{digits}g}"
