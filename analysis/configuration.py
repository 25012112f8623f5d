"""What tells the trials of a sweep apart: the settings that vary, and their values as text."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.trials import SETTINGS
from dipray.config import FitConfig


def varying_settings(trials: pd.DataFrame) -> list[str]:
    """The settings with more than one value among the trials, in FitConfig's order."""
    return [name for name in SETTINGS if trials[name].nunique(dropna=False) > 1]


def setting_text(value: object) -> str:
    """A setting's value, short: 0.001, batch, yes, 0.9/0.999, auto for none."""
    if isinstance(value, tuple):
        return "/".join(setting_text(each) for each in value)
    if pd.isna(value):  # type: ignore[call-overload]
        return "auto"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def label(row: Mapping[Any, Any] | pd.Series, settings: Iterable[str]) -> str:
    """A trial in words, `skip, features 32, sgd, lr 0.1, momentum 0.9`.

    Names go without saying where the value is a word; what is off by default and off here is left
    out.
    """
    words = []
    for name in settings:
        value = row[name]
        off = not isinstance(value, tuple) and (pd.isna(value) or not value)
        if off and not FitConfig.model_fields[name].default:
            continue
        text = setting_text(value)
        words.append(text if isinstance(value, str) else f"{name} {text}")
    return ", ".join(words)
