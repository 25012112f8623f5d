"""Plots of a sweep. Each has a function for its data and one that draws it with matplotlib.

Figures are plain objects without pyplot: no window, no global state.
"""

import io
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.captions import caption
from analysis.leaderboard import ranking_metric
from analysis.names import UnknownNameError, known_names
from analysis.palette import GREY, METHOD_GREY, MOST_LABELLED, Look, looks
from analysis.sweep import Sweep
from dipray.errors import FolderError
from dipray.store import Store
from dipray.trace import COLUMN_NAMES, COLUMNS

_SIZE = (7.5, 3.7)  # inches, the legend apart
_LEGEND_LINE = 0.18  # inches
_LOG_COLUMNS = ("loss", "data_loss", "grad_norm")  # they span decades
_PSNR_COLUMNS = ("psnr", "psnr_ema")  # that a known method's PSNR stands against
_LABEL_GAP = 0.045  # least distance of two labels, as a share of the axes' height
_GREY_POINTS = 500  # of a line that is there for comparison only
_UNITS = {column.name: column.unit for column in COLUMNS}


def curve_data(
    sweep: Sweep, column: str, *, trials: Iterable[str] | str | None = None
) -> pd.DataFrame:
    """trial, iteration and `column` wherever the trace has a finite value of it.

    Raises UnknownNameError for a column or trial that does not exist.
    """
    rows = sweep.traces([column], trials)
    return rows[np.isfinite(rows[column])].reset_index(drop=True)


def smoothness_data(
    sweep: Sweep, *, averaged: bool = False, trials: Iterable[str] | str | None = None
) -> pd.DataFrame:
    """trial, iteration, tv (1/px) and psnr (dB) wherever both are known.

    averaged: of the output's moving average. Raises UnknownNameError for an unknown trial.
    """
    end = "_ema" if averaged else ""
    rows = sweep.traces([f"tv{end}", f"psnr{end}"], trials)
    rows = rows.set_axis(["trial", "iteration", "tv", "psnr"], axis=1)
    return rows[np.isfinite(rows["tv"]) & np.isfinite(rows["psnr"])].reset_index(drop=True)


def draw_curves(
    sweep: Sweep,
    column: str,
    *,
    problem: str | None = None,
    trials: Iterable[str] | str | None = None,
    log_x: bool = False,
    log_y: bool | None = None,
    most_labelled: int = MOST_LABELLED,
) -> Figure:
    """A trace column against the iteration, a line a trial, known methods dotted beside a PSNR.

    problem: needed where the trials are of several. log_y: None is for loss and gradient only.
    Raises UnknownNameError.
    """
    known_names("column", column, COLUMN_NAMES)
    ours = _of_one_problem(sweep, problem, trials)
    data = curve_data(sweep, column, trials=ours.index)
    figure, axes = _empty(str(ours["problem"].iloc[0]))
    axes.set_xlabel("iteration")
    axes.set_ylabel(_title(column))
    axes.set_xscale("log" if log_x else "linear")
    logarithmic_y = column in _LOG_COLUMNS if log_y is None else log_y
    axes.set_yscale("log" if logarithmic_y else "linear")
    by = ranking_metric(sweep, trials=ours)
    _draw_lines(axes, data, x="iteration", y=column, shown=looks(ours, by=by, most=most_labelled))
    if column in _PSNR_COLUMNS:
        _draw_methods(axes, sweep, problem=str(ours["problem"].iloc[0]))
    _add_legend(figure, ours, by=by)
    return figure


def draw_psnr_against_tv(
    sweep: Sweep,
    *,
    averaged: bool = False,
    problem: str | None = None,
    trials: Iterable[str] | str | None = None,
    most_labelled: int = MOST_LABELLED,
) -> Figure:
    """PSNR against total variation, a path a trial: a dot at its best PSNR, a square at its end.

    averaged: of the output's moving average. Raises UnknownNameError.
    """
    ours = _of_one_problem(sweep, problem, trials)
    data = smoothness_data(sweep, averaged=averaged, trials=ours.index)
    figure, axes = _empty(str(ours["problem"].iloc[0]))
    end = "_ema" if averaged else ""
    axes.set_xlabel(_title(f"tv{end}"))
    axes.set_ylabel(_title(f"psnr{end}"))
    by = ranking_metric(sweep, trials=ours)
    shown = looks(ours, by=by, most=most_labelled)
    _draw_lines(axes, data, x="tv", y="psnr", shown=shown)
    for trial, path in data.groupby("trial", observed=True):
        if trial in shown:
            colour = shown[str(trial)].colour
            for at, marker in ((int(path["psnr"].argmax()), "o"), (-1, "s")):
                point = path.iloc[at]
                axes.plot(point["tv"], point["psnr"], marker, color=colour, mec="white", zorder=4)
    _draw_methods(axes, sweep, problem=str(ours["problem"].iloc[0]))
    _add_legend(figure, ours, by=by, note="dot: best PSNR, square: last")
    return figure


