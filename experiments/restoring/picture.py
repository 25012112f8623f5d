"""The damaged picture of a user: its noise, its clipping, and what of it is known for sure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dipray.config import FitConfig
from dipray.noise import estimate_noise_std
from dipray.problem import Problem
from dipray.task_config import TaskConfig
from dipray.tasks import build_problem
from experiments.commands import RestoreCommand

LEAST_CLIPPED = 0.005  # share of black or white values above which clipping is modelled
LEAST_SIGMA = 1.0  # on the scale 0 to 255; below, a picture counts as free of noise


@dataclass(frozen=True)
class Damaged:
    """A problem, and its noise level on the scale 0 to 255 (0: none).

    sigma_is: "given" or "estimated". is_clipped: whether the noise is cut at black and white.
    """

    problem: Problem
    sigma: float
    sigma_is: str
    is_clipped: bool

    def remarks(self) -> list[str]:
        """What was found out about the picture, in lines."""
        if self.problem.origin["task"] != "denoise":
            return []
        line = f"noise        standard deviation {self.sigma:.1f} of 255, {self.sigma_is}"
        if self.is_clipped:
            line += "; clipped at black or white, which is taken into account"
        return [line]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "task": self.problem.origin["task"],
            "sigma": self.sigma,
            "sigma_is": self.sigma_is,
            "clipping_modelled": self.is_clipped,
        }


def damaged(command: RestoreCommand) -> Damaged:
    """The problem that the command names; raises ImageError, ConfigError or ProblemError."""
    task = TaskConfig(
        image=command.image,
        task=command.task,
        scale=command.scale,
        kernel=command.kernel,
        mask=command.mask,
        max_pixels=command.max_pixels,
    )
    problem = build_problem(task)
    _, height, width = problem.picture_shape
    FitConfig(depth=1).check_size(height, width, picture=problem.source)
    if command.task != "denoise":
        return Damaged(problem, command.sigma or 0.0, "given", False)
    found = command.sigma is None
    sigma = round(255 * estimate_noise_std(problem.y), 1) if found else float(command.sigma or 0)
    clipped = float(((problem.y <= 0) | (problem.y >= 1)).float().mean())
    is_clipped = clipped > LEAST_CLIPPED and sigma >= LEAST_SIGMA
    if is_clipped:
        problem = build_problem(task.replace(clip_sigma=sigma))
    return Damaged(problem, sigma, "estimated" if found else "given", is_clipped)


def with_known(problem: Problem, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels (H, W, C) with the measured ones put back, where a mask says which are measured."""
    if problem.hole is None:
        return pixels
    missing = problem.hole[0].permute(1, 2, 0).numpy()
    return np.where(missing, pixels, problem.y[0].permute(1, 2, 0).double().numpy())
