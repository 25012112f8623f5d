"""Where the results come from: the configuration asked for and the provenance of the best trial."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.sweep import Sweep
from dipray.config import FitConfig
from dipray.errors import FolderError

_GIVEN = ("space", "base")


def origin(sweep: Sweep, best: str | None) -> dict[str, Any]:
    """Tables of name and text: what was asked, base settings, provenance, what was left out."""
    base = sweep.asked.get("base")
    asked = {name: value for name, value in sweep.asked.items() if name not in _GIVEN}
    title = "settings that every trial starts from"
    if not isinstance(base, Mapping) and best is not None and len(sweep.trials) == 1:
        row = sweep.trials.loc[best]
        base, title = {name: row[name] for name in FitConfig.model_fields}, "settings of the fit"
    return {
        "space": _finite(sweep.asked.get("space")),
        "tables": [
            {"title": "what was asked for", "rows": _rows(asked)},
            {"title": title, "rows": _rows(base if isinstance(base, Mapping) else {})},
            {"title": "where the best trial ran", "rows": _rows(_provenance(sweep, best))},
        ],
        "left_out": sweep.left_out,
    }


def _finite(value: Any) -> Any:
    """Plain data with what JSON has no number for as text."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _provenance(sweep: Sweep, best: str | None) -> dict[str, Any]:
    if best is None:
        return {}
    try:
        return sweep.provenance(best)
    except (FolderError, OSError):
        return {}


def _rows(values: Mapping[str, Any]) -> list[list[str]]:
    return [[name, text] for name, text in _flat(values)]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{above}{name}", ", ".join(map(str, value))
        else:
            missing = value is None or pd.isna(value)
            yield f"{above}{name}", "none" if missing else str(value)
