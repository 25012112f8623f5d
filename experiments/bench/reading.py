"""Reads a sweep's folder once, in a process of its own, and prints what that took as JSON.

Command: python -m experiments.bench.reading dipray|tune FOLDER
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

COLUMN = "psnr_ema"


@dataclass(frozen=True)
class Reading:
    """Seconds of a fresh process, in order: imports, table of trials, one column of all traces.

    traces_s: from the folder alone, so that the table is read again if it is needed. shape: of the
    two tables. peak_mb: the most memory that the process ever had, imports included.
    """

    import_s: float
    trials_s: float
    traces_s: float
    trials: int
    rows: int
    peak_mb: float


def read_in_process(reader: str, folder: Path) -> Reading:
    """One reading in a new process, so that nothing of another one is in its memory."""
    command = [sys.executable, "-m", "experiments.bench.reading", reader, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return Reading(**json.loads(done.stdout.splitlines()[-1]))


def read_dipray(folder: Path) -> Reading:
    """With `load_sweep`."""
    started = time.perf_counter()
    from analysis import load_sweep

    imported = time.perf_counter()
    trials = load_sweep(folder).trials
    known = time.perf_counter()
    traces = load_sweep(folder).traces(COLUMN)
    read = time.perf_counter()
    return Reading(
        imported - started, known - imported, read - known, len(trials), len(traces), _peak_mb()
    )


def read_tune(folder: Path) -> Reading:
    """With `ray.tune.ExperimentAnalysis`, which reads all there is before it answers anything."""
    started = time.perf_counter()
    import pandas as pd
    from ray.tune import ExperimentAnalysis

    imported = time.perf_counter()
    analysis = ExperimentAnalysis(str(folder.resolve()))
    loaded = time.perf_counter()
    trials = analysis.dataframe()
    known = time.perf_counter()
    frames = {
        trial: frame[["iteration", COLUMN]] for trial, frame in analysis.trial_dataframes.items()
    }
    traces = pd.concat(frames, names=["trial"])
    read = time.perf_counter()
    return Reading(
        imported - started,
        known - imported,
        (loaded - imported) + (read - known),
        len(trials),
        len(traces),
        _peak_mb(),
    )


def _peak_mb() -> float:
    """The high-water mark of this process's memory, in 10^6 bytes; Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


_READERS: dict[str, Callable[[Path], Reading]] = {"dipray": read_dipray, "tune": read_tune}

if __name__ == "__main__":
    reader, folder = sys.argv[1:]
    print(json.dumps(vars(_READERS[reader](Path(folder)))))
