"""What the learning rate does at equal loss, before the edge of stability and at it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.edge import RATIO, REACHED, REFUTED, SUPPORTED, UNDECIDED, measured_ratios
from analysis.intervals import bootstrap_interval
from analysis.matched import ASTRAY, HEAD, endings_of, matched
from analysis.sweep import Sweep

BEFORE, AT_EDGE, BETWEEN, UNKNOWN = "before", "at the edge", "between", "unknown"
SMOOTHNESS = ("tv", "laplacian", "hf_energy")
NOISE = "noise_fraction"  # the mean over bands
BANDS_OF_NOISE = tuple(f"{NOISE}_{band}" for band in range(1, 6))
_CLOSE = 0.1  # a slope within it, beyond doubt, is as good as none: 7 % for a doubled rate


class Slope(NamedTuple):
    """d log(column) / d log(lr), its 95 % interval over pictures, and what it rests on."""

    slope: float
    low: float
    high: float
    fits: int
    pictures: int


def phase_frame(
    sweep: Sweep,
    trials: Iterable[str],
    *,
    columns: Sequence[str] = ("psnr", *SMOOTHNESS, *BANDS_OF_NOISE, "sharpness"),
    num_levels: int = 8,
) -> pd.DataFrame:
    """`matched` at the `loss_levels` of each picture, each point with its phase.

    By the measurements of the ratio: before as long as none was at least 0.9, nor the next one is;
    at the edge where the last one was; between for all others, such as after first steps that were
    too large for the initial weights. Where all bands of the noise are there, noise_fraction is
    their mean. Fits that went astray are left out, and so are points that a fit does not get to.
    """
    names = list(trials)
    problems = sweep.trials.loc[names, "problem"]
    parts = [
        matched(sweep, by="loss", trials=own, columns=columns, levels=levels)
        for own in (
            list(map(str, part.index)) for _, part in problems.groupby(problems, sort=False)
        )
        if (levels := loss_levels(sweep, own, count=num_levels))
    ]
    if not parts:
        return pd.DataFrame(columns=[*HEAD, *columns, "phase", NOISE])
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[~frame["outcome"].isin(ASTRAY)].dropna(subset="iteration")
    measured = measured_ratios(sweep, names)
    phases = [
        _phase(measured.get(trial), iteration)
        for trial, iteration in zip(frame["trial"], frame["iteration"], strict=True)
    ]
    frame = frame.assign(phase=phases)
    if set(BANDS_OF_NOISE) <= set(frame):
        frame = frame.assign(**{NOISE: frame[list(BANDS_OF_NOISE)].mean(axis=1)})
    return frame.reset_index(drop=True)


def loss_levels(sweep: Sweep, trials: Iterable[str], *, count: int) -> list[float]:
    """Losses to compare fits at, evenly on a log scale, falling.

    From 0.7 of where the one that begins lowest begins, to where the two furthest learning rates
    get (in the median over seeds). None without a fit that did not go astray.
    """
    names = [name for name, end in endings_of(sweep, trials).items() if end not in ASTRAY]
    losses = sweep.traces(["loss"], names)
    losses = losses[np.isfinite(losses["loss"])].groupby("trial", observed=True)["loss"]
    ends = losses.min()
    if ends.empty:
        return []
    by_lr = ends.groupby(sweep.trials["lr"].reindex(ends.index).to_numpy()).median().sort_values()
    first, last = 0.7 * float(losses.first().min()), float(by_lr.iloc[min(1, len(by_lr) - 1)])
    if not last < first:
        return []
    return [float(f"{each:.4g}") for each in np.geomspace(first, last, count)]


def _phase(measured: pd.DataFrame | None, iteration: float) -> str:
    if measured is None:
        return UNKNOWN
    there = (measured[RATIO] >= REACHED).to_numpy()
    count = int((measured["iteration"] <= iteration).sum())
    if count and there[count - 1]:
        return AT_EDGE
    return BETWEEN if there[: count + 1].any() else BEFORE


def own_slopes(frame: pd.DataFrame, column: str, *, phase: str) -> pd.DataFrame:
    """Slopes of log(column) in log(lr): problem, seed, level, slope, lrs; a row where there are two
    or more learning rates of one seed in one phase at the same loss."""
    part = frame[(frame["phase"] == phase) & (frame[column] > 0)]
    rows = []
    for (problem, seed, level), points in part.groupby(["problem", "seed", "level"], sort=False):
        if points["lr"].nunique() > 1:
            x, y = np.log(points["lr"].to_numpy()), np.log(points[column].to_numpy())
            rows.append((problem, seed, level, _slope(x, y), points["lr"].nunique()))
    return pd.DataFrame(rows, columns=["problem", "seed", "level", "slope", "lrs"])


def mean_slope(slopes: pd.DataFrame) -> Slope:
    """Rows of `own_slopes` as one: the mean over levels of each fit, then bootstrapped."""
    if slopes.empty:
        return Slope(math.nan, math.nan, math.nan, 0, 0)
    each = slopes.groupby(["problem", "seed"], as_index=False)["slope"].mean()
    values = each["slope"].to_numpy(np.float64)
    low, high = bootstrap_interval(values, clusters=list(each["problem"]))
    return Slope(float(values.mean()), low, high, len(each), each["problem"].nunique())


def phase_slopes(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """A row for each column and phase: column, phase, slope, low, high, fits, pictures.

    A third phase, "difference", is that at the edge less that before, of the same fits.
    """
    rows = []
    for column in columns:
        parts = {phase: own_slopes(frame, column, phase=phase) for phase in (BEFORE, AT_EDGE)}
        rows += [(column, phase, *mean_slope(slopes)) for phase, slopes in parts.items()]
        before, after = (
            part.groupby(["problem", "seed"])["slope"].mean() for part in parts.values()
        )
        change = (after - before).dropna().rename("slope").reset_index()
        rows.append((column, "difference", *mean_slope(change)))
    return pd.DataFrame(rows, columns=["column", "phase", *Slope._fields])


def smoothness_verdict(slopes: pd.DataFrame, column: str) -> tuple[str, str]:
    """Whether a larger rate is smoother at equal loss because of the edge: verdict and sentence.

    slopes: of `phase_slopes`. The rule: supported where at the edge the slope's 95 % interval over
    pictures lies below 0, and so does its difference to the slope before the edge. Refuted where
    the slope at the edge is above -0.1 beyond doubt and its interval holds 0 or lies above it, or
    where it lies below 0 while the difference does not and before the edge the slope is below 0 as
    well. Everything else, and fewer than three pictures, decides nothing.
    """
    records: list[dict[Any, Any]] = slopes[slopes["column"] == column].to_dict("records")
    own = {row["phase"]: row for row in records}
    edge, before, change = (own[phase] for phase in (AT_EDGE, BEFORE, "difference"))
    said = (
        f"{column}: at the edge {slope_text(edge)}, before it {slope_text(before)}, "
        f"difference {slope_text(change)}"
    )
    if edge["pictures"] < 3 or math.isnan(edge["low"]):
        return UNDECIDED, said
    if edge["high"] >= 0:
        return (REFUTED if edge["low"] > -_CLOSE else UNDECIDED), said
    if change["pictures"] >= 3 and change["high"] < 0:
        return SUPPORTED, said
    same_before = before["pictures"] >= 3 and before["high"] < 0 and change["high"] >= 0
    return (REFUTED if same_before else UNDECIDED), said


def null_verdict(slopes: pd.DataFrame, column: str) -> tuple[str, str]:
    """Whether pictures of the lazy regime are the same at equal loss: verdict and sentence.

    slopes: of `phase_slopes`, of linearised fits, which are before the edge as long as they are
    stable. Supported where the slope's 95 % interval over pictures lies within -0.1 and 0.1,
    refuted where it lies outside of it; else, and with fewer than three pictures, not decided.
    """
    own: dict[Any, Any]
    (own,) = slopes[(slopes["column"] == column) & (slopes["phase"] == BEFORE)].to_dict("records")
    said = f"{column}: linearised {slope_text(own)}"
    if own["pictures"] < 3 or math.isnan(own["low"]):
        return UNDECIDED, said
    if own["low"] > -_CLOSE and own["high"] < _CLOSE:
        return SUPPORTED, said
    return (REFUTED if own["low"] >= _CLOSE or own["high"] <= -_CLOSE else UNDECIDED), said


def slope_text(row: Mapping[Any, Any]) -> str:
    """`-0.21 (-0.30 to -0.12)`: a slope with its interval."""
    if math.isnan(row["slope"]):
        return "none"
    if math.isnan(row["low"]):
        return f"{row['slope']:+.2f}"
    return f"{row['slope']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())
