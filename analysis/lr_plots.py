"""Plots of learning rates: curves over iterations, and the same paths at equal loss."""

from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

from analysis.configuration import setting_text
from analysis.lr_bias import EQUAL
from analysis.matched import By, path_data
from analysis.names import known_names
from analysis.sweep import Sweep
from dipray.trace import COLUMNS

CURVES = ("psnr", "loss", "tv", "hf_energy", "laplacian")
_LOGARITHMIC = ("loss", "tv", "hf_energy", "laplacian")
_UNITS = {column.name: column.unit for column in COLUMNS}
_AXIS: dict[By, str] = {
    "iteration": "iteration",
    "loss": "training loss",
    "lr_x_iteration": "lr x iterations",
}
_POINTS = 400  # of a curve


def lr_curve_data(sweep: Sweep, column: str, *, trials: Iterable[str]) -> pd.DataFrame:
    """A trace column over iterations for each learning rate: lr, iteration, mean, lowest, highest.

    Mean and extremes are over the seeds that still ran at that iteration.
    """
    chosen = known_names("trial", trials, sweep.trials.index)
    rows = sweep.traces([column], chosen)
    rows = rows[np.isfinite(rows[column])]
    lrs = sweep.trials.loc[chosen, "lr"]
    rows = rows.assign(lr=rows["trial"].map(lrs).astype("float64"))
    grouped = rows.groupby(["lr", "iteration"], sort=True)[column]
    frame = grouped.agg(["mean", "min", "max"]).reset_index()
    return frame.set_axis(["lr", "iteration", "mean", "lowest", "highest"], axis=1)


def draw_lr_curves(
    sweep: Sweep, *, trials: Sequence[str], columns: Sequence[str] = CURVES
) -> Figure:
    """A panel a column, a line a learning rate, a band from the lowest to the highest seed."""
    figure = Figure(figsize=(9.5, 2.7 * -(-len(columns) // 2)), layout="constrained")
    panels = figure.subplots(-(-len(columns) // 2), 2, squeeze=False).ravel()
    colours = lr_colours(sweep.trials.loc[list(trials), "lr"])
    for axes, column in zip(panels, columns, strict=False):
        data = lr_curve_data(sweep, column, trials=trials)
        thinned = max(1, data["iteration"].nunique() // _POINTS)
        for lr, colour in colours.items():
            path = data[data["lr"] == lr].iloc[::thinned]
            axes.plot(path["iteration"], path["mean"], color=colour, linewidth=1.2)
            if (path["lowest"] < path["highest"]).any():
                band = path["iteration"], path["lowest"], path["highest"]
                axes.fill_between(*band, color=colour, alpha=0.2, linewidth=0)
        _dress(axes, column, "iteration")
    for axes in panels[len(columns) :]:
        axes.set_axis_off()
    _legend(figure, colours)
    return figure


def draw_at_equal(
    sweep: Sweep, *, trials: Sequence[str], columns: Sequence[str] = ("tv", "psnr")
) -> Figure:
    """A row a column; beside each other over iterations, training loss, and lr x iterations.

    Where the lines of different learning rates lie on each other, the learning rate has changed
    how fast the fit goes, and nothing else of this column.
    """
    figure = Figure(figsize=(11, 2.9 * len(columns)), layout="constrained")
    grid = figure.subplots(len(columns), len(_AXIS), squeeze=False, sharey="row")
    colours = lr_colours(sweep.trials.loc[list(trials), "lr"])
    for by, column_of_axes in zip(_AXIS, grid.T, strict=True):
        data = path_data(sweep, columns, by=by, trials=trials)
        for column, axes in zip(columns, column_of_axes, strict=True):
            for lr, colour in colours.items():
                for _, path in data[data["lr"] == lr].groupby("trial"):
                    axes.plot(path["x"], path[column], color=colour, linewidth=1.0)
            _dress(axes, column, by)
            if by != "iteration":
                make_logarithmic(axes, axes.xaxis)
            if by == "loss":
                axes.invert_xaxis()  # so that time goes to the right everywhere
            if column is columns[0]:
                axes.set_title(EQUAL[by], fontsize="medium", loc="left")
    _legend(figure, colours)
    return figure


def lr_colours(lrs: Iterable[float]) -> dict[float, str]:
    """A colour for each learning rate, darker for smaller ones; cividis (Nunez et al., 2018)."""
    each = sorted({float(lr) for lr in lrs})
    places = np.linspace(0, 0.88, len(each))  # the brightest yellow is lost on white
    colours = matplotlib.colormaps["cividis"](places)
    return {lr: matplotlib.colors.to_hex(c) for lr, c in zip(each, colours, strict=True)}


def _dress(axes: Axes, column: str, by: By) -> None:
    unit = _UNITS[column]
    axes.set_ylabel(column if unit == "1" else f"{column} ({unit})")
    axes.set_xlabel(_AXIS[by])
    if column in _LOGARITHMIC:
        make_logarithmic(axes, axes.yaxis)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def make_logarithmic(axes: Axes, axis: Axis) -> None:
    """Within one decade the usual ticks would be all labels, each with a power of ten."""
    low, high = axis.get_data_interval()
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
    if 0 < high < 10 * low:
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())


def _legend(figure: Figure, colours: dict[float, str]) -> None:
    lines = [
        matplotlib.lines.Line2D([], [], color=colour, label=f"lr {setting_text(lr)}")
        for lr, colour in colours.items()
    ]
    figure.legend(
        handles=lines, loc="outside lower center", ncols=min(8, len(lines)), frameon=False
    )
