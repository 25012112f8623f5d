"""Fits compared where they are equally far: at equal loss, iteration, or lr x iteration.

A small learning rate is, among other things, just earlier on the same path; what is left of a
difference at equal training loss is not explained by that.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from analysis.groups import SEEDS, groups
from analysis.names import known_names
from analysis.sweep import Sweep
from dipray.errors import ConfigError
from dipray.trace import COLUMN_NAMES

By = Literal["loss", "iteration", "lr_x_iteration"]
COMPARED = ("psnr", "psnr_ema", "tv", "hf_energy", "laplacian")
JITTER_WINDOW = 10  # iterations over which a fit with jitter is averaged

Values = NDArray[np.float64]


def lr_groups(sweep: Sweep) -> list[list[str]]:
    """Trials of one problem that differ in learning rate and seeds alone, ids by learning rate.

    Only groups with two or more learning rates; trials that failed are left out.
    """
    trials = sweep.trials
    trials = trials[trials["outcome"] != "FAILED"]
    found = [part.sort_values(["lr", "seed"]) for part in groups(trials, ("lr", *SEEDS))]
    return [list(map(str, part.index)) for part in found if part["lr"].nunique() > 1]


def matched(
    sweep: Sweep,
    *,
    by: By = "loss",
    levels: Sequence[float] | None = None,
    num_levels: int = 5,
    columns: Iterable[str] = COMPARED,
    trials: Iterable[str] | None = None,
) -> pd.DataFrame:
    """A row for each trial and level: where the trial first gets there, and what it is like there.

    trial, problem, lr, seed, outcome, level, iteration, then `columns`; NaN where a trial never
    gets there. by: the training loss (its running minimum, falling to the level), the iteration,
    or the sum of learning rates so far. Values between iterations are interpolated linearly, in
    the loss's logarithm for loss. With input jitter the loss and the columns of a fit are averaged
    over the same 10 iterations first. levels: None chooses `num_levels` for each problem, evenly
    on a log scale, from where every learning rate gets to where only the two furthest get.
    Raises UnknownNameError, ConfigError.
    """
    if by not in get_args(By):
        raise ConfigError(f"by={by!r}: allowed are {', '.join(get_args(By))}", field="by")
    table = sweep.trials
    if trials is not None:
        table = table.loc[known_names("trial", trials, table.index)]
    columns = known_names("column", columns, COLUMN_NAMES)
    traces = sweep.traces(["loss", "lr", *columns], list(table.index))
    jitter = table["input_jitter"]
    paths = {
        str(trial): _path(rows, columns, window=_window(jitter[trial]), by=by)
        for trial, rows in traces.groupby("trial", observed=True)
    }
    frames = []
    for problem, part in table.groupby("problem", sort=False):
        ours = {str(trial): paths[str(trial)] for trial in part.index if str(trial) in paths}
        chosen = _levels(ours, part["lr"], by, num_levels) if levels is None else list(levels)
        for trial, path in ours.items():
            row = part.loc[trial]
            frame = _at(path, np.asarray(chosen, np.float64), by)
            frame = frame.assign(
                trial=trial,
                problem=str(problem),
                lr=row["lr"],
                seed=row["seed"],
                outcome=row["outcome"],
            )
            frames.append(frame)
    order = ["trial", "problem", "lr", "seed", "outcome", "level", "iteration", *columns]
    if not frames:
        return pd.DataFrame(columns=order)
    return pd.concat(frames, ignore_index=True)[order]


def path_data(
    sweep: Sweep,
    column: str,
    *,
    by: By = "loss",
    trials: Iterable[str] | None = None,
    points: int = 100,
) -> pd.DataFrame:
    """A column along `by`, `points` a trial evenly on a log scale: trial, lr, seed, x, column."""
    table = sweep.trials
    chosen = list(table.index) if trials is None else known_names("trial", trials, table.index)
    jitter = table["input_jitter"]
    frames = []
    for trial in chosen:
        rows = sweep.traces(["loss", "lr", column], trial)
        if rows.empty:
            continue
        path = _path(rows, [column], window=_window(jitter[trial]), by=by)
        ends = path["x"].min(), path["x"].max()
        at = np.geomspace(max(ends[0], 1e-12), max(ends[1], 1e-12), points)
        frame = _at(path, at, by)[["level", column]].rename(columns={"level": "x"})
        one = table.loc[trial]
        frames.append(frame.assign(trial=trial, lr=one["lr"], seed=one["seed"]).dropna())
    order = ["trial", "lr", "seed", "x", column]
    if not frames:
        return pd.DataFrame(columns=order)
    return pd.concat(frames, ignore_index=True)[order]


def _window(jitter: float) -> int:
    return JITTER_WINDOW if jitter > 0 else 1


def _path(rows: pd.DataFrame, columns: Sequence[str], *, window: int, by: By) -> pd.DataFrame:
    """iteration, x (what fits are matched by) and the columns, each iteration; loss finite."""
    rows = rows[np.isfinite(rows["loss"])]
    path = pd.DataFrame({"iteration": rows["iteration"].to_numpy(np.float64)})
    if by == "loss":
        path["x"] = _smooth(rows["loss"].to_numpy(), window)
    else:
        path["x"] = path["iteration"] if by == "iteration" else rows["lr"].cumsum().to_numpy()
    for name in columns:
        path[name] = _smooth(_filled(rows[name].to_numpy(np.float64)), window)
    return path


def _filled(values: Values) -> Values:
    """Costly columns lie some iterations apart; between them a straight line is drawn."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return values
    return np.interp(np.arange(len(values)), known, values[known])


