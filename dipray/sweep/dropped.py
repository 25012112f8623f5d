"""Dropped: trials that Tune gives up although they have attempts left."""

from typing import Any

from ray import tune
from ray.tune.experiment import Trial


class Dropped(tune.Callback):
    """Notes the trials whose worker died while it was made ready for them.

    A worker that has ended one trial is given the next; where it dies before that has begun, Tune
    counts the trial as failed whatever max_failures says, since it is still pending.
    trials: their ids, of this search.
    """

    def __init__(self) -> None:
        self.trials: set[str] = set()

    def on_trial_error(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        **info: Any,  # noqa: ARG002
    ) -> None:
        """A trial fails for good, as Tune has it."""
        if is_dropped(trial):
            self.trials.add(str(trial.config["trial"]))


def is_dropped(trial: Trial) -> bool:
    """Of a trial that has failed for good: whether it has attempts left."""
    return bool(trial.should_recover())
