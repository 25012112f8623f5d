"""Denoising: y = x + noise, clipped or not."""

from torch import nn

from dipray.images import read_picture
from dipray.noise import ClippedMean
from dipray.problem import Problem
from dipray.task_config import TaskConfig
from dipray.tasks.truth import add_noise, read_truth


def denoise(task: TaskConfig, name: str) -> Problem:
    """A noisy file as it is, or a clean file with noise added; raises ImageError."""
    picture = read_picture(task.source, max_pixels=task.max_pixels)
    channels, height, width = picture.pixels.shape[1:]
    if task.clean is None:
        y = picture.pixels
        truth = read_truth(task, (channels, height, width))
    else:
        assert task.noise_sigma is not None
        y = add_noise(picture.pixels, noise_sigma=task.noise_sigma, seed=task.noise_seed)
        truth = picture.pixels
    clipped = task.clip_sigma
    return Problem(
        y,
        operator=nn.Identity() if clipped is None else ClippedMean(clipped / 255),
        reference=truth,
        alpha=picture.alpha,
        bits=picture.bits,
        name=name,
        origin=task.origin(),
    )
