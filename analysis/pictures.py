"""Saved pictures as arrays in [0, 1], and how near two of them are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dipray import codec

Pixels = NDArray[np.float64]


@dataclass(frozen=True)
class Picture:
    """`pixels` (H, W, 1 or 3) and `alpha` (H, W, 1) or None in [0, 1]; `bits` a channel."""

    pixels: Pixels
    alpha: Pixels | None = None
    bits: int = 8

    def with_pixels(self, pixels: Pixels) -> "Picture":
        """Other pixels with the same alpha and depth."""
        return Picture(pixels, self.alpha, self.bits)


def decode(data: bytes) -> Picture:
    """A picture from PNG bytes; raises ValueError for what is no picture of ours."""
    values = codec.decode_png(data)
    bits = 8 * values.dtype.itemsize
    planes = values.astype(np.float64) / (2**bits - 1)
    if planes.shape[2] in (2, 4):
        return Picture(planes[..., :-1], planes[..., -1:], bits)
    return Picture(planes, None, bits)


def encode(picture: Picture) -> bytes:
    """PNG bytes, clipped to [0, 1] and rounded to the picture's depth."""
    parts = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    levels = np.concatenate(parts, axis=2).clip(0, 1) * (2**picture.bits - 1)
    whole = np.round(levels)
    return codec.encode_png(
        whole.astype(np.uint16) if picture.bits == 16 else whole.astype(np.uint8)
    )


def decibels(mean_squared_error: float) -> float:
    """PSNR in dB of a mean squared error at data range 1, at most 150 as in the traces."""
    return float(-10 * np.log10(max(mean_squared_error, 1e-15)))


def psnr(pixels: Pixels, truth: Pixels) -> float:
    """PSNR in dB of clipped pixels, over all values, data range 1."""
    return decibels(float(np.square(pixels.clip(0, 1) - truth).mean()))
