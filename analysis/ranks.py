"""Whether a number that needs no truth ranks the fits of a picture as the PSNR does."""

import pandas as pd

from analysis.audit import HEAD, head
from analysis.endings import ended_by_itself
from analysis.leaderboard import higher_is_better
from analysis.names import known_names
from analysis.regret import CHOSEN_BY, HANDED_OUT
from analysis.sweep import Sweep
from analysis.trials import NUMBERS

FEWEST = 3  # fits of which a rank correlation is taken

_DTYPES = {**HEAD, "metric": "str", "fits": "int64", "picked": "float64", "best": "float64"}


def ranked_fits(sweep: Sweep, *, metric: str = CHOSEN_BY) -> pd.DataFrame:
    """A row for each fit with the metric and the truth: what is ranked, and by what.

    run, problem, task, picture, trial, metric: its value, higher_is_better; picked: the PSNR (dB)
    of the average where the held-out error is least, NaN where nothing was held out; best: that of
    the best average; counts: whether the fit ran to its budget or its own rule, so that it can be
    compared; chosen: see `Sweep.trials`. Raises UnknownNameError for a metric that trials do not
    have.
    """
    known_names("metric", metric, NUMBERS)
    trials = sweep.trials
    rows = head(sweep, trials).assign(
        trial=trials.index,
        metric=trials[metric].astype("float64"),
        picked=trials[HANDED_OUT],
        best=trials["psnr_ema_peak"],
        counts=ended_by_itself(trials),
        chosen=trials["chosen"],
    )
    return rows[rows["metric"].notna() & rows["best"].notna()].reset_index(drop=True)


def rank_correlation(sweep: Sweep, *, metric: str = CHOSEN_BY) -> pd.DataFrame:
    """Spearman's rank correlation of the metric with the PSNR, a row a problem.

    run, problem, task, picture, metric; fits: how many there are, three or more, each run to its
    budget or its own rule; picked, best: the correlation with the PSNR of what the held-out error
    would hand out of a fit, and of its best average. In [-1, 1], 1 where the ranks agree, for a
    metric of which less is better too; NaN where one of the two is the same for all fits.
    Raises UnknownNameError for a metric that trials do not have.
    """
    rows = ranked_fits(sweep, metric=metric)
    sign = 1 if higher_is_better(metric) else -1
    found = []
    for _, part in rows[rows["counts"]].groupby("problem", sort=False):
        if len(part) < FEWEST:
            continue
        ranks = (sign * part["metric"]).rank()
        said = {name: _agreement(ranks, part[name]) for name in ("picked", "best")}
        found.append(part.iloc[0][list(HEAD)].to_dict() | said | {"fits": len(part)})
    table = pd.DataFrame(found, columns=list(_DTYPES)).assign(metric=metric)
    return table.astype(_DTYPES)


def _agreement(ranks: pd.Series, scores: pd.Series) -> float:
    """Pearson's correlation of ranks, which is Spearman's; NaN where there is nothing to rank."""
    scores = scores.dropna()
    ranks = ranks.loc[scores.index].rank()
    if len(scores) < FEWEST or ranks.nunique() < 2 or scores.nunique() < 2:
        return float("nan")
    return float(ranks.corr(scores.rank()))
