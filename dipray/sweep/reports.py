"""Reports: what a fit told its scheduler, read off its trace."""

import numpy as np
from numpy.typing import NDArray

from dipray.sweep.worst import WORST_LOSS, WORST_PSNR

Reports = list[dict[str, float]]  # iteration and metric, in order


def column_of(metric: str) -> str:
    """The column of the trace that a metric of a sweep is of."""
    return metric.removesuffix("_peak")


def as_reported(
    iterations: NDArray[np.int64], values: NDArray[np.float64], *, metric: str, every: int
) -> Reports:
    """The reports of a fit, one each `every` iterations and one at its end.

    iterations, values: the trace, values of the metric's column. Finite as the trainable's are;
    none where no value is.
    """
    if not len(iterations) or not np.isfinite(values).any():
        return []
    is_peak = metric.endswith("_peak")
    known = np.fmax.accumulate(values) if is_peak else _last_known(values)
    worst = WORST_LOSS if metric == "loss" else WORST_PSNR
    known = np.where(np.isfinite(known), known, worst)
    if metric == "loss" and not np.isfinite(values[-1]):
        known[-1] = worst  # it diverged
    ends = report_rows(iterations, every)
    return [{"iteration": int(iterations[at]), metric: float(known[at])} for at in ends]


def report_rows(iterations: NDArray[np.int64], every: int) -> NDArray[np.intp]:
    """The rows of a trace after which its fit reported."""
    is_last = np.arange(len(iterations)) == len(iterations) - 1
    return np.flatnonzero((iterations % every == 0) | is_last)


def _last_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value, or where it is not finite the last one that was."""
    places = np.where(np.isfinite(values), np.arange(len(values)), -1)
    places = np.maximum.accumulate(places)
    return np.where(places >= 0, values[places], np.nan)
