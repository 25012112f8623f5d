"""What one setting, or two together, change: differences of fits that are alike otherwise."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from analysis.comparable import Arm, Comparable, comparable
from analysis.configuration import label
from analysis.intervals import (
    FEWEST_CLUSTERS,
    interquartile_mean,
    mean_interval,
    pooled_deviation,
)
from analysis.leaderboard import higher_is_better
from analysis.pairs import Pairs, pair
from analysis.sweep import Sweep
from analysis.verdicts import LARGER, NOT_SHOWN, ONE_SEED, SMALLER

_DTYPES = {
    **dict.fromkeys(("pairs", "pictures", "seeds"), "int64"),
    **dict.fromkeys(("difference", "low", "high", "p", "p_adjusted"), "float64"),
    **dict.fromkeys(("iqm", "lowest", "highest", "seed_std"), "float64"),
    **dict.fromkeys(("scope", "verdict", "pairing", "over"), "str"),
    **dict.fromkeys(("settings", "versus_settings", "tries"), "int64"),
    "used": "float64",
}
_FACTOR = ("factor", "value", "versus", "value_with", "versus_with")
_CONTRAST = ("factor", "value", "versus", "other", "other_value", "other_versus", "contrast")


def effects(
    sweep: Sweep,
    *,
    metric: str | None = None,
    trials: Iterable[str] | str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """A row for each two values of each setting that varies, seeds apart; unordered pairs once.

    factor, value, versus: texts. value_with, versus_with: the settings that follow from the value
    and differ ("features 32"), which are no factors of their own.
    pairs, pictures (files, whatever their noise), seeds: what the difference rests on.
    difference: value minus versus in the metric's unit, whichever is better: the mean over
    pictures of the mean over noises and seeds of the mean over other settings.
    low, high, p: `mean_interval` at `level`, seeds within pictures, noises as groups; p_adjusted:
    p after Benjamini and Hochberg (1995) over all rows. scope: what the interval speaks of:
    "pictures" from three on, else "these pictures" or "this picture" alone; where one of these has
    several noises, also of others, else of the noise that there is.
    iqm: interquartile mean of the paired differences. lowest, highest: of a single picture.
    seed_std: standard deviation over seeds at equal settings, of one fit, pooled.
    verdict: "larger" or "smaller" (the value's score than the other's) where p_adjusted is at most
    1 - level, "not shown", or "one seed" where nobody can tell, and no interval is given.
    pairing, over, settings, versus_settings, tries, used: how fits were paired, see `pair`.

    Values that never stand in a pair have no row, nor has a setting of more than eight values.
    Other settings count as chosen, not drawn: an interval holds for those that were tried.
    attrs: metric, level, higher_is_better, comparisons (rows with a p), notes (what was left out).
    Raises UnknownNameError for a metric or trial that does not exist.
    """
    data = comparable(sweep, metric=metric, trials=trials)
    rows = []
    for factor in data.factors:
        texts = data.values(factor)
        for value, versus in itertools.combinations(texts, 2):
            arms = [{factor: value}, {factor: versus}]
            pairs = pair(data, arms, (1, -1))
            if pairs is not None:
                withs = [
                    label(data.trials.loc[rows[0]], pairs.follow)
                    for rows in map(data.members, arms)
                ]
                named = (factor, texts[value], texts[versus], *withs)
                rows.append(dict(zip(_FACTOR, named, strict=True)) | _row(data, arms, pairs, level))
    return _table(data, rows, _FACTOR, level)


def interactions(
    sweep: Sweep,
    *,
    metric: str | None = None,
    trials: Iterable[str] | str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """A row for each two settings and two values of each: does one change what the other does?

    factor, value, versus, other, other_value, other_versus: texts, and all of them in `contrast`.
    difference: (value minus versus) at other_value, minus the same at other_versus, from fits of
    one picture, noise and seed in all four corners. The other columns, attrs and errors are those
    of `effects`, but settings and versus_settings, the most and the fewest of an arm. Settings of
    which one decides the other (optimizer and momentum) have no row.
    """
    data = comparable(sweep, metric=metric, trials=trials)
    rows = []
    for factor, other in itertools.combinations(data.factors, 2):
        ours, others = data.values(factor), data.values(other)
        for (a, b), (c, d) in itertools.product(
            itertools.combinations(ours, 2), itertools.combinations(others, 2)
        ):
            arms = [{factor: one, other: two} for two in (c, d) for one in (a, b)]
            pairs = pair(data, arms, (1, -1, -1, 1))
            if pairs is None:
                continue
            contrast = f"{ours[a]} against {ours[b]}, at {others[c]} against {others[d]}"
            named = (factor, ours[a], ours[b], other, others[c], others[d], contrast)
            rows.append(dict(zip(_CONTRAST, named, strict=True)) | _row(data, arms, pairs, level))
    return _table(data, rows, _CONTRAST, level)


def _row(data: Comparable, arms: Sequence[Arm], pairs: Pairs, level: float) -> dict[str, Any]:
    table = pairs.table
    units = table.groupby(["picture", "problem", "seeding"])["difference"].mean()
    pictures, noises = (units.index.get_level_values(name) for name in ("picture", "problem"))
    seeds = table["seeding"].nunique()
    mean, low, high, p = mean_interval(units, clusters=pictures, groups=noises, level=level)
    if seeds == 1:  # its luck may be the same in all pictures
        low = high = p = np.nan
    single = units.groupby("picture").mean()
    members = [trial for arm in arms for trial in data.members(arm)]
    same = [
        data.trials.loc[members, "problem"],
        *(data.keys.loc[members, name] for name in data.settings),
    ]
    spread = pooled_deviation(data.trials.loc[members, "score"], zip(*same, strict=True))
    counts = pairs.settings
    first, second = counts if len(counts) == 2 else (max(counts), min(counts))
    return {
        "pairs": len(table),
        "pictures": len(single),
        "seeds": seeds,
        "difference": mean,
        "low": low,
        "high": high,
        "p": p,
        "iqm": float(interquartile_mean(table["difference"])),
        "lowest": single.min(),
        "highest": single.max(),
        "seed_std": spread,
        "scope": _scope(len(single)),
        "pairing": pairs.pairing,
        "settings": first,
        "versus_settings": second,
        "tries": pairs.tries,
        "over": ", ".join(pairs.over),
        "used": pairs.used,
    }


def _scope(pictures: int) -> str:
    if pictures >= FEWEST_CLUSTERS:
        return "pictures"
    return "these pictures" if pictures > 1 else "this picture"


def _table(
    data: Comparable, rows: list[dict[str, Any]], names: Iterable[str], level: float
) -> pd.DataFrame:
    columns = [*names, *_DTYPES]
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(names, "str") | _DTYPES)
    told = frame["p"].notna()
    frame.loc[told, "p_adjusted"] = false_discovery_control(frame.loc[told, "p"])
    rises = frame["difference"] > 0
    shown = frame["p_adjusted"] <= 1 - level
    choices = [~told, ~shown, rises]
    frame["verdict"] = np.select(choices, [ONE_SEED, NOT_SHOWN, LARGER], default=SMALLER)
    frame["verdict"] = frame["verdict"].astype("str")
    frame.attrs = {
        "metric": data.metric,
        "level": level,
        "higher_is_better": higher_is_better(data.metric),
        "comparisons": int(told.sum()),
        "notes": [*data.notes, *_drawn_note(data)],
    }
    return frame


def _drawn_note(data: Comparable) -> Iterator[str]:
    if data.drawn:
        many = ", ".join(f"{name} ({data.keys[name].nunique()})" for name in data.drawn)
        yield f"Too many values to compare one by one: {many}; their importance can be told."
        yield "Intervals speak of the settings tried; which were drawn is luck beside them."
