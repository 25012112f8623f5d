"""Trials that differ in some settings alone."""

from collections.abc import Iterable

import pandas as pd

from analysis.trials import SETTINGS

SEEDS = ("seed", "seed_weights", "seed_input", "seed_jitter")
# how a fit is run and looked at, not what is fitted
BYSTANDERS = (
    *("device", "snapshots", "metrics_every", "probe_every", "sure_sigma"),
    "variance_window",
)


def groups(
    trials: pd.DataFrame, free: Iterable[str], *, by_problem: bool = True
) -> list[pd.DataFrame]:
    """The trials of a table apart by problem and all settings but `free`, in order of appearance.

    A setting that only says how a fit is run or looked at does not part them.
    """
    left_free = {*free, *BYSTANDERS}
    fixed = [
        *(["problem"] if by_problem else []),
        *(name for name in SETTINGS if name not in left_free),
    ]
    keys = pd.Series([repr(row) for row in trials[fixed].itertuples(index=False)], trials.index)
    return [part for _, part in trials.groupby(keys, sort=False)]
