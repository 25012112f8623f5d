"""Regret: what choosing without the truth loses of the best PSNR that a sweep reached."""

import pandas as pd

from analysis.trials import PICKS

CHOSEN_BY = "val_psnr_ema_peak"  # what a sweep goes by where nobody has the truth
HANDED_OUT = "psnr_ema_at_val_peak"  # the PSNR of the picture that it then hands out

REGRETS: dict[str, str] = {rule: f"regret_{rule}" for rule in PICKS}


def best_of_fit(trials: pd.DataFrame) -> pd.Series:
    """The best PSNR of each fit in dB, of its outputs and averages; NaN without the truth."""
    return trials[["psnr_peak", "psnr_ema_peak"]].max(axis=1)


def best_of_sweep(trials: pd.DataFrame) -> pd.Series:
    """The best PSNR in dB that any of the trials reached on the problem of each."""
    return best_of_fit(trials).groupby(trials["problem"]).transform("max")


def is_picked(trials: pd.DataFrame, rule: str) -> pd.Series:
    """Whether `rule` watched each fit and has a pick, be it a provisional one."""
    return trials[PICKS[rule]["iteration"]].fillna(0) > 0


def is_valid(trials: pd.DataFrame, rule: str) -> pd.Series:
    """Whether each fit's pick by `rule` is what whoever goes by that rule would be handed.

    The rule fired, or the fit ran to its budget without. Where a scheduler, another rule or a
    divergence ended the fit before it fired, nobody knows what it would have picked.
    """
    has_decided = trials[PICKS[rule]["fired"]].notna() | (trials["outcome"] == "BUDGET")
    return is_picked(trials, rule) & has_decided


def is_chosen(trials: pd.DataFrame) -> pd.Series:
    """Whether each trial is its problem's best by the held-out error; of equals, the first."""
    judged = trials[CHOSEN_BY].dropna()
    best = judged.groupby(trials["problem"].loc[judged.index]).idxmax()
    return pd.Series(trials.index.isin(best), trials.index)


def with_regret(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with columns for what each rule, and the choice of the sweep, lose (dB).

    regret_RULE: the best PSNR that the sweep reached on this problem, minus that of the average
    which the rule picks in this fit; NaN where the pick is not valid (`is_valid`), or the truth is
    not known. chosen: whether the sweep would choose this trial without the truth, which is by the
    held-out error of the average; all False where nothing was held out. regret_chosen: the same
    loss for the average where that error is least, on the chosen row alone.
    """
    best, chosen = best_of_sweep(trials), is_chosen(trials)
    regrets = {
        name: (best - trials[PICKS[rule]["psnr_ema"]]).where(is_valid(trials, rule))
        for rule, name in REGRETS.items()
    }
    regret_chosen = (best - trials[HANDED_OUT]).where(chosen)
    return trials.assign(**regrets, chosen=chosen, regret_chosen=regret_chosen)
