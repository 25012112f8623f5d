"""How good a picture is where no fit has seen the measurement.

That is worse than where one has: a fit knows the noisy value of a pixel, and follows it a little.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dipray.config import FitConfig
from dipray.held_out import held_out
from dipray.metrics.quality import decibels
from dipray.noise import ClippedMean
from dipray.problem import Problem


@dataclass(frozen=True)
class Estimate:
    """A mean squared error and the standard error of that number; `pixels` went into it."""

    mse: float
    standard_error: float
    pixels: int

    def less(self, known: float) -> "Estimate":
        """What is left of the error when a known part of it is taken away, e.g. by averaging."""
        return Estimate(self.mse - known, self.standard_error, self.pixels)

    def scaled(self, share: float) -> "Estimate":
        """The error of a whole of which only this share has any."""
        return Estimate(share * self.mse, share * self.standard_error, self.pixels)

    def psnr(self, deviations: float = 0.0) -> float | None:
        """PSNR in dB where the error is so many standard errors greater; None if it is not > 0."""
        mse = self.mse + deviations * self.standard_error
        return float(decibels(torch.tensor(mse))) if mse > 0 else None


def estimate_error(
    problem: Problem, config: FitConfig, picture: Tensor, *, noise_std: float = 0.0
) -> Estimate | None:
    """The mean squared error of A(picture) against A(x), from the pixels that `config` holds out.

    picture: (1, C, H, W) of a fit with that configuration. noise_std: of the measurement, whose
    variance is taken away; where the operator models clipping, that of the clipped noise. None
    where nothing was held out. Raises ConfigError for a share that cannot be held out.
    """
    hidden = held_out(problem, config)
    if hidden is None:
        return None
    with torch.no_grad():
        made = problem.operator(picture)
        variance: Tensor | float = noise_std**2
        if isinstance(problem.operator, ClippedMean):
            variance = problem.operator.variance(picture)
        excess = (made - problem.y).square() - variance
        errors = excess.mean(dim=1)[hidden[:, 0]]
    error = float(errors.std()) / len(errors) ** 0.5
    return Estimate(float(errors.mean()), error, len(errors))
