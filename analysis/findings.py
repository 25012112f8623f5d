"""Tables of effects in plain sentences: which differences are larger than the seeds' noise."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.verdicts import BEST, LARGER, NOT_SHOWN, ONE_SEED, SMALLER
from dipray.trace import COLUMNS

_COLUMNS = {column.name: column for column in COLUMNS}
_TURNED = {LARGER: SMALLER, SMALLER: LARGER}
_WORDS_OF_MANY = ("none", "auto", "yes", "no")  # values of more than one setting
_ALL_PAIRED = 0.75  # a smaller share of fits in pairs is said

Attrs = Mapping[Any, Any]


def sentences(
    effects: pd.DataFrame, interactions: pd.DataFrame | None = None, *, most: int = 10
) -> list[str]:
    """What the tables of `effects` and `interactions` show, a sentence each.

    First the differences that are shown, the greatest first, each with the better value in front;
    then those that are not shown, then those from one seed. most: of either table; what is beyond
    is counted. Then what holds for all: the metric, how many comparisons there were of either kind,
    fits that were left out.
    """
    said = list(_of_table(effects, _effect, most, "difference"))
    if interactions is not None:
        said += _of_table(interactions, _interaction, most, "interaction")
    if not said:
        said = ["No two fits differ in one setting and are alike otherwise: nothing to compare."]
    return [*said, *_notes(effects, interactions)]


def unit_of(metric: str) -> str:
    """The unit of a metric of the trials' table: dB, s, 1/px, or nothing."""
    column = _COLUMNS.get(_base(metric))
    return "" if column is None or column.unit == "1" else column.unit


def _base(metric: str) -> str:
    return metric.removesuffix("_final").removesuffix("_peak")


def _of_table(
    frame: pd.DataFrame, say: Callable[[pd.Series, Attrs], str], most: int, what: str
) -> Iterator[str]:
    order = {LARGER: 0, SMALLER: 0, NOT_SHOWN: 1, ONE_SEED: 2}
    ranked = frame.assign(rank=frame["verdict"].map(order), size=-frame["difference"].abs())
    ranked = ranked.sort_values(["rank", "size"], kind="stable")
    for _, row in ranked.head(most).iterrows():
        better = (row["difference"] > 0) == frame.attrs["higher_is_better"]
        yield say(row if better or row["difference"] == 0 else _turned(row), frame.attrs)
    rest = ranked.iloc[most:]
    if len(rest):
        shown = int((rest["rank"] == 0).sum())
        yield f"The table has {_count(len(rest), f'more {what}')}, {shown} of them shown."


def _turned(row: pd.Series) -> pd.Series:
    """The same contrast seen from the other value, of the second factor where there are two."""
    row = row.copy()
    one, two = ("other_value", "other_versus") if "other" in row else ("value", "versus")
    swaps = [(one, two)]
    if "other" not in row:
        swaps += [("value_with", "versus_with"), ("settings", "versus_settings")]
    for a, b in (*swaps, ("low", "high"), ("lowest", "highest")):
        row[a], row[b] = row[b], row[a]
    for name in ("difference", "low", "high", "lowest", "highest"):
        row[name] = -row[name]
    row["verdict"] = _TURNED.get(row["verdict"], row["verdict"])
    return row


def _effect(row: pd.Series, attrs: Attrs) -> str:
    value = _named(row["factor"], row["value"], row["value_with"])
    # the setting's name is said once, but for values that say nothing without it
    bare = _needs_name(row["value"]) and _needs_name(row["versus"])
    versus = _named("" if bare else row["factor"], row["versus"], row["versus_with"])
    difference = _quantity(row["difference"], attrs["metric"], sign=True)
    return f"{value} against {versus}: {difference} {_basis(row, attrs)}"


def _interaction(row: pd.Series, attrs: Attrs) -> str:
    value, versus = (_named(row["factor"], row[name]) for name in ("value", "versus"))
    one, two = (_named(row["other"], row[name]) for name in ("other_value", "other_versus"))
    way = "higher" if row["difference"] >= 0 else "lower"
    difference = _quantity(abs(row["difference"]), attrs["metric"])
    contrast = f"With {one} rather than {two}, {value} against {versus} comes out"
    return f"{contrast} {difference} {way} {_basis(row, attrs)}"


def _needs_name(value: str) -> bool:
    return value in _WORDS_OF_MANY or not value.replace("_", "").isalpha()


