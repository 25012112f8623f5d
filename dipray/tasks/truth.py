"""What the three tasks share: reading the truth, and damaging it with noise."""

import numpy as np
import torch
from torch import Tensor

from dipray.errors import ImageError
from dipray.images import read_picture
from dipray.task_config import TaskConfig


def read_truth(task: TaskConfig, shape: tuple[int, int, int]) -> Tensor | None:
    """The true picture (1, C, H, W), None where `task.gt` is; ImageError unless of that shape."""
    if task.gt is None:
        return None
    pixels = read_picture(task.gt, max_pixels=task.max_pixels).pixels
    if tuple(pixels.shape[1:]) != shape:
        raise ImageError(
            f"{task.gt}: the truth is {_words(pixels.shape[1:])}, but the restored picture will be "
            f"{_words(shape)}"
        )
    return pixels


def add_noise(clean: Tensor, *, noise_sigma: float, seed: int) -> Tensor:
    """clean + N(0, (noise_sigma / 255)^2), clipped to [0, 1]; the same for the same seed.

    Drawn in float64 by NumPy, since torch's normal numbers differ in the last bit among processors
    and the problem would be another one on each.
    """
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(tuple(clean.shape)))
    return (clean.double() + noise * (noise_sigma / 255)).clamp(0, 1).float()


def _words(shape: "tuple[int, ...] | torch.Size") -> str:
    channels, height, width = shape
    return f"{height}x{width} {'gray' if channels == 1 else 'RGB'}"
