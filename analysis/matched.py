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

from analysis.endings import ended_by_itself
from analysis.groups import SEEDS, groups
from analysis.names import known_names
from analysis.sweep import Sweep
from dipray.errors import ConfigError
from dipray.trace import COLUMN_NAMES

By = Literal["loss", "iteration", "lr_x_iteration"]
COMPARED = ("psnr", "psnr_ema", "tv", "hf_energy", "laplacian")
HEAD = ("trial", "problem", "lr", "seed", "outcome", "level", "iteration")
COLLAPSED = "COLLAPSED"  # an end of its own: the fit ran on, and ended above where it began
ASTRAY = ("DIVERGED", COLLAPSED)
_WORSE = 1.1  # times its first loss; jitter moves a loss by less
JITTER_WINDOW = 10  # iterations over which a fit with jitter is averaged
_FAR_APART = 1.5  # times; below, all fits have come about equally far

Values = NDArray[np.float64]


def lr_groups(sweep: Sweep) -> list[list[str]]:
    """Trials of one problem that differ in learning rate and seeds alone, ids by learning rate.

    Only groups with two or more learning rates. Of the same fit twice, such as on two devices, the
    first counts; trials that failed, go on, or were ended by a scheduler are left out.
    """
    trials = sweep.trials
    trials = trials[ended_by_itself(trials) | (trials["outcome"] == "DIVERGED")]
    found = [
        part.drop_duplicates(["lr", *SEEDS]).sort_values(["lr", "seed"])
        for part in groups(trials, ("lr", *SEEDS))
    ]
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

    trial, problem, lr, seed, outcome (COLLAPSED, too), level, iteration, then `columns`; NaN where
    a trial never gets there, or begins beyond it. by: the training loss (falling to the level for
    the first time), the iteration, or the sum of the learning rates of the steps before it. Values
    between iterations are interpolated linearly, in the loss's logarithm for loss. With input
    jitter the loss and the columns of a fit are averaged over the same 10 iterations first. levels:
    None chooses at most `num_levels` for each problem, evenly on a log scale, from where every fit
    that did not go astray gets to where only the two furthest learning rates get.
    Raises UnknownNameError, ConfigError.
    """
    _check(by, levels, num_levels)
    table = sweep.trials
    if trials is not None:
        table = table.loc[known_names("trial", trials, table.index)]
    columns = [name for name in known_names("column", columns, COLUMN_NAMES) if name not in HEAD]
    traces = sweep.traces(["loss", "lr", *columns], list(table.index))
    jitter = table["input_jitter"]
    none = traces.iloc[:0]
    rows_of = {str(trial): rows for trial, rows in traces.groupby("trial", observed=True)}
    paths = {
        str(trial): _path(
            rows_of.get(str(trial), none), columns, window=_window(jitter[trial]), by=by
        )
        for trial in table.index
    }
    frames = []
    for problem, part in table.groupby("problem", sort=False):
        endings = {
            str(trial): _ending(str(part.loc[trial, "outcome"]), rows_of.get(str(trial), none))
            for trial in part.index
        }
        whole = [trial for trial in part.index if endings[str(trial)] not in ASTRAY]
        ours = {str(trial): paths[str(trial)] for trial in (whole or part.index)}
        chosen = _levels(ours, part["lr"], by, num_levels) if levels is None else list(levels)
        for trial in map(str, part.index):
            path = paths[trial]
            row = part.loc[trial]
            frame = _at(path, np.asarray(chosen, np.float64), by)
            frame = frame.assign(
                trial=trial,
                problem=str(problem),
                lr=row["lr"],
                seed=row["seed"],
                outcome=endings[trial],
            )
            frames.append(frame)
    order = [*HEAD, *columns]
    if not frames:
        return pd.DataFrame(columns=order)
    return pd.concat(frames, ignore_index=True)[order]


def endings_of(sweep: Sweep, trials: Iterable[str]) -> dict[str, str]:
    """How each trial ended, COLLAPSED where it ran on and ended above where it began."""
    names = known_names("trial", trials, sweep.trials.index)
    traces = sweep.traces(["loss"], names)
    losses = {str(trial): rows for trial, rows in traces.groupby("trial", observed=True)}
    outcomes = sweep.trials.loc[names, "outcome"]
    none = traces.iloc[:0]
    return {name: _ending(str(outcomes[name]), losses.get(name, none)) for name in names}


def _ending(outcome: str, rows: pd.DataFrame) -> str:
    """The outcome, or COLLAPSED where the last tenth of the losses lies above the first."""
    loss = rows["loss"].to_numpy()
    loss = loss[np.isfinite(loss)]
    if outcome in ASTRAY or len(loss) < 2:
        return outcome
    last = float(np.median(loss[-max(1, len(loss) // 10) :]))
    return COLLAPSED if last > _WORSE * loss[0] else outcome


def _check(by: By, levels: Sequence[float] | None, num_levels: int) -> None:
    if by not in get_args(By):
        raise ConfigError(f"by={by!r}: allowed are {', '.join(get_args(By))}", field="by")
    for level in levels or ():
        if not (np.isfinite(level) and level > 0):
            raise ConfigError(f"level={level!r}: allowed is a number above 0", field="levels")
    if num_levels < 1:
        raise ConfigError(f"num_levels={num_levels}: allowed is at least 1", field="num_levels")


def path_data(
    sweep: Sweep,
    columns: Iterable[str] | str,
    *,
    by: By = "loss",
    trials: Iterable[str] | None = None,
    points: int = 100,
) -> pd.DataFrame:
    """Columns along `by`, `points` a trial evenly on a log scale: trial, lr, seed, x, columns.

    Raises UnknownNameError.
    """
    table = sweep.trials
    chosen = list(table.index) if trials is None else known_names("trial", trials, table.index)
    names = known_names("column", columns, COLUMN_NAMES)
    traces = sweep.traces(["loss", "lr", *names], chosen)
    jitter = table["input_jitter"]
    frames = []
    for trial, rows in traces.groupby("trial", observed=True):
        path = _path(rows, names, window=_window(jitter[trial]), by=by)
        measured = path.loc[path["x"] > 0, "x"]
        if measured.empty:
            continue
        at = np.geomspace(measured.min(), measured.max(), points)
        frame = _at(path, at, by)[["level", *names]].rename(columns={"level": "x"})
        row = table.loc[str(trial)]
        frame = frame.assign(trial=str(trial), lr=row["lr"], seed=row["seed"])
        frames.append(frame.dropna(subset=names, how="all"))
    order = ["trial", "lr", "seed", "x", *names]
    if not frames:
        return pd.DataFrame(columns=order)
    return pd.concat(frames, ignore_index=True)[order]


def _window(jitter: float) -> int:
    return JITTER_WINDOW if jitter > 0 else 1


def _path(rows: pd.DataFrame, columns: Sequence[str], *, window: int, by: By) -> pd.DataFrame:
    """iteration, x (what fits are matched by) and the columns, each iteration; loss finite."""
    rows = rows[np.isfinite(rows["loss"])]
    path = {"iteration": rows["iteration"].to_numpy(np.float64)}
    if by == "loss":
        path["x"] = _smooth(rows["loss"].to_numpy(), window)
    elif by == "iteration":
        path["x"] = path["iteration"]
    else:  # a row is the state before its own step, so the first has gone no way yet
        lr = rows["lr"].to_numpy()
        path["x"] = np.cumsum(lr) - lr
    for name in columns:
        path[name] = _smooth(_filled(rows[name].to_numpy(np.float64)), window)
    frame = pd.DataFrame(path)
    return frame.iloc[1:] if by == "lr_x_iteration" else frame


def _filled(values: Values) -> Values:
    """Costly columns lie some iterations apart; between them a straight line is drawn."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return values
    return np.interp(np.arange(len(values)), known, values[known])


