"""Lean: the driver's memory stays about the same, however many trials have ended."""

from typing import Any

from ray import tune
from ray.tune.experiment import Trial


class Lean(tune.Callback):
    """Lets go of what Tune holds of an ended trial for reports that will never come.

    That is the last five and ten values of each number, two thirds of what a trial leaves in memory
    and in every copy of Tune's state. What has been made of them (their means) stays.
    """

    def on_trial_complete(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        **info: Any,  # noqa: ARG002
    ) -> None:
        """Let go."""
        trial.run_metadata.metric_n_steps = {}
