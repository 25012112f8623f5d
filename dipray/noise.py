"""Gaussian noise that was clipped to [0, 1]: its mean, its variance, and its level in a picture.

A camera, and a file, cannot hold values below black or above white. There clipped noise is not zero
in the mean: black comes out brighter, white darker, and a fit to the picture follows. The model
A(x) = E[clip(x + s z)] takes that into account (Foi, Signal Processing 89(12), 2009).
"""

import math

import numpy as np
import pywt
import torch
from torch import Tensor, nn

_INSIDE = (0.2, 0.8)  # local means at which clipping does not narrow the noise
_LEAST = 200  # coefficients there, below which all are used


def _cumulative(t: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(t / math.sqrt(2)))


def _phi(t: Tensor) -> Tensor:
    return torch.exp(-0.5 * t.square()) / math.sqrt(2 * math.pi)


class ClippedMean(nn.Module):
    """x -> E[clip(x + s z, 0, 1)], z ~ N(0, 1); elementwise, differentiable.

    noise_std: s, on the scale of the picture in [0, 1].
    """

    def __init__(self, noise_std: float) -> None:
        super().__init__()
        self.noise_std = noise_std

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        s = self.noise_std
        low, high = -x / s, (1 - x) / s
        above = _cumulative(-high)
        between = _cumulative(high) - _cumulative(low)
        return x * between + s * (_phi(low) - _phi(high)) + above

    def variance(self, x: Tensor) -> Tensor:
        """Var[clip(x + s z, 0, 1)], elementwise."""
        s = self.noise_std
        low, high = -x / s, (1 - x) / s
        above = _cumulative(-high)
        between = _cumulative(high) - _cumulative(low)
        edges = 2 * x * s * (_phi(low) - _phi(high)) + s * s * (low * _phi(low) - high * _phi(high))
        square = (x.square() + s * s) * between + edges + above
        return (square - self.forward(x).square()).clamp_min(0)


def estimate_noise_std(picture: Tensor) -> float:
    """The standard deviation of white Gaussian noise in a picture (1, C, H, W) in [0, 1].

    Median absolute deviation of the finest diagonal wavelet coefficients (Donoho and Johnstone,
    Biometrika 81(3), 1994), where the picture is neither so dark nor so bright that noise is
    clipped. Fine texture counts as noise, and noise that is correlated hides.
    """
    estimates = []
    for channel in picture[0].double().cpu().numpy():
        means, (_, _, details) = pywt.dwt2(channel, "db2", mode="symmetric")
        inside = (means / 2 > _INSIDE[0]) & (means / 2 < _INSIDE[1])
        used = details[inside] if inside.sum() >= _LEAST else details
        estimates.append(float(np.median(np.abs(used))) / 0.6745)
    return float(np.mean(estimates))
