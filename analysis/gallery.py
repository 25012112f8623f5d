"""The pictures of one problem side by side: measurement, known methods, best trial, truth."""

import io
import math
from dataclasses import dataclass

import matplotlib.image
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.leaderboard import leaderboard
from analysis.sweep import Sweep
from dipray.errors import FolderError


@dataclass(frozen=True)
class Panel:
    """One picture, (H, W) or (H, W, 3 or 4) in [0, 1], and what stands above it."""

    title: str
    pixels: NDArray[np.float32]


def gallery_data(sweep: Sweep, problem: str, *, metric: str = "psnr_ema_peak") -> list[Panel]:
    """Measurement, known methods that have a picture, the best trial by `metric`, and the truth.

    The trial's picture is the one at its peak: of the output, or of the average for psnr_ema_peak;
    for loss_final, where there is no truth, the average at its end.
    Raises FolderError where no trial of the problem has the metric.
    """
    board = leaderboard(sweep, metric=metric).query("problem == @problem")
    trials = board.dropna(subset=["trial", metric])
    if trials.empty:
        raise FolderError(f"{sweep.store}: no trial of {problem!r} has {metric}")
    best = trials.iloc[0]
    panels = []
    for method in sweep.baselines.query("problem == @problem").to_dict("records"):
        pixels = _pixels(sweep.problem_image(problem, method["picture"]))
        panels.append(Panel(_title(str(method["method"]), method["psnr"]), pixels))
    if not panels:
        panels.append(Panel("measurement", _pixels(sweep.problem_image(problem, "measurement"))))
    has_truth = metric.startswith("psnr")
    name = _PICTURES.get(metric, "peak") if has_truth else "ema"
    pixels = _pixels(sweep.image(best["trial"], name))
    level = best[metric] if has_truth else math.nan
    panels.append(Panel(_title("Deep Image Prior", level), pixels))
    if has_truth:
        panels.append(Panel("truth", _pixels(sweep.problem_image(problem, "reference"))))
    return panels


_PICTURES = {"psnr_ema_peak": "peak_ema", "psnr_final": "final", "psnr_ema_final": "ema"}


def _title(what: str, psnr: float) -> str:
    return what if math.isnan(psnr) else f"{what} {psnr:.2f} dB"


def draw_gallery(panels: list[Panel]) -> Figure:
    """The panels in a row, every pixel a square."""
    figure = Figure(figsize=(2.6 * len(panels), 2.9), dpi=150, layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.imshow(panel.pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(panel.title, fontsize=10)
        axes.set_axis_off()
    return figure


def _pixels(data: bytes) -> NDArray[np.float32]:
    return np.asarray(matplotlib.image.imread(io.BytesIO(data), format="png"), np.float32)
