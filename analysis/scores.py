"""How each configuration of a sweep scores, over its pictures and seeds."""

from collections.abc import Iterable

import pandas as pd

from analysis.comparable import comparable
from analysis.configuration import label
from analysis.groups import BYSTANDERS, SEEDS
from analysis.intervals import bootstrap_interval, interquartile_mean, pooled_deviation
from analysis.leaderboard import higher_is_better
from analysis.sweep import Sweep
from analysis.trials import SETTINGS

_FIXED = [name for name in SETTINGS if name not in (*SEEDS, *BYSTANDERS)]
_DTYPES = {
    "label": "str",
    **dict.fromkeys(("pictures", "of_pictures", "seeds", "runs", "diverged"), "int64"),
    "complete": "bool",
    **dict.fromkeys(("mean", "iqm", "low", "high", "seed_std"), "float64"),
}


def score_table(
    sweep: Sweep,
    *,
    metric: str | None = None,
    trials: Iterable[str] | str | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """A row for each configuration with a score, seeds apart; complete ones first, best mean first.

    label; pictures, and of_pictures, how many there are; seeds, runs; diverged: its fits that did,
    in addition to runs; complete: whether it has a score for each picture and noise. One that has
    not may have missed the hard ones, as where fits diverged, so its mean ranks with no other's.
    mean: over pictures of the mean over their fits; iqm: the interquartile mean of all fits; low,
    high: its interval at `level`, seeds drawn within each picture and noise (`bootstrap_interval`,
    fixed), so of these alone; seed_std: over seeds at the same picture and noise, pooled. NaN where
    nothing has two seeds. Only comparable fits count (see `comparable`). seed: of the resampling.
    attrs: metric, level, notes. Raises UnknownNameError for a metric or trial that does not exist.
    """
    data = comparable(sweep, metric=metric, trials=trials)
    table, settings = data.trials, data.settings
    problems, pictures = table["problem"].nunique(), table["picture"].nunique()
    diverged = _configurations(data.diverged).value_counts()
    rows = []
    for configuration, fits in table.groupby(_configurations(table), sort=False):
        score = fits["score"]
        low, high = bootstrap_interval(
            score,
            clusters=fits["problem"],
            fixed=True,
            statistic=interquartile_mean,
            level=level,
            seed=seed,
        )
        rows.append(
            {
                "label": label(fits.iloc[0], settings) or str(fits.index[0]),
                "pictures": fits["picture"].nunique(),
                "of_pictures": pictures,
                "seeds": fits["seeding"].nunique(),
                "runs": len(fits),
                "diverged": diverged.get(configuration, 0),
                "complete": fits["problem"].nunique() == problems,
                "mean": score.groupby(fits["picture"]).mean().mean(),
                "iqm": float(interquartile_mean(score)),
                "low": low,
                "high": high,
                "seed_std": pooled_deviation(score, fits["problem"]),
            }
        )
    frame = pd.DataFrame(rows, columns=list(_DTYPES)).astype(_DTYPES)
    frame = frame.sort_values(
        ["complete", "mean"],
        ascending=[False, not higher_is_better(data.metric)],
        kind="stable",
        ignore_index=True,
    )
    frame.attrs = {"metric": data.metric, "level": level, "notes": list(data.notes)}
    return frame


def _configurations(trials: pd.DataFrame) -> pd.Series:
    """What each trial has in common with those that differ in their seeds alone, as text."""
    rows = trials[_FIXED].itertuples(index=False)
    return pd.Series([repr(row) for row in rows], trials.index, dtype="str")