def _smooth(values: Values, window: int) -> Values:
    return values if window == 1 else uniform_filter1d(values, window, mode="nearest")


def _at(path: pd.DataFrame, levels: Values, by: By) -> pd.DataFrame:
    """The path where it first reaches each level, NaN where it does not."""
    measured = path["x"].to_numpy()
    if by == "loss":  # falling: the running minimum, as a rising number
        measured = -np.log(np.minimum.accumulate(measured))
        wanted = -np.log(levels)
    else:
        wanted = levels
    after = np.searchsorted(measured, wanted, side="left")  # the first that is there
    reached = after < len(measured)
    after = np.minimum(after, len(measured) - 1)
    before = np.maximum(after - 1, 0)
    step = measured[after] - measured[before]
    share = np.where(step > 0, (wanted - measured[before]) / np.where(step > 0, step, 1.0), 1.0)
    # a level above the start is not where the fit has ever been
    inside = reached & (share >= 0)
    frame = pd.DataFrame({"level": levels})
    for name in path.columns.drop("x"):
        values = path[name].to_numpy()
        between = values[before] + share * (values[after] - values[before])
        frame[name] = np.where(inside, between, np.nan)
    return frame


def _levels(paths: dict[str, pd.DataFrame], lrs: pd.Series, by: By, count: int) -> list[float]:
    """Levels between the second furthest learning rate and the one that comes least far."""
    if not paths:
        return []
    ends = pd.Series(
        {trial: path["x"].agg("min" if by == "loss" else "max") for trial, path in paths.items()}
    )
    furthest = ends.groupby(lrs.loc[list(ends.index)].to_numpy()).median()
    falling = by == "loss"
    ranked = furthest.sort_values(ascending=falling).to_numpy()  # the furthest first
    deep, shallow = ranked[min(1, len(ranked) - 1)], ranked[-1]
    if max(deep, shallow) < 1.5 * min(deep, shallow):  # all come equally far: look back
        starts = [path["x"].iloc[0] for path in paths.values()]
        shallow = np.sqrt(deep * float(np.median(starts))) if falling else deep / 2 ** (count - 1)
    chosen = np.geomspace(shallow, deep, count)
    if by == "iteration":
        return [float(each) for each in np.unique(np.floor(chosen))]
    return [_rounded(each, up=falling) for each in chosen]


def _rounded(value: float, *, up: bool) -> float:
    """Three significant digits, towards where fits get."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    whole = np.ceil(value / unit - 1e-9) if up else np.floor(value / unit + 1e-9)
    return float(f"{whole * unit:.3g}")
