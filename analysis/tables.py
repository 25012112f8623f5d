"""The table of trials as files, for other programs."""

import io

from analysis.configuration import setting_text
from analysis.sweep import Sweep

TRIALS_CSV = "trials.csv"
TRIALS_PARQUET = "trials.parquet"


def write_tables(sweep: Sweep) -> None:
    """Write `sweep.trials` to trials.csv and trials.parquet in its folder, each file whole.

    The trial id is the first column, betas are text such as 0.9/0.999. Raises FolderError.
    """
    trials = sweep.trials.reset_index()
    trials["betas"] = trials["betas"].map(setting_text).astype("str")
    sweep.store.write(TRIALS_CSV, trials.to_csv(index=False).encode())
    stream = io.BytesIO()
    trials.to_parquet(stream, index=False)
    sweep.store.write(TRIALS_PARQUET, stream.getvalue())
