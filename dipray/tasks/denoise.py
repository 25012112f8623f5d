"""Denoising: y = x + noise."""

from dipray.images import read_picture
from dipray.problem import Problem
from dipray.task_config import TaskConfig
from dipray.tasks.truth import add_noise, read_truth


def denoise(task: TaskConfig, name: str) -> Problem:
    """A noisy file as it is, or a clean file with noise added; raises ImageError."""
    picture = read_picture(task.source)
    channels, height, width = picture.pixels.shape[1:]
    if task.clean is None:
        y = picture.pixels
        truth = read_truth(task.gt, channels=channels, height=height, width=width)
    else:
        assert task.noise_sigma is not None
        y = add_noise(picture.pixels, noise_sigma=task.noise_sigma, seed=task.noise_seed)
        truth = picture.pixels
    return Problem(
        y,
        reference=truth,
        alpha=picture.alpha,
        bits=picture.bits,
        name=name,
        origin=task.to_dict(),
    )
