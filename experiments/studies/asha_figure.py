"""The figure of the study of ASHA."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.palette import METHOD_GREY, OKABE_ITO

_WAYS = {
    "asha": (OKABE_ITO[1], "-", "ASHA"),
    "random": (OKABE_ITO[0], "--", "random order (mean of many), every fit to its end"),
    "grid": (OKABE_ITO[2], "-.", "the grid in its own order, every fit to its end"),
}
_DEEPEST = 4.0  # dB that the plot goes down to


def draw_best_so_far(curves: pd.DataFrame, *, most_lost: float, title: str) -> Figure:
    """Lines are means over seeds, bands their least and greatest; a dot is where ASHA ends.

    curves: of `verdicts`.
    """
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    last = max(curves.attrs["ends"].values())
    for way, (colour, dash, label) in _WAYS.items():
        ours = curves[curves["way"] == way].pivot(index="share", columns="seed", values="below")
        ours = ours.dropna()
        if way == "asha":
            ours = ours[ours.index <= last + 0.0025]
        axes.fill_between(
            ours.index, -ours.min(axis=1), -ours.max(axis=1), color=colour, alpha=0.2, linewidth=0
        )
        axes.plot(ours.index, -ours.mean(axis=1), dash, color=colour, linewidth=1.4, label=label)
    for seed, end in curves.attrs["ends"].items():
        mine = curves[(curves["way"] == "asha") & (curves["seed"] == seed)]
        axes.plot(end, -mine["below"].iloc[-1], "o", color=OKABE_ITO[1], mec="white", zorder=4)
    axes.axhline(-most_lost, color=METHOD_GREY, linestyle=":", linewidth=1.0)
    axes.set_ylim(-_DEEPEST, 0.1)
    axes.set_xlim(0, 1)
    axes.set_xlabel("iterations spent, as a share of the whole grid's")
    axes.set_ylabel("best so far against the grid's best (dB)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", frameon=False, fontsize="small")
    figure.suptitle(title, x=0.01, ha="left", fontsize="small", color=METHOD_GREY)
    return figure
