"""Fits that differ in one setting, or in two, and are alike in all that can be alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.comparable import Arm, Comparable
from analysis.leaderboard import higher_is_better
from analysis.trials import SETTINGS
from analysis.verdicts import BEST, COMPANIONS, STRICT

_UNIT = ["problem", "picture", "seeding"]


@dataclass(frozen=True)
class Pairs:
    """Differences between arms, and how their fits were brought together.

    table: problem, picture, seeding and difference, a row a pair. pairing: "strict" (all other
    settings equal), "with companions" (all but those in `follow`, which have one value in each
    arm) or "best of each" (free in those in `over`). settings: how many combinations of `over` each
    arm has; tries: how many of them count; used: the share of the arms' fits that stand in a pair.
    """

    table: pd.DataFrame
    pairing: str
    follow: list[str]
    over: list[str]
    settings: list[int]
    tries: int
    used: float


def pair(data: Comparable, arms: Sequence[Arm], signs: Sequence[int]) -> Pairs | None:
    """Pairs of the arms' fits on problem (picture and noise), seeds and settings; None if none.

    difference: the sum over arms of sign times score. First all other settings are to be equal,
    but for those that follow from a factor. If no fits are, two kinds of settings are set free:
    those that the factor comes before and that have no value in common on its two sides (the
    learning rates of two optimizers), and those with values beyond counting; with one factor, at
    last all. A setting before the factor without a common value explains the difference as well
    as the factor does (lr 1 is sgd's alone), so there are no pairs.
    Fits that differ in free settings are tries at the same thing, of which one takes the best. An
    arm with more tries would win by their number alone; so every arm counts with the expected best
    of equally many, the fewest that any arm has in any pair.
    """
    members = [data.members(arm) for arm in arms]
    if not all(map(len, members)):
        return None
    own = list(arms[0])
    follow = [name for factor in own for name in data.factors[factor]]
    others = [name for name in data.settings if name not in (*own, *follow)]
    choices = [others]
    after, before = _apart(data, arms, members, others)
    if not before:
        choices.append([name for name in others if name not in (*after, *data.drawn)])
        if len(own) == 1:
            choices.append([])
    for kept in choices:
        tries = [_tries(data, rows, kept) for rows in members]
        shared = tries[0].index
        for other in tries[1:]:
            shared = shared.intersection(other.index, sort=False)
        if len(shared):
            cells = [each.loc[shared] for each in tries]
            free = [name for name in others if name not in kept]
            return _pairs(data, cells, signs, follow, free, fits=sum(map(len, members)))
    return None


def _pairs(
    data: Comparable,
    cells: Sequence[pd.Series],
    signs: Sequence[int],
    follow: list[str],
    free: list[str],
    *,
    fits: int,
) -> Pairs:
    """cells: of each arm, the trials of each pair, alike in index."""
    higher = higher_is_better(data.metric)
    tries = min(len(trials) for arm in cells for trials in arm) if free else 1
    scores = data.trials["score"].to_dict()  # looking up few at a time is quicker here
    best = [
        [expected_best([scores[trial] for trial in each], tries, higher=higher) for each in arm]
        for arm in cells
    ]
    stood = [[trial for trials in arm for trial in trials] for arm in cells]
    settings = [
        len(data.keys.loc[trials, free].drop_duplicates()) if free else 1 for trials in stood
    ]
    if max(settings) == 1:  # nothing to choose among: they follow, here
        follow, free = [*follow, *free], []
    values = data.keys.loc[[trial for trials in stood for trial in trials]]
    differ = [name for name in follow if values[name].nunique() > 1]
    return Pairs(
        table=cells[0]
        .index.to_frame(index=False)[_UNIT]
        .assign(difference=np.array(signs) @ np.array(best)),
        pairing=BEST if free else COMPANIONS if differ else STRICT,
        follow=differ,
        over=free,
        settings=settings,
        tries=tries,
        used=sum(map(len, stood)) / fits,
    )


def _tries(data: Comparable, rows: pd.Index, kept: Sequence[str]) -> pd.Series:
    """The trials of each problem, seeding and combination of the settings kept, as lists."""
    by = pd.concat([data.trials.loc[rows, _UNIT], data.keys.loc[rows, list(kept)]], axis=1)
    return pd.Series(rows, index=rows).groupby([by[name] for name in by]).agg(list)


def _apart(
    data: Comparable, arms: Sequence[Arm], members: Sequence[pd.Index], names: Sequence[str]
) -> tuple[set[str], set[str]]:
    """Settings without a common value on the sides of a factor: those after it, those before."""
    after, before = set(), set()
    for factor in arms[0]:
        sides: dict[int, list[str]] = {}
        for arm, rows in zip(arms, members, strict=True):
            sides.setdefault(arm[factor], []).extend(rows)
        one, other = (data.keys.loc[rows] for rows in sides.values())
        found = {name for name in names if not set(one[name]) & set(other[name])}
        late = {name for name in found if SETTINGS.index(name) > SETTINGS.index(factor)}
        after |= late
        before |= found - late - set(data.drawn)
    return after, before


def expected_best(scores: ArrayLike, tries: int, *, higher: bool = True) -> float:
    """The expected best of `tries` of the scores, drawn without putting back.

    1 is their mean, all of them their best. Dodge et al., "Show Your Work", EMNLP 2019, in the
    unbiased form of Tang et al., "Showing Your Work Doesn't Always Work", ACL 2020. higher:
    whether more is better.
    """
    rising = np.sort(np.asarray(scores, np.float64))
    if not higher:
        rising = rising[::-1]
    ways = [math.comb(place, tries - 1) for place in range(len(rising))]
    shares: NDArray[np.float64] = np.array(ways, np.float64) / math.comb(len(rising), tries)
    return float(shares @ rising)
