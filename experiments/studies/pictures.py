"""The photographs of the studies, which come with scikit-image, and their noise."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from dipray.problem import Problem
from dipray.task_config import TaskConfig
from dipray.tasks import build_problem

# those of the photographs inside scikit-image's wheel that anybody may use and pass on: astronaut
# (NASA) and rocket (SpaceX) are in the public domain, the others are CC0; camera is gray
Photograph = Literal["astronaut", "chelsea", "coffee", "rocket", "retina", "camera"]
ALL_PHOTOGRAPHS: tuple[Photograph, ...] = get_args(Photograph)
PHOTOGRAPHS = ALL_PHOTOGRAPHS[:5]  # in colour
NOISE_SIGMA = 25.0
MOST_NOISES = 1000  # realisations of the noise on one photograph
PICTURES = "runs/pictures"
_NOISE = "-noise"  # in a problem's name, before the number of its realisation


def reduced(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The centred square of (H, W[, C]) pixels, averaged over areas to (size, size[, C]).

    Whole numbers throughout, so that every machine makes the same picture.
    """
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    square = pixels[top : top + side, left : left + side].astype(np.int64)
    # in units of 1 / size of a pixel: how much of pixel j lies under the new pixel i
    new, old = np.arange(size)[:, None] * side, np.arange(side)[None] * size
    shares = np.clip(np.minimum(new + side, old + size) - np.maximum(new, old), 0, None)
    sums = np.einsum("ij,jk...,lk->il...", shares, square, shares, optimize=True)
    return ((2 * sums + side**2) // (2 * side**2)).astype(np.uint8)


def photograph_file(name: Photograph, size: int, folder: Path) -> Path:
    """A photograph at size x size pixels as a PNG, made if it is not there."""
    path = folder / f"{name}-{size}.png"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(reduced(getattr(data, name)(), size)).save(path)
    return path


def noisy_problem(name: Photograph, noise: int, *, size: int, folder: Path) -> Problem:
    """Denoising of a photograph; noise: which of its realisations, from 0.

    No two photographs have the same noise, and no seed of a fit has to do with it.
    """
    task = TaskConfig(
        clean=photograph_file(name, size, folder),
        noise_sigma=NOISE_SIGMA,
        noise_seed=noise_seed(name, noise),
    )
    return build_problem(task, name=f"{name}-{size}{_NOISE}{noise}")


def noise_seed(name: Photograph, noise: int) -> int:
    """The seed of a realisation, another one for each photograph."""
    return MOST_NOISES * ALL_PHOTOGRAPHS.index(name) + noise


def picture_of(problem: str) -> str:
    """The picture that a problem is made of, the same for all its noises."""
    return problem.rpartition(_NOISE)[0]
