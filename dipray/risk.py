"""Stein's unbiased risk estimate of a fit, with the divergence measured by a second fit.

    SURE = mean (f(y) - y)^2 - s^2 + (2 s^2 / (n e)) sum b (f(y + e b) - f(y)),

an estimate of mean (f(y) - A x)^2 over the n values that are fitted, for independent Gaussian noise
of standard deviation s; f is all that a fit does to y up to an iteration, and b are random signs
(Stein, Annals of Statistics 1981; Ramani, Blu, Unser, IEEE TIP 2008). The second fit has the same
weights, input and jitter at the start and sees y + e b: twice the cost. Clipped noise is not
Gaussian, and pictures with much black or white are judged a little too well.
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

    def estimate(self, made: Tensor, disturbed: Tensor) -> Tensor:
        """0-dim mean squared error of A(output), and of it where y was disturbed; may be < 0."""
        misfit = (self._share * (made - self._measured).square()).sum()
        slope = (self._share * self._probe * (disturbed - made)).sum() / (STEP * self._noise_std)
        return misfit + self._noise_std**2 * (2 * slope - 1)
