"""What well-known methods make of the same measurement, from scikit-image."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.restoration import denoise_nl_means, estimate_sigma
from skimage.transform import resize
from torch import Tensor

from dipray.metrics import psnr
from dipray.problem import Problem

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Baseline:
    """A method's picture (1, C, H, W), its PSNR in dB where the truth is known, and its time."""

    method: str
    picture: Tensor
    psnr: float | None
    seconds: float


def _array(picture: Tensor) -> Array:
    return picture[0].permute(1, 2, 0).numpy()


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float().permute(2, 0, 1)[None]


def measurement(problem: Problem) -> Tensor:
    """The measurement itself."""
    return problem.y


def non_local_means(problem: Problem) -> Tensor:
    """Buades, Coll, Morel (CVPR 2005), sigma known from the problem's making, or estimated."""
    noisy = _array(problem.y)
    stored = problem.origin.get("noise_sigma")
    sigma = stored / 255 if stored else float(np.mean(estimate_sigma(noisy, channel_axis=-1)))
    # the exact algorithm, with what scikit-image's documentation advises for a known sigma: on
    # photographs it is better than the fast one
    clean = denoise_nl_means(
        noisy,
        patch_size=5,
        patch_distance=6,
        h=0.8 * sigma,
        sigma=sigma,
        fast_mode=False,
        channel_axis=-1,
    )
    return _tensor(clean.reshape(noisy.shape))  # it drops the channel of a gray picture


def bicubic(problem: Problem) -> Tensor:
    """Bicubic enlargement to the picture's size."""
    _, height, width = problem.picture_shape
    return _tensor(resize(_array(problem.y), (height, width), order=3, mode="edge")).clamp(0, 1)


METHODS: dict[str, dict[str, Callable[[Problem], Tensor]]] = {
    # task -> method -> function
    "denoise": {"noisy input": measurement, "non-local means": non_local_means},
    "superres": {"bicubic": bicubic},
    "inpaint": {"masked input": measurement},
}


def baselines(problem: Problem) -> list[Baseline]:
    """Every method that suits the problem's task; none for a user's own operator."""
    results = []
    for method, restore in METHODS.get(str(problem.origin.get("task")), {}).items():
        started = time.perf_counter()
        picture = restore(problem)
        seconds = time.perf_counter() - started
        truth = problem.reference
        quality = None if truth is None else float(psnr(picture, truth))
        results.append(Baseline(method, picture, quality, seconds))
    return results