def _smooth(values: Values, window: int) -> Values:
    return values if window == 1 else uniform_filter1d(values, window, mode="nearest")


def _at(path: pd.DataFrame, levels: Values, by: By) -> pd.DataFrame:
    """The path where it first reaches each level, NaN where it does not or begins beyond it."""
    names = list(path.columns.drop("x"))
    if path.empty:
        return pd.DataFrame({"level": levels}).reindex(columns=["level", *names])
    measured, wanted = path["x"].to_numpy(), levels
    if by == "loss":  # falling, so upside down
        tiny = np.finfo(np.float64).tiny
        measured, wanted = -np.log(np.maximum(measured, tiny)), -np.log(wanted)
    after = np.searchsorted(np.maximum.accumulate(measured), wanted)  # the first that is there
    inside = (after < len(measured)) & (wanted >= measured[0])
    after = np.minimum(after, len(measured) - 1)
    before = np.maximum(after - 1, 0)
    # the values themselves, not the furthest so far, or the columns would not belong to them
    step = measured[after] - measured[before]
    share = np.where(step > 0, (wanted - measured[before]) / np.where(step > 0, step, 1.0), 1.0)
    found = {"level": levels}
    for name in names:
        values = path[name].to_numpy()
        between = values[before] + share * (values[after] - values[before])
        found[name] = np.where(inside, between, np.nan)
    return pd.DataFrame(found)


def _levels(paths: dict[str, pd.DataFrame], lrs: pd.Series, by: By, count: int) -> list[float]:
    """Levels from the fit that comes least far to the second furthest learning rate."""
    falling = by == "loss"
    ways = {trial: path.loc[path["x"] > 0, "x"] for trial, path in paths.items()}
    ways = {trial: way for trial, way in ways.items() if len(way)}
    if not ways:
        return []
    ends = pd.Series({trial: way.min() if falling else way.max() for trial, way in ways.items()})
    furthest = ends.groupby(lrs.loc[list(ends.index)].to_numpy()).median()
    ranked = furthest.sort_values(ascending=falling).to_numpy()  # the furthest first
    deep = ranked[min(1, len(ranked) - 1)]
    shallow = ends.max() if falling else ends.min()
    if max(deep, shallow) < _FAR_APART * min(deep, shallow):  # look back
        starts = [way.iloc[0] for way in ways.values()]
        if falling:
            shallow = max(np.sqrt(deep * min(starts)), deep)
        else:
            shallow = min(max(deep / 2 ** (count - 1), *starts), deep)
    chosen = np.geomspace(shallow, deep, count)
    if by == "iteration":
        return [float(each) for each in np.unique(np.floor(chosen))]
    return list(dict.fromkeys(_rounded(each, up=falling) for each in chosen))


def _rounded(value: float, *, up: bool) -> float:
    """Three significant digits, towards where fits get."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    whole = np.ceil(value / unit - 1e-9) if up else np.floor(value / unit + 1e-9)
    return float(f"{whole * unit:.3g}")
