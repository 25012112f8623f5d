"""Tables as files, for other programs: CSV and Parquet of the same rows."""

import io

import pandas as pd

from analysis.configuration import setting_text
from analysis.sweep import Sweep
from dipray.store import Store

TRIALS = "trials"


def write_tables(sweep: Sweep, *, store: Store | None = None) -> None:
    """Write `sweep.trials` to trials.csv and trials.parquet in a folder; raises FolderError.

    store: the folder; None: the sweep's own, which a merged one does not have. The trial id is the
    first column, betas are text such as 0.9/0.999.
    """
    trials = sweep.trials.reset_index()
    trials["betas"] = trials["betas"].map(setting_text).astype("str")
    write_table(store or sweep.home, TRIALS, trials)


def write_table(store: Store, name: str, frame: pd.DataFrame) -> None:
    """Write a table to name.csv and name.parquet, each file whole; raises FolderError."""
    store.write(f"{name}.csv", frame.to_csv(index=False).encode())
    stream = io.BytesIO()
    frame.to_parquet(stream, index=False)
    store.write(f"{name}.parquet", stream.getvalue())
