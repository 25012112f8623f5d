"""Figures of the study of ensembles: gains beside each other, and how errors correlate."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.palette import METHOD_GREY, OKABE_ITO

_COLUMNS = 3  # panels beside each other


def draw_gains(sizes: pd.DataFrame, summary: pd.DataFrame, *, title: str = "") -> Figure:
    """A panel a problem: PSNR over fits averaged, dots measured, lines the law, a colour a network.

    sizes, summary: what `gains` gives. The legend has rho, its mean over problems.
    """
    problems = list(dict.fromkeys(sizes["problem"]))
    nets = list(dict.fromkeys(sizes["net"]))
    beside = min(_COLUMNS, len(problems))
    lines = -(-len(problems) // beside)
    figure = Figure(figsize=(3.6 * beside + 0.6, 2.9 * lines + 0.7), layout="constrained")
    grid = figure.subplots(lines, beside, squeeze=False).ravel()
    rhos = summary.groupby("net")["rho"].mean()
    for axes, problem in zip(grid, problems, strict=False):
        for place, net in enumerate(nets):
            rows = sizes[(sizes["problem"] == problem) & (sizes["net"] == net)]
            colour = OKABE_ITO[place % len(OKABE_ITO)]
            axes.plot(rows["size"], rows["law"], color=colour, linewidth=1.2)
            label = f"{net}, ρ = {rhos[net]:.2f}" if problem == problems[0] else None
            axes.plot(rows["size"], rows["psnr"], "o", color=colour, markersize=4, label=label)
        axes.set_title(problem, loc="left", fontsize="medium")
        axes.set_xticks(sorted(sizes["size"].unique()))
        axes.set_xlabel("fits averaged")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    for axes in grid[len(problems) :]:
        axes.set_axis_off()
    for axes in grid[::beside]:
        axes.set_ylabel("PSNR (dB)")
    figure.suptitle(title, x=0.01, ha="left", fontsize="small", color=METHOD_GREY)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    return figure


def correlation_table(correlations: pd.DataFrame) -> pd.DataFrame:
    """Mean over problems, a row and a column for each network, from `error_correlations`."""
    nets = list(dict.fromkeys(correlations["net"]))
    table = correlations.pivot_table(index="net", columns="other", values="correlation")
    return table.loc[nets, nets]


def draw_correlations(correlations: pd.DataFrame, *, title: str = "") -> Figure:
    """How the errors of two fits correlate, mean over problems; on the diagonal of two seeds."""
    table = correlation_table(correlations)
    figure = Figure(figsize=(1.2 * len(table) + 1.6, 0.8 * len(table) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, net in enumerate(table.index):
        for column, other in enumerate(table.columns):
            value = table.loc[net, other]
            colour = "white" if value > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(table)), list(table.columns))
    axes.set_yticks(range(len(table)), list(table.index))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.suptitle(title, x=0.01, ha="left", fontsize="small", color=METHOD_GREY)
    return figure
