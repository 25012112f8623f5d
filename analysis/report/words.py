"""What the page calls the numbers: titles of metrics and trace columns, and numbers as text."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis.trials import is_count
from dipray.trace import COLUMNS

MISSING = "–"

METRICS = {
    "psnr_peak": "peak PSNR of the output",
    "psnr_ema_peak": "peak PSNR of the output's average",
    "psnr_final": "PSNR of the output at the end",
    "psnr_ema_final": "PSNR of the output's average at the end",
    "val_psnr_peak": "best PSNR of the output on held-out measurements",
    "val_psnr_ema_peak": "best PSNR of the output's average on held-out measurements",
    "val_psnr_final": "PSNR of the output on held-out measurements at the end",
    "val_psnr_ema_final": "PSNR of the output's average on held-out measurements at the end",
    "loss_final": "loss at the end",
}
HEADINGS = {
    "psnr_peak": "peak PSNR, dB",
    "iteration_peak": "peak at",
    "psnr_ema_peak": "peak PSNR of average, dB",
    "iteration_ema_peak": "peak of average at",
    "val_psnr_peak": "best held-out PSNR, dB",
    "iteration_val_peak": "best held-out at",
    "psnr_at_val_peak": "PSNR there, dB",
    "val_psnr_ema_peak": "best held-out PSNR of average, dB",
    "iteration_val_ema_peak": "best held-out of average at",
    "psnr_ema_at_val_peak": "PSNR of average there, dB",
    "val_psnr_final": "last held-out PSNR, dB",
    "val_psnr_ema_final": "last held-out PSNR of average, dB",
    "ended_by": "ended by",
    "iterations_run": "iterations",
    "seconds": "seconds",
    "psnr_final": "last PSNR, dB",
    "psnr_ema_final": "last PSNR of average, dB",
    "psnr_y_final": "last PSNR of luma, dB",
    "psnr_hole_final": "last PSNR in the hole, dB",
    "loss_final": "last loss",
    "ssim_final": "last SSIM",
    "tv_final": "last TV, 1/px",
    "hf_energy_final": "last HF energy",
    "laplacian_final": "last Laplacian, 1/px²",
}
_TITLES = {
    "psnr": "PSNR",
    "psnr_y": "PSNR of luma",
    "psnr_hole": "PSNR in the hole",
    "ssim": "SSIM",
    "val_psnr": "PSNR on held-out measurements",
    "sure": "Stein's risk estimate",
    "wmv": "windowed variance",
    "emv": "exponential variance",
    "tv": "total variation",
    "hf_energy": "high-frequency energy",
    "laplacian": "Laplacian",
    "loss": "loss",
    "data_loss": "data loss",
    "grad_norm": "gradient norm",
}
_UNITS = {column.name: column.unit for column in COLUMNS}


def column_title(column: str) -> str:
    """A trace column as the title of an axis: `PSNR of the average (dB)`."""
    plain = column.removesuffix("_ema")
    title = _TITLES.get(plain, plain) + (" of the average" if plain != column else "")
    unit = _UNITS[column].replace("^2", "²")
    return title if unit == "1" else f"{title} ({unit})"


def number_text(name: str, value: Any) -> str:
    """A number of the table of trials, short; a dash where there is none."""
    if value is None or pd.isna(value):
        return MISSING
    if is_count(name):
        return f"{int(value):,}"
    if name.startswith(("psnr", "val_psnr")):
        return f"{value:.2f}"
    return f"{value:.1f}" if name == "seconds" else f"{value:.4g}"


def rounded(values: Iterable[float], digits: int = 4) -> list[float | None]:
    """Numbers with so many significant digits, for JSON; None for what is not finite."""
    form = f"%.{digits}g"
    return [float(form % value) if math.isfinite(value) else None for value in values]
