"""The trainable that Ray Tune runs: one fit, one block of iterations a step."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray
import torch
from ray import tune

from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import FAILED, STOPPED, TRIALS, read_note
from dipray.footprint import explained
from dipray.loop import Block, Fit, Outcome
from dipray.problem import Problem
from dipray.recorder import CHECKPOINT_EVERY_S, Recorder, clear, one_line, record_failure
from dipray.resumption import Resumption, extend, resume
from dipray.store import Store
from dipray.sweep.extension import Shorter, longest_below
from dipray.sweep.pace import Pace, Pacer
from dipray.sweep.relay import reachable
from dipray.sweep.worst import WORST_LOSS, WORST_PSNR
from dipray.trace import Summary

REPORTED = (
    "iteration",
    "loss",
    "psnr",
    "psnr_peak",
    "psnr_ema",
    "psnr_ema_peak",
    "val_psnr",
    "val_psnr_peak",
    "val_psnr_ema",
    "val_psnr_ema_peak",
    "tv",
    "hf_energy",
    "laplacian",
    "seconds",
)


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a sweep share; problems lie in Ray's object store."""

    problems: Mapping[str, "ray.ObjectRef[Problem]"]
    base: FitConfig
    sweep: Store
    call: str
    desk: Any  # the driver's Desk, None where its disk is everybody's
    pace: Pace
    threads: int
    gpu_share: float
    checkpoint_every_s: float | None = CHECKPOINT_EVERY_S
    keep_states: bool = False
    shorter: Shorter = field(default_factory=dict)


class FitTrainable(tune.Trainable):
    """A fit as Tune sees it.

    A class, not a function: Tune waits for a class's clean-up when a scheduler ends a trial, where
    a function's thread may be gone before its images are written. Its configuration holds
    `problem`, `trial` (the name of its folder) and the fields of FitConfig that differ from base.
    """

    def setup(self, config: dict[str, Any], settings: TrialSettings) -> None:  # type: ignore[override]
        """Called once for a process.

        Nothing is written here: Tune may ask for a process, find another one free before it has
        started, and yet let it set up the trial that the other one runs.
        """
        torch.set_num_threads(settings.threads)
        if 0 < settings.gpu_share < 1 and torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(settings.gpu_share)  # Ray sets no limit
        self.settings = settings
        self.trials = reachable(settings.sweep, settings.call, settings.desk).child(TRIALS)
        self.blocks: Iterator[Block] = iter(())
        self.trial_settings = config
        self.recorder: Recorder | None = None
        self.stop_at: float = math.inf  # iteration

    def step(self) -> dict[str, Any]:
        """Run a block, write it down, and report: finite floats always."""
        try:
            if self.recorder is None:
                self._begin()
            assert self.recorder is not None
            outcome = self._advance(self.recorder)
        except Exception as error:
            self._fail(one_line(self._explained(error)))
            raise
        fit = self.recorder.fit
        compared = ["psnr"] if fit.problem.reference is not None else []
        compared += ["val_psnr"] if fit.config.holdout else []
        row = report(self.recorder.summary, outcome, compared=compared)
        was_stopped = outcome is None and fit.iteration >= self.stop_at
        if was_stopped:
            self.recorder.interrupt()
        return {**row, "done": outcome is not None or was_stopped}

    def _advance(self, recorder: Recorder) -> Outcome | None:
        """Run up to the next report; how the fit ended, if it did."""
        while recorder.fit.iteration < self.stop_at:
            block = next(self.blocks)
            recorder.add(block)
            if block.outcome is not None or self.pacer.is_due(recorder.fit.iteration):
                return block.outcome
        return None

    def _begin(self) -> None:
        """Take the problem from the object store and build the fit, or go on with it."""
        problem = ray.get(self.settings.problems[self.trial_settings["problem"]])
        folder = self._folder()
        note = read_note(folder)
        fit, resumption = resume(folder, problem, self._fit_config())
        if not resumption.iteration:
            fit, resumption = self._extended(folder, problem, fit, resumption)
        self.recorder = Recorder(
            folder,
            fit,
            checkpoint_every_s=self.settings.checkpoint_every_s,
            keep_state=self.settings.keep_states,
            resumption=resumption,
        )
        if note is not None:
            # a scheduler had decided, and then all broke off: it ends there, not anew
            folder.write_json(STOPPED, note)
            self.stop_at = note.get("stopped_at", math.inf)
        self.blocks = fit.blocks(self.settings.pace.every)
        self.pacer = Pacer(self.settings.pace)

    def _extended(
        self, folder: Store, problem: Problem, fit: Fit, resumption: Resumption
    ) -> tuple[Fit, Resumption]:
        """The fit at the kept state of one with a smaller budget, if there is one."""
        trial = longest_below(self.settings.shorter, problem.name, fit.config)
        if trial is None:
            return fit, resumption
        try:
            clear(folder)
            return fit, extend(folder, self.trials.child(trial), trial, fit)
        except (ValueError, LookupError, TypeError, RuntimeError, FolderError) as error:
            refused = (*resumption.refused, f"{trial}: {one_line(error)}")
            return Fit(problem, fit.config), Resumption(refused=refused)

    def _fit_config(self) -> FitConfig:
        of_the_sweep = ("problem", "trial")
        point = {k: v for k, v in self.trial_settings.items() if k not in of_the_sweep}
        return self.settings.base.replace(**point)

    def _folder(self) -> Store:
        return self.trials.child(self.trial_settings["trial"])

    def _fail(self, reason: str) -> None:
        if self.recorder is None:
            problem = self.trial_settings["problem"]
            record_failure(self._folder(), self._fit_config(), problem, reason=reason)
        else:
            self.recorder.end(FAILED, reason=reason)

    def _explained(self, error: Exception) -> Exception:
        """Of an error that Ray wrapped what was raised, and of a lack of memory what would fit."""
        if isinstance(error, ray.exceptions.RayTaskError):
            error = error.cause
        if self.recorder is None:
            return error
        fit = self.recorder.fit
        return explained(error, fit.config, fit.problem.picture_shape, fit.device)

    def cleanup(self) -> None:
        """Called when the trial is ended from outside, too: leave a whole folder."""
        if self.recorder is not None:
            self.recorder.interrupt()  # which changes nothing of a fit that has ended

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with another trial in the same process."""
        with contextlib.suppress(FolderError):  # the old trial's, which must not fail the new one
            self.cleanup()
        self.trial_settings = new_config
        self.recorder, self.stop_at = None, math.inf
        self.blocks = iter(())  # lets go of the old fit
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        return True


def report(
    summary: Summary, outcome: Outcome | None, *, compared: Sequence[str] = ()
) -> dict[str, float]:
    """What goes to Tune: the columns that this problem has, all finite.

    compared: how the names of metrics begin that Tune may compare. They must be there, so one that
    a fit never had is the worst.
    """
    known = {name: summary.values[name] for name in REPORTED}
    row = {name: float(value) for name, value in known.items() if np.isfinite(value)}
    row = {name: WORST_PSNR for name in REPORTED if name.startswith(tuple(compared))} | row
    if outcome is Outcome.DIVERGED or "loss" not in row:
        row["loss"] = WORST_LOSS
    row["iteration"] = int(known["iteration"])
    return row
