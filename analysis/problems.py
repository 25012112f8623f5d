"""The problems of a sweep and what known methods make of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.trials import reason_of
from dipray.errors import FolderError
from dipray.folder import BASELINES, PROBLEM, PROBLEMS
from dipray.store import Store

PROBLEM_DTYPES = {
    "name": "str",
    "task": "str",
    "shape": "object",
    "measurement_shape": "object",
    "has_reference": "bool",
    "fingerprint": "str",
}
BASELINE_DTYPES = {
    "problem": "str",
    "method": "str",
    "psnr": "float64",
    "seconds": "float64",
    "picture": "str",
}


@dataclass
class Problems:
    """name -> row, the rows of baselines, name -> folders with pictures of it, and complaints."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, list[Store]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def read_problems(store: Store) -> Problems:
    """The problems of a sweep's folder."""
    found = Problems()
    try:
        folders = store.names(PROBLEMS)
    except (FolderError, OSError) as error:
        found.said.append(f"{PROBLEMS}: left out ({reason_of(error)})")
        return found
    for folder in folders:
        try:
            place = store.child(PROBLEMS, folder)
            found.places[folder] = [place]  # of that name as far as is known
            problem = read_problem(place, folder)
        except (FolderError, OSError) as error:
            reason = reason_of(error, PROBLEM)
            found.said.append(f"{PROBLEMS}/{folder}/{PROBLEM}: left out ({reason})")
            continue
        name = problem["name"]
        found.rows[name], found.places[name] = problem, [place]
        rows, complaints = read_baselines(place, name)
        found.baselines += rows
        found.said += [f"{PROBLEMS}/{folder}/{complaint}" for complaint in complaints]
    return found


def read_problem(store: Store, folder: str) -> dict[str, Any]:
    """A problem's row, from a folder of that name with problem.json; raises FolderError.

    What its making was given (`origin`) comes as columns of its own.
    """
    described = store.read_json(PROBLEM)
    if not isinstance(described, dict):
        raise FolderError(f"{PROBLEM}: not the description of a problem")
    given = described.get("origin")
    origin = given if isinstance(given, dict) else {}
    plain = {
        name: value
        for name, value in origin.items()
        if value is not None and not isinstance(value, list | dict)
    }
    return plain | {
        "name": str(described.get("name", folder)),
        "task": origin.get("task"),
        "shape": _shape(described.get("shape")),
        "measurement_shape": _shape(described.get("measurement_shape")),
        "has_reference": described.get("has_reference") is True,
        "fingerprint": described.get("fingerprint"),
    }


def read_baselines(store: Store, problem: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a problem's baselines, and complaints; no file is no rows."""
    try:
        if not store.exists(BASELINES):
            return [], []
        read = store.read_json(BASELINES)
    except (FolderError, OSError) as error:
        return [], [f"{BASELINES}: left out ({reason_of(error, BASELINES)})"]
    rows, complaints = [], []
    for entry in read if isinstance(read, list) else [read]:
        try:
            rows.append(
                {
                    "problem": problem,
                    "method": str(entry["method"]),
                    "psnr": _float(entry.get("psnr")),
                    "seconds": _float(entry.get("seconds")),
                    "picture": entry.get("picture"),
                }
            )
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
            complaints.append(f"{BASELINES}: an entry left out (no baseline: {str(entry)[:60]!r})")
    return rows, complaints


def row_table(rows: Sequence[Mapping[str, Any]], dtypes: Mapping[str, str]) -> pd.DataFrame:
    """Rows as a table: the columns of `dtypes` first, then others in order of appearance."""
    names = dict.fromkeys([*dtypes, *(name for row in rows for name in row)])
    columns = {
        name: pd.Series([row.get(name) for row in rows], dtype=dtypes.get(name)) for name in names
    }
    return pd.DataFrame(columns)


def _shape(value: object) -> tuple[int, ...] | None:
    return tuple(value) if isinstance(value, list) else None


def _float(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]
