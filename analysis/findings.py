"""Tables of effects in plain sentences: which differences are larger than the seeds' noise."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from dipray.trace import COLUMNS

_UNITS = {column.name: column.unit for column in COLUMNS}
_WORDS_OF_MANY = ("none", "auto", "yes", "no")  # values of more than one setting
_ALL_PAIRED = 0.75  # a smaller share of fits in pairs is said

Attrs = Mapping[Any, Any]


def sentences(
    effects: pd.DataFrame, interactions: pd.DataFrame | None = None, *, most: int = 10
) -> list[str]:
    """What the tables of `effects` and `interactions` show, a sentence each.

    First the differences that are shown, the greatest first, each with the better value in front;
    then those that are not shown, then those from one seed. most: of either table; what is beyond
    is counted. Then what holds for all: the number of comparisons, fits that were left out.
    """
    said = list(_of_table(effects, _effect, most, "difference"))
    if interactions is not None:
        said += _of_table(interactions, _interaction, most, "interaction")
    if not said:
        said = ["No two fits differ in one setting and are alike otherwise: nothing to compare."]
    said += _notes(effects)
    return said


def unit_of(metric: str) -> str:
    """The unit of a metric of the trials' table: dB, s, 1/px, or nothing."""
    unit = _UNITS.get(metric.removesuffix("_final").removesuffix("_peak"), "1")
    return "" if unit == "1" else unit


def _of_table(
    frame: pd.DataFrame, say: Callable[[pd.Series, Attrs], str], most: int, what: str
) -> Iterator[str]:
    order = {"larger": 0, "smaller": 0, "not shown": 1, "one seed": 2}
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
    row["verdict"] = {"larger": "smaller", "smaller": "larger"}.get(row["verdict"], row["verdict"])
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
    if row["verdict"] == "one seed":
        return f"({said}): one seed, which may be luck."
    low, high = (_number(row[name], metric, sign=True) for name in ("low", "high"))
    interval = f"{100 * attrs['level']:g} % interval {low} to {high}"
    return f"({interval}, {said}): {_verdict(row, metric)}{_scope(row, metric)}."


def _how(row: pd.Series) -> str:
    said = ""
    if row["pairing"] == "best of each":
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
    if row["verdict"] == "not shown":
        excludes = row["low"] > 0 or row["high"] < 0
        return f"not shown to differ{', being one of many comparisons' if excludes else ''}"
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


def _notes(frame: pd.DataFrame) -> Iterator[str]:
    metric, count = frame.attrs["metric"], frame.attrs["comparisons"]
    if metric.startswith(("loss", "data_loss")) and len(frame):
        yield (
            f"By {metric}, lower is better; it tells how closely a fit follows its measurement, "
            "noise included, not how good its picture is."
        )
    elif not frame.attrs["higher_is_better"] and len(frame):
        yield f"By {metric}, lower counts as better."
    if count > 1:
        chance = round(100 * (1 - frame.attrs["level"]), 6)
        yield (
            f"{count} comparisons were made; of the differences called, at most {chance:g} % are "
            "to be expected by chance (Benjamini and Hochberg's correction)."
        )
    yield from frame.attrs["notes"]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _number(value: float, metric: str, *, sign: bool = False) -> str:
    text = f"{value:{'+' if sign else ''}{'.2f' if unit_of(metric) == 'dB' else '.3g'}}"
    return text.replace("-", "+") if float(text) == 0 else text


def _quantity(value: float, metric: str, *, sign: bool = False) -> str:
    return f"{_number(value, metric, sign=sign)} {unit_of(metric)}".rstrip()
