"""A picture's spectrum in five rings, beside that of a noisy picture and of its noise.

Ring b of 5 holds the frequencies of radius above (b - 1)/10 and up to b/10 cycles/pixel, the last
one the corners too. The mean of each channel belongs to none, and no window is used.
"""

import torch
from torch import Tensor

from dipray.trace import BANDS

_NYQUIST = 0.5  # cycles/pixel


class Bands:
    """Measures outputs beside y (1, C, H, W) and the truth, the same or None where nobody knows."""

    def __init__(self, y: Tensor, truth: Tensor | None) -> None:
        height, width = y.shape[-2:]
        self._size = height * width
        self._rings = _rings(height, width).to(y.device)
        self._y = torch.fft.rfft2(y).abs()
        self._clean: Tensor | None = None
        if truth is not None:
            self._clean = torch.fft.rfft2(truth)
            self._noise = torch.fft.rfft2(y - truth)
            self._noise_power = self._sums(self._noise.abs().square())

    def measure(self, picture: Tensor) -> dict[str, Tensor]:
        """0-dim tensors by column, of a picture (1, C, H, W).

        power: mean of |F|^2 / (H W) over the ring, F being the discrete Fourier transform.
        noise_fraction: Re<F - F(truth), F(noise)> / |F(noise)|^2 over the ring, the share of the
        noise that has been fitted: 0 at the truth, 1 at y. fbc: mean of min(|F| / |F(y)|, 1), the
        frequency-band correspondence (Shi et al., IJCV 2022, with rings of the same width).
        """
        spectrum = torch.fft.rfft2(picture)
        size = spectrum.abs()
        counts = self._rings.sum(dim=(1, 2)) * picture.shape[1]
        tiny = torch.finfo(size.dtype).tiny
        columns = {
            "power": self._sums(size.square()) / counts / self._size,
            "fbc": self._sums((size / self._y.clamp_min(tiny)).clamp_max(1)) / counts,
        }
        if self._clean is not None:
            follows = ((spectrum - self._clean) * self._noise.conj()).real
            columns["noise_fraction"] = self._sums(follows) / self._noise_power
        return {
            f"{name}_{band}": values[band - 1]
            for name, values in columns.items()
            for band in range(1, BANDS + 1)
        }

    def _sums(self, values: Tensor) -> Tensor:
        """(1, C, H, W // 2 + 1) -> (5,): over each ring and all channels."""
        return (self._rings * values.sum(dim=1)).sum(dim=(1, 2))


def _rings(height: int, width: int) -> Tensor:
    """(5, H, W // 2 + 1): how often each value of rfft2 stands in the ring."""
    down, across = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    radius = torch.hypot(down[:, None], across[None])
    # rfft2 keeps half of the plane: every column but the first (and Nyquist's) stands for two
    copies = torch.full_like(radius, 2.0)
    copies[:, 0] = 1.0
    if width % 2 == 0:
        copies[:, -1] = 1.0
    copies[0, 0] = 0.0  # the mean
    slack = 1 + 1e-6  # frequencies on the edge itself round to either side of it
    ring = torch.ceil(radius / (_NYQUIST / BANDS) / slack).clamp(1, BANDS)
    return torch.stack([copies * (ring == band) for band in range(1, BANDS + 1)])
