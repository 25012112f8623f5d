"""What the folders of fits and sweeps hold, and reading them: data only, no torch.

A fit:

config.json      the FitConfig, every field
problem.json     name, task, shape and fingerprint of the problem
provenance.json  versions, git commit, device, seeds
trace.parquet/   the trace in parts, one row an iteration
outcome.json     how the worker left it, with peaks, last values and what each rule picks; missing
                 while it runs
stopped.json     a scheduler's decision to end it, written by the sweep's driver
*.png            final, ema; peak, peak_ema (with a reference), peak_val, peak_val_ema (with
                 held-out measurements); pick_RULE
snapshots/       the output at some iterations, 000100.png for the 100th
checkpoint/      the fit's whole state at the last two places it can go on from; none once it
                 ended, or with keep_states the one from which a larger budget goes on

A fit in tiles has config.json, problem.json, provenance.json, outcome.json and *.png, all of the
blended picture, and no trace:
tiling.json      size and overlap of the tiles, and where each begins
tiles/<tile>/    a fit's folder, for each row-column

A sweep:
sweep.json          what was asked last
problems/<name>/    problem.json, measurement.png, reference.png, baselines.json and their pictures
trials/<trial>/     a fit's folder
figures/<problem>/  curves and pictures side by side
trials.csv, .parquet
studies/<search>/   what an Optuna search drew, a file for each trial
tune/<date>/        Tune's own experiment, one for each call; nothing here reads it
.lock               held by the process that sweeps into the folder

`dipray fit` leaves a fit's folder with problems/ and figures/ and the table in it, too.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.store import Store
from dipray.trace import COLUMN_NAMES, COLUMNS, Rows

CONFIG = "config.json"
PROBLEM = "problem.json"
PROVENANCE = "provenance.json"
TRACE = "trace.parquet"
OUTCOME = "outcome.json"
STOPPED = "stopped.json"

# what a sweep's folder holds beside trials
SWEEP = "sweep.json"
PROBLEMS, TRIALS, TUNE, FIGURES = "problems", "trials", "tune", "figures"
BASELINES = "baselines.json"

# and what a fit in tiles does
TILING, TILES = "tiling.json", "tiles"

SNAPSHOTS = "snapshots"
CHECKPOINTS = "checkpoint"
_MOST_DIGITS = 18  # of an iteration, which is to fit into 64 bits

MOST_BYTES = 200  # of a safe name, so that hash, ending and draft of a file still fit into 255

INTERRUPTED = "INTERRUPTED"  # ended from outside, before its end
FAILED = "FAILED"  # an exception in the fit
RUNNING = "RUNNING"  # nobody has said how it ended
FINISHED = ("BUDGET", "STOPPED", "DIVERGED")


def trial_id(problem_name: str, fingerprint: str, config: FitConfig) -> str:
    """The name of a trial's folder: the problem's name and a hash of problem and configuration."""
    mixed = hashlib.sha256(f"{fingerprint}/{config.digest()}".encode()).hexdigest()
    return f"{safe_name(problem_name)}-{mixed[:12]}"


def safe_name(name: str) -> str:
    """`name` with all but letters, digits, dot, dash and underscore replaced; never empty.

    At most MOST_BYTES in UTF-8: of a longer one the beginning, and a hash that tells it apart.
    """
    kept = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in name)
    kept = kept.lstrip(".") or "picture"
    if len(kept.encode()) <= MOST_BYTES:
        return kept
    end = hashlib.sha256(kept.encode()).hexdigest()[:16]
    return f"{kept.encode()[: MOST_BYTES - 17].decode(errors='ignore')}-{end}"


TRACE_SCHEMA = pa.schema(
    [
        pa.field(
            column.name,
            pa.int64()
            if column.name == "iteration"
            else pa.float64()
            if column.name in ("lr", "seconds")
            else pa.float32(),
            metadata={"unit": column.unit, "meaning": column.meaning},
        )
        for column in COLUMNS
    ]
)


def encode_trace(rows: Rows, *, described: bool = True) -> bytes:
    """Rows of a trace as Parquet; NaN becomes null, but for a loss that went non-finite.

    Columns without any value are left out: `read_trace` gives them as nulls. described: with unit
    and meaning of each column, a quarter of a part's size, which the first part has.
    """
    fields, arrays = [], []
    for field in TRACE_SCHEMA:
        keeps_nan = field.name in ("loss", "data_loss")
        array = pa.array(rows[field.name], field.type, from_pandas=not keeps_nan)
        if array.null_count < len(array) or not len(array):
            fields.append(field)
            arrays.append(array)
    stream = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=pa.schema(fields)),
        stream,
        compression="zstd",
        # measured values hardly repeat, and nobody asks for a range of them: so it is a third
        # smaller, and quicker to write and to read
        use_dictionary=["lr"],
        write_statistics=False,
        store_schema=described,
    )
    return stream.getvalue()


def read_trace(store: Store, columns: Sequence[str] = COLUMN_NAMES) -> tuple[pa.Table, list[str]]:
    """The trace of a fit's folder, its columns in the order asked, and complaints about parts.

    Parts that are broken, or have no iterations, are left out and named; a column that a part does
    not have is null there. No trace gives an empty table.
    """
    schema = pa.schema([TRACE_SCHEMA.field(name) for name in columns])
    tables, complaints = [], []
    for part in store.names(TRACE):
        if not part.endswith(".parquet"):
            continue
        try:
            with store.open(f"{TRACE}/{part}") as source:
                # many small parts: whoever reads many traces does so in threads of its own
                table = pq.ParquetFile(source).read(["iteration", *columns], use_threads=False)
            if "iteration" not in table.column_names:
                raise ValueError("it has no iterations")
            for name in columns:
                if name not in table.column_names:  # it has no values, or is of a later version
                    blank = pa.nulls(len(table), schema.field(name).type)
                    table = table.append_column(name, blank)
            tables.append(table.select(columns).cast(schema))
        except (pa.ArrowException, OSError, ValueError, KeyError, FolderError) as error:
            complaints.append(f"{TRACE}/{part}: left out ({' '.join(str(error).split())[:120]})")
    return (pa.concat_tables(tables) if tables else schema.empty_table()), complaints


def read_outcome(store: Store) -> dict[str, Any]:
    """`outcome` and what goes with it, a scheduler's decision taken into account.

    A fit that was ended from outside counts as STOPPED if a scheduler decided so, and as
    INTERRUPTED else; one that has not ended as RUNNING. Raises FolderError for a broken file.
    """
    outcome: dict[str, Any] = {"outcome": RUNNING}
    if store.exists(OUTCOME):
        outcome = store.read_json(OUTCOME)
        if not isinstance(outcome, dict) or "outcome" not in outcome:
            raise FolderError(f"{store}/{OUTCOME}: not an outcome of a fit")
    if outcome["outcome"] in (INTERRUPTED, RUNNING):
        note = read_note(store)
        if note is not None:
            outcome = {**outcome, **note, "outcome": "STOPPED"}
    return outcome


def read_note(store: Store) -> dict[str, Any] | None:
    """A scheduler's decision to end the fit: stopped_by, and stopped_at, an iteration.

    None where there is none; raises FolderError for a broken file.
    """
    if not store.exists(STOPPED):
        return None
    note = store.read_json(STOPPED)
    if not isinstance(note, dict) or not isinstance(note.get("stopped_at", 0), int):
        raise FolderError(f"{store}/{STOPPED}: not a scheduler's decision")
    return note


def part_file(part: int) -> str:
    """Where a part of the trace lies in a fit's folder, counted from 0."""
    return f"{TRACE}/part-{part:05d}.parquet"


def snapshot_file(iteration: int) -> str:
    """Where the output of an iteration lies in a fit's folder."""
    return f"{SNAPSHOTS}/{iteration:06d}.png"


def read_snapshots(store: Store) -> list[int]:
    """The iterations with such a file, ascending."""
    named = {f"{SNAPSHOTS}/{name}" for name in store.names(SNAPSHOTS)}
    stems = [Path(name).stem for name in named]
    iterations = {int(stem) for stem in stems if stem.isdecimal() and len(stem) <= _MOST_DIGITS}
    return sorted(each for each in iterations if snapshot_file(each) in named)


def problem_said(store: Store, name: str) -> str:
    """One text of problem.json, empty where that is broken, foreign or lacks it."""
    try:
        said = store.read_json(PROBLEM)
    except FolderError:
        return ""
    return str(said.get(name, "")) if isinstance(said, dict) else ""


def is_finished(store: Store) -> bool:
    """Whether a fit's folder holds a whole fit, which need not be run again."""
    try:
        return store.exists(OUTCOME) and read_outcome(store)["outcome"] in FINISHED
    except FolderError:
        return False
