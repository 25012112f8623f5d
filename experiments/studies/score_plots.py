"""A plot of scores: a row each, with its interval."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.lr_plots import make_logarithmic
from analysis.palette import GREY, METHOD_GREY, OKABE_ITO

_LINE, _EDGE = 0.24, 1.1  # inches: a row, and title and axis together


def draw_scores(
    scores: pd.DataFrame,
    *,
    of: str = "mean",
    title: str = "",
    unit: str = "PSNR (dB)",
    none_at: float | None = None,
    log: bool = False,
) -> Figure:
    """Dots at the column `of` with bars from `low` to `high`, named by `label`, in their order.

    A hollow dot has no interval: it is what others are compared with, or too little is known.
    none_at: where a line stands for no difference. log: whether the axis is logarithmic.
    """
    rows = scores.iloc[::-1]
    figure = Figure(figsize=(7.5, len(rows) * _LINE + _EDGE), layout="constrained")
    axes = figure.add_subplot()
    if none_at is not None:
        axes.axvline(none_at, color=METHOD_GREY, linewidth=0.8, zorder=1)
    for place, row in enumerate(rows.to_dict("records")):
        told = pd.notna(row["low"])
        if told:
            axes.plot([row["low"], row["high"]], [place, place], color=GREY, linewidth=3)
        face = OKABE_ITO[0] if told else "white"
        axes.plot(row[of], place, "o", color=OKABE_ITO[0], mfc=face, markersize=5)
    axes.set_yticks(range(len(rows)), list(rows["label"]), fontsize="small")
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(unit)
    if log:
        make_logarithmic(axes, axes.xaxis)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    figure.suptitle(title, x=0.01, ha="left", fontsize="small", color=METHOD_GREY)
    return figure
