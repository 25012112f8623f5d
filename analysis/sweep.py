"""Sweep: the folder of a sweep as tables, each read when it is first asked for."""

import contextlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.names import known_names
from analysis.problems import (
    BASELINE_DTYPES,
    PROBLEM_DTYPES,
    Problems,
    read_problem,
    read_problems,
    row_table,
)
from analysis.reading import read_all
from analysis.regret import with_regret
from analysis.traces import ITERATION, read_columns, trace_frame
from analysis.trials import Row, read_trial, trial_table
from dipray.codec import PNG_SIGNATURE
from dipray.errors import FolderError
from dipray.folder import PROVENANCE, TRIALS, read_snapshots, snapshot_file
from dipray.store import Store
from dipray.trace import COLUMN_NAMES

_THREADS = 2  # that read traces, half of which is Parquet's own work


class Sweep:
    """A sweep as it lay in its folder when it was first asked; made by `load_sweep`.

    store: the folder; stores: all of them, where several were merged, `store` the first.
    asked: what sweep.json says was asked for, as plain data; empty if there is none.
    Every table is a copy, free to be changed. What cannot be read is in `left_out`, not raised.
    """

    def __init__(
        self,
        store: Store,
        *,
        folders: Mapping[str, Store],
        asked: Mapping[str, Any] | None = None,
        left_out: Iterable[str] = (),
    ) -> None:
        self.store = store
        self.stores: tuple[Store, ...] = (store,)
        self.asked = dict(asked or {})
        self._folders = dict(folders)
        self._listing_complaints = list(left_out)
        # trial -> complaints on its trace, each once; a trial that is missing was not read yet
        self._trace_complaints: dict[str, dict[str, None]] = {}

    def __repr__(self) -> str:
        places = ", ".join(repr(str(store)) for store in self.stores)
        return f"Sweep({places}, {len(self._folders)} trials)"

    @property
    def home(self) -> Store:
        """The folder that tables, figures and the report go into; raises FolderError for several.

        What came of several folders belongs into none of them.
        """
        if len(self.stores) > 1:
            raise FolderError(
                f"{', '.join(map(str, self.stores))}: several folders; say where to write"
            )
        return self.store

    @property
    def trials(self) -> pd.DataFrame:
        """A row a trial, indexed by trial id.

        problem; every setting of FitConfig; outcome, stopped_by, reason; then the numbers of
        `Summary.outcome_row` (PSNR in dB, time in seconds). A trial that nobody has ended is
        RUNNING, with numbers from the trace so far.
        pick_RULE, for each rule that watched the fit: the iteration that it picks; _fired: when it
        decided, NA if never; _psnr, _psnr_ema: dB of the output and its average there.
        regret_RULE: the best PSNR of any fit of this problem, of outputs and averages, minus
        pick_RULE_psnr_ema; NaN without the truth, and where the fit ended before its budget and
        before the rule fired. chosen: whether the sweep would choose this trial without the truth:
        the greatest val_psnr_ema_peak of its problem, fits that a scheduler ended included; False
        for all where nothing was held out. regret_chosen: on the chosen row the best PSNR of the
        problem minus psnr_ema_at_val_peak, else NaN.
        Whole numbers that may be missing are Int64 with NA, others float64 with NaN.
        """
        return self._trial_table.copy()

    @property
    def problems(self) -> pd.DataFrame:
        """A row a problem: name, task, shape (C, H, W), has_reference, and how it was made."""
        return self._problem_tables[0].copy()

    @property
    def baselines(self) -> pd.DataFrame:
        """A row for each problem and known method: problem, method, psnr (dB), seconds, picture."""
        return self._problem_tables[1].copy()

    @property
    def left_out(self) -> list[str]:
        """One line on everything that could not be read, by its place in the folder.

        Reads every trace whose trial has not been read before, for its iterations.
        """
        self._read_traces([name for name in self._ids if name not in self._trace_complaints], [])
        said = [*self._listing_complaints, *self._rows[1], *self._problems.said]
        for complaints in self._trace_complaints.values():
            said += complaints
        return list(dict.fromkeys(said))

    def traces(
        self,
        columns: Iterable[str] | str | None = None,
        trials: Iterable[str] | str | None = None,
    ) -> pd.DataFrame:
        """Iterations of `trials` (None: all), a row each: trial, iteration, then `columns`.

        trial is categorical, its categories the trials asked for; columns (None: all) are float64
        with NaN where the trace has no value. Reads the columns and trials asked for, no others.
        Raises UnknownNameError for a column or trial that does not exist.
        """
        names = known_names("column", COLUMN_NAMES if columns is None else columns, COLUMN_NAMES)
        ids = known_names("trial", self._ids if trials is None else trials, self._ids)
        return self._read_traces(ids, [name for name in names if name != ITERATION])

    def image(self, trial: str, name: str) -> bytes:
        """PNG bytes of a trial's picture: peak, peak_ema (both need the truth), final or ema.

        Raises UnknownNameError for an unknown trial, FolderError if there is no such picture.
        """
        known_names("trial", trial, self._ids)
        return read_png(self._folders[trial], name)

    def have_image(self, trials: Iterable[str], name: str) -> bool:
        """Whether every one of the trials has that picture; raises UnknownNameError."""
        ids = known_names("trial", trials, self._ids)
        try:
            return all(self._folders[trial].exists(f"{name}.png") for trial in ids)
        except FolderError:
            return False

    def snapshots(self, trial: str) -> list[int]:
        """The iterations of a trial whose output was kept, ascending; raises UnknownNameError."""
        known_names("trial", trial, self._ids)
        return read_snapshots(self._folders[trial])

    def snapshot(self, trial: str, iteration: int) -> bytes:
        """PNG bytes of the output at one of `snapshots`.

        Raises UnknownNameError for an unknown trial, FolderError if there is no such picture.
        """
        known_names("trial", trial, self._ids)
        folder, file = self._folders[trial], snapshot_file(iteration)
        if not folder.exists(file):
            there = ", ".join(map(str, read_snapshots(folder))) or "none"
            raise FolderError(f"{folder}: no snapshot at iteration {iteration}; there are {there}")
        return folder.read(file)

    def provenance(self, trial: str) -> dict[str, Any]:
        """What a trial ran with: versions, commit, device, seeds; empty if nobody wrote it down.

        Raises UnknownNameError for an unknown trial, FolderError if the file is broken.
        """
        known_names("trial", trial, self._ids)
        folder = self._folders[trial]
        said = folder.read_json(PROVENANCE) if folder.exists(PROVENANCE) else {}
        return said if isinstance(said, dict) else {}

    def problem_image(self, problem: str, name: str) -> bytes:
        """PNG bytes of a problem's measurement, reference, or a baseline's `picture`.

        Raises UnknownNameError for an unknown problem, FolderError if there is no such picture.
        """
        known_names("problem", problem, self.problems["name"])
        missing = FolderError(f"{self.store}: no picture {name!r} of {problem!r}")
        for place in self._problems.places.get(problem, []):
            try:
                return read_png(place, name)
            except FolderError as error:
                missing = error
        raise missing

    @property
    def _ids(self) -> list[str]:
        return list(self._trial_table.index)

    @cached_property
    def _trial_table(self) -> pd.DataFrame:
        return with_regret(trial_table(self._rows[0]))

    @cached_property
    def _rows(self) -> tuple[dict[str, Row], list[str]]:
        """Trial -> row, and complaints."""

        def read(name: str) -> tuple[Row | None, list[str]]:
            row, complaints = read_trial(name, self._folders[name])
            return row, [self._place(name, complaint) for complaint in complaints]

        answers = read_all(read, self._folders)
        rows = {name: row for name, (row, _) in answers.items() if row is not None}
        said = [complaint for _, complaints in answers.values() for complaint in complaints]
        return rows, said

    @cached_property
    def _problems(self) -> Problems:
        """Problems that are known from trials alone come last."""
        found = read_problems(self.store)
        for trial, row in self._rows[0].items():
            problem = row["problem"]
            if problem not in found.rows:
                with contextlib.suppress(FolderError, OSError):  # said with its trial
                    found.rows[problem] = read_problem(self._folders[trial], problem)
        return found

    @cached_property
    def _problem_tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return (
            row_table(list(self._problems.rows.values()), PROBLEM_DTYPES),
            row_table(self._problems.baselines, BASELINE_DTYPES),
        )

    def _read_traces(self, ids: list[str], columns: list[str]) -> pd.DataFrame:
        wanted = [ITERATION, *columns]
        answers = read_all(
            lambda name: read_columns(self._folders[name], wanted), ids, threads=_THREADS
        )
        for name, (_, complaints) in answers.items():
            said = self._trace_complaints.setdefault(name, {})
            said |= {self._place(name, complaint): None for complaint in complaints}
        return trace_frame({name: table for name, (table, _) in answers.items()}, wanted)

    def _place(self, trial: str, complaint: str) -> str:
        """A complaint with the trial's folder before it, where that is not the sweep's own."""
        is_single = self._folders[trial] is self.store
        return complaint if is_single else f"{TRIALS}/{trial}/{complaint}"


def read_png(store: Store, name: str) -> bytes:
    """The bytes of a PNG in a folder; raises FolderError if there is none of that name."""
    file = f"{name.removesuffix('.png')}.png"
    if "/" in name or not store.exists(file):
        there = [each for each in store.names() if each.endswith(".png")]
        raise FolderError(f"{store}: no picture {name!r}; there are {', '.join(there) or 'none'}")
    data = store.read(file)
    if not data.startswith(PNG_SIGNATURE):
        raise FolderError(f"{store}/{file}: not a PNG")
    return data
