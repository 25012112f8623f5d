"""Linear measurement operators A, differentiable, with edges that lose nothing."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dipray.config import Kernel

Array = NDArray[np.float64]


def _lanczos(lobes: int) -> Callable[[Array], Array]:
    def kernel(x: Array) -> Array:
        inside = np.abs(x) < lobes
        return np.where(inside, np.sinc(x) * np.sinc(x / lobes), 0.0)

    return kernel


def _bicubic(x: Array) -> Array:
    """Keys' cubic convolution kernel, a = -1/2 (IEEE TASSP 29(6), 1981)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _bilinear(x: Array) -> Array:
    return np.maximum(1 - np.abs(x), 0.0)


def _box(x: Array) -> Array:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


KERNELS: dict[Kernel, tuple[Callable[[Array], Array], float]] = {
    # name -> kernel, half width in pixels of the coarser grid
    "lanczos2": (_lanczos(2), 2.0),
    "lanczos3": (_lanczos(3), 3.0),
    "bicubic": (_bicubic, 2.0),
    "bilinear": (_bilinear, 1.0),
    "box": (_box, 0.5),
}


def resampling_matrix(size_in: int, size_out: int, kernel: Kernel) -> Tensor:
    """(size_out, size_in) float32 weights that resample a line of pixels with antialiasing.

    The kernel is widened by size_in / size_out when that shrinks the line, pixel centres lie at
    half-integers, and each row is cut at the border and sums to 1, as Pillow's `resize` does.
    """
    evaluate, half_width = KERNELS[kernel]
    ratio = size_in / size_out
    stretch = max(ratio, 1.0)
    centres = ((np.arange(size_out) + 0.5) * ratio)[:, None]
    pixels = np.arange(size_in)[None, :]
    # in Pillow's order of rounding, which decides about pixels on the very edge of a box
    first = np.floor(centres - half_width * stretch + 0.5)
    end = np.floor(centres + half_width * stretch + 0.5)
    offsets = (pixels - centres + 0.5) * (1 / stretch)
    weights = np.where((pixels >= first) & (pixels < end), evaluate(offsets), 0.0)
    return torch.from_numpy(weights / weights.sum(axis=1, keepdims=True)).float()


class Downsample(nn.Module):
    """Shrink (N, C, H, W) by an integer factor: y = R x C' with antialiased row and column weights.

    The size of y is H / factor rounded to the nearest integer, at least 1: a side that the factor
    does not divide is resampled whole, never cropped.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, height: int, width: int, factor: int, kernel: Kernel = "lanczos3") -> None:
        super().__init__()
        self.factor = factor
        self.kernel = kernel
        sides = [max(1, math.floor(side / factor + 0.5)) for side in (height, width)]
        self.register_buffer("rows", resampling_matrix(height, sides[0], kernel))
        self.register_buffer("columns", resampling_matrix(width, sides[1], kernel))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, h, w)."""
        narrow = x @ self.columns.t()
        result: Tensor = self.rows @ narrow
        return result

    @property
    def reach(self) -> int:
        """Pixels from the border of a window within which not all that is measured is whole."""
        half_width = KERNELS[self.kernel][1]
        ratio = max(m.shape[1] / m.shape[0] for m in (self.rows, self.columns))
        return math.ceil((half_width + 0.5) * ratio)

    def window(self, rows: slice, columns: slice) -> "Window":
        """What this operator makes of these rows and columns of the picture alone."""
        part = copy.deepcopy(self)
        part.rows, measured_rows, whole_rows = _window(self.rows, rows)
        part.columns, measured_columns, whole_columns = _window(self.columns, columns)
        whole = (whole_rows[:, None] & whole_columns)[None, None]
        return Window(part, measured_rows, measured_columns, whole)


@dataclass(frozen=True)
class Window:
    """A downsampling seen through a window of the picture.

    rows, columns: of y, the values that it makes. whole: (1, 1, h, w) of bool, True for those that
    come from within the window alone, and are then the same as without a window.
    """

    operator: Downsample
    rows: slice
    columns: slice
    whole: Tensor


def _window(matrix: Tensor, span: slice) -> tuple[Tensor, slice, Tensor]:
    """A resampling matrix cut to `span`, its place among the rows, and which rows are whole."""
    made, length = matrix.shape
    count = -(-(span.stop - span.start) * made // length)  # the same for spans of one length
    first = span.start * made // length
    rows = slice(first, first + count)
    outside = matrix[rows].clone()
    outside[:, span] = 0
    return matrix[rows, span].clone(), rows, (outside == 0).all(dim=1)
