"""A plot of scores against learning rates, a line for each kind of optimizer."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.palette import METHOD_GREY, OKABE_ITO

_DASHES = ("-", "--")
_MARKERS = "osD^vP*X"


def rate_data(fits: pd.DataFrame) -> pd.DataFrame:
    """Mean score of each kind and rate, with the least and greatest picture mean.

    kind, lr, mean, lowest, highest, pictures. fits: kind, lr, picture and score, NaN where a fit
    diverged; rates that diverged on a picture are left out there.
    """
    fits_of = fits.groupby(["kind", "lr", "picture"])["score"]
    single = fits_of.mean().where(fits_of.count() == fits_of.size())
    found = single.dropna().groupby(["kind", "lr"]).agg(["mean", "min", "max", "count"])
    return found.set_axis(["mean", "lowest", "highest", "pictures"], axis=1).reset_index()


def draw_rates(fits: pd.DataFrame, *, title: str = "") -> Figure:
    """The means of `rate_data` over the rate, kinds told apart by colour, marker and dash."""
    data = rate_data(fits)
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for place, kind in enumerate(dict.fromkeys(fits["kind"])):
        rows = data[data["kind"] == kind]
        axes.plot(
            rows["lr"],
            rows["mean"],
            linestyle=_DASHES[place // len(OKABE_ITO) % len(_DASHES)],
            marker=_MARKERS[place % len(_MARKERS)],
            color=OKABE_ITO[place % len(OKABE_ITO)],
            markersize=5,
            linewidth=1.2,
            label=kind,
        )
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("mean PSNR over pictures (dB)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    figure.suptitle(title, x=0.01, ha="left", fontsize="small", color=METHOD_GREY)
    return figure
