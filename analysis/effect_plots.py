"""Plots of effects and of importance: what the tables of `effects` and `importance` show."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.findings import unit_of
from analysis.importance import LITTLE, PICTURE
from analysis.palette import GREY, METHOD_GREY, OKABE_ITO
from analysis.verdicts import LARGER, NOT_SHOWN, ONE_SEED, SMALLER

_WIDTH = 7.5  # inches
_LINE, _FRAME = 0.28, 0.45  # inches: a row, and what a panel adds to its rows
_EDGE = 0.9  # inches, titles and axis together
_BETTER, _WORSE = OKABE_ITO[0], OKABE_ITO[1]


def draw_effects(effects: pd.DataFrame, *, most: int = 8) -> Figure:
    """Differences between a setting's values, a panel a setting, with intervals and a zero line.

    Blue: the first value is better, orange: worse, grey: not shown, hollow: one seed, no interval.
    most: rows of a panel, the greatest differences. effects: what `effects` gives; no rows give a
    figure that says so.
    """
    panels = [
        (str(factor), rows.loc[rows["difference"].abs().nlargest(most).index[::-1]])
        for factor, rows in effects.groupby("factor", sort=False)
    ]
    if not panels:
        return _empty("no two fits differ in one setting and are alike otherwise")
    heights = [len(rows) * _LINE + _FRAME for _, rows in panels]
    figure = Figure(figsize=(_WIDTH, sum(heights) + _EDGE), layout="constrained")
    axes = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (factor, rows) in zip(axes, panels, strict=True):
        _draw_panel(ax, rows, higher_is_better=effects.attrs["higher_is_better"])
        count = int((effects["factor"] == factor).sum())
        of = f", {len(rows)} of {count}" if len(rows) < count else ""
        ax.set_title(f"{factor}{of}", loc="left", fontsize="medium")
    unit = unit_of(effects.attrs["metric"])
    better = "higher" if effects.attrs["higher_is_better"] else "lower"
    axes[-1].set_xlabel(
        f"difference in {effects.attrs['metric']}{f' ({unit})' if unit else ''}, {better} is better"
    )
    told = effects["p"].notna().any()
    figure.suptitle(
        f"first value minus second; bars: {100 * effects.attrs['level']:g} % intervals\n"
        f"blue: better, orange: worse, grey: {NOT_SHOWN}"
        if told
        else f"first value minus second; {ONE_SEED}, so no intervals",
        x=0.01,
        ha="left",
        fontsize="small",
        color=METHOD_GREY,
    )
    return figure


def draw_importance(importance: pd.DataFrame) -> Figure:
    """Bars of `importance`, the most important on top, whiskers one standard deviation.

    The picture's bar is grey; all are where the forest explains next to nothing, and the title
    says how much it does. No rows give a figure that says so.
    """
    if importance.empty:
        return _empty("fewer than ten comparable fits, or no setting that varies")
    rows, r2 = importance.iloc[::-1], importance.attrs["r2"]
    figure = Figure(figsize=(_WIDTH, len(rows) * _LINE + _EDGE), layout="constrained")
    axes = figure.add_subplot()
    _clear(axes)
    grey = [r2 < LITTLE or setting == PICTURE for setting in rows["setting"]]
    axes.barh(
        rows["setting"],
        rows["importance"],
        xerr=rows["std"],
        height=0.6,
        color=[GREY if each else _BETTER for each in grey],
        ecolor=METHOD_GREY,
        capsize=2,
    )
    axes.axvline(0, color=METHOD_GREY, linewidth=0.8)
    axes.set_xlabel(f"share of the variance of {importance.attrs['metric']}")
    said = f"the forest explains {100 * max(r2, 0):.0f} % of the variance of held-out fits"
    if r2 < LITTLE:
        said += ": the bars mean nothing"
    axes.set_title(said, loc="left", fontsize="medium")
    return figure


def _draw_panel(axes: Axes, rows: pd.DataFrame, *, higher_is_better: bool) -> None:
    _clear(axes)
    axes.axvline(0, color=METHOD_GREY, linewidth=0.8, zorder=1)
    good = LARGER if higher_is_better else SMALLER
    for place, row in enumerate(rows.to_dict("records")):
        verdict = row["verdict"]
        colour = _BETTER if verdict == good else _WORSE
        if verdict in (NOT_SHOWN, ONE_SEED):
            colour = METHOD_GREY
        if verdict != ONE_SEED:
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.6)
        face = "white" if verdict == ONE_SEED else colour
        axes.plot(row["difference"], place, "o", color=colour, mfc=face, markersize=6, zorder=3)
    names = [
        " - ".join(_with(row[name], row[f"{name}_with"]) for name in ("value", "versus"))
        for row in rows.to_dict("records")
    ]
    axes.set_yticks(range(len(rows)), names, fontsize="small")
    axes.set_ylim(-0.6, len(rows) - 0.4)


def _with(value: str, companions: str) -> str:
    return f"{value} ({companions})" if companions else value


def _clear(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)


def _empty(text: str) -> Figure:
    figure = Figure(figsize=(_WIDTH, 1), layout="constrained")
    figure.text(0.02, 0.5, text, va="center", color=METHOD_GREY)
    return figure
