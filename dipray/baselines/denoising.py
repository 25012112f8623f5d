"""Known methods against noise.

Each takes a picture (H, W, C) in [0, 1] and the standard deviation of its noise on that scale, and
returns it without noise, (H, W, C) or, of a gray one, (H, W). What is said of their quality was
measured on six of scikit-image's photographs at 128x128.
"""

from collections.abc import Callable

import numpy as np
from skimage.restoration import (
    calibrate_denoiser,
    cycle_spin,
    denoise_nl_means,
    denoise_tv_chambolle,
    denoise_wavelet,
)
from torch import Tensor

from dipray.baselines.arrays import Array, to_array, to_tensor
from dipray.noise import estimate_noise_std
from dipray.problem import Problem

WEIGHTS = np.geomspace(0.25, 2.5, 12)  # of total variation, in units of the noise
# in weaker noise the exponential of scikit-image's exact non-local means overflows: pixels are NaN
EXACT_FROM = 8 / 255
LEAST_NOISE = 1e-6  # anything less is rounding, of which thresholds in float32 would be 0 / 0


def denoised(problem: Problem, *, by: Callable[[Array, float], Array]) -> Tensor:
    """The measurement (1, C, H, W) without its noise, clipped to [0, 1].

    The level of the noise is known from the problem's making, or estimated.
    """
    stored = problem.origin.get("noise_sigma")
    noise_std = float(stored) / 255 if stored else estimate_noise_std(problem.y)
    if noise_std < LEAST_NOISE:
        return problem.y
    noisy = to_array(problem.y)
    return to_tensor(by(noisy, noise_std).reshape(noisy.shape)).clamp(0, 1)


def non_local_means(noisy: Array, noise_std: float) -> Array:
    """Buades, Coll, Morel (CVPR 2005)."""
    # the exact algorithm is better on photographs than the fast one; h for a known level of noise
    # is what scikit-image's documentation advises for each
    exact = noise_std >= EXACT_FROM
    clean: Array = denoise_nl_means(
        noisy,
        patch_size=5,
        patch_distance=6,
        h=(0.8 if exact else 0.6) * noise_std,
        sigma=noise_std,
        fast_mode=not exact,
        channel_axis=-1,
    )
    return clean


def total_variation(noisy: Array, noise_std: float) -> Array:
    """Rudin, Osher, Fatemi (Physica D 60, 1992) by Chambolle's algorithm, each channel by itself.

    The weight is the one of WEIGHTS with which pixels that it does not see are predicted best
    (Batson and Royer, ICML 2019); then it sees them all. For noise of sigma 10 to 50 this is within
    0.15 dB of the best weight, where Chambolle's rule, mean (f(y) - y)^2 = sigma^2, loses 1.5 to
    4 dB. Much weaker noise it smooths too much.
    """
    settings = {
        "weight": list(WEIGHTS * noise_std),
        "eps": [5e-5],  # the default ends too early in strong noise
        "max_num_iter": [1000],
        "channel_axis": [-1],
    }
    _, (tried, losses) = calibrate_denoiser(
        noisy, denoise_tv_chambolle, settings, extra_output=True
    )
    clean: Array = denoise_tv_chambolle(noisy, **tried[int(np.argmin(losses))])
    return clean


def wavelet(noisy: Array, noise_std: float) -> Array:
    """BayesShrink (Chang, Yu, Vetterli, IEEE TIP 9(9), 2000) with Haar's wavelet, colour in YCbCr.

    The mean over 4x4 shifts (Coifman and Donoho, 1995) gains 1.2 dB; with it smoother wavelets are
    no better, and VisuShrink as scikit-image advises it (sigma / 2 or / 4) is 1 to 2 dB worse.
    """
    settings = {"sigma": noise_std, "convert2ycbcr": noisy.shape[-1] == 3, "channel_axis": -1}
    clean: Array = cycle_spin(
        noisy, denoise_wavelet, max_shifts=3, func_kw=settings, workers=1, channel_axis=-1
    )
    return clean
