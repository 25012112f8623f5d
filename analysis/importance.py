"""Which settings matter: how much worse a random forest guesses without one."""

import math
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from analysis.comparable import Comparable, comparable
from analysis.sweep import Sweep

LITTLE = 0.1  # of the variance; a forest that explains less tells nothing
FEWEST_TRIALS = 10
PICTURE = "picture"  # the row that tells how far settings do otherwise on other pictures
_ROUNDING = 1e-12  # a relative difference that is arithmetic's own
_SPLITS, _REPEATS, _TREES = 6, 5, 60
_DTYPES = {"setting": "str", "importance": "float64", "std": "float64"}


def importance(
    sweep: Sweep,
    *,
    metric: str | None = None,
    trials: Iterable[str] | str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """A row for each setting that varies, seeds apart, the most important first.

    importance: half of what the squared error on held-out fits grows by when the setting's values
    are shuffled among them, as a share of their variance; in a sum of independent settings it is
    the share of the variance that is the setting's (Gregorutti, Michel and Saint-Pierre,
    "Correlation and variable importance in random forests", Statistics and Computing 27, 2017).
    About 0, and below, is nothing. std: over six splits, a third held out of each, five shuffles.
    The metric is taken less its mean over the fits of the same picture and noise, so that easy
    pictures tell nothing; with several, the row "picture" says how much the settings' effects
    depend on them. Settings that follow from another (see `Comparable.factors`) are in its share,
    and settings that go together otherwise share theirs by chance.

    attrs: metric; r2, the share of the held-out variance that the forest explains; where it is
    near 0 or below, importances mean nothing. Other seeds of a held-out fit may be known, so it
    tells of new fits of such settings, not of new settings. trials: how many were used; notes.
    Empty, r2 NaN, with fewer than ten comparable trials or where no setting or score varies.
    Raises UnknownNameError for a metric or trial that does not exist.
    """
    data = comparable(sweep, metric=metric, trials=trials)
    inputs = _inputs(data)
    attrs: dict[Hashable | None, Any] = {
        "metric": data.metric,
        "trials": len(inputs),
        "notes": list(data.notes),
    }
    problems = data.trials["problem"]
    score = data.trials["score"]
    target = (score - score.groupby(problems).transform("mean")).to_numpy()
    enough = len(inputs) >= FEWEST_TRIALS and len(data.settings) > 0
    if not enough or np.ptp(target) <= _ROUNDING * np.abs(score).max():
        empty = pd.DataFrame(columns=list(_DTYPES)).astype(_DTYPES)
        empty.attrs = attrs | {"r2": float("nan")}
        return empty

    variance = float(np.var(target))
    growths, errors = [], []
    splits = ShuffleSplit(_SPLITS, test_size=1 / 3, random_state=seed)
    for known, held_out in splits.split(inputs):
        model = _model(inputs, seed).fit(inputs.iloc[known], target[known])
        rest, truth = inputs.iloc[held_out], target[held_out]
        found = permutation_importance(
            model,
            rest,
            truth,
            scoring="neg_mean_squared_error",
            n_repeats=_REPEATS,
            random_state=seed,
        )
        # a shuffle leaves one value in len(rest) where it was
        growths.append(found.importances * len(rest) / (len(rest) - 1))
        errors.append(np.mean((model.predict(rest) - truth) ** 2))
    shares = np.concatenate(growths, axis=1) / (2 * variance)
    frame = pd.DataFrame(
        {"setting": inputs.columns, "importance": shares.mean(axis=1), "std": shares.std(axis=1)}
    ).astype(_DTYPES)
    frame = frame.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    frame.attrs = attrs | {"r2": 1 - float(np.mean(errors)) / variance}
    return frame


def _inputs(data: Comparable) -> pd.DataFrame:
    """A column a setting: numbers, on a log scale if they span decades, or words."""
    columns: dict[str, pd.Series] = {}
    for name in data.settings:
        if name not in data.factors and name not in data.drawn:
            continue
        values = data.trials[name]
        if not pd.api.types.is_numeric_dtype(values) or values.isna().any():
            columns[name] = values.map(repr).astype("object")
            continue
        numbers = values.astype("float64")
        spans = numbers.min() > 0 and numbers.max() >= 10 * numbers.min()
        columns[name] = numbers.map(math.log10) if spans else numbers
    problems = data.trials["problem"]
    if problems.nunique() > 1:
        columns[PICTURE] = problems.astype("object")
    return pd.DataFrame(columns, index=data.trials.index)


def _model(inputs: pd.DataFrame, seed: int) -> Pipeline:
    words = [name for name in inputs.columns if inputs[name].dtype == object]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoded = make_column_transformer((encoder, words), remainder="passthrough")
    return make_pipeline(encoded, RandomForestRegressor(_TREES, random_state=seed))
