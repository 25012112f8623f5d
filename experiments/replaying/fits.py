"""The fits of a sweep as replays need them: whole, or refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import Sweep
from analysis.endings import by_scheduler
from dipray.errors import ConfigError, FolderError
from dipray.folder import FAILED, FINISHED
from dipray.sweep.replay import WholeFit
from dipray.sweep.reports import as_reported, column_of, report_rows
from dipray.sweep_config import SweepConfig

Clock = Literal["iterations", "seconds"]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class WholeFits:
    """Fits in the order of their trials, and what the metric hands out of them, judged by truth.

    handed_out: for each trial and iteration of a report the PSNR in dB of the picture that one
    would be handed there: the moving average where the metric is of averages, at its peak where it
    is of peaks. best_psnr: the greatest of such pictures at any iteration, by problem. NaN without
    the truth. left_out: fits that are not there, a line each.
    """

    fits: tuple[WholeFit, ...]
    handed_out: Mapping[str, Mapping[int, float]]
    best_psnr: Mapping[str, float]
    left_out: tuple[str, ...]


def whole_fits(
    sweep: Sweep,
    config: SweepConfig,
    *,
    trials: Sequence[str] | None = None,
    clock: Clock = "iterations",
) -> WholeFits:
    """Read the traces of `trials` (None: all) as what was reported to a scheduler.

    config: settled; of it the metric and the interval of reports count. clock: what times are in.
    Raises FolderError where a fit is not whole, ConfigError where a problem's fits have no such
    metric or cannot be compared by it.
    """
    table = sweep.trials if trials is None else sweep.trials.loc[list(trials)]
    failed = table["outcome"] == FAILED
    table = table[~failed]
    _check_whole(sweep, table)
    _check_comparable(table, config)
    left_out = [f"{failed.sum():,} fits that failed"] if failed.any() else []
    measured, truth = column_of(config.metric), "psnr_ema" if "_ema" in config.metric else "psnr"
    columns = list(dict.fromkeys([measured, truth, "seconds"]))
    traces = sweep.traces(columns, list(table.index))
    by_trial = dict(iter(traces.groupby("trial", observed=False, sort=False)))
    fits: list[WholeFit] = []
    handed_out: dict[str, dict[int, float]] = {}
    best = dict.fromkeys(map(str, table["problem"]), np.nan)
    for trial, problem, run in table[["problem", "iterations_run"]].itertuples():
        trace = by_trial[trial]
        iterations, values = trace["iteration"].to_numpy(), trace[measured].to_numpy()
        if not np.array_equal(iterations, np.arange(1, run + 1)):
            raise FolderError(
                f"{sweep.store}: {trial} has {len(trace):,} of {run:,} iterations in its trace; a "
                "replay needs all"
            )
        reports = as_reported(iterations, values, metric=config.metric, every=config.report_every)
        if not reports:
            left_out.append(f"{trial}, which has no {measured}")
            continue
        rows = report_rows(iterations, config.report_every)
        times = trace["seconds"].to_numpy()[rows] if clock == "seconds" else iterations[rows]
        if not np.isfinite(times).all():
            raise FolderError(f"{sweep.store}: {trial} has no seconds in its trace")
        fits.append(WholeFit(trial, problem, reports, times.tolist()))
        psnr = trace[truth].to_numpy()
        handed = psnr[_peaks(values)] if config.metric.endswith("_peak") else psnr
        handed_out[trial] = dict(zip(iterations[rows].tolist(), handed[rows].tolist(), strict=True))
        best[problem] = float(np.fmax.reduce(psnr, initial=best[problem]))
    without = [name for name in best if not any(fit.problem == name for fit in fits)]
    if without:
        raise ConfigError(
            f"metric={config.metric!r}: no fit of {without[0]} has it; write another --metric",
            field="metric",
        )
    return WholeFits(tuple(fits), handed_out, best, tuple(left_out))


def _check_whole(sweep: Sweep, table: pd.DataFrame) -> None:
    place = ", ".join(map(str, sweep.stores))
    if table.empty:
        raise FolderError(f"{place}: no fit to replay")
    ended = table[by_scheduler(table)]
    if len(ended):
        by = ", ".join(dict.fromkeys(ended["stopped_by"].dropna())) or "a scheduler"
        raise FolderError(
            f"{place}: {len(ended):,} of {len(table):,} fits were ended early by {by}, and what "
            "they would have done later is not known; replay a sweep with --scheduler none"
        )
    unfinished = int((~table["outcome"].isin(FINISHED)).sum())
    if unfinished:
        raise FolderError(
            f"{place}: {unfinished:,} of {len(table):,} fits are not finished; go on with the "
            "sweep first"
        )


def _check_comparable(table: pd.DataFrame, config: SweepConfig) -> None:
    if not config.judges_by_holdout:
        return
    for problem, ours in table.groupby("problem"):
        if len(ours[["holdout", "holdout_seed"]].drop_duplicates()) > 1:
            raise ConfigError(
                f"metric={config.metric!r}: the fits of {problem} do not hold out the same pixels; "
                "write another --metric",
                field="metric",
            )


def _peaks(values: Array) -> NDArray[np.intp]:
    """For each row the row of the greatest value so far, of equals the first."""
    known = np.where(np.isfinite(values), values, -np.inf)
    before = np.concatenate([[-np.inf], np.maximum.accumulate(known)[:-1]])
    return np.maximum.accumulate(np.where(known > before, np.arange(len(values)), 0))
