"""How each configuration of a sweep scores, over its pictures and seeds."""

from collections.abc import Iterable

import pandas as pd

from analysis.comparable import comparable
from analysis.configuration import label
from analysis.intervals import bootstrap_interval, interquartile_mean, pooled_deviation
from analysis.leaderboard import higher_is_better
from analysis.sweep import Sweep

_DTYPES = {
    "label": "str",
    **dict.fromkeys(("pictures", "seeds", "runs"), "int64"),
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
    """A row for each configuration, seeds apart; the best mean first.

    label; pictures, seeds, runs; mean: over pictures of the mean over their fits; iqm: the
    interquartile mean of all fits; low, high: its interval at `level`, seeds drawn within each
    picture and noise (`bootstrap_interval`, fixed), so of these pictures alone; seed_std: over
    seeds at the same picture and noise, pooled. NaN where nothing has two seeds.
    Only comparable fits count (see `comparable`); configurations that ran on different pictures
    are not to be ranked by this table: `effects` pairs them. seed: of the resampling.
    attrs: metric, level, notes. Raises UnknownNameError for a metric or trial that does not exist.
    """
    data = comparable(sweep, metric=metric, trials=trials)
    table, settings = data.trials, data.settings
    alone = pd.Series(0, index=table.index)  # where no setting varies
    rows = []
    for _, fits in table.groupby([data.keys[name] for name in settings] or alone, sort=False):
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
                "seeds": fits["seeding"].nunique(),
                "runs": len(fits),
                "mean": score.groupby(fits["picture"]).mean().mean(),
                "iqm": float(interquartile_mean(score)),
                "low": low,
                "high": high,
                "seed_std": pooled_deviation(score, fits["problem"]),
            }
        )
    frame = pd.DataFrame(rows, columns=list(_DTYPES)).astype(_DTYPES)
    frame = frame.sort_values(
        "mean", ascending=not higher_is_better(data.metric), kind="stable", ignore_index=True
    )
    frame.attrs = {"metric": data.metric, "level": level, "notes": list(data.notes)}
    return frame
