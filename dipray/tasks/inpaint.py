"""Inpainting: y = x where the mask knows it."""

import torch
from torch import Tensor

from dipray.errors import ImageError
from dipray.images import read_mask, read_picture
from dipray.problem import Problem
from dipray.task_config import TaskConfig
from dipray.tasks.truth import add_noise, read_truth


def random_mask(height: int, width: int, *, share: float, seed: int) -> Tensor:
    """(1, 1, H, W) with exactly round(share * H * W) zeros (missing) at random places, ones else.

    At least one pixel stays missing and one known.
    """
    count = height * width
    hidden = min(max(round(share * count), 1), count - 1)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    mask = torch.ones(count)
    mask[order[:hidden]] = 0
    return mask.view(1, 1, height, width)


def inpaint(task: TaskConfig, name: str) -> Problem:
    """A picture and what is known of it; raises ImageError if mask and picture disagree."""
    picture = read_picture(task.source, max_pixels=task.max_pixels)
    channels, height, width = picture.pixels.shape[1:]
    if task.mask is not None:
        mask = read_mask(task.mask, max_pixels=task.max_pixels)
        if mask.shape[2:] != picture.pixels.shape[2:]:
            raise ImageError(
                f"{task.mask}: the mask is {mask.shape[2]}x{mask.shape[3]}, but {task.source} is "
                f"{height}x{width}"
            )
        if not 0 < float(mask.mean()) < 1:
            colour = "white (nothing is missing)" if float(mask.mean()) else "black (all missing)"
            raise ImageError(f"{task.mask}: the mask is all {colour}")
    else:
        assert task.mask_share is not None
        mask = random_mask(height, width, share=task.mask_share, seed=task.mask_seed)
    y = picture.pixels
    truth: Tensor | None = picture.pixels
    if task.clean is None:
        truth = read_truth(task, (channels, height, width))
    elif task.noise_sigma:
        y = add_noise(y, noise_sigma=task.noise_sigma, seed=task.noise_seed)
    return Problem(
        y * mask,  # what lies under the hole must not reach anything, not even a fingerprint
        weight=mask,
        reference=truth,
        alpha=picture.alpha,
        bits=picture.bits,
        name=name,
        origin=task.origin(),
    )
