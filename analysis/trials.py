"""The trials of a sweep: reading one, and the table of all."""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import pandas as pd

from dipray.config import FitConfig
from dipray.errors import DiprayError, FolderError
from dipray.folder import CONFIG, OUTCOME, PROBLEM, RUNNING, TRACE, read_outcome, read_trace
from dipray.stopping import RULES
from dipray.store import Store
from dipray.trace import COLUMN_NAMES, Summary

Row = dict[str, Any]

SETTINGS: tuple[str, ...] = tuple(FitConfig.model_fields)
NUMBERS: tuple[str, ...] = tuple(Summary().outcome_row())


# rule -> what a pick's parts are called in the table
PICKS: dict[str, dict[str, str]] = {
    rule: {
        "iteration": f"pick_{rule}",
        "fired": f"pick_{rule}_fired",
        "psnr": f"pick_{rule}_psnr",
        "psnr_ema": f"pick_{rule}_psnr_ema",
    }
    for rule in RULES
}
_LARGEST = 2**63 - 1  # whole number that a column holds
_PICK_COUNTS = {names[part] for names in PICKS.values() for part in ("iteration", "fired")}


def is_count(number: str) -> bool:
    """Whether a number of the table is a whole number of iterations."""
    return number.startswith("iteration") or number in _PICK_COUNTS


def _dtype(annotation: object) -> str:
    """The pandas dtype of a setting, from its type in FitConfig."""
    if get_origin(annotation) is Literal:
        texts = all(isinstance(value, str) for value in get_args(annotation))
        return "str" if texts else "object"
    table: dict[object, str] = {
        int: "int64",
        int | None: "Int64",
        float: "float64",
        float | None: "float64",
        bool: "bool",
        str: "str",
        str | None: "str",
    }
    return table.get(annotation, "object")


DTYPES: dict[str, str] = {
    "problem": "str",
    **{name: _dtype(field.annotation) for name, field in FitConfig.model_fields.items()},
    "outcome": "str",
    "stopped_by": "str",
    "reason": "str",
    **{name: "Int64" if is_count(name) else "float64" for name in NUMBERS},
    **{
        name: "Int64" if is_count(name) else "float64"
        for names in PICKS.values()
        for name in names.values()
    },
}


def trial_table(rows: Mapping[str, Row]) -> pd.DataFrame:
    """A row a trial, indexed by trial id; what is missing is NaN, or NA among whole numbers."""
    index = pd.Index(list(rows), dtype="str", name="trial")
    columns = {
        name: pd.Series([row[name] for row in rows.values()], index=index, dtype=dtype)
        for name, dtype in DTYPES.items()
    }
    return pd.DataFrame(columns, index=index)


def reason_of(error: Exception, file: str = "") -> str:
    """What went wrong, in one line, without the path up to and with `file`."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rpartition(f"{file}: ")[2] if file else text


def read_config(store: Store) -> FitConfig:
    """The configuration in a fit's folder; raises FolderError or ConfigError."""
    values = store.read_json(CONFIG)
    if not isinstance(values, dict):
        raise FolderError(f"{CONFIG}: not the configuration of a fit")
    return FitConfig.from_dict(values)


def read_trial(name: str, store: Store) -> tuple[Row | None, list[str]]:
    """A trial's row, or None if it has no readable configuration, and complaints.

    Numbers that nobody has written down are computed from what there is of the trace.
    """
    try:
        config = read_config(store)
    except (DiprayError, OSError) as error:
        return None, [f"{CONFIG}: trial left out ({reason_of(error, CONFIG)})"]
    complaints = []
    try:
        described = store.read_json(PROBLEM)
        problem, fingerprint = str(described["name"]), described.get("fingerprint")
    except (FolderError, OSError, LookupError, TypeError) as error:
        problem, fingerprint = name.rpartition("-")[0] or name, None
        said = reason_of(error, PROBLEM)
        complaints.append(f"{PROBLEM}: left out, problem taken as {problem} ({said})")
    try:
        outcome = read_outcome(store)
        numbers = _written_numbers(outcome)
        picks = _written_picks(outcome)
    except (FolderError, OSError, TypeError, ValueError) as error:
        outcome, numbers, picks = {"outcome": RUNNING}, None, {}
        complaints.append(f"{OUTCOME}: left out ({reason_of(error, OUTCOME)})")
    if numbers is None:
        numbers, more = _computed_numbers(store)
        complaints += more
    row = {
        "problem": problem,
        "fingerprint": fingerprint,  # for merging; no column
        **{setting: getattr(config, setting) for setting in SETTINGS},
        "outcome": str(outcome["outcome"]),
        "stopped_by": _text(outcome.get("stopped_by")),
        "reason": _text(outcome.get("reason")),
        **numbers,
        **{name: picks.get(name) for names in PICKS.values() for name in names.values()},
    }
    return row, complaints


def _text(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _written_numbers(outcome: Mapping[str, Any]) -> Row | None:
    """The numbers of an outcome, None if it has none; raises ValueError for what is no number."""
    if "iterations_run" not in outcome:
        return None
    return {name: _number(name, outcome.get(name)) for name in NUMBERS}


def _written_picks(outcome: Mapping[str, Any]) -> Row:
    """What the rules picked, as columns; raises ValueError for what is no number."""
    picks = outcome.get("picks") or {}
    if not isinstance(picks, dict):
        raise ValueError(f"picks is {str(picks)[:60]!r}")
    row: Row = {}
    for rule, names in PICKS.items():
        pick = picks.get(rule)
        if isinstance(pick, dict):
            row |= {name: _number(name, pick.get(part)) for part, name in names.items()}
    return row


def _number(name: str, value: object) -> float | int | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if not -_LARGEST <= value <= _LARGEST:
            raise ValueError(f"{name} has {len(str(abs(value)))} digits")
        return value if is_count(name) else float(value)
    if isinstance(value, float) and not is_count(name):
        return value
    raise ValueError(f"{name} is {value!r}")


def _computed_numbers(store: Store) -> tuple[Row, list[str]]:
    summary = Summary()
    try:
        table, complaints = read_trace(store)
    except (FolderError, OSError) as error:
        return summary.outcome_row(), [f"{TRACE}: left out ({reason_of(error)})"]
    summary.update(
        {name: table[name].cast("float64").to_numpy(zero_copy_only=False) for name in COLUMN_NAMES}
    )
    return summary.outcome_row(), complaints
