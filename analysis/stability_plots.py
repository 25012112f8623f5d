"""Plots of the edge of stability: ratios, smoothness at equal loss, rates that were changed."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis.configuration import setting_text
from analysis.edge import RATIO
from analysis.intervention import jump_pairs
from analysis.lr_plots import lr_colours, make_logarithmic
from analysis.palette import METHOD_GREY, OKABE_ITO
from analysis.phases import AT_EDGE, BEFORE, NOISE
from analysis.sweep import Sweep

SHOWN = ("tv", "laplacian", NOISE)
TITLES = {
    "tv": "total variation",
    "laplacian": "mean |Laplacian|",
    "hf_energy": "high-frequency energy",
    NOISE: "noise fraction",
    "psnr": "PSNR",
    "sharpness": "sharpness",
    RATIO: "sharpness / threshold",
}
_PANEL = (3.6, 2.8)  # inches


def ratio_data(sweep: Sweep, trials: Iterable[str], *, column: str = RATIO) -> pd.DataFrame:
    """A measured column for each learning rate: lr, iteration, median, lowest, highest, fits."""
    names = list(trials)
    rows = sweep.traces([column], names)
    rows = rows[np.isfinite(rows[column])]
    rows = rows.assign(lr=rows["trial"].map(sweep.trials["lr"]).astype("float64"))
    grouped = rows.groupby(["lr", "iteration"], sort=True)[column]
    frame = grouped.agg(["median", "min", "max", "size"]).reset_index()
    return frame.set_axis(["lr", "iteration", "median", "lowest", "highest", "fits"], axis=1)


def draw_ratios(sweep: Sweep, groups: Mapping[str, Sequence[str]]) -> Figure:
    """A panel for each named group of trials: ratio against iteration, a line a learning rate.

    Medians over fits, with bands from the lowest to the highest; the line at 1 is the threshold.
    """
    figure, panels = _panels(len(groups))
    for axes, (name, trials) in zip(panels, groups.items(), strict=True):
        data = ratio_data(sweep, trials)
        for lr, colour in lr_colours(data["lr"]).items():
            path = data[data["lr"] == lr]
            label = f"lr {setting_text(lr)}"
            axes.plot(path["iteration"], path["median"], color=colour, linewidth=1.3, label=label)
            band = path["lowest"].clip(lower=1e-3), path["highest"].clip(lower=1e-3)
            axes.fill_between(path["iteration"], *band, color=colour, alpha=0.15, linewidth=0)
        axes.axhline(1, color=METHOD_GREY, linewidth=1, linestyle="--")
        axes.set_yscale("log")
        high = data["highest"].max() if len(data) else 1.0
        axes.set_ylim(0.05, max(3.0, min(30.0, 1.3 * high)))
        _dress(axes, title=name, x="iteration", y=TITLES[RATIO])
        axes.legend(fontsize=6.5, frameon=False, loc="lower right", ncols=2)
    return figure


def relative_data(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column at equal loss beside what it is on average there: lr, phase, value, low, high, fits.

    frame: of `phase_frame`. Each value is divided by the geometric mean over the learning rates of
    the same picture, seed, loss and phase, where two or more got there; value is the geometric mean
    of a fit's, over fits, low and high their quartiles.
    """
    known = frame[frame[column] > 0]
    known = known.assign(log=np.log(known[column]))
    alike = known.groupby(["problem", "seed", "level", "phase"])
    known["log"] -= alike["log"].transform("mean")
    known = known[alike["lr"].transform("nunique") > 1]
    each = known.groupby(["lr", "phase", "problem", "seed"], as_index=False)[["log"]].mean()
    rows = [
        (lr, phase, *np.exp([own.mean(), *own.quantile([0.25, 0.75])]), len(own))
        for (lr, phase), own in each.groupby(["lr", "phase"])["log"]
    ]
    return pd.DataFrame(rows, columns=["lr", "phase", "value", "low", "high", "fits"])


