"""Recorder: writes a fit's folder while the fit runs."""

import time
from collections.abc import Callable

from torch import Tensor

from dipray.config import FitConfig
from dipray.folder import (
    CONFIG,
    FAILED,
    OUTCOME,
    PROBLEM,
    PROVENANCE,
    SNAPSHOTS,
    STOPPED,
    TRACE,
    encode_trace,
    snapshot_file,
)
from dipray.images import encode_png
from dipray.kept import PICTURES
from dipray.loop import Block, Fit
from dipray.provenance import provenance
from dipray.store import Store
from dipray.trace import Rows, Summary, concatenate

ROWS_A_PART = 5000
SECONDS_A_PART = 20.0  # of trace are lost at most when a machine dies


def clear(store: Store) -> None:
    """Remove what an earlier fit left in its folder, and nothing else."""
    for stale in (OUTCOME, STOPPED, TRACE, SNAPSHOTS, *(f"{name}.png" for name in PICTURES)):
        store.remove(stale)


def one_line(error: BaseException) -> str:
    """An exception as a reason that fits a table: its type and first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")[:500]


def record_failure(store: Store, config: FitConfig, problem_name: str, *, reason: str) -> None:
    """Leave the folder of a fit that could not begin."""
    clear(store)
    store.write_json(CONFIG, config.to_dict())
    store.write_json(PROBLEM, {"name": problem_name})
    store.write_json(OUTCOME, {"outcome": FAILED, "reason": reason})


class Recorder:
    """Follows a fit and keeps its folder true: trace in parts, outcome and images at the end.

    What an earlier, unfinished fit left in the folder is replaced. Raises FolderError.
    """

    def __init__(
        self, store: Store, fit: Fit, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.store = store
        self.fit = fit
        self.summary = Summary()
        self._clock = clock
        self._waiting: list[Rows] = []
        self._written_at = clock()
        self._parts = 0
        self._has_ended = False
        clear(store)
        store.write_json(CONFIG, fit.config.to_dict())
        store.write_json(PROBLEM, fit.problem.describe())
        store.write_json(PROVENANCE, provenance(fit.config, fit.device))

    def add(self, block: Block) -> None:
        """Take in the next block; end the folder if it was the last."""
        self._waiting.append(block.rows)
        self.summary.update(block.rows)
        waiting = sum(len(rows["iteration"]) for rows in self._waiting)
        if waiting >= ROWS_A_PART or self._clock() - self._written_at >= SECONDS_A_PART:
            self._write_part()
        if block.snapshot is not None:
            self._write_image(snapshot_file(self.fit.iteration), block.snapshot)
        if block.outcome is not None:
            stopped_by = self.fit.config.stop if block.outcome == "STOPPED" else None
            self.end(str(block.outcome), stopped_by=stopped_by)

    def end(self, outcome: str, *, stopped_by: str | None = None, reason: str = "") -> None:
        """Write what waits, the images, and last of all the outcome; only the first end counts."""
        if self._has_ended:
            return
        self._write_part()
        try:
            self._write_images()
        except RuntimeError:
            # a GPU that has failed gives nothing back, and the reason must still be written
            if outcome != FAILED:
                raise
        picks = {rule: pick.to_dict() for rule, pick in self.fit.picks.items()}
        ending = {"outcome": outcome, "stopped_by": stopped_by}
        row = {**ending, **self.summary.outcome_row(), "picks": picks}
        self.store.write_json(OUTCOME, row | ({"reason": reason} if reason else {}))
        self._has_ended = True

    def _write_images(self) -> None:
        for name, image in self.fit.keeper.images().items():
            self._write_image(f"{name}.png", image)

    def _write_image(self, file: str, image: Tensor) -> None:
        problem = self.fit.problem
        alpha = None if problem.alpha is None else problem.alpha.cpu()
        self.store.write(file, encode_png(image.cpu(), alpha=alpha, bits=problem.bits))

    def _write_part(self) -> None:
        if self._waiting:
            part = f"{TRACE}/part-{self._parts:05d}.parquet"
            self.store.write(part, encode_trace(concatenate(self._waiting)))
            self._parts += 1
            self._waiting.clear()
        self._written_at = self._clock()
