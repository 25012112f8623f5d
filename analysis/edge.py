"""The edge of stability: how sharp fits become beside what their optimizer can stay at.

`sharpness_ratio` in a trace is the largest eigenvalue of the Hessian, as the optimizer scales it,
over its threshold. Above 1 steps along that eigenvector grow. Cohen et al., "Gradient Descent on
Neural Networks Typically Occurs at the Edge of Stability", ICLR 2021.
"""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.intervals import bootstrap_interval
from analysis.matched import ASTRAY, endings_of
from analysis.sweep import Sweep

RATIO = "sharpness_ratio"
_RATIOS = [RATIO, f"{RATIO}_2", f"{RATIO}_3"]
_ADAPTIVE = ("adam", "adamw", "rmsprop")
REACHED = 0.9  # the ratio from which a fit counts as at the edge
BAND = (0.9, 1.2)  # where a fit at the edge is expected to stay
LATE = 0.25  # of a fit, its end, over which its ratio is taken
MOST_OUTSIDE = 0.2  # share of the fits at the edge that may be outside of the band

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "not decided"


def measured_ratios(sweep: Sweep, trials: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Of each trial that has any, the rows of its trace where the ratio was measured.

    iteration, sharpness_ratio, sharpness_ratio_2, sharpness_ratio_3. The first iteration of
    optimizers with a preconditioner is left out, whose divisor knows a single gradient.
    """
    names = list(trials)
    traces = sweep.traces(_RATIOS, names)
    adaptive = sweep.trials.loc[names, "optimizer"].isin(_ADAPTIVE)
    early = traces["trial"].map(adaptive).astype(bool) & (traces["iteration"] == 1)
    known = traces[np.isfinite(traces[RATIO]) & ~early]
    return {str(trial): rows for trial, rows in known.groupby("trial", observed=True)}


def edge_table(sweep: Sweep, trials: Iterable[str]) -> pd.DataFrame:
    """A row a trial: how its ratio went. The index is the trial.

    problem, lr, seed, outcome (COLLAPSED, too); reached_at: the first iteration at which the ratio
    was at least 0.9, NaN if never (see `measured_ratios`); ratio, ratio_low, ratio_high: median,
    least and greatest over the last quarter of what was measured; several: the mean number of
    eigenvalues above 0.9 of the threshold there (three are told apart); at_edge: whether it came
    there and did not go astray; inside: whether `ratio` lies in [0.9, 1.2]. Trials without a
    measured ratio are left out.
    """
    names = list(trials)
    endings = endings_of(sweep, names)
    rows = {}
    for trial, known in measured_ratios(sweep, names).items():
        reached = known.loc[known[RATIO] >= REACHED, "iteration"]
        late = known[known["iteration"] > (1 - LATE) * known["iteration"].max()]
        late = known.iloc[-1:] if late.empty else late
        ratio = float(late[RATIO].median())
        outcome = endings[trial]
        rows[trial] = {
            "outcome": outcome,
            "reached_at": float(reached.iloc[0]) if len(reached) else math.nan,
            "ratio": ratio,
            "ratio_low": float(late[RATIO].min()),
            "ratio_high": float(late[RATIO].max()),
            "several": float((late[_RATIOS] >= REACHED).sum(axis=1).mean()),
            "at_edge": bool(len(reached)) and outcome not in ASTRAY,
            "inside": BAND[0] <= ratio <= BAND[1],
        }
    columns = ["outcome", "reached_at", "ratio", "ratio_low", "ratio_high", "several"]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=[*columns, "at_edge", "inside"])
    about = sweep.trials.loc[list(frame.index), ["problem", "lr", "seed"]]
    return pd.concat([about, frame], axis=1)


def edge_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `edge_table` over pictures and seeds: a row a learning rate.

    lr, fits, astray (diverged or collapsed), at_edge, inside (of those at the edge), ratio (median
    of those at the edge), lowest, highest (of their ratios), several, reached_at (median).
    """
    rows = []
    for lr, part in table.groupby("lr", sort=True):
        there = part[part["at_edge"]]
        rows.append(
            {
                "lr": lr,
                "fits": len(part),
                "astray": int(part["outcome"].isin(ASTRAY).sum()),
                "at_edge": len(there),
                "inside": int(there["inside"].sum()),
                "ratio": there["ratio"].median(),
                "lowest": there["ratio"].min(),
                "highest": there["ratio"].max(),
                "several": there["several"].mean(),
                "reached_at": there["reached_at"].median(),
            }
        )
    return pd.DataFrame(rows)


def edge_verdict(table: pd.DataFrame) -> tuple[str, str]:
    """Whether fits that reach the edge stay there: a verdict and a sentence with the numbers.

    The rule: of the fits that reached the edge, the share whose ratio over the last quarter is
    outside of [0.9, 1.2], with a 95 % interval bootstrapped over pictures. Supported where the
    interval ends at or below one in five, refuted where it begins above, else not decided; fewer
    than three pictures, or no fit at the edge, decide nothing.
    """
    there = table[table["at_edge"]]
    if there.empty:
        return UNDECIDED, f"none of {len(table)} fits reached the edge"
    outside = (~there["inside"].astype(bool)).to_numpy(np.float64)
    pictures = there["problem"].nunique()
    low, high = _share_interval(outside, there["problem"])
    said = (
        f"{int(outside.sum())} of {len(there)} fits at the edge end outside of "
        f"[{BAND[0]:g}, {BAND[1]:g}], {outside.mean():.0%} (95 % interval {low:.0%} to {high:.0%}, "
        f"{pictures} pictures); median ratio {there['ratio'].median():.2f}"
    )
    if pictures < 3:
        return UNDECIDED, said
    if high <= MOST_OUTSIDE:
        return SUPPORTED, said
    return (REFUTED if low > MOST_OUTSIDE else UNDECIDED), said


def _share_interval(hits: np.ndarray, pictures: Iterable[str]) -> tuple[float, float]:
    low, high = bootstrap_interval(hits, clusters=list(pictures))
    return max(0.0, low), min(1.0, high)
