"""What a learning rate changes: tables over seeds, and slopes with intervals."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.intervals import mean_interval
from analysis.matched import ASTRAY, HEAD, By

EQUAL: dict[By, str] = {
    "loss": "at equal training loss",
    "iteration": "at equal iterations",
    "lr_x_iteration": "at equal lr x iterations",
}

_NONE = 0.0005  # dB, or a share: what rounds to nothing
_MOST_SHARE = 10  # a share beyond it says no more than that nothing is known


def in_decibels(column: str) -> bool:
    """Whether a column is compared by its difference; all others are by their ratio."""
    return column.startswith("psnr")


def lr_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of `matched` over its seeds: a row for each problem, learning rate and level.

    problem, lr, level, trials, diverged (or collapsed), reached (trials that got there); then
    iteration and for each column its mean over those that got there, with `_low` and `_high`
    (Student's 95 % interval over seeds, NaN below two).
    """
    columns = [name for name in frame.columns if name not in HEAD]
    rows = []
    for (problem, lr, level), part in frame.groupby(["problem", "lr", "level"], sort=True):
        got_there = part.dropna(subset="iteration")
        row = {
            "problem": problem,
            "lr": lr,
            "level": level,
            "trials": len(part),
            "diverged": int(part["outcome"].isin(ASTRAY).sum()),
            "reached": len(got_there),
            "iteration": got_there["iteration"].mean(),
        }
        for name in columns:
            values = got_there[name].dropna().to_numpy(np.float64)
            found = (math.nan,) * 3 if not values.size else mean_interval(values)[:3]
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))
        rows.append(row)
    shown = [each for name in columns for each in (name, f"{name}_low", f"{name}_high")]
    head = ["problem", "lr", "level", "trials", "diverged", "reached", "iteration"]
    return pd.DataFrame(rows, columns=[*head, *shown])


def lr_slopes(frame: pd.DataFrame) -> pd.DataFrame:
    """How each column changes for a tenfold learning rate, at each level of a `matched` frame.

    A straight line in log10(lr) is fitted for each seed over the learning rates that it reached
    the level with, two or more. Rows: problem, level, column, change, low, high, seeds, lrs. The
    change is in dB for a PSNR, and a share (-0.05: five percent less) else; low and high are
    Student's 95 % interval over seeds. Only seeds with the same, greatest set of learning rates
    (of several the commonest) count, since a line over others would mean something else. Fits that
    diverged or collapsed do not count: for the sake of their first steps all others would be
    compared there.
    """
    rows = []
    frame = frame[~frame["outcome"].isin(ASTRAY)]
    for (problem, level), part in frame.groupby(["problem", "level"], sort=True):
        for column in (name for name in frame.columns if name not in HEAD):
            slopes, lrs = _slopes(part, column)
            if not slopes.size:
                continue
            change, low, high, _ = mean_interval(slopes)
            if not in_decibels(column):
                change, low, high = (10**each - 1 for each in (change, low, high))
            rows.append((problem, level, column, change, low, high, len(slopes), lrs))
    names = ["problem", "level", "column", "change", "low", "high", "seeds", "lrs"]
    return pd.DataFrame(rows, columns=names)


def _slopes(part: pd.DataFrame, column: str) -> tuple[NDArray[np.float64], int]:
    known = part.dropna(subset=[column, "iteration"])
    means = known.groupby(["seed", "lr"], as_index=False)[column].mean()
    by_seed = dict(tuple(means.groupby("seed")))
    sets = {seed: tuple(rows["lr"]) for seed, rows in by_seed.items()}
    shared = list(sets.values())
    most = max(shared, key=lambda lrs: (len(lrs), shared.count(lrs)), default=())
    if len(most) < 2:
        return np.empty(0), 0
    slopes = []
    for seed, rows in by_seed.items():
        if sets[seed] == most:
            values = rows[column].to_numpy(np.float64)
            if not in_decibels(column):
                values = np.log10(np.maximum(values, 1e-12))
            slopes.append(float(np.polyfit(np.log10(rows["lr"]), values, 1)[0]))
    return np.array(slopes), len(most)


def furthest(slopes: pd.DataFrame, *, by: By) -> pd.DataFrame:
    """The row of each problem and column at the level that most rates, then most seeds, reach.

    Of several such levels the furthest. slopes: of a frame that was matched `by`.
    """
    ranked = slopes.assign(far=-slopes["level"] if by == "loss" else slopes["level"])
    ranked = ranked.sort_values(["lrs", "seeds", "far"], ascending=False, kind="stable")
    chosen = ranked.drop_duplicates(["problem", "column"]).index
    return slopes.loc[[index for index in slopes.index if index in chosen]]


def lr_sentences(
    slopes: pd.DataFrame, *, by: By, columns: Sequence[str] = ("tv", "psnr")
) -> list[str]:
    """What the slopes say at their `furthest` level, a sentence for each problem and column."""
    return [
        f"{row['problem']}, {EQUAL[by]} ({row['level']:g}, {row['lrs']} learning rates): "
        f"{row['column']} changes by {_change(row, 'change')} for a tenfold learning rate"
        f"{_verdict(row)}"
        for _, row in furthest(slopes, by=by).iterrows()
        if row["column"] in columns
    ]


def level_sentences(slopes: pd.DataFrame, *, by: By, columns: Sequence[str]) -> list[str]:
    """What the slopes say over all levels, a sentence for each problem and column.

    Many levels are many chances to see a difference that is none, so they are counted.
    """
    said = []
    for (problem, column), part in slopes.groupby(["problem", "column"], sort=False):
        known = part.dropna(subset="low")
        if column not in columns or known.empty:
            continue
        ends = [
            _change(known.loc[known["change"].agg(end)], "change") for end in ("idxmin", "idxmax")
        ]
        shown = int((~known.apply(_holds_none, axis=1)).sum())
        said.append(
            f"{problem}, {EQUAL[by]}: over {len(known)} "
            f"level{'s'[: len(known) > 1]} a tenfold learning rate changes "
            f"{column} by {ends[0]} to {ends[1]}; the 95 % interval leaves out zero at {shown} "
            "of them"
        )
    return said


def change_text(row: pd.Series) -> str:
    """A slope with its interval, without the unit of dB: +1.4% (+0.2% to +2.5%)."""
    change, low, high = (
        _change(row, name).removesuffix(" dB") for name in ("change", "low", "high")
    )
    return change if math.isnan(row["low"]) else f"{change} ({low} to {high})"


def _change(row: pd.Series, name: str) -> str:
    value = float(row[name])
    if in_decibels(row["column"]):
        text = f"{value:+.2f} dB"
    else:
        text = f"{value:+.1%}" if value < _MOST_SHARE else f"over {_MOST_SHARE:+.0%}"
    return text.replace("-", "+") if text.startswith(("-0.00 ", "-0.0%")) else text


def _holds_none(row: pd.Series) -> bool:
    """Whether no change at all lies in the interval, as far as the text tells it."""
    return bool(row["low"] <= _NONE and row["high"] >= -_NONE)


def _verdict(row: pd.Series) -> str:
    if math.isnan(row["low"]):
        return "; one seed alone, so its noise is not known"
    interval = f" (95 % interval {_change(row, 'low')} to {_change(row, 'high')})"
    if _holds_none(row):
        return f"{interval}: not shown to differ from none over {row['seeds']} seeds"
    return f"{interval}: larger than the noise of {row['seeds']} seeds"