def draw_at_equal_loss(
    frames: Mapping[str, pd.DataFrame], *, columns: Sequence[str] = SHOWN
) -> Figure:
    """A row for each named frame of `phase_frame`, a panel a column: against the learning rate.

    Hollow dots are before the edge, filled ones at it; bars are quartiles over fits. Panels of a
    column share their scale.
    """
    width, height = _PANEL
    size = (width * len(columns), height * len(frames))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(frames), len(columns), squeeze=False, sharey="col")
    for row, (name, frame) in zip(grid, frames.items(), strict=True):
        for axes, column in zip(row, columns, strict=True):
            for phase, colour, face in (
                (BEFORE, OKABE_ITO[0], "white"),
                (AT_EDGE, OKABE_ITO[1], OKABE_ITO[1]),
            ):
                data = relative_data(frame, column)
                data = data[data["phase"] == phase]
                reach = [data["value"] - data["low"], data["high"] - data["value"]]
                axes.errorbar(
                    data["lr"],
                    data["value"],
                    np.clip(np.array(reach, np.float64), 0, None),
                    fmt="o-",
                    color=colour,
                    mfc=face,
                    markersize=4.5,
                    linewidth=1,
                    label=phase,
                )
            axes.axhline(1, color=METHOD_GREY, linewidth=0.8)
            axes.set_xscale("log")
            rates = sorted(set(frame["lr"]))
            axes.set_xticks(rates, [setting_text(lr) for lr in rates])
            axes.xaxis.set_minor_locator(NullLocator())
            _dress(axes, title=f"{name}: {TITLES[column]}", x="lr", y="times the mean there")
        row[0].legend(fontsize=7, frameon=False)
    return figure


def jump_data(sweep: Sweep, trials: Iterable[str], column: str) -> pd.DataFrame:
    """A column of fits whose rate jumps and of their twins: kind, iteration, median, low, high."""
    pairs = jump_pairs(sweep.trials.loc[list(trials)])
    kinds = {"changed": [a for a, _ in pairs], "constant": list(dict.fromkeys(b for _, b in pairs))}
    frames = []
    for kind, names in kinds.items():
        if not names:
            continue
        rows = sweep.traces([column], names)
        rows = rows[np.isfinite(rows[column])]
        found = rows.groupby("iteration")[column].quantile([0.5, 0.25, 0.75]).unstack()
        found = found.reset_index().set_axis(["iteration", "median", "low", "high"], axis=1)
        frames.append(found.assign(kind=kind))
    order = ["kind", "iteration", "median", "low", "high"]
    return pd.concat(frames)[order] if frames else pd.DataFrame(columns=order)


def draw_jumps(
    sweep: Sweep,
    groups: Mapping[str, Sequence[str]],
    *,
    columns: Sequence[str] = ("sharpness", "tv", "loss"),
) -> Figure:
    """A row for each named group of fits whose rate jumps, and their twins: columns over time.

    The dashed line is the iteration of the change; bands are quartiles over fits.
    """
    width, height = _PANEL
    figure = Figure(figsize=(width * len(columns), height * len(groups)), layout="constrained")
    grid = figure.subplots(len(groups), len(columns), squeeze=False)
    for row, (name, trials) in zip(grid, groups.items(), strict=True):
        at = sweep.trials.loc[list(trials), "lr_jump_at"].dropna()
        for axes, column in zip(row, columns, strict=True):
            data = jump_data(sweep, trials, column)
            for (kind, path), colour in zip(
                data.groupby("kind", sort=True), OKABE_ITO[1::-1], strict=False
            ):
                rows = path[path["iteration"] > 1]
                axes.plot(rows["iteration"], rows["median"], color=colour, label=kind, linewidth=1)
                band = rows["iteration"], rows["low"], rows["high"]
                axes.fill_between(*band, color=colour, alpha=0.2, linewidth=0)
            if len(at):
                axes.axvline(float(at.iloc[0]), color=METHOD_GREY, linewidth=1, linestyle="--")
            make_logarithmic(axes, axes.yaxis)
            _dress(axes, title=f"{name}: {TITLES.get(column, column)}", x="iteration", y=column)
        row[0].legend(fontsize=7, frameon=False)
    return figure


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    across = min(3, max(1, count))
    down = -(-count // across)
    figure = Figure(
        figsize=(1.2 * _PANEL[0] * across, 1.2 * _PANEL[1] * down), layout="constrained"
    )
    panels = list(figure.subplots(down, across, squeeze=False).ravel())
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels[:count]


def _dress(axes: Axes, *, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize="small", loc="left")
    axes.set_xlabel(x, fontsize="small")
    axes.set_ylabel(y, fontsize="small")
    axes.tick_params(labelsize="x-small")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
