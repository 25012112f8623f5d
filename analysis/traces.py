"""Traces of many trials as one frame, an iteration a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.trials import reason_of
from dipray.errors import FolderError
from dipray.folder import TRACE, read_trace
from dipray.store import Store

ITERATION = "iteration"


def read_columns(store: Store, columns: Sequence[str]) -> tuple[pa.Table, list[str]]:
    """The columns of one trial's trace, of the types of `trace_frame`, and complaints."""
    schema = pa.schema([(name, _type(name)) for name in columns])
    try:
        table, complaints = read_trace(store, columns)
    except (FolderError, OSError) as error:
        return schema.empty_table(), [f"{TRACE}: left out ({reason_of(error)})"]
    return table.cast(schema), complaints


def trace_frame(tables: Mapping[str, pa.Table], columns: Sequence[str]) -> pd.DataFrame:
    """Traces below each other: trial (categorical), then the columns; NaN where unknown."""
    names = pd.Index(list(tables), dtype="str")
    lengths = [table.num_rows for table in tables.values()]
    codes = np.repeat(np.arange(len(tables)), lengths)
    schema = pa.schema([(name, _type(name)) for name in columns])
    joined = pa.concat_tables([schema.empty_table(), *tables.values()])
    frame: dict[str, Any] = {"trial": pd.Categorical.from_codes(codes, names)}
    frame |= {name: np.require(joined[name].to_numpy(), requirements="W") for name in columns}
    return pd.DataFrame(frame, copy=False)  # each array is its own already


def _type(column: str) -> pa.DataType:
    """What a column is in memory: whole iterations, and float64 with NaN for null."""
    return pa.int64() if column == ITERATION else pa.float64()
