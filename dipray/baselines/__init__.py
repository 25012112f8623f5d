"""What well-known methods make of the same measurement, from scikit-image."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from dipray.baselines.denoising import denoised, non_local_means, total_variation, wavelet
from dipray.baselines.interpolation import bicubic, biharmonic
from dipray.metrics import psnr
from dipray.problem import Problem


@dataclass(frozen=True)
class Baseline:
    """A method's picture (1, C, H, W), its PSNR in dB where the truth is known, and its time."""

    method: str
    picture: Tensor
    psnr: float | None
    seconds: float


def measurement(problem: Problem) -> Tensor:
    """The measurement itself."""
    return problem.y


METHODS: dict[str, dict[str, Callable[[Problem], Tensor]]] = {
    # task -> method -> function
    "denoise": {
        "noisy input": measurement,
        "non-local means": partial(denoised, by=non_local_means),
        "total variation": partial(denoised, by=total_variation),
        "wavelet": partial(denoised, by=wavelet),
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
            warnings.warn(f"{problem.name}: {method} left out ({error})", stacklevel=2)
            continue
        seconds = time.perf_counter() - started
        truth = problem.reference
        quality = None if truth is None else float(psnr(picture, truth))
        results.append(Baseline(method, picture, quality, seconds))
    return results
