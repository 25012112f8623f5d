"""Recorder: writes a fit's folder while the fit runs, so that another process can go on with it."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from dipray.checkpoint import Checkpoints
from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import (
    CHECKPOINTS,
    CONFIG,
    FAILED,
    FINISHED,
    INTERRUPTED,
    OUTCOME,
    PROBLEM,
    PROVENANCE,
    SNAPSHOTS,
    STOPPED,
    TILES,
    TILING,
    TRACE,
    encode_trace,
    part_file,
    snapshot_file,
)
from dipray.images import encode_png
from dipray.kept import PICTURES
from dipray.loop import Block, Fit
from dipray.provenance import provenance
from dipray.resumption import Resumption, identity, last_stop
from dipray.store import Store
from dipray.trace import Rows, Summary, concatenate

ROWS_A_PART = 5000
CHECKPOINT_EVERY_S = 30.0  # the default; so much work is lost at most when a machine dies
# of trace are not to be seen at most while a fit runs; a checkpoint writes a part too, and readers
# of many trials like few files
SECONDS_A_PART = 40.0
_CHECKPOINT_SHARE = 0.05  # of the time at most that goes into writing checkpoints


def clear(store: Store) -> None:
    """Remove what an earlier fit left in its folder, and nothing else."""
    pictures = (f"{name}.png" for name in PICTURES)
    for stale in (OUTCOME, STOPPED, CHECKPOINTS, TRACE, SNAPSHOTS, TILING, TILES, *pictures):
        store.remove(stale)


def one_line(error: BaseException) -> str:
    """An exception as a reason that fits a table: its type and first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")[:500]


def record_failure(store: Store, config: FitConfig, problem_name: str, *, reason: str) -> None:
    """Leave the folder of a fit that could not begin; one that had begun before can still go on."""
    if not store.exists(CHECKPOINTS):
        clear(store)
    store.write_json(CONFIG, config.to_dict())
    store.write_json(PROBLEM, {"name": problem_name})
    store.write_json(OUTCOME, {"outcome": FAILED, "reason": reason})


def _below(store: Store, lines: tuple[str, ...]) -> list[str]:
    """Lines that begin with a path, without the way to the folder."""
    return [line.removeprefix(f"{store}/") for line in lines]


def _resumed(store: Store, now: dict[str, Any], resumption: Resumption) -> dict[str, Any]:
    """The provenance of the beginning, and where and with what the fit went on."""
    before: Any = None
    with contextlib.suppress(FolderError):
        before = store.read_json(PROVENANCE)
    if not isinstance(before, dict):
        before = {}
    stay = (
        *("dipray", "git_commit", "python", "platform", "device", "device_name", "threads"),
        "c_kernels",
    )
    changed = {name: now[name] for name in stay if before.get(name) != now[name]}
    entry = {"at": now["started"], "after": resumption.iteration, **changed}
    if resumption.trial:
        entry["trial"] = resumption.trial
    if resumption.refused:
        entry["refused"] = _below(store, resumption.refused)
    earlier = before.get("resumed")
    return {**(before or now), "resumed": [*(earlier if isinstance(earlier, list) else []), entry]}


class Recorder:
    """Follows a fit and keeps its folder true: trace in parts, outcome and images at the end.

    checkpoint_every_s: seconds between two checkpoints, 0 for one after each block, None for none
    but the one at an interruption. They take a twentieth of the time at most, unless it is 0.
    keep_state: whether a fit that runs to its budget leaves a checkpoint from shortly before, from
    which one with a larger budget goes on.
    What an earlier, unfinished fit left in the folder is replaced, unless the fit goes on from it.
    Raises FolderError.
    """

    def __init__(
        self,
        store: Store,
        fit: Fit,
        *,
        checkpoint_every_s: float | None = CHECKPOINT_EVERY_S,
        keep_state: bool = False,
        clock: Callable[[], float] = time.monotonic,
        resumption: Resumption = Resumption(),  # noqa: B008 # frozen
    ) -> None:
        self.store = store
        self.fit = fit
        self.summary = Summary()
        self._checkpoints = Checkpoints(store)
        self._every_s = checkpoint_every_s
        self._kept_at = last_stop(fit.config) if keep_state else 0
        self._clock = clock
        self._waiting: list[Rows] = []
        self._written_at = self._saved_at = clock()
        self._save_took = 0.0
        self._parts = 0
        self._has_ended = False
        self._identity = identity(fit)
        origins = provenance(fit.config, fit.device)
        if resumption.iteration:
            self.summary.load_state(resumption.summary)
            self._parts = resumption.parts
            store.remove(OUTCOME)
            origins = _resumed(store, origins, resumption)
        else:
            clear(store)
            if resumption.refused:  # it begins anew, and why is to be known
                origins |= {"refused": _below(store, resumption.refused)}
        store.write_json(CONFIG, fit.config.to_dict())
        store.write_json(PROBLEM, fit.problem.describe())
        store.write_json(PROVENANCE, origins)

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
        elif self._is_due() or self.fit.iteration == self._kept_at:
            self.save()

    def _is_due(self) -> bool:
        if self._every_s is None:
            return False
        pause = max(self._every_s, self._save_took / _CHECKPOINT_SHARE if self._every_s else 0)
        return self._clock() - self._saved_at >= pause

    def save(self) -> None:
        """Write a checkpoint, and first the rows up to it; raises FolderError."""
        started = self._clock()
        self._write_part()
        state = {**self._identity, "fit": self.fit.state(), "summary": self.summary.state()}
        self._checkpoints.write(self.fit.iteration, state)
        self._saved_at = self._clock()
        self._save_took = self._saved_at - started

    def interrupt(self) -> None:
        """End the folder between two blocks so that the fit can go on; raises FolderError.

        Where a scheduler decided to end the fit nothing needs to go on.
        """
        if not self._has_ended and self.fit.iteration and not self.fit.is_torn:
            if self.store.exists(STOPPED):
                self._checkpoints.remove()
            else:
                self.save()
        self.end(INTERRUPTED)

    def end(self, outcome: str, *, stopped_by: str | None = None, reason: str = "") -> None:
        """Write what waits, the images, and last of all the outcome; only the first end counts.

        A fit that has come to its end needs its checkpoints no more.
        """
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
        if self.fit.fallback:
            origins = self.store.read_json(PROVENANCE)
            self.store.write_json(PROVENANCE, {**origins, "not_replayed": self.fit.fallback})
        self.store.write_json(OUTCOME, row | ({"reason": reason} if reason else {}))
        self._has_ended = True
        if outcome in FINISHED:
            with contextlib.suppress(FolderError):  # what is left takes room, and does no harm
                self._checkpoints.remove(but=self._kept_at if outcome == "BUDGET" else 0)

    def _write_images(self) -> None:
        for name, image in self.fit.keeper.images().items():
            self._write_image(f"{name}.png", image)

    def _write_image(self, file: str, image: Tensor) -> None:
        problem = self.fit.problem
        alpha = None if problem.alpha is None else problem.alpha.cpu()
        self.store.write(file, encode_png(image.cpu(), alpha=alpha, bits=problem.bits))

    def _write_part(self) -> None:
        if self._waiting:
            data = encode_trace(concatenate(self._waiting), described=self._parts == 0)
            self.store.write(part_file(self._parts), data)
            self._parts += 1
            self._waiting.clear()
        self._written_at = self._clock()
