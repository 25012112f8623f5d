"""Means of few numbers, and how far they can be trusted: seeds within pictures."""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit
from scipy.stats import trim_mean

FEWEST_CLUSTERS = 3  # of which a spread is taken; below, an interval holds for them alone
_ROUNDING = 1e-12  # a relative error that is arithmetic's own

Values = NDArray[np.float64]


class MeanInterval(NamedTuple):
    """A mean, its interval, and the two-sided p of its being zero; NaN where nobody can tell."""

    mean: float
    low: float
    high: float
    p: float


def interquartile_mean(values: ArrayLike, axis: int | None = None) -> Values:
    """The mean of the middle half, a quarter (rounded down) left out at each end.

    Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
    NeurIPS 2021. Of fewer than four values it is the mean. axis: None takes all values.
    """
    return np.asarray(trim_mean(values, 0.25, axis=axis))


def mean_interval(
    values: ArrayLike,
    *,
    clusters: Iterable[Hashable] | None = None,
    groups: Iterable[Hashable] | None = None,
    level: float = 0.95,
) -> MeanInterval:
    """The mean over clusters of each one's mean, with Student's interval at `level`.

    values: finite numbers. clusters: what each belongs to (its picture); None is one cluster.
    With one or two clusters the interval speaks of these alone: the spread within, pooled. Three
    or more count as drawn at random, and the interval speaks of others too: that of their means,
    with one degree of freedom fewer than clusters, but never narrower than for these alone, lest
    few that agree by chance look certain. Percentiles of a bootstrap are no choice here: they never
    leave the range of the values, so of three they miss one time in four.
    groups: what each value shares with others of its cluster (the noise on its picture). Where one
    of one or two clusters has several groups, their means count as its values, since values of a
    group vary less than those of the cluster; the spread of three or more clusters has it in it.
    """
    values = np.asarray(values, np.float64)
    labels = [None] * len(values) if clusters is None else list(clusters)
    parts = _parts(values, labels)
    if groups is not None and len(parts) < FEWEST_CLUSTERS:
        parts = _means_of_groups(values, labels, list(groups)) or parts
    means = np.array([part.mean() for part in parts])
    mean = float(means.mean())
    scale = max(float(np.abs(part).max()) for part in parts)
    errors = []  # standard error and degrees of freedom
    freedom = sum(len(part) - 1 for part in parts)
    if freedom:
        variance = sum(part.var() * len(part) for part in parts) / freedom
        within = math.sqrt(variance * sum(1 / len(part) for part in parts)) / len(parts)
        errors.append((within, freedom))
    if len(parts) >= FEWEST_CLUSTERS:
        errors.append((float(means.std(ddof=1)) / math.sqrt(len(parts)), len(parts) - 1))
    if not errors:
        return MeanInterval(mean, math.nan, math.nan, math.nan)
    half = max(error * float(stdtrit(free, (1 + level) / 2)) for error, free in errors)
    p = max(_p(mean, error, free, scale) for error, free in errors)
    return MeanInterval(mean, mean - half, mean + half, p)


def _p(mean: float, error: float, freedom: int, scale: float) -> float:
    """Student's two-sided p; where all values are alike, whether they are zero."""
    if error <= _ROUNDING * scale:
        return float(abs(mean) <= _ROUNDING * scale)
    return 2 * float(stdtr(freedom, -abs(mean) / error))


def bootstrap_interval(
    values: ArrayLike,
    *,
    clusters: Iterable[Hashable] | None = None,
    fixed: bool = False,
    statistic: Callable[..., Values] = np.mean,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """An interval of any statistic of few values: Student's, its standard error bootstrapped.

    values: finite numbers. clusters: what each belongs to (its picture); whole clusters are drawn,
    and their values kept, which comes nearer to the spread that there is than to draw twice
    (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8). fixed:
    draws within each cluster instead (stratified), so that the interval speaks of these clusters
    alone. statistic: takes `axis`, as numpy's do. The standard error over resamples is widened by
    sqrt(n / (n - 1)) for n things drawn, and taken times Student's quantile, as Hesterberg advises
    for small samples ("What Teachers Should Know About the Bootstrap", The American Statistician
    69, 2015); bare percentiles from three or five seeds are far too narrow.
    NaN where there is one thing to draw.
    """
    parts = _parts(np.asarray(values, np.float64), clusters)
    rng = np.random.default_rng(seed)
    if fixed or len(parts) == 1:
        count, freedom = sum(map(len, parts)), sum(len(part) - 1 for part in parts)
    else:
        count, freedom = len(parts), len(parts) - 1
    if freedom < 1:
        return math.nan, math.nan
    if fixed or len(parts) == 1:
        drawn = [part[rng.integers(len(part), size=(resamples, len(part)))] for part in parts]
        found = statistic(np.concatenate(drawn, axis=1), axis=1)
    else:
        picks = rng.integers(len(parts), size=(resamples, len(parts)))
        found = np.array(
            [statistic(np.concatenate([parts[each] for each in pick]), axis=0) for pick in picks]
        )
    widened = float(np.std(found)) * math.sqrt(count / freedom)
    centre = float(statistic(np.concatenate(parts), axis=0))
    half = float(stdtrit(freedom, (1 + level) / 2)) * widened
    return centre - half, centre + half


def pooled_deviation(values: ArrayLike, groups: Iterable[Hashable]) -> float:
    """The standard deviation within groups, pooled over them; NaN if no group has two values."""
    parts = _parts(np.asarray(values, np.float64), groups)
    freedom = sum(len(part) - 1 for part in parts)
    return math.sqrt(sum(part.var() * len(part) for part in parts) / freedom) if freedom else np.nan


def _means_of_groups(
    values: Values, clusters: Sequence[Hashable], groups: Sequence[Hashable]
) -> list[Values]:
    """The means of each cluster's groups, nothing where no cluster has two."""
    both = list(zip(clusters, groups, strict=True))
    means: dict[Hashable, list[float]] = {}
    for (cluster, _), part in zip(dict.fromkeys(both), _parts(values, both), strict=True):
        means.setdefault(cluster, []).append(float(part.mean()))
    return [np.array(each) for each in means.values()] if len(set(both)) > len(means) else []


def _parts(values: Values, clusters: Iterable[Hashable] | None) -> list[Values]:
    """The values of each cluster, in order of appearance."""
    if clusters is None:
        return [values]
    parts: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        parts.setdefault(cluster, []).append(value)
    return [np.array(part) for part in parts.values()]
