"""The trace of a fit: its columns, one row an iteration, and what sums it up. NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Needs = Literal[
    "nothing",
    "reference",
    "luma",
    "hole",
    "holdout",
    "noise level",
    "window",
    "probe",
    "probe and reference",
]
Rows = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Column:
    """One column: its unit, meaning, what a problem needs to have it, and whether it is costly.

    A costly column is computed every `metrics_every` iterations and null between.
    """

    name: str
    unit: str
    meaning: str
    needs: Needs = "nothing"
    costly: bool = False


def _pair(
    name: str, unit: str, meaning: str, needs: Needs = "nothing", costly: bool = False
) -> list[Column]:
    return [
        Column(name, unit, f"{meaning}, of the output", needs, costly),
        Column(f"{name}_ema", unit, f"{meaning}, of the output's moving average", needs, costly),
    ]


BANDS = 5  # rings of the spectrum


def _bands(name: str, unit: str, meaning: str, needs: Needs) -> list[Column]:
    return [
        Column(f"{name}_{band}", unit, f"{meaning}, in band {band} of {BANDS}", needs, costly=True)
        for band in range(1, BANDS + 1)
    ]


COLUMNS: tuple[Column, ...] = (
    Column("iteration", "1", "optimizer step, from 1; the row is the state before that step"),
    Column("loss", "1", "what the optimizer minimises"),
    Column("data_loss", "1", "weighted mean squared error of A(output) against y"),
    *_pair("psnr", "dB", "PSNR, clipped, all values, data range 1", "reference"),
    *_pair("psnr_y", "dB", "PSNR on BT.601 luma, border trimmed", "luma"),
    *_pair("psnr_hole", "dB", "PSNR where nothing was measured", "hole"),
    *_pair("ssim", "1", "structural similarity, Gaussian 11x11", "reference", costly=True),
    *_pair("val_psnr", "dB", "PSNR of A(output) against the held-out measurements", "holdout"),
    *_pair(
        "sure", "1", "Stein's unbiased estimate of the mean squared error of A(x)", "noise level"
    ),
    Column("wmv", "1", "variance of the last outputs in the window, mean over values", "window"),
    Column("emv", "1", "exponential moving variance of the outputs, mean over values", "window"),
    *_pair("tv", "1/px", "mean |dx| + |dy|"),
    *_pair("hf_energy", "1", "share of spectral power above half Nyquist", costly=True),
    *_pair("laplacian", "1/px^2", "mean |five-point Laplacian|", costly=True),
    Column("grad_norm", "1", "Euclidean norm of the loss's gradient"),
    Column("weight_norm", "1", "Euclidean norm of the network's parameters"),
    Column("sharpness", "1", "largest eigenvalue of the loss's Hessian", "probe"),
    Column("sharpness_pre", "1", "the same of the Hessian as the optimizer scales it", "probe"),
    Column("sharpness_ratio", "1", "sharpness_pre over the largest that it can stay at", "probe"),
    Column("sharpness_ratio_2", "1", "the second eigenvalue's, where above 0.8", "probe"),
    Column("sharpness_ratio_3", "1", "the third eigenvalue's, where above 0.8", "probe"),
    Column(
        "sharpness_scale_free",
        "1",
        "sharpness times |w|^2 of the convolutions that a norm follows",
        "probe",
    ),
    Column("jacobian", "1", "root mean square length of an output value's gradient in z", "probe"),
    Column("weight_distance", "1", "Euclidean distance of the parameters from the first", "probe"),
    *_bands("power", "1", "mean |F(output)|^2 / (H W)", "probe"),
    *_bands(
        "noise_fraction", "1", "share of the noise that has been fitted", "probe and reference"
    ),
    *_bands("fbc", "1", "frequency-band correspondence with y", "probe"),
    Column("lr", "1", "learning rate of the step"),
    Column("seconds", "s", "time spent in iterations so far, spread evenly within a block"),
)

COLUMN_NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
TRUTH_COLUMNS: frozenset[str] = frozenset(
    column.name
    for column in COLUMNS
    if column.needs in ("reference", "luma", "hole", "probe and reference")
)


@dataclass(frozen=True)
class Peak:
    """A column whose greatest value counts: its names in tables, and the picture kept there."""

    column: str
    value: str  # the number that is the greatest value
    iteration: str  # the number that is its iteration
    picture: str
    scored: tuple[str, str] | None = None  # a column, and the number that it is at that iteration


PEAKS: tuple[Peak, ...] = (
    Peak("psnr", "psnr_peak", "iteration_peak", "peak"),
    Peak("psnr_ema", "psnr_ema_peak", "iteration_ema_peak", "peak_ema"),
    Peak(
        "val_psnr", "val_psnr_peak", "iteration_val_peak", "peak_val", ("psnr", "psnr_at_val_peak")
    ),
    Peak(
        "val_psnr_ema",
        "val_psnr_ema_peak",
        "iteration_val_ema_peak",
        "peak_val_ema",
        ("psnr_ema", "psnr_ema_at_val_peak"),
    ),
)


def concatenate(parts: list[Rows]) -> dict[str, NDArray[np.float64]]:
    """Rows of several blocks as one; no parts give empty columns."""
    return {
        name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0)
        for name in COLUMN_NAMES
    }


# a fit's numbers in tables -> the running value that each is at the end
_OUTCOME: dict[str, str] = {
    "iterations_run": "iteration",
    "seconds": "seconds",
    "loss_final": "loss",
    "psnr_peak": "psnr_peak",
    "iteration_peak": "iteration_peak",
    "psnr_final": "psnr",
    "psnr_ema_peak": "psnr_ema_peak",
    "iteration_ema_peak": "iteration_ema_peak",
    "psnr_ema_final": "psnr_ema",
    "psnr_y_final": "psnr_y",
    "psnr_hole_final": "psnr_hole",
    "ssim_final": "ssim",
    "val_psnr_peak": "val_psnr_peak",
    "iteration_val_peak": "iteration_val_peak",
    "psnr_at_val_peak": "psnr_at_val_peak",
    "val_psnr_final": "val_psnr",
    "val_psnr_ema_peak": "val_psnr_ema_peak",
    "iteration_val_ema_peak": "iteration_val_ema_peak",
    "psnr_ema_at_val_peak": "psnr_ema_at_val_peak",
    "val_psnr_ema_final": "val_psnr_ema",
    "tv_final": "tv",
    "hf_energy_final": "hf_energy",
    "laplacian_final": "laplacian",
}


class Summary:
    """Running numbers of a fit, updated block by block: peaks, last values, length.

    `values` maps name -> float, NaN where the problem lacks it: value, iteration and score of each
    of PEAKS, and the last known value of each trace column.
    """

    def __init__(self) -> None:
        self.values: dict[str, float] = dict.fromkeys(COLUMN_NAMES, np.nan)
        self._loss_final = np.nan  # unlike the last known one, it tells of divergence
        for peak in PEAKS:
            self.values |= {peak.value: np.nan, peak.iteration: np.nan}
            if peak.scored is not None:
                self.values[peak.scored[1]] = np.nan

    def update(self, rows: Rows) -> None:
        """Take in the rows that follow those seen before."""
        for peak in PEAKS:
            values = rows[peak.column]
            if not np.isfinite(values).any():
                continue
            best = int(np.nanargmax(values))
            if not values[best] <= self.values[peak.value]:  # true for NaN too
                self.values[peak.value] = float(values[best])
                self.values[peak.iteration] = float(rows["iteration"][best])
                if peak.scored is not None:
                    column, name = peak.scored
                    self.values[name] = float(rows[column][best])
        if len(rows["loss"]):
            self._loss_final = float(rows["loss"][-1])
        for name in COLUMN_NAMES:
            known = rows[name][np.isfinite(rows[name])]
            if known.size:
                self.values[name] = float(known[-1])

    def state(self) -> dict[str, Any]:
        """The running numbers, as plain data."""
        return {"values": dict(self.values), "loss_final": self._loss_final}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.values = dict(state["values"])
        self._loss_final = state["loss_final"]

    def outcome_row(self) -> dict[str, float | int | None]:
        """The numbers that tables show, None where the problem lacks them."""
        row: dict[str, float | int | None] = {}
        values = {**self.values, "loss": self._loss_final}
        for name, source in _OUTCOME.items():
            value = values[source]
            whole = name.startswith("iteration")
            row[name] = None if not np.isfinite(value) else int(value) if whole else value
        return row
