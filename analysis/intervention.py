"""Fits whose learning rate was changed on the way, beside the same fits without the change."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.edge import RATIO, REACHED, REFUTED, SUPPORTED, UNDECIDED
from analysis.groups import groups
from analysis.intervals import bootstrap_interval
from analysis.matched import ASTRAY, endings_of, matched
from analysis.sweep import Sweep

COMPARED = ("sharpness", "tv", "laplacian", "hf_energy", "noise_fraction_5", "psnr")
EXPECTED = ("sharpness", "tv")  # what a change of the rate should move, see `jump_verdict`
_JUMP = ("lr_schedule", "lr_jump_at", "lr_jump_by")
_ABOUT = ("problem", "lr", "seed", "lr_jump_at", "lr_jump_by")
_LEVELS = 4
_CLOSE = 0.05  # a log-ratio within it, beyond doubt, is as good as none: 5 %


def jump_pairs(trials: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of trials: one whose rate jumps, and the same fit whose rate is constant."""
    found = []
    for part in groups(trials, _JUMP):
        constant = part.index[part["lr_schedule"] == "constant"]
        jumped = part.index[part["lr_schedule"] == "jump"]
        found += [(str(trial), str(constant[0])) for trial in jumped if len(constant)]
    return found


def jump_table(
    sweep: Sweep, trials: Iterable[str], *, columns: Sequence[str] = COMPARED
) -> pd.DataFrame:
    """A row for each pair of `jump_pairs` and loss that both reach after the change.

    trial, problem, lr, seed, jump_by, at_edge (whether the ratio was at least 0.9 when last
    measured before), level, then for each column the logarithm of its value in the fit that jumped
    over that in the other, at the same training loss; for psnr the difference in dB. The losses are
    four, evenly on a log scale, below the least before the change. A pair where one went astray, or
    has not come further after the change, has a row of NaN.
    """
    names = list(trials)
    table = sweep.trials.loc[names]
    rows = []
    about: dict[str, dict[str, Any]] = table[list(_ABOUT)].to_dict("index")  # type: ignore[assignment]
    for jumped, constant in jump_pairs(table):
        own = about[jumped]
        head = {
            "trial": jumped,
            "problem": str(own["problem"]),
            "lr": own["lr"],
            "seed": own["seed"],
            "jump_by": own["lr_jump_by"],
            "at_edge": _was_at_edge(sweep, jumped, int(own["lr_jump_at"])),
        }
        levels = _levels_after(sweep, (jumped, constant), int(own["lr_jump_at"]))
        if not levels:
            rows.append({**head, "level": math.nan})
            continue
        frame = matched(sweep, trials=[jumped, constant], levels=levels, columns=columns)
        records: list[dict[Any, Any]] = frame.to_dict("records")
        values = {(row["trial"], row["level"]): row for row in records}
        for level in levels:
            mine, other = (values[each, level] for each in (jumped, constant))
            row = {name: _beside(name, mine[name], other[name]) for name in columns}
            rows.append({**head, "level": level, **row})
    return pd.DataFrame(
        rows, columns=["trial", "problem", "lr", "seed", "jump_by", "at_edge", "level", *columns]
    )


def jump_effects(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `jump_table` over all fits: column, mean, low, high, fits, pictures.

    The means of each fit over its levels, with a 95 % interval bootstrapped over pictures.
    """
    columns = [name for name in table.columns if name in COMPARED]
    rows = []
    for column in columns:
        known = table.dropna(subset=column)
        each = known.groupby(["problem", "trial"], as_index=False)[[column]].mean()
        if each.empty:
            rows.append((column, math.nan, math.nan, math.nan, 0, 0))
            continue
        values = each[column].to_numpy(np.float64)
        low, high = bootstrap_interval(values, clusters=list(each["problem"]))
        pictures = each["problem"].nunique()
        rows.append((column, float(values.mean()), low, high, len(each), pictures))
    return pd.DataFrame(rows, columns=["column", "mean", "low", "high", "fits", "pictures"])


def jump_verdict(effects: pd.DataFrame, *, dropped: bool) -> tuple[str, str]:
    """Whether changing the rate at the edge changes sharpness and total variation as it should.

    effects: of `jump_effects`, of fits that were all at the edge and whose rates were all lowered
    (`dropped`), or all raised. At the same loss both should be larger after a drop, and smaller
    after a rise. The rule: supported where the 95 % intervals over pictures of both lie on that
    side of none; refuted where one of them lies on the other side, or within 5 % of none; else, and
    below three pictures, not decided.
    """
    records: list[dict[Any, Any]] = effects.to_dict("records")
    own = {row["column"]: row for row in records}
    sign = 1 if dropped else -1
    said, ways = [], []
    for column in EXPECTED:
        row = own[column]
        said.append(f"{column} {ratio_text(row)}")
        low, high = sorted((sign * row["low"], sign * row["high"]))
        if row["pictures"] < 3 or math.isnan(row["low"]):
            ways.append(UNDECIDED)
        elif low > 0:
            ways.append(SUPPORTED)
        elif high < 0 or (low > -_CLOSE and high < _CLOSE):
            ways.append(REFUTED)
        else:
            ways.append(UNDECIDED)
    fits = min(int(own[column]["fits"]) for column in EXPECTED)
    sentence = f"{'; '.join(said)} at equal loss, {fits} fits"
    if REFUTED in ways:
        return REFUTED, sentence
    return (SUPPORTED if set(ways) == {SUPPORTED} else UNDECIDED), sentence


def ratio_text(row: Mapping[Any, Any]) -> str:
    """`x1.42 (1.30 to 1.55)`: a mean log-ratio with its interval."""
    if math.isnan(row["mean"]):
        return "not known"
    mean, low, high = (math.exp(row[name]) for name in ("mean", "low", "high"))
    return f"x{mean:.2f}" if math.isnan(low) else f"x{mean:.2f} ({low:.2f} to {high:.2f})"


def _beside(column: str, mine: float, other: float) -> float:
    if column == "psnr":
        return mine - other
    return math.log(mine / other) if mine > 0 and other > 0 else math.nan


def _was_at_edge(sweep: Sweep, trial: str, at: int) -> bool:
    trace = sweep.traces([RATIO], [trial])
    known = trace[np.isfinite(trace[RATIO]) & (trace["iteration"] <= at)]
    return bool(len(known)) and float(known[RATIO].iloc[-1]) >= REACHED


def _levels_after(sweep: Sweep, pair: tuple[str, str], at: int) -> list[float]:
    """Losses that both reach after iteration `at`, and neither before; none if there are not."""
    if any(ending in ASTRAY for ending in endings_of(sweep, pair).values()):
        return []
    traces = sweep.traces(["loss"], pair)
    shared = traces[traces["iteration"] <= at]["loss"].min()
    deepest = traces.groupby("trial", observed=True)["loss"].min().max()
    if not deepest < 0.99 * shared:
        return []
    return [float(f"{each:.6g}") for each in np.geomspace(0.99 * shared, deepest, _LEVELS)]
