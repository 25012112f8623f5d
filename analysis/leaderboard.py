"""The leaderboard of a sweep, known methods among the trials, and what early stopping saved."""

from typing import get_args

import pandas as pd

from analysis.configuration import varying_settings
from analysis.endings import by_scheduler, ended_by
from analysis.names import known_names
from analysis.sweep import Sweep
from analysis.trials import NUMBERS
from dipray.errors import ConfigError
from dipray.folder import FINISHED
from dipray.sweep_config import Metric, table_number
from dipray.trace import PEAKS

# a known method has one picture, so its PSNR stands against each of these
COMPARABLE = (
    "psnr_peak",
    "psnr_final",
    "psnr_ema_peak",
    "psnr_ema_final",
    "psnr_at_val_peak",
    "psnr_ema_at_val_peak",
)
SHOWN = tuple(name for peak in PEAKS for name in (peak.value, peak.iteration))
TRIAL_METHOD = "dip"

_LOWER_IS_BETTER = ("loss", "data_loss", "tv", "hf_energy", "laplacian", "seconds")
_NULLABLE = {"int64": "Int64", "bool": "boolean"}  # a known method has no settings


def _numbers(metric: str) -> list[str]:
    """The metric first, each peak with its iteration behind it, and its score where it has one."""
    peaks = [peak for peak in PEAKS if peak.value == metric or peak.scored is None]
    shown: list[str] = []
    for peak in sorted(peaks, key=lambda peak: peak.value != metric):
        shown += [peak.value, peak.iteration, *([peak.scored[1]] if peak.scored else [])]
    return shown if metric in shown else [metric, *shown]


def higher_is_better(metric: str) -> bool:
    """Whether a greater value of a metric or trace column is the better one."""
    return not metric.startswith(_LOWER_IS_BETTER)


def ranking_metric(
    sweep: Sweep, asked: str | None = None, *, trials: pd.DataFrame | None = None
) -> str:
    """What trials are ranked by: `asked`, else the sweep's own metric, else psnr_peak.

    Where none of `trials` (None: all) has that PSNR: val_psnr_ema_peak, the held-out error, and
    where there is none of that either, loss_final. Raises UnknownNameError if `asked` is no metric.
    """
    metrics = get_args(Metric)
    if asked is not None:
        known_names("metric", asked, (*metrics[1:], *NUMBERS))
    own = str(sweep.asked.get("metric"))
    chosen = asked or (own if own in (*metrics[1:], *NUMBERS) else "psnr_peak")
    if chosen in metrics:
        chosen = table_number(chosen)
    table = sweep.trials if trials is None else trials
    for fallback in ("val_psnr_ema_peak", "loss_final"):
        there = table[fallback].notna().any()  # else nothing has run at all
        if chosen.startswith(("psnr", "val")) and table[chosen].isna().all() and there:
            chosen = fallback
    return chosen


def leaderboard(sweep: Sweep, *, metric: str = "psnr_peak", top: int | None = None) -> pd.DataFrame:
    """Trials and known methods of each problem, the best by `metric` first.

    Columns: rank (from 1, a problem each), problem, trial (missing for a known method), method
    ("dip" for a trial), the settings that vary, the metric and the peaks (dB and iteration; at a
    peak of the held-out error also the PSNR there),
    ended_by, iterations_run, seconds. A method's PSNR stands in psnr_peak and in `metric`; methods
    without one, and all of them where the metric is no PSNR of the whole picture, are left out.
    Trials without the metric come last. top: at most so many trials a problem; methods stay.
    Raises UnknownNameError for a metric that trials do not have, ConfigError for top below 1.
    """
    known_names("metric", metric, NUMBERS)
    if top is not None and top < 1:
        raise ConfigError(f"top={top}: allowed is 1 or more", field="top")
    trials = sweep.trials
    settings = varying_settings(trials)
    entries = trials.assign(method=TRIAL_METHOD, ended_by=ended_by(trials)).reset_index()
    numbers = _numbers(metric)
    columns = ["problem", "trial", "method", *settings, *numbers]
    columns = list(dict.fromkeys([*columns, "ended_by", "iterations_run", "seconds"]))
    entries = entries[columns]
    entries = entries.astype(
        {name: _NULLABLE.get(str(dtype), dtype) for name, dtype in entries.dtypes.items()}
    )
    methods = _methods(sweep, metric)
    if len(methods):
        methods = methods.reindex(columns=columns).astype(entries.dtypes.to_dict())
        entries = pd.concat([entries, methods], ignore_index=True)
    entries = entries.sort_values(
        ["problem", metric],
        ascending=[True, not higher_is_better(metric)],
        na_position="last",
        kind="stable",
        ignore_index=True,
    )
    entries.insert(0, "rank", entries.groupby("problem").cumcount() + 1)
    if top is not None:
        is_trial = entries["trial"].notna()
        place = is_trial.groupby(entries["problem"]).cumsum()
        entries = entries[~is_trial | (place <= top)].reset_index(drop=True)
    return entries


def _methods(sweep: Sweep, metric: str) -> pd.DataFrame:
    if metric not in COMPARABLE:
        return pd.DataFrame()
    methods = sweep.baselines.dropna(subset="psnr")
    return methods.assign(**{"psnr_peak": methods["psnr"], metric: methods["psnr"]})


def iterations_saved(sweep: Sweep) -> dict[str, float]:
    """What the scheduler's early stops saved, in iterations over all finished trials.

    planned: the sum of their budgets; run: the iterations that were made; saved: what the trials
    that a scheduler ended had left of their budgets; share: saved / planned, 0 if nothing was
    planned. What a fit's own rule or a divergence cut short counts as neither run nor saved.
    """
    trials = sweep.trials
    finished = trials[trials["outcome"].isin(FINISHED)]
    run = finished["iterations_run"].fillna(0)
    left = (finished["iterations"] - run).clip(lower=0)
    planned, saved = int(finished["iterations"].sum()), int(left[by_scheduler(finished)].sum())
    return {
        "planned": planned,
        "run": int(run.sum()),
        "saved": saved,
        "share": saved / planned if planned else 0.0,
    }