def _named(factor: str, value: str, companions: str = "") -> str:
    named = f"{factor} {value}" if factor and _needs_name(value) else value
    return f"{named} ({companions})" if companions else named


def _basis(row: pd.Series, attrs: Attrs) -> str:
    """What a difference rests on, in brackets, and what it comes to."""
    metric = attrs["metric"]
    counts = [_count(row[f"{noun}s"], noun) for noun in ("pair", "picture", "seed")]
    said = f"{counts[0]} over {counts[1]} and {counts[2]}{_how(row)}"
    if row["verdict"] == ONE_SEED:
        return f"({said}): {ONE_SEED}, which may be luck."
    low, high = (_number(row[name], metric, sign=True) for name in ("low", "high"))
    interval = f"{100 * attrs['level']:g} % interval {low} to {high}"
    return f"({interval}, {said}): {_verdict(row, metric)}{_scope(row, metric)}."


def _how(row: pd.Series) -> str:
    said = ""
    if row["pairing"] == BEST:
        names, tries = row["over"].split(", "), row["tries"]
        over = ", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} others"
        first, second = row["settings"], row["versus_settings"]
        what = "mean over" if tries == 1 else f"expected best of {tries} among"
        if first == second == tries:
            said = f"; best of {tries} settings of {over} each"
        elif "other" in row:
            said = f"; {what} {second} to {first} settings of {over}"
        else:
            said = f"; {what} {_count(first, 'setting')} of {over} against {second}"
    if row["used"] < _ALL_PAIRED:
        said += f"; {100 * row['used']:.0f} % of their fits can be paired"
    return said


def _verdict(row: pd.Series, metric: str) -> str:
    if row["verdict"] == NOT_SHOWN:
        excludes = row["low"] > 0 or row["high"] < 0
        return f"{NOT_SHOWN} to differ{', being one of many comparisons' if excludes else ''}"
    if pd.isna(row["seed_std"]):
        return "shown to differ"
    noise = _quantity(row["seed_std"], metric)
    if abs(row["difference"]) > row["seed_std"]:
        return f"larger than the seed noise ({noise})"
    return f"shown to differ, by less than the seed noise of one fit ({noise})"


def _scope(row: pd.Series, metric: str) -> str:
    if row["scope"] == "this picture":
        return "; on this picture alone"
    low, high = (_number(row[name], metric, sign=True) for name in ("lowest", "highest"))
    alone = "; on these pictures alone" if row["scope"] == "these pictures" else ""
    return f"{alone}; {low} to {high} on single pictures"


def _notes(effects: pd.DataFrame, interactions: pd.DataFrame | None) -> Iterator[str]:
    attrs = effects.attrs
    if len(effects) or (interactions is not None and len(interactions)):
        yield _compared_by(attrs)
    count = attrs["comparisons"]
    together = 0 if interactions is None else interactions.attrs["comparisons"]
    if max(count, together) > 1:
        chance = round(100 * (1 - attrs["level"]), 6)
        made = f"{_count(count, 'comparison')} of values"
        if together:
            made += f" and {together} of how one setting changes another, corrected apart,"
        yield (
            f"{made} were made; of the differences called{' in each' if together else ''}, at most "
            f"{chance:g} % are to be expected by chance (Benjamini and Hochberg's correction)."
        )
    yield from attrs["notes"]


def _compared_by(attrs: Attrs) -> str:
    metric = attrs["metric"]
    if metric.startswith(("loss", "data_loss")):
        return (
            f"By {metric}, lower is better; it tells how closely a fit follows its measurement, "
            "noise included, not how good its picture is."
        )
    said, column = f"Compared by {metric}", _COLUMNS.get(_base(metric))
    what, of, _ = ("" if column is None else column.meaning).partition(", of the output")
    if of:
        which = "best" if metric.endswith("_peak") else "last"
        owner = "the output's average" if _base(metric).endswith("_ema") else "the output"
        said += f", the {which} {what.partition(',')[0]} of {owner}"
    return said + ("." if attrs["higher_is_better"] else "; lower counts as better.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _number(value: float, metric: str, *, sign: bool = False) -> str:
    text = f"{value:{'+' if sign else ''}{'.2f' if unit_of(metric) == 'dB' else '.3g'}}"
    return text.replace("-", "+") if float(text) == 0 else text


def _quantity(value: float, metric: str, *, sign: bool = False) -> str:
    return f"{_number(value, metric, sign=sign)} {unit_of(metric)}".rstrip()
