"""The audit over pictures: means with intervals, a row for each task and rule."""

from collections.abc import Iterable

import pandas as pd

from analysis.audit import LOSSES, WHOLE_FIT
from analysis.intervals import bootstrap_interval
from analysis.trials import PICKS

TIMINGS = ("early", "in time", "late")
CORRELATIONS = ("picked", "best")

_ORDER = {rule: place for place, rule in enumerate((WHOLE_FIT, *list(PICKS)[::-1]))}
_SHARES = (*TIMINGS, "never", "cut_short")


def picture_means(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each task, rule and picture of `audit_fits` or `audit_choice`: means of its losses.

    Of the fits of a problem first, then of the problems of a picture, since one photograph with
    two noises is no second picture. Then the shares of early, in time, late, never, cut_short.
    """
    shares = {name: (rows["timing"] == name).astype("float64") for name in TIMINGS}
    shares |= {name: rows[name].astype("float64") for name in ("never", "cut_short")}
    values = rows[["run", "problem", "task", "picture", "rule", *LOSSES]].assign(**shares)
    keys = ["task", "rule", "picture"]
    problems = values.groupby([*keys, "run", "problem"], sort=False).mean()
    return problems.groupby(keys, sort=False).mean().reset_index()


def audit_table(rows: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """A row for each task and rule of `audit_fits` or `audit_choice`, over pictures.

    task, rule; pictures, problems, picks: how many. regret, configuration_loss, iteration_loss: the
    mean over pictures (dB), each with its bootstrap interval at `level` in _low and _high, cut at
    0, below which no regret is, and NaN for one picture. worst, worst_iteration: the greatest
    regret and iteration_loss of any pick. early, in time, late, which sum to 1; never and
    cut_short: shares of the picks, as the means are taken.
    Two rules can be compared where both have the same pictures.
    """
    means = picture_means(rows)
    found = []
    for key, part in means.groupby(["task", "rule"], sort=False):
        ours = rows[(rows["task"] == key[0]) & (rows["rule"] == key[1])]
        row = {
            "task": key[0],
            "rule": key[1],
            "pictures": len(part),
            "problems": len(ours[["run", "problem"]].drop_duplicates()),
            "picks": len(ours),
        }
        for loss in LOSSES:
            low, high = bootstrap_interval(part[loss], level=level)
            row |= {loss: part[loss].mean(), f"{loss}_low": low, f"{loss}_high": high}
        row |= {"worst": ours["regret"].max(), "worst_iteration": ours["iteration_loss"].max()}
        found.append(row | part[list(_SHARES)].mean().to_dict())
    table = _sorted(pd.DataFrame(found, columns=_columns()))
    bounds = [f"{loss}_low" for loss in LOSSES]
    table[bounds] = table[bounds].astype("float64").clip(lower=0)
    return table


def correlation_table(rows: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """A row for each task of `rank_correlation`: the mean over pictures with its interval.

    task, metric, pictures, problems, fits; picked, best: the mean of either correlation, with _low
    and _high, cut at -1 and 1 and NaN for one picture, and _worst, the least of any problem.
    """
    found = []
    for (task, metric), part in rows.groupby(["task", "metric"], sort=False):
        row = {
            "task": task,
            "metric": metric,
            "pictures": part["picture"].nunique(),
            "problems": len(part),
            "fits": part["fits"].sum(),
        }
        for name in CORRELATIONS:
            means = part.groupby("picture")[name].mean().dropna()
            low, high = bootstrap_interval(means, level=level) if len(means) else (None, None)
            row |= {name: means.mean(), f"{name}_low": low, f"{name}_high": high}
            row[f"{name}_worst"] = part[name].min()
        found.append(row)
    parts = [f"{name}{end}" for name in CORRELATIONS for end in ("", "_low", "_high", "_worst")]
    names = ["task", "metric", "pictures", "problems", "fits", *parts]
    table = pd.DataFrame(found, columns=names).astype(dict.fromkeys(parts, "float64"))
    bounds = [name for name in parts if name.endswith(("_low", "_high"))]
    table[bounds] = table[bounds].clip(-1, 1)
    return table


def _columns() -> list[str]:
    losses = [f"{loss}{end}" for loss in LOSSES for end in ("", "_low", "_high")]
    counts = ["pictures", "problems", "picks"]
    return ["task", "rule", *counts, *losses, "worst", "worst_iteration", *_SHARES]


def in_order(rules: Iterable[str]) -> list[str]:
    """Rules as tables and figures show them: those that look at most first, the budget last."""
    return sorted(set(rules), key=lambda rule: _ORDER.get(rule, len(_ORDER)))


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    """Tasks in order of appearance, the rules of each in one order."""
    tasks = {task: place for place, task in enumerate(dict.fromkeys(table["task"]))}
    order = pd.DataFrame({"task": table["task"].map(tasks), "rule": table["rule"].map(_ORDER)})
    return table.loc[order.sort_values(["task", "rule"]).index].reset_index(drop=True)
