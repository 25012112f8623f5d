"""How trials ended: by themselves, by a scheduler, or not at all."""

import pandas as pd

from dipray.stopping import RULES

OWN_RULES = ("psnr", *RULES)  # stops by the fit itself; all others are a scheduler's


def by_scheduler(trials: pd.DataFrame) -> pd.Series:
    """Whether each trial was ended early by a scheduler, which compares it with others."""
    return (trials["outcome"] == "STOPPED") & ~trials["stopped_by"].isin(OWN_RULES)


def ended_by_itself(trials: pd.DataFrame) -> pd.Series:
    """Whether each trial ran to its budget or its own rule; one that diverged did not."""
    return trials["outcome"].isin(["BUDGET", "STOPPED"]) & ~by_scheduler(trials)


def ended_by(trials: pd.DataFrame) -> pd.Series:
    """What ended each trial.

    budget, the name of a rule or scheduler, diverged, running, interrupted, or failed: reason.
    """
    endings = []
    for outcome, stopped_by, reason in zip(
        trials["outcome"], trials["stopped_by"], trials["reason"], strict=True
    ):
        ending = str(outcome).lower()
        if outcome == "STOPPED" and not pd.isna(stopped_by):
            ending = str(stopped_by)
        elif outcome == "FAILED" and not pd.isna(reason):
            ending = f"{ending}: {' '.join(str(reason).split())}"
        endings.append(ending)
    return pd.Series(endings, index=trials.index, dtype="str")