def save_figure(figure: Figure, place: Store | str | Path, name: str = "") -> None:
    """Write a figure to the file `place`, or to `name` in the folder `place`, whole or not at all.

    The ending names the format: png, svg or pdf. Raises FolderError.
    """
    if not name:
        place, _, name = str(place).rpartition("/")
    store = place if isinstance(place, Store) else Store(place)
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # a picture's name may hold letters that no font here has
            warnings.filterwarnings("ignore", "Glyph .* missing")
            figure.savefig(stream, format=Path(name).suffix.removeprefix(".") or "png", dpi=150)
    except ValueError as error:
        raise FolderError(f"{name}: {error}") from None
    store.write(name, stream.getvalue())


def _of_one_problem(
    sweep: Sweep, problem: str | None, trials: Iterable[str] | str | None
) -> pd.DataFrame:
    table = sweep.trials
    if trials is not None:
        table = table.loc[known_names("trial", trials, table.index)]
    there = list(dict.fromkeys(table["problem"]))
    if problem is not None:
        known_names("problem", problem, there)
        return table[table["problem"] == problem]
    if len(there) != 1:
        raise UnknownNameError(f"name one problem; there are {', '.join(there) or 'none'}")
    return table


def _empty(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(caption(title), loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _title(column: str) -> str:
    unit = _UNITS[column]
    return column if unit == "1" else f"{column} ({unit})"


def _draw_lines(
    axes: Axes, data: pd.DataFrame, *, x: str, y: str, shown: Mapping[str, Look]
) -> None:
    """The labelled trials above the grey ones, the best on top."""
    paths = {str(trial): path for trial, path in data.groupby("trial", observed=True)}
    for trial, path in paths.items():
        if trial not in shown:
            thinned = path.iloc[:: max(1, len(path) // _GREY_POINTS)]
            axes.plot(thinned[x], thinned[y], color=GREY, linewidth=0.6, zorder=1)
    for trial, look in reversed(list(shown.items())):
        if trial in paths:
            path = paths[trial]
            line = axes.plot(path[x], path[y], look.dash, color=look.colour, linewidth=1.1)
            line[0].set(label=look.label, zorder=3)


def _draw_methods(axes: Axes, sweep: Sweep, *, problem: str) -> None:
    """Known methods as dotted lines, named at the right edge without overlap."""
    methods = sweep.baselines.dropna(subset="psnr")
    methods = methods[methods["problem"] == problem].sort_values("psnr")
    for level in methods["psnr"]:
        axes.axhline(level, color=METHOD_GREY, linestyle=":", linewidth=1.0, zorder=2)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top)
    heights = _apart([(level - bottom) / (top - bottom) for level in methods["psnr"]])
    for method, level, height in zip(methods["method"], methods["psnr"], heights, strict=True):
        axes.annotate(
            f"{caption(method)} {level:.2f}",
            xy=(1.0, height),
            xycoords="axes fraction",
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=METHOD_GREY,
        )


def _apart(heights: list[float]) -> list[float]:
    """Ascending heights in [0, 1], moved up, or down from the top, until they are a gap apart."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + _LABEL_GAP) if moved else height)
    ceiling = 1.0
    for place in reversed(range(len(moved))):
        moved[place] = min(moved[place], ceiling)
        ceiling = moved[place] - _LABEL_GAP
    return moved


def _add_legend(figure: Figure, trials: pd.DataFrame, *, by: str, note: str = "") -> None:
    axes = figure.axes[0]
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    ncols = 2 if len(handles) > 3 else 1
    lines = max(label.count("\n") + 1 for label in labels) * -(-len(labels) // ncols) + 1
    figure.set_size_inches(_SIZE[0], _SIZE[1] + lines * _LEGEND_LINE)
    notes = [note] if note else []
    if len(trials) > len(handles):
        notes.insert(0, f"the best {len(handles)} of {len(trials)} by {by}")
    figure.legend(
        handles[::-1],
        labels[::-1],
        loc="outside lower center",
        ncols=ncols,
        fontsize="small",
        frameon=False,
        title="; ".join(notes) or None,
        title_fontsize="small",
    )
