"""Kinds ranked by their best rate, which is chosen on other pictures than it is scored on.

The best of several rates on the pictures it was chosen on looks better than it is; so each picture
is scored at the rate that did best on the others.
"""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from analysis.intervals import mean_interval

LEVEL = 0.95
_RANKING = ["label", "mean", "low", "high", "pictures", "seeds", "rates", "tried", "at_end"]
_RANKING += ["optimism", "worst", "diverged"]
_PAIRS = ["kind", "versus", "difference", "low", "high", "p", "p_adjusted", "pictures", "pairs"]


def held_out(fits: pd.DataFrame) -> pd.DataFrame:
    """The fits of each kind and picture at the rate that is best on all other pictures.

    fits: kind, lr, picture, problem, seed, score, higher is better, NaN where a fit diverged.
    Returns the rows that were chosen. A rate with a diverged fit on the other pictures is not
    chosen; a kind that is left without a rate has no rows for that picture.
    """
    means = _picture_means(fits)
    chosen = []
    for kind, picture in fits[["kind", "picture"]].drop_duplicates().itertuples(index=False):
        rows = fits[(fits["kind"] == kind) & (fits["picture"] == picture)]
        others = means.loc[kind].drop(columns=picture)  # lr x picture
        rates = others.mean(axis=1, skipna=False)
        if rates.notna().any():
            chosen.append(rows[rows["lr"] == rates.idxmax()])
    return pd.concat(chosen) if chosen else fits.iloc[:0]


def ranking(fits: pd.DataFrame) -> pd.DataFrame:
    """A row for each kind, the best first, from fits as `held_out` takes them.

    label; mean: over pictures of the score at the rate chosen on the others, with its interval
    (`mean_interval`, pictures as clusters, noises as groups); rates: those chosen and on how many
    pictures; tried: how many there were; at_end: whether one of them is the least or greatest
    tried, so that a better one may lie beyond; optimism: what the mean would gain if each picture
    chose for itself; worst: the mean at the worst rate that never diverged; diverged: fits at the
    chosen rates without a score.
    """
    means = _picture_means(fits)
    rows: list[dict[str, Any]] = []
    for kind, chosen in held_out(fits).groupby("kind", sort=False):
        own = pd.DataFrame(means.loc[str(kind)])  # lr x picture
        scored = chosen.dropna(subset="score")
        if scored.empty:
            continue
        found = mean_interval(
            scored["score"], clusters=scored["picture"], groups=scored["problem"], level=LEVEL
        )
        single = scored.groupby("picture")["score"].mean()
        rates = chosen.drop_duplicates("picture")["lr"].value_counts()
        tried = fits.loc[fits["kind"] == kind, "lr"]
        rows.append(
            {
                "label": kind,
                "mean": found.mean,
                "low": found.low,
                "high": found.high,
                "pictures": len(single),
                "seeds": scored["seed"].nunique(),
                "rates": _rates_text(rates),
                "tried": tried.nunique(),
                "at_end": bool(rates.index.isin([tried.min(), tried.max()]).any()),
                "optimism": float((own.max()[single.index] - single).mean()),
                "worst": float(own.mean(axis=1, skipna=False).min()),
                "diverged": int(chosen["score"].isna().sum()),
            }
        )
    frame = pd.DataFrame(rows, columns=_RANKING)
    return frame.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def differences(fits: pd.DataFrame) -> pd.DataFrame:
    """A row for each two kinds: kind minus versus at the held-out rates, the greatest first.

    Paired on problem (picture and noise) and seed; low, high, p by `mean_interval`, pictures as
    clusters and noises as groups; p_adjusted after Benjamini and Hochberg (1995).
    """
    wide = (
        held_out(fits)
        .dropna(subset="score")
        .pivot(index=["picture", "problem", "seed"], columns="kind", values="score")
    )
    order = wide.mean().sort_values(ascending=False).index
    rows = []
    for one, other in itertools.combinations(order, 2):
        pairs = (wide[one] - wide[other]).dropna()
        if pairs.empty:
            continue
        pictures, noises = (pairs.index.get_level_values(name) for name in ("picture", "problem"))
        found = mean_interval(pairs, clusters=pictures, groups=noises, level=LEVEL)
        row = (one, other, *found, np.nan, pictures.nunique(), len(pairs))
        rows.append(row)
    frame = pd.DataFrame(rows, columns=_PAIRS)
    told = frame["p"].notna()
    frame.loc[told, "p_adjusted"] = false_discovery_control(frame.loc[told, "p"])
    return frame.sort_values("difference", ascending=False, kind="stable", ignore_index=True)


def against_best(rows: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """label, mean, low, high, p, p_adjusted: of each kind minus the best one, the best first.

    rows, pairs: what `ranking` and `differences` give. The best kind's own row has no interval.
    """
    best = rows["label"].iloc[:1].to_list()
    names = ["mean", "low", "high", "p", "p_adjusted"]
    found = []
    for kind in rows["label"]:
        turned = pairs[pairs["kind"].isin(best) & (pairs["versus"] == kind)]
        straight = pairs[pairs["versus"].isin(best) & (pairs["kind"] == kind)]
        values = [0.0, np.nan, np.nan, np.nan, np.nan]
        if len(straight):
            values = list(straight.iloc[0][["difference", *names[1:]]])
        elif len(turned):
            row = turned.iloc[0]
            values = [-row["difference"], -row["high"], -row["low"], row["p"], row["p_adjusted"]]
        elif kind not in best:
            continue
        found.append((kind, *values))
    return pd.DataFrame(found, columns=["label", *names])


def _rates_text(counts: pd.Series) -> str:
    """`0.003`, or `0.003 (4 pictures), 0.01 (1)` where pictures chose differently."""
    if len(counts) == 1:
        return f"{counts.index[0]:g}"
    nouns = [" pictures" if place == 0 else "" for place in range(len(counts))]
    return ", ".join(
        f"{lr:g} ({count}{noun})" for (lr, count), noun in zip(counts.items(), nouns, strict=True)
    )


def _picture_means(fits: pd.DataFrame) -> pd.DataFrame:
    """Mean score by (kind, lr) and picture; NaN where a fit diverged."""
    whole = fits.groupby(["kind", "lr", "picture"])["score"]
    return whole.mean().where(whole.count() == whole.size()).unstack("picture")
