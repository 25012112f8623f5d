"""The pictures of one problem side by side: measurement, known methods, best trial, truth."""

import io
import math
from dataclasses import dataclass

import matplotlib.image
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.captions import caption
from analysis.leaderboard import leaderboard
from analysis.pictures import decode, psnr
from analysis.sweep import Sweep
from dipray.errors import FolderError
from dipray.trace import PEAKS


@dataclass(frozen=True)
class Panel:
    """One picture, (H, W) or (H, W, 3 or 4) in [0, 1], and what stands above it."""

    title: str
    pixels: NDArray[np.float32]


def gallery_data(sweep: Sweep, problem: str, *, metric: str = "psnr_ema_peak") -> list[Panel]:
    """Measurement, known methods that have a picture, the best trial by `metric`, and the truth.

    The trial's picture is the one that the metric is of; the average at its end for loss_final.
    Raises FolderError where no trial of the problem has the metric.
    """
    board = leaderboard(sweep, metric=metric).query("problem == @problem")
    trials = board.dropna(subset=["trial", metric])
    if trials.empty:
        raise FolderError(f"{sweep.store}: no trial of {problem!r} has {metric}")
    best = trials.iloc[0]
    panels = []
    for method in sweep.baselines.query("problem == @problem").to_dict("records"):
        if not isinstance(method["picture"], str):
            continue
        pixels = _pixels(sweep.problem_image(problem, method["picture"]))
        panels.append(Panel(_title(str(method["method"]), method["psnr"]), pixels))
    if not panels:
        panels.append(Panel("measurement", _pixels(sweep.problem_image(problem, "measurement"))))
    data = sweep.image(best["trial"], PICTURE_OF.get(metric, "ema"))
    problems = sweep.problems.set_index("name")
    has_truth = problem in problems.index and bool(problems.loc[problem, "has_reference"])
    level = math.nan
    if metric.startswith("psnr"):
        level = best[metric]
    elif has_truth:
        truth = decode(sweep.problem_image(problem, "reference")).pixels
        level = psnr(decode(data).pixels, truth)
    panels.append(Panel(_title("Deep Image Prior", level), _pixels(data)))
    if has_truth:
        panels.append(Panel("truth", _pixels(sweep.problem_image(problem, "reference"))))
    return panels


# metric -> the saved picture that it is of
PICTURE_OF: dict[str, str] = {
    **{peak.value: peak.picture for peak in PEAKS},
    **{peak.scored[1]: peak.picture for peak in PEAKS if peak.scored},
    "psnr_final": "final",
    "psnr_ema_final": "ema",
    "val_psnr_final": "final",
    "val_psnr_ema_final": "ema",
}


def _title(what: str, psnr: float) -> str:
    what = caption(what)
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
