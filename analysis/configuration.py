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


# settings whose values say what they are
_SELF_EXPLAINING = ("net", "optimizer", "activation")


def label(row: Mapping[Any, Any] | pd.Series, settings: Iterable[str]) -> str:
    """A trial in words, `skip, features 32, sgd, lr 0.1, momentum 0.9`.

    Networks, optimizers and activations need no name before them; what is off by default and off
    here is left out.
    """
    words = []
    for name in settings:
        value = row[name]
        if _is_off(value) and _is_off(FitConfig.model_fields[name].default):
            continue
        text = setting_text(value)
        words.append(text if name in _SELF_EXPLAINING else f"{name} {text}")
    return ", ".join(words)


def _is_off(value: object) -> bool:
    if isinstance(value, tuple):
        return False
    return bool(pd.isna(value) or not value or value == "none")  # type: ignore[call-overload]
