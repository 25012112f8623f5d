"""Plots of an audit: what each rule loses, and the ranks by a metric beside those by PSNR."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.audit_runs import Audited
from analysis.audit_tables import in_order, picture_means
from analysis.captions import caption
from analysis.palette import GREY, METHOD_GREY, OKABE_ITO

_BARS, _DOTS = (3.6, 2.7), (2.9, 2.3)  # inches, of a panel
_NARROWEST = 5.0  # inches, for the legend
_ACROSS = 4  # panels of dots
_CONFIGURATION, _ITERATION = OKABE_ITO[0], OKABE_ITO[1]
_CHOSEN = OKABE_ITO[1]
_SPREAD = 0.5  # of a bar's dots, where 1 is the distance of two bars
_AXIS = {
    "val_psnr_ema_peak": "best PSNR of the average on held-out measurements (dB)",
    "val_psnr_peak": "best PSNR of the output on held-out measurements (dB)",
}


def draw_regret(audit: Audited) -> Figure:
    """Mean regret by rule, split in its two losses, with a dot a picture; a panel a task.

    Above, where anything was held out, of the fit that the held-out error chooses; below, the mean
    over all fits with a pick. A picture's dots lie at the same place of each bar.
    """
    parts = {
        "the chosen fit": picture_means(audit.choice),
        "mean over all fits": picture_means(audit.fits),
    }
    shown = {title: means for title, means in parts.items() if len(means)}
    tasks = list(dict.fromkeys(task for means in shown.values() for task in means["task"]))
    figure, grid = _panels(len(shown), len(tasks), each=_BARS)
    for row, (title, means) in zip(grid, shown.items(), strict=True):
        for axes, task in zip(row, tasks, strict=True):
            ours = means[means["task"] == task]
            if ours.empty:
                axes.set_axis_off()
                continue
            _draw_bars(axes, ours)
            count = ours["picture"].nunique()
            pictures = f"{count} picture{'' if count == 1 else 's'}"
            axes.set_title(f"{caption(task)}: {title}, {pictures}", loc="left", fontsize="medium")
        row[0].set_ylabel("regret (dB)")
    _add_legend(figure, "outside lower center")
    return figure


def draw_ranks(audit: Audited, *, most: int = 24) -> Figure:
    """The metric against the PSNR that a fit would hand out, a dot a fit, a panel a problem.

    Where nothing was held out the PSNR is that of the best average. most: problems shown.
    """
    groups = audit.ranked.groupby(["run", "problem"], sort=False)
    panels = [part for _, part in groups if len(part) > 1][:most]
    if not panels:
        figure = Figure(figsize=(_NARROWEST, 1), layout="constrained")
        figure.text(0.02, 0.5, f"no two fits with a {audit.metric}", va="center", color=METHOD_GREY)
        return figure
    across = min(_ACROSS, len(panels))
    figure, grid = _panels(-(-len(panels) // across), across, each=_DOTS)
    for axes, part in zip(grid.flat, panels, strict=False):
        _draw_fits(axes, part, _rho(audit.correlation, part))
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    shown = f"; {len(panels)} of {len(groups)} problems" if len(panels) < len(groups) else ""
    figure.supxlabel(_AXIS.get(audit.metric, audit.metric) + shown, fontsize="medium")
    of = "what is handed out" if audit.ranked["picked"].notna().any() else "the best average"
    figure.supylabel(f"PSNR of {of} (dB)", fontsize="medium")
    _add_legend(figure, "outside upper right")  # the label of the axis is below
    return figure


def _panels(down: int, across: int, *, each: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    """A grid of panels; every one has its own scale, since no two tasks or pictures compare."""
    size = (max(each[0] * across, _NARROWEST), each[1] * down + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    grid: np.ndarray = figure.subplots(down, across, squeeze=False)
    return figure, grid


def _draw_bars(axes: Axes, means: pd.DataFrame) -> None:
    _clear(axes)
    rules = in_order(means["rule"])
    pictures = sorted(set(means["picture"]))
    spots = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(pictures)) if len(pictures) > 1 else [0.0]
    offsets = dict(zip(pictures, spots, strict=True))
    bars = means.groupby("rule")[["configuration_loss", "iteration_loss"]].mean().loc[rules]
    places = np.arange(len(rules))
    below = bars["configuration_loss"]
    axes.bar(places, below, width=0.7, color=_CONFIGURATION, label="from the configuration")
    axes.bar(
        places,
        bars["iteration_loss"],
        width=0.7,
        bottom=below,
        color=_ITERATION,
        label="from the iteration",
    )
    axes.plot(
        [rules.index(row["rule"]) + offsets[row["picture"]] for _, row in means.iterrows()],
        means["regret"],
        "o",
        color="black",
        mec="white",
        markersize=4.5,
        label="a picture",
        clip_on=False,
        zorder=3,
    )
    axes.set_xticks(places, [rule.replace(" ", "\n") for rule in rules])
    axes.set_ylim(bottom=0)


def _draw_fits(axes: Axes, rows: pd.DataFrame, rho: float) -> None:
    _clear(axes)
    axes.grid(axis="x", alpha=0.25)
    axes.locator_params(nbins=4)
    y = _scored_by(rows)
    looks: list[tuple[pd.DataFrame, str, dict[str, Any]]] = [
        (rows[rows["counts"]], "a fit", {"color": METHOD_GREY, "mec": "white", "markersize": 5.5}),
        (
            rows[~rows["counts"]],
            "ended early, not ranked",
            {"color": GREY, "mfc": "none", "markersize": 4.5},
        ),
        (
            rows[rows["chosen"]],
            "chosen by the held-out error",
            {"color": _CHOSEN, "mfc": "none", "mew": 1.8, "markersize": 10},
        ),
    ]
    for part, label, look in looks:
        if len(part):
            axes.plot(part["metric"], part[y], "o", label=label, **look)
    said = "" if np.isnan(rho) else f", ρ {rho:.2f}"
    first = rows.iloc[0]
    axes.set_title(
        f"{caption(first['task'])}: {caption(first['problem'])}{said}",
        loc="left",
        fontsize="medium",
    )


def _rho(correlation: pd.DataFrame, rows: pd.DataFrame) -> float:
    first = rows.iloc[0]
    same = (correlation["run"] == first["run"]) & (correlation["problem"] == first["problem"])
    return float(correlation.loc[same, _scored_by(rows)].max())  # one row, or none: NaN


def _scored_by(rows: pd.DataFrame) -> str:
    return "picked" if rows["picked"].notna().any() else "best"


def _add_legend(
    figure: Figure, place: Literal["outside lower center", "outside upper right"]
) -> None:
    """One entry for each thing that any panel shows."""
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc=place,
        ncols=3,
        frameon=False,
        fontsize="small",
    )


def _clear(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize="small")
