"""Stein's unbiased risk estimate of a fit, with the divergence measured by a second fit.

    SURE = mean (f(y) - y)^2 - s^2 + (2 s^2 / e) b (f(y + e b) - f(y)),

an estimate of mean (f(y) - A x)^2 over the n values that are fitted, for independent Gaussian noise
of standard deviation s; f is all that a fit does to y up to an iteration, and b are random signs
(Stein, Annals of Statistics 1981; Ramani, Blu, Unser, IEEE TIP 2008). The second fit has the same
weights, input and jitter at the start and sees y + e b: twice the cost. Where the operator models
clipped noise, s^2 is that noise's variance, value by value (a covariance penalty; Efron, JASA
99(467), 2004); where it does not, pictures with much black or white are judged a little too well.
"""

import torch
from torch import Tensor

STEP = 0.5  # e / s: the larger, the less the chance differences of two fits count


class Risk:
    """The estimate for one problem; `y` is what the second fit is to see.

    measured: (1, C, h, w); fitted: broadcastable to it, 1 for the values in the loss and 0 else.
    """

    def __init__(self, measured: Tensor, fitted: Tensor, *, noise_std: float, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        signs = torch.randint(0, 2, measured.shape, generator=generator) * 2.0 - 1
        self._measured = measured
        self._noise_std = noise_std
        self._share = fitted / fitted.expand_as(measured).sum()
        self._probe = signs.to(measured.device)
        self.y = measured + STEP * noise_std * self._probe

    def estimate(
        self, made: Tensor, disturbed: Tensor, *, variance: Tensor | None = None
    ) -> Tensor:
        """0-dim mean squared error of A(output) = `made`; may be below 0.

        disturbed: A(output) of the second fit. variance: of the noise, (1, C, h, w), where that is
        not the same for all values.
        """
        misfit = (made - self._measured).square()
        slope = self._probe * (disturbed - made) / (STEP * self._noise_std)
        level = self._noise_std**2 if variance is None else variance
        return (self._share * (misfit + level * (2 * slope - 1))).sum()
