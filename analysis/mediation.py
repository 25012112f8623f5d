"""Whether the learning rate acts on smoothness through how sharp the minimum is.

A regression at equal loss, in logarithms: total is the slope of the total variation in the rate,
direct what is left of it beside a mediator, indirect the difference, which goes through the
mediator (Baron and Kenny, Journal of Personality and Social Psychology 51, 1986). It is a statement
on these fits, not on causes: what moves with the mediator is counted with it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.edge import REFUTED, SUPPORTED, UNDECIDED
from analysis.intervals import bootstrap_interval

MEDIATORS = ("sharpness", "weight_norm", "sharpness_scale_free")
COLUMNS = ["mediator", "total", "total_low", "total_high", "direct", "direct_low", "direct_high"]
COLUMNS += ["indirect", "indirect_low", "indirect_high", "share", "fits", "pictures"]


def mediation_table(
    frame: pd.DataFrame, *, of: str = "tv", mediators: Sequence[str] = MEDIATORS
) -> pd.DataFrame:
    """A row a mediator: total, direct and indirect slope with 95 % intervals over pictures.

    frame: of `phase_frame`, with the mediators among its columns. Each picture has regressions of
    its own, within fits of the same seed at the same loss; means and intervals are over pictures.
    share: indirect over total, NaN where the total's interval holds 0.
    """
    rows = []
    for mediator in mediators:
        known = frame[(frame[mediator] > 0) & (frame[of] > 0)]
        slopes = {
            str(problem): found
            for problem, part in known.groupby("problem", sort=False)
            if (found := _slopes(part, mediator, of)) is not None
        }
        if not slopes:
            continue
        total, direct = (np.array([each[i] for each in slopes.values()]) for i in (0, 1))
        row: list[Any] = [mediator]
        for values in (total, direct, total - direct):
            low, high = bootstrap_interval(values, clusters=list(slopes))
            row += [float(values.mean()), low, high]
        certain = row[2] > 0 or row[3] < 0
        share = row[7] / row[1] if certain else math.nan
        fits = known.loc[known["problem"].isin(list(slopes)), "trial"].nunique()
        rows.append([*row, share, fits, len(slopes)])
    return pd.DataFrame(rows, columns=COLUMNS)


def mediation_verdict(row: Mapping[Any, Any]) -> tuple[str, str]:
    """Whether a mediator carries what the rate does: a row of `mediation_table` in words.

    The rule: supported where the intervals of total and indirect leave out 0 on the same side and
    the indirect part is at least half; refuted where the total's leaves it out, and the indirect's
    holds 0, lies on the other side, or is less than half beyond doubt; where the total's holds 0
    there is nothing to mediate, and nothing is decided. Nor is it below three pictures.
    """
    said = (
        f"{row['mediator']}: total {_text(row, 'total')}, direct {_text(row, 'direct')}, "
        f"indirect {_text(row, 'indirect')}"
    )
    if row["pictures"] < 3 or math.isnan(row["share"]):
        return UNDECIDED, said
    side = math.copysign(1, row["total"])
    low, high = sorted((side * row["indirect_low"], side * row["indirect_high"]))
    half = abs(row["total"]) / 2
    said += f", {row['share']:.0%} of it"
    if low > 0 and row["share"] >= 0.5:
        return SUPPORTED, said
    return (REFUTED if low <= 0 or high < half else UNDECIDED), said


def _slopes(part: pd.DataFrame, mediator: str, of: str) -> tuple[float, float] | None:
    """Total and direct slope of one picture; None where the rate and the mediator are as one."""
    logs = np.log(part[["lr", mediator, of]].to_numpy(np.float64))
    frame = pd.DataFrame(logs, columns=["x", "m", "y"])
    means = frame.groupby([part["seed"].to_numpy(), part["level"].to_numpy()]).transform("mean")
    x, m, y = (frame - means).to_numpy().T
    if len(frame) < 4 or not (x @ x) > 0:
        return None
    total = float(x @ y / (x @ x))
    both: NDArray[np.float64] = np.column_stack([x, m])
    solution, _, rank, _ = np.linalg.lstsq(both, y, rcond=1e-6)
    return (total, float(solution[0])) if rank == 2 else None


def _text(row: Mapping[Any, Any], name: str) -> str:
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    return f"{value:+.2f}" if math.isnan(low) else f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
