"""Schedulers: which fits are ended early, each compared with fits of its own picture only."""

import contextlib
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from dipray.errors import FolderError
from dipray.folder import STOPPED
from dipray.store import Store
from dipray.sweep.pace import LEAST_PAUSE_S, Pace, places
from dipray.sweep.recall import Known
from dipray.sweep_config import SweepConfig

Make = Callable[[], TrialScheduler]


BEYOND = 10**9  # iterations that no fit has: a fit ends at its own budget, not at a scheduler's


def _asha(config: SweepConfig, brackets: int) -> TrialScheduler:
    return AsyncHyperBandScheduler(
        time_attr="iteration",
        metric=config.metric,
        mode=config.mode,
        max_t=BEYOND,
        grace_period=config.grace_period,
        reduction_factor=config.reduction_factor,
        brackets=brackets,
    )


def _median(config: SweepConfig) -> TrialScheduler:
    return MedianStoppingRule(
        time_attr="iteration",
        metric=config.metric,
        mode=config.mode,
        grace_period=config.grace_period,
        min_samples_required=3,
        min_time_slice=math.inf,  # type: ignore[arg-type] # or it would pause fits to make room for others
    )


def _maker(config: SweepConfig) -> Make:
    """What makes the scheduler that a settled configuration names."""
    makers: dict[str, Make] = {
        "asha": partial(_asha, config, 1),
        "hyperband": partial(_asha, config, 3),
        "median": partial(_median, config),
        "none": FIFOScheduler,
    }
    return makers[config.scheduler]


def make_scheduler(config: SweepConfig, trials: Store) -> "Noting":
    """The scheduler that the configuration names; trials: the folder of the trials' folders.

    auto is what it is where the truth is known.
    """
    config = config.settled(has_truth=True)
    return Noting(config.scheduler, _maker(config), trials)


def per_picture(config: SweepConfig) -> "PerPicture":
    """The same, but what it decides is written nowhere."""
    return PerPicture(_maker(config.settled(has_truth=True)))


def pace(config: SweepConfig, at_once: int) -> Pace:
    """How often each trial reports where so many run at once.

    ASHA and HyperBand look at rungs alone, all brackets at some of the same. Median stopping
    compares means over reports, so it is given them all.
    """
    every = config.report_every
    if config.scheduler == "median" or config.reports_per_s is None:
        return Pace(every)
    awaited: frozenset[int] = frozenset()
    if config.scheduler != "none":
        most = int(np.log(BEYOND / config.grace_period) / np.log(config.reduction_factor))
        rungs = (config.grace_period * config.reduction_factor**k for k in range(most + 1))
        awaited = places(rungs, every)
    return Pace(every, awaited, max(LEAST_PAUSE_S, at_once / config.reports_per_s))


@dataclass(eq=False)
class Standin:
    """A trial as a scheduler sees it: by its own name, which is the same in every call."""

    trial_id: str
    furthest: int = -1  # iteration that it reported


@contextlib.contextmanager
def _drawing_by(name: str) -> Iterator[None]:
    """NumPy's global generator seeded by a name: HyperBand draws a trial's bracket from it.

    A trial is to be in the same bracket when its worker or the whole sweep starts again.
    """
    before = np.random.get_state()
    np.random.seed(zlib.crc32(name.encode()))
    try:
        yield
    finally:
        np.random.set_state(before)


class PerPicture(FIFOScheduler):
    """One scheduler for each picture.

    ASHA compares raw metrics, so in one scheduler for all the hard pictures would die.
    A trial that starts again from its checkpoint reports some things once more: each counts once.
    """

    def __init__(self, make: Make) -> None:
        super().__init__()
        self._make = make
        self._each: dict[str, TrialScheduler] = {}
        self._standins: dict[str, Standin] = {}

    def _of(self, problem: str) -> TrialScheduler:
        if problem not in self._each:
            self._each[problem] = self._make()
        return self._each[problem]

    def _both(self, trial: Trial) -> tuple[TrialScheduler, Any]:
        """The scheduler of a trial's picture, and what it knows the trial as: a Standin."""
        name = trial.config["trial"]
        standin = self._standins.setdefault(name, Standin(name))
        return self._of(trial.config["problem"]), standin

    def recall(self, known: Known) -> None:
        """Report once more what a trial of an earlier call reported; what is decided is past."""
        scheduler, standin = self._of(known.problem), Standin(known.trial)
        as_trial: Any = standin
        controller: Any = None  # none of these schedulers looks at it
        self._standins[known.trial] = standin
        with _drawing_by(known.trial):
            scheduler.on_trial_add(controller, as_trial)
        standin.furthest = int(known.reports[-1]["iteration"])
        for result in known.reports:
            decision = scheduler.on_trial_result(controller, as_trial, result)
            if decision == TrialScheduler.STOP and isinstance(scheduler, MedianStoppingRule):
                break  # it takes no more of a trial that it would have ended
        if known.is_finished:
            scheduler.on_trial_complete(controller, as_trial, known.reports[-1])

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on."""
        scheduler, standin = self._both(trial)
        with _drawing_by(standin.trial_id):
            scheduler.on_trial_add(tune_controller, standin)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass on."""
        scheduler, standin = self._both(trial)
        if int(result["iteration"]) <= standin.furthest:
            return TrialScheduler.CONTINUE
        standin.furthest = int(result["iteration"])
        decision: str = scheduler.on_trial_result(tune_controller, standin, result)
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Pass on."""
        scheduler, standin = self._both(trial)
        scheduler.on_trial_complete(tune_controller, standin, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on."""
        scheduler, standin = self._both(trial)
        scheduler.on_trial_remove(tune_controller, standin)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on."""
        scheduler, standin = self._both(trial)
        scheduler.on_trial_error(tune_controller, standin)

    def debug_string(self) -> str:
        """What each picture's scheduler says of itself."""
        return "\n".join(f"{name}: {each.debug_string()}" for name, each in self._each.items())


class Noting(PerPicture):
    """Leaves a note in the folder of a trial that it ends, since a trial cannot know who did."""

    def __init__(self, name: str, make: Make, trials: Store) -> None:
        super().__init__(make)
        self._name = name
        self._trials = trials
        self._notes: dict[str, dict[str, Any]] = {}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass on; note an early end."""
        decision = super().on_trial_result(tune_controller, trial, result)
        if decision == TrialScheduler.STOP:
            note = {"stopped_by": self._name, "stopped_at": int(result["iteration"])}
            self._notes[trial.config["trial"]] = note
            with contextlib.suppress(FolderError):  # one failed write must not end the sweep
                self.write_notes()
        return decision

    def write_notes(self) -> None:
        """Write the notes that are not written yet; raises FolderError."""
        for name in list(self._notes):
            self._trials.child(name).write_json(STOPPED, self._notes[name])
            del self._notes[name]

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass on; raises FolderError at a full disk, where all that follow would fail, too."""
        super().on_trial_error(tune_controller, trial)
        if self._trials.is_full:
            raise FolderError(f"{self._trials}: the disk is full")
