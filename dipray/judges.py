"""What a fit can be judged by without the truth: held-out error, estimated risk, movement."""

from typing import Any

import torch
from torch import Tensor

from dipray.config import FitConfig
from dipray.descent import State
from dipray.held_out import held_out
from dipray.metrics.quality import decibels
from dipray.noise import ClippedMean
from dipray.problem import Problem
from dipray.risk import Risk
from dipray.variance import ExponentialVariance, WindowedVariance


class Judges:
    """Columns of the trace that need more than one picture, and no truth.

    fitted_share: (1, C, h, w) summing to 1, how much each value of y counts in the loss, or None
    for all the same. risk: what the second fit is for, None where no noise level is given.
    Raises ConfigError for a share of held-out pixels that cannot be.
    """

    def __init__(self, problem: Problem, config: FitConfig) -> None:
        self.operator = problem.operator
        self.y = problem.y
        hidden = held_out(problem, config)
        weight = problem.weight
        if weight is None and hidden is not None:
            weight = torch.ones_like(self.y)
        self.fitted_share = None if weight is None else _share(weight, self.y, hidden, False)
        self.held_share = None
        if weight is not None and hidden is not None:
            self.held_share = _share(weight, self.y, hidden, True)
        self.risk: Risk | None = None
        if config.sure_sigma is not None:
            share = self.fitted_share
            fitted = torch.ones_like(self.y) if share is None else (share > 0).float()
            noise_std = config.sure_sigma / 255
            self.risk = Risk(self.y, fitted, noise_std=noise_std, seed=config.seed)
        blank = torch.zeros((1, *problem.picture_shape), device=self.y.device)
        self._windowed = (
            WindowedVariance(blank, config.variance_window) if config.variance_window else None
        )
        self._exponential = ExponentialVariance(blank) if config.variance_window else None
        self._decay = config.ema_decay
        self._disturbed_average: Tensor | None = None

    def is_round(self, iteration: int) -> bool:
        """Whether the windowed variance is computed anew at an iteration."""
        return self._windowed is not None and self._windowed.is_round(iteration)

    def measure(
        self,
        state: State,
        average: Tensor,
        disturbed: State | None,
        *,
        exact: bool | None = None,
    ) -> dict[str, Tensor]:
        """0-dim tensors by column.

        average: of the outputs. disturbed: the second fit, if any. exact: `is_round` of the
        iteration; None waits for the device to find out.
        """
        row: dict[str, Tensor] = {}
        if self._windowed is not None and self._exponential is not None:
            row["wmv"] = self._windowed.update(state.output, exact=exact)
            row["emv"] = self._exponential.update(state.output)
        if self.held_share is None and disturbed is None:
            return row
        of_average = self.operator(average)
        if self.held_share is not None:
            for name, made in (("val_psnr", state.made), ("val_psnr_ema", of_average)):
                error = (self.held_share * (made - self.y).square()).sum()
                row[name] = decibels(error)
        if self.risk is not None and disturbed is not None:
            if self._disturbed_average is None:
                self._disturbed_average = disturbed.output.clone()
            other = self._disturbed_average  # which stays where it is
            torch.lerp(disturbed.output, other, self._decay, out=other)
            row["sure"] = self.risk.estimate(
                state.made, disturbed.made, variance=self._noise_variance(state.output)
            )
            row["sure_ema"] = self.risk.estimate(
                of_average,
                self.operator(other),
                variance=self._noise_variance(average),
            )
        return row

    def state(self) -> dict[str, Any]:
        """What is remembered of the outputs so far."""
        return {
            "windowed": None if self._windowed is None else self._windowed.state(),
            "exponential": None if self._exponential is None else self._exponential.state(),
            "disturbed_average": self._disturbed_average,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        if self._windowed is not None and self._exponential is not None:
            self._windowed.load_state(state["windowed"])
            self._exponential.load_state(state["exponential"])
        disturbed = state["disturbed_average"]
        self._disturbed_average = None if disturbed is None else disturbed.to(self.y.device).clone()

    def _noise_variance(self, picture: Tensor) -> Tensor | None:
        """Value by value, where that depends on the picture."""
        operator = self.operator
        return operator.variance(picture) if isinstance(operator, ClippedMean) else None


def _share(weight: Tensor, y: Tensor, hidden: Tensor | None, wanted: bool) -> Tensor:
    """How much each value counts among the hidden ones, or among the others; sum 1."""
    if hidden is not None:
        weight = weight * (hidden if wanted else ~hidden)
    share: Tensor = weight / weight.expand_as(y).sum()
    return share
