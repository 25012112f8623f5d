"""Plots of an ensemble: what each further seed gains, and where the seeds disagree."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.ensemble import Ensemble
from analysis.palette import OKABE_ITO


def draw_gain(frame: pd.DataFrame, *, title: str = "") -> Figure:
    """A frame of `gain_data`: measured means with the range of subsets, the law, and its limit."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    spread = [frame["psnr"] - frame["lowest"], frame["highest"] - frame["psnr"]]
    axes.errorbar(
        frame["size"],
        frame["psnr"],
        yerr=np.array(spread),
        fmt="o",
        color=OKABE_ITO[0],
        capsize=3,
        label="mean over subsets, lowest to highest",
    )
    axes.plot(frame["size"], frame["first"], "x", color=OKABE_ITO[2], label="the first K seeds")
    rho = frame.attrs["rho"]
    low, high = frame.attrs["rho_low"], frame.attrs["rho_high"]
    interval = "" if np.isnan(low) else f" ({low:.2f} to {high:.2f})"
    axes.plot(
        frame["size"],
        frame["law"],
        "-",
        color=OKABE_ITO[1],
        label=f"m (ρ + (1 - ρ) / K), ρ = {rho:.2f}{interval}",
    )
    axes.axhline(
        frame.attrs["limit"], color="#555555", linestyle=":", label="the law for endless K"
    )
    axes.set_xlabel("seeds averaged, K")
    axes.set_ylabel("PSNR (dB)")
    axes.set_xticks(frame["size"] if len(frame) <= 16 else frame["size"][:: len(frame) // 8])
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize="small", loc="lower right")
    return figure


def draw_deviation(ensemble: Ensemble) -> Figure:
    """The mean, the standard deviation over seeds, and the true error where it is known."""
    mean = ensemble.aggregates["mean"]
    maps = [("standard deviation over seeds", ensemble.deviation)]
    if ensemble.truth is not None:
        error = np.sqrt(np.square(mean - ensemble.truth).mean(axis=-1))
        maps.append(("error of the mean", error))
    figure = Figure(figsize=(3.3 * (1 + len(maps)), 3.2), dpi=150, layout="constrained")
    panels = figure.subplots(1, 1 + len(maps))
    panels[0].imshow(mean.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    panels[0].set_title(f"mean of {len(ensemble.members)}", fontsize=10)
    for axes, (title, values) in zip(panels[1:], maps, strict=True):
        shown = axes.imshow(
            values, cmap="cividis", vmin=0, vmax=np.quantile(values, 0.995), interpolation="nearest"
        )
        axes.set_title(title, fontsize=10)
        figure.colorbar(shown, ax=axes, shrink=0.8)
    for axes in panels:
        axes.set_axis_off()
    return figure
