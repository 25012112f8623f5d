"""What well-known methods make of the same measurement, from scikit-image."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.restoration import (
    calibrate_denoiser,
    cycle_spin,
    denoise_nl_means,
    denoise_tv_chambolle,
    denoise_wavelet,
    inpaint_biharmonic,
)
from skimage.transform import resize
from torch import Tensor

from dipray.metrics import psnr
from dipray.noise import estimate_noise_std
from dipray.problem import Problem

Array = NDArray[np.float32]
Method = Callable[[Problem], Tensor]

EXACT_FROM = 8 / 255  # noise below which scikit-image's exact non-local means overflows
WEIGHTS = np.geomspace(0.25, 2.5, 12)  # of total variation, in units of the noise
MOST_MISSING = 2**19  # pixels: a sparse system of more takes minutes and gigabytes


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


def noise_std(problem: Problem) -> float:
    """Of the measurement in [0, 1]: known from the problem's making, or estimated."""
    stored = problem.origin.get("noise_sigma")
    return float(stored) / 255 if stored else estimate_noise_std(problem.y)


def _denoised(problem: Problem, method: Callable[[Array, float], Array]) -> Tensor:
    noisy, sigma = _array(problem.y), noise_std(problem)
    if not sigma:
        return problem.y
    return _tensor(method(noisy, sigma).reshape(noisy.shape)).clamp(0, 1)


def non_local_means(problem: Problem) -> Tensor:
    """Buades, Coll, Morel (CVPR 2005), with the noise that is known or estimated."""

    def method(noisy: Array, sigma: float) -> Array:
        # the exact algorithm, with what scikit-image's documentation advises for a known sigma: on
        # photographs it is better than the fast one
        exact = sigma >= EXACT_FROM
        cleaned: Array = denoise_nl_means(
            noisy,
            patch_size=5,
            patch_distance=6,
            h=(0.8 if exact else 0.6) * sigma,
            sigma=sigma,
            fast_mode=not exact,
            channel_axis=-1,
        )
        return cleaned

    return _denoised(problem, method)


def total_variation(problem: Problem) -> Tensor:
    """Rudin, Osher, Fatemi (Physica D 60, 1992) by Chambolle's algorithm, each channel by itself.

    The weight is the one of WEIGHTS that predicts left-out pixels best (Batson and Royer, ICML
    2019), and then sees all pixels. On photographs with noise of sigma 10 to 50 this is 0.1 dB
    short of the best weight, where the weight with mean (f(y) - y)^2 = sigma^2 is 1.5 to 4 dB
    short. Far below sigma 10 it smooths too much.
    """

    def method(noisy: Array, sigma: float) -> Array:
        settings = {
            "weight": list(WEIGHTS * sigma),
            "eps": [5e-5],  # the default ends long before strong noise is gone
            "max_num_iter": [1000],
            "channel_axis": [-1],
        }
        _, (tried, losses) = calibrate_denoiser(
            noisy, denoise_tv_chambolle, settings, extra_output=True
        )
        cleaned: Array = denoise_tv_chambolle(noisy, **tried[int(np.argmin(losses))])
        return cleaned

    return _denoised(problem, method)


def wavelet(problem: Problem) -> Tensor:
    """BayesShrink (Chang, Yu, Vetterli, IEEE TIP 9(9), 2000), colour in YCbCr, over 16 shifts.

    Averaging over shifts (Coifman and Donoho, 1995) gains 1.3 dB on photographs; with it Haar's
    wavelet is as good as smoother ones, and BayesShrink better than VisuShrink.
    """

    def method(noisy: Array, sigma: float) -> Array:
        settings = {"sigma": sigma, "convert2ycbcr": noisy.shape[-1] == 3, "channel_axis": -1}
        cleaned: Array = cycle_spin(
            noisy, denoise_wavelet, max_shifts=3, func_kw=settings, workers=1, channel_axis=-1
        )
        return cleaned

    return _denoised(problem, method)


def bicubic(problem: Problem) -> Tensor:
    """Interpolation by cubic splines, 0.25 dB better on photographs than Keys' bicubic kernel.

    Noise of the measurement is interpolated with it.
    """
    _, height, width = problem.picture_shape
    large = resize(_array(problem.y), (height, width), order=3, mode="symmetric")
    return _tensor(large).clamp(0, 1)


def biharmonic(problem: Problem) -> Tensor:
    """The hole filled by biharmonic functions (Damelin and Hoang, IJMMS 2018, 3950312).

    Known pixels stay as measured, their noise included. Half of the pixels missing takes 0.04 s at
    128x128 and 0.8 s at 512x512. Raises ValueError beyond MOST_MISSING pixels.
    """
    hole = problem.hole
    if hole is None:
        return problem.y
    missing = hole[0].any(0).numpy()
    if missing.sum() > MOST_MISSING:
        raise ValueError(f"{missing.sum():,} pixels are missing; allowed are {MOST_MISSING:,}")
    # large holes are too ill-conditioned for float32
    known = _array(problem.y).astype(np.float64)
    filled = _tensor(inpaint_biharmonic(known, missing, channel_axis=-1))
    return torch.where(hole, filled, problem.y)


METHODS: dict[str, dict[str, Method]] = {
    # task -> method -> function
    "denoise": {
        "noisy input": measurement,
        "non-local means": non_local_means,
        "total variation": total_variation,
        "wavelet": wavelet,
    },
    "superres": {"bicubic": bicubic},
    "inpaint": {"masked input": measurement, "biharmonic": biharmonic},
}


def baselines(problem: Problem) -> list[Baseline]:
    """Every method that suits the problem's task; none for a user's own operator.

    A method that fails on a picture is left out with a warning: no fit depends on it.
    """
    results = []
    for method, restore in METHODS.get(str(problem.origin.get("task")), {}).items():
        started = time.perf_counter()
        try:
            picture = restore(problem)
        except Exception as error:
            warnings.warn(f"{method} left out of {problem.name}: {error}", stacklevel=2)
            continue
        seconds = time.perf_counter() - started
        truth = problem.reference
        quality = None if truth is None else float(psnr(picture, truth))
        results.append(Baseline(method, picture, quality, seconds))
    return results
