"""What a tenfold learning rate changes, over pictures, where fits are equally far."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from analysis.intervals import mean_interval
from analysis.lr_bias import EQUAL, furthest, in_decibels
from analysis.matched import By
from experiments.studies.pictures import picture_of

_EFFECTS = ["column", "mean", "low", "high", "p", "pictures", "fewest_lrs", "most_lrs"]


def rate_effects(slopes: pd.DataFrame, *, by: By) -> pd.DataFrame:
    """A row a column: the mean over pictures of its change for a tenfold learning rate.

    slopes: what `lr_slopes` gives of fits that were matched `by`; of each problem counts the level
    that `furthest` chooses. mean, low, high, p: dB for a PSNR, a share else (averaged as ratios),
    `mean_interval` with pictures as clusters; fewest_lrs, most_lrs: how many rates the slope of a
    problem rests on.
    """
    rows = []
    for column, part in furthest(slopes, by=by).groupby("column", sort=False):
        changes, decibels = part["change"].to_numpy(np.float64), in_decibels(str(column))
        clusters = part["problem"].map(picture_of)
        found = mean_interval(changes if decibels else np.log10(1 + changes), clusters=clusters)
        bounds = [each if decibels else 10**each - 1 for each in found[:3]]
        lrs = part["lrs"]
        rows.append((column, *bounds, found.p, clusters.nunique(), lrs.min(), lrs.max()))
    return pd.DataFrame(rows, columns=_EFFECTS)


def effects_table(effects: pd.DataFrame, columns: Sequence[str]) -> Table:
    """For a terminal: a row an arm and column, the change at equal loss, iterations and so on.

    effects: rows of `rate_effects` with columns arm and by.
    """
    pictures = effects["pictures"].max()
    shown = Table(
        title=f"change for a tenfold rate, mean over {pictures} pictures, 95 % intervals",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    shown.add_column("", no_wrap=True)
    for text in EQUAL.values():
        shown.add_column(text, justify="right")
    for arm, own in effects.groupby("arm", sort=False):
        shown.add_row(str(arm))
        for column in columns:
            found = [own[(own["column"] == column) & (own["by"] == by)] for by in EQUAL]
            unit = "dB" if in_decibels(column) else "%"
            shown.add_row(f"  {column}, {unit}", *(_cell(rows, unit) for rows in found))
    return shown


def null_sentence(effects: pd.DataFrame) -> str:
    """Whether "at equal training loss the rate leaves the total variation as it is" holds up.

    effects: rows of `rate_effects` with columns arm and by.
    """
    answers: dict[str, list[str]] = {"rejected": [], "not rejected": [], "not tested": []}
    of_tv = effects[(effects["column"] == "tv") & (effects["by"] == "loss")]
    for arm in dict.fromkeys(effects["arm"]):
        low, high = of_tv.loc[of_tv["arm"] == arm, ["low", "high"]].to_numpy(np.float64).T
        if not np.isfinite(low).any():
            answers["not tested"].append(arm)
            continue
        holds = bool(low[0] <= 0 <= high[0])
        answers["not rejected" if holds else "rejected"].append(arm)
    said = [
        f"{answer} for {' and '.join(f'({arm})' for arm in each)}"
        for answer, each in answers.items()
        if each
    ]
    return (
        "the null hypothesis, that at equal training loss the rate leaves total variation as it "
        f"is: {'; '.join(said)}"
    )


def _cell(rows: pd.DataFrame, unit: str) -> str:
    if rows.empty:
        return "–"
    row = rows.iloc[0]
    times, digits = (100, "+.1f") if unit == "%" else (1, "+.2f")
    mean, low, high = (f"{times * row[name]:{digits}}" for name in ("mean", "low", "high"))
    return mean if np.isnan(row["low"]) else f"{mean} ({low} to {high})"
