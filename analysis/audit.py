"""The audit of a sweep with the truth: how good choosing without it would have been.

What is handed out is always the moving average at an iteration. Its regret has two parts: the loss
from the configuration, which is what the best picture of this fit lacks to that of the sweep, and
the loss from the iteration, which is what the picked picture lacks to the best of its fit.
"""

import numpy as np
import pandas as pd

from analysis.comparable import photographs
from analysis.endings import ended_by_itself
from analysis.regret import HANDED_OUT, best_of_fit, best_of_sweep, is_picked, is_valid
from analysis.sweep import Sweep
from analysis.trials import PICKS

TOLERANCE = 0.1  # dB, below which nobody sees that a pick was early or late
WHOLE_FIT = "val peak"  # the least held-out error of all iterations; not a rule: no patience
LOSSES = ("regret", "configuration_loss", "iteration_loss")
HEAD = {"run": "str", "problem": "str", "task": "str", "picture": "str"}

_DTYPES = {
    **HEAD,
    "trial": "str",
    "rule": "str",
    "iteration": "int64",
    "fired": "Int64",
    **dict.fromkeys(("psnr", "best_fit", "best_sweep", *LOSSES[::-1]), "float64"),
    "timing": "str",
    "never": "bool",
    "cut_short": "bool",
}


def audit_fits(sweep: Sweep, *, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """A row for each fit and rule with a valid pick (`regret.is_valid`), where the truth is known.

    run, problem, task; picture: the file behind the problem; trial; rule; iteration: the picked
    one; fired: when the rule decided, NA if never. psnr: of the picked average; best_fit,
    best_sweep: the best output or average of this fit, and of any fit of this problem (dB).
    configuration_loss = best_sweep - best_fit; iteration_loss = best_fit - psnr; regret: their sum.
    timing: "in time" where the best average of the fit is better by `tolerance` (dB) at most, else
    "early" or "late", as the pick lies before or after that. never: the rule did not fire, so its
    last pick stands. cut_short: the fit ended before its budget, so that a better picture may have
    been still to come: its configuration_loss is then too large, and its iteration_loss too small.
    """
    trials = _with_bests(sweep)
    return _table(
        [
            _losses(trials[is_valid(trials, rule)], rule, names, tolerance=tolerance)
            for rule, names in PICKS.items()
        ]
    )


def audit_choice(sweep: Sweep, *, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """Rows like those of `audit_fits`, of the fit that the held-out error chooses in each problem.

    Beside the rules there is "val peak": the average where the held-out error is least in the
    whole fit, without any patience. blind_loss: the mean configuration_loss (dB) of the problem's
    fits that ended by themselves, which is what a configuration drawn at random would lose; NaN
    where fewer than two did. No rows for problems without the truth or without anything held out,
    and none for a rule without a valid pick: attrs["missing"] says how often that was, rule ->
    number of problems.
    """
    trials = _with_bests(sweep)
    ended = trials[ended_by_itself(trials)]
    drawn = (ended["best_sweep"] - ended["best_fit"]).groupby(ended["problem"])
    blind = drawn.mean()[drawn.size() > 1]
    ours = trials[trials["chosen"]]
    whole_fit = {"iteration": "iteration_val_ema_peak", "psnr_ema": HANDED_OUT}
    parts = [_losses(ours[ours[HANDED_OUT].notna()], WHOLE_FIT, whole_fit, tolerance=tolerance)]
    missing = {}
    for rule, names in PICKS.items():
        valid = is_valid(ours, rule)
        parts.append(_losses(ours[valid], rule, names, tolerance=tolerance))
        missing[str(rule)] = int((is_picked(ours, rule) & ~valid).sum())
    table = _table(parts)
    table["blind_loss"] = table["problem"].map(blind).astype("float64")
    table.attrs = {"missing": {rule: count for rule, count in missing.items() if count}}
    return table


def head(sweep: Sweep, trials: pd.DataFrame) -> pd.DataFrame:
    """The columns that say where each trial belongs: run, problem, task, picture."""
    tasks = sweep.problems.set_index("name")["task"]
    return pd.DataFrame(
        {
            "run": str(sweep.store),
            "problem": trials["problem"],
            "task": trials["problem"].map(tasks).fillna("other"),
            "picture": photographs(sweep, trials["problem"]),
        },
        index=trials.index,
    ).astype(HEAD)


def _with_bests(sweep: Sweep) -> pd.DataFrame:
    """The trials of problems whose truth is known, with `best_fit` and `best_sweep`."""
    trials = sweep.trials
    trials = trials.assign(best_fit=best_of_fit(trials), best_sweep=best_of_sweep(trials))
    trials = trials.drop(columns="problem").join(head(sweep, trials))
    return trials[trials["best_fit"].notna()]


def _losses(
    trials: pd.DataFrame, rule: str, names: dict[str, str], *, tolerance: float
) -> pd.DataFrame:
    """What `rule` loses in each of the trials; names: where its pick's parts are."""
    psnr, iteration = trials[names["psnr_ema"]], trials[names["iteration"]]
    fired = trials[names["fired"]] if "fired" in names else pd.Series(pd.NA, trials.index, "Int64")
    # averages are held against averages: whether the moment was right is not whether the last
    # output would have been better than its average
    off = trials["psnr_ema_peak"] - psnr > tolerance
    timing = np.select(
        [off & (iteration < trials["iteration_ema_peak"]).fillna(False), off],
        ["early", "late"],
        "in time",
    )
    rows = trials[[*HEAD, "best_fit", "best_sweep"]].assign(
        trial=trials.index,
        rule=rule,
        iteration=iteration,
        fired=fired,
        psnr=psnr,
        iteration_loss=trials["best_fit"] - psnr,
        configuration_loss=trials["best_sweep"] - trials["best_fit"],
        regret=trials["best_sweep"] - psnr,
        timing=timing,
        never=fired.isna() if "fired" in names else False,
        cut_short=trials["outcome"] != "BUDGET",
    )
    return rows[rows["psnr"].notna() & rows["iteration"].notna()]


def _table(parts: list[pd.DataFrame]) -> pd.DataFrame:
    rows = pd.concat(parts, ignore_index=True)
    return rows[list(_DTYPES)].astype(_DTYPES)
