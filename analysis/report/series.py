"""Traces thinned for drawing, peaks and ends kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.report.lines import MOST_COLOURED
from analysis.report.words import rounded
from analysis.sweep import Sweep
from dipray.trace import COLUMNS

POINTS = 200  # of a trial's line at most
COLUMN_CHOICE = (
    *("psnr", "psnr_ema", "psnr_y", "psnr_hole", "ssim", "val_psnr", "val_psnr_ema", "loss"),
    *("tv", "tv_ema", "hf_energy", "hf_energy_ema", "laplacian", "laplacian_ema", "grad_norm"),
)
_COSTLY = [column.name for column in COLUMNS if column.costly and column.name in COLUMN_CHOICE]
_GREY_POINTS = 20_000  # of a column's lines that have no colour, together
_FEWEST_POINTS = 20
_BATCH = 16  # trials in memory at a time


def curve_points(sweep: Sweep, trials: Sequence[str]) -> pd.DataFrame:
    """trial, iteration and the columns of `COLUMN_CHOICE`, at most `POINTS` rows a trial.

    trials: the best first; those beyond the coloured ones have fewer rows where they are many.
    Half of the rows lie evenly on a log scale of iterations, half on a linear one; the best PSNR
    of output and average and the last row are among them. Columns without any finite value are
    left out.
    Raises UnknownNameError for an unknown trial.
    """
    grey = max(1, len(trials) - MOST_COLOURED)
    grey_points = int(np.clip(_GREY_POINTS // grey, _FEWEST_POINTS, POINTS))
    coloured = set(trials[:MOST_COLOURED])
    parts = []
    for start in range(0, len(trials), _BATCH):
        traces = sweep.traces(COLUMN_CHOICE, trials[start : start + _BATCH])
        traces["trial"] = traces["trial"].astype("str")
        for trial, rows in traces.groupby("trial", sort=False):
            parts.append(rows.iloc[_kept(rows, POINTS if trial in coloured else grey_points)])
    if not parts:
        return sweep.traces(COLUMN_CHOICE, [])[["trial", "iteration"]]
    points = pd.concat(parts, ignore_index=True)
    points[list(COLUMN_CHOICE)] = points[list(COLUMN_CHOICE)].where(
        np.isfinite(points[list(COLUMN_CHOICE)])
    )
    known = [name for name in COLUMN_CHOICE if points[name].notna().any()]
    return points[["trial", "iteration", *known]]


def packed_series(points: pd.DataFrame, trials: Sequence[str]) -> dict[str, Any]:
    """Points as lists, one for each of `trials` in their order: iterations, and each column."""
    by_trial = {str(name): rows for name, rows in points.groupby("trial", observed=True)}
    none = points.iloc[:0]
    ordered = [by_trial.get(trial, none) for trial in trials]
    columns = [name for name in points.columns if name not in ("trial", "iteration")]
    return {
        "iteration": [rows["iteration"].astype(int).tolist() for rows in ordered],
        "columns": {
            name: [
                rounded(rows[name].tolist(), 5 if name.startswith(("psnr", "val_psnr")) else 4)
                for rows in ordered
            ]
            for name in columns
        },
    }


def _kept(rows: pd.DataFrame, most: int) -> NDArray[np.int64]:
    """Places of the rows to keep: for either axis, and where the costly columns are known."""
    if len(rows) <= most:
        return np.arange(len(rows))
    special = {len(rows) - 1}
    for name in ("psnr", "psnr_ema"):
        values = rows[name].to_numpy()
        if np.isfinite(values).any():
            special.add(int(np.nanargmax(np.where(np.isfinite(values), values, np.nan))))
    costly = np.flatnonzero(rows[_COSTLY].notna().any(axis=1).to_numpy())
    left = most - len(special)
    kept = special | set(costly[_log_places(len(costly), left * 2 // 5)].tolist())
    kept |= set(_log_places(len(rows), (most - len(kept)) // 2).tolist())
    kept |= set(np.linspace(0, len(rows) - 1, most - len(kept)).astype(int).tolist())
    return np.array(sorted(kept), np.int64)


def _log_places(length: int, most: int) -> NDArray[np.int64]:
    """At most so many places of `length`, the first and last among them, evenly on a log scale."""
    if length <= most:
        return np.arange(length)
    if most < 2:
        return np.arange(max(most, 0))
    return np.unique(np.geomspace(1, length, most).round().astype(np.int64)) - 1
