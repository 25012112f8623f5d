"""Super-resolution: y = antialiased downsampling of x."""

import copy

import torch
from torch.nn import functional as F

from dipray.errors import ImageError
from dipray.images import read_picture
from dipray.operators import Downsample
from dipray.problem import Problem
from dipray.task_config import TaskConfig
from dipray.tasks.truth import add_noise, read_truth


def superres(task: TaskConfig, name: str) -> Problem:
    """A low-resolution file as it is, or a clean file shrunk by the loss's own operator.

    Raises ImageError.
    """
    assert task.scale is not None
    picture = read_picture(task.source, max_pixels=task.max_pixels)
    channels, height, width = picture.pixels.shape[1:]
    alpha = picture.alpha
    if task.clean is None:
        y = picture.pixels
        height, width = height * task.scale, width * task.scale
        if height * width > task.max_pixels:
            raise ImageError(
                f"{task.source}: enlarged to {width}x{height} pixels, above the limit of "
                f"{task.max_pixels:,}; write a smaller --scale or a larger --max-pixels"
            )
        operator = Downsample(height, width, task.scale, task.kernel)
        truth = read_truth(task, (channels, height, width))
        if alpha is not None:
            alpha = F.interpolate(alpha, size=(height, width), mode="bilinear").clamp(0, 1)
    else:
        truth = picture.pixels
        operator = Downsample(height, width, task.scale, task.kernel)
        with torch.no_grad():  # in float64, whose last bits do not show in y
            y = copy.deepcopy(operator).double()(truth.double()).float()
        if task.noise_sigma:
            y = add_noise(y, noise_sigma=task.noise_sigma, seed=task.noise_seed)
    return Problem(
        y,
        operator=operator,
        reference=truth,
        shape=(channels, height, width),
        alpha=alpha,
        bits=picture.bits,
        luma=True,
        trim=min(task.scale, (min(height, width) - 1) // 2),
        name=name,
        origin=task.origin(),
    )
