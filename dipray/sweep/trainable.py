"""The trainable that Ray Tune runs: one fit, one block of iterations a step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import torch
from ray import tune

from dipray.config import FitConfig
from dipray.folder import INTERRUPTED
from dipray.loop import Block, Fit, Outcome
from dipray.problem import Problem
from dipray.recorder import Recorder
from dipray.store import Store
from dipray.trace import Summary

REPORTED = (
    "iteration",
    "loss",
    "psnr",
    "psnr_peak",
    "psnr_ema",
    "psnr_ema_peak",
    "tv",
    "hf_energy",
    "laplacian",
    "seconds",
)
WORST_LOSS = 1e30  # of a diverged fit: finite, since Tune's schedulers let NaN live


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a sweep share; problems lie in Ray's object store."""

    problems: Mapping[str, "ray.ObjectRef[Problem]"]
    base: FitConfig
    trials: Store
    report_every: int
    threads: int


class FitTrainable(tune.Trainable):
    """A fit as Tune sees it.

    A class, not a function: Tune waits for a class's clean-up when a scheduler ends a trial, where
    a function's thread may be gone before its images are written. Its configuration holds
    `problem`, `trial` (the name of its folder) and the fields of FitConfig that differ from base.
    """

    def setup(self, config: dict[str, Any], settings: TrialSettings) -> None:  # type: ignore[override]
        """Called once for a process."""
        torch.set_num_threads(settings.threads)
        self.settings = settings
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        settings = self.settings
        point = {k: v for k, v in config.items() if k not in ("problem", "trial")}
        problem = ray.get(settings.problems[config["problem"]])
        self.fit = Fit(problem, settings.base.replace(**point))
        self.recorder = Recorder(settings.trials.child(config["trial"]), self.fit)
        self.blocks: Iterator[Block] = self.fit.blocks(settings.report_every)
        self.has_ended = False

    def step(self) -> dict[str, Any]:
        """Run a block, write it down, and report: finite floats always."""
        try:
            block = next(self.blocks)
            self.recorder.add(block)
        except Exception as error:
            self.has_ended = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.recorder.end("FAILED", reason=reason)
            raise
        self.has_ended = block.outcome is not None
        return {**report(self.recorder.summary, block.outcome), "done": self.has_ended}

    def cleanup(self) -> None:
        """Called when the trial is ended from outside, too: leave a whole folder."""
        if not self.has_ended:
            self.has_ended = True
            self.recorder.end(INTERRUPTED)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with another trial in the same process."""
        self.cleanup()
        self._begin(new_config)
        return True


def report(summary: Summary, outcome: Outcome | None) -> dict[str, float]:
    """What goes to Tune: the columns that this problem has, all finite."""
    known = {name: summary.values[name] for name in REPORTED}
    row = {name: float(value) for name, value in known.items() if np.isfinite(value)}
    if outcome is Outcome.DIVERGED:
        row["loss"] = WORST_LOSS
    row["iteration"] = int(known["iteration"])
    return row
