"""Measurements that stay out of the loss, so that a fit can be judged without the truth.

The error of A(output) on them is, in the mean over independent noise, the error against A(x) plus
the noise's variance, since nothing was fitted to them: its differences rank fits and iterations
without bias. It ranks and does not grade: a fit knows less of these pixels than of those that it
sees, so its error there is greater than that of the whole picture. It does not hold where a pixel's
noise can be told from its neighbours' (noise that was blurred, demosaicked or compressed as JPEG):
a network that fits the noise then predicts it.
"""

import numpy as np
import torch
from torch import Tensor

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.problem import Problem

LEAST = 8  # pixels, below which an error says next to nothing


def known_pixels(problem: Problem) -> int:
    """The number of measured pixels that count in the loss."""
    return int(_known(problem).sum())


def count_held_out(config: FitConfig, known: int, name: str) -> int:
    """How many of the known pixels are held out; raises ConfigError if too few, or all."""
    share = config.holdout or 0.0
    if share == 0:
        return 0
    count = round(share * known)
    if count < LEAST:
        if known < 2 * LEAST:
            way_out = "write 0"
        else:
            way_out = f"write at least {np.ceil(1000 * LEAST / known) / 1000:g}, or 0"
        raise ConfigError(
            f"holdout={share:g}: of the {known:,} measured pixels of {name} that is {count}, and "
            f"{LEAST} are needed to judge by; {way_out}",
            field="holdout",
        )
    if known - count < LEAST:
        raise ConfigError(
            f"holdout={share:g}: of the {known:,} measured pixels of {name} that leaves "
            f"{known - count} to fit; write {'0' if known < 2 * LEAST else 'at most 0.5'}",
            field="holdout",
        )
    return count


def held_out(problem: Problem, config: FitConfig) -> Tensor | None:
    """(1, 1, h, w) of bool, True for the pixels of y that the loss must not see; None for none.

    Depends on which pixels are known, the share and `holdout_seed` alone: all fits of a picture
    that share these share the mask. Raises ConfigError.
    """
    known = _known(problem)
    count = count_held_out(config, int(known.sum()), problem.name)
    if not count:
        return None
    # NumPy's generator gives the same on every machine
    places = np.random.default_rng(config.holdout_seed).permutation(int(known.sum()))[:count]
    mask = torch.zeros(known.numel(), dtype=torch.bool)
    mask[known.flatten().nonzero()[:, 0][torch.from_numpy(places)]] = True
    return mask.view(1, 1, *known.shape).to(problem.y.device)


def _known(problem: Problem) -> Tensor:
    """(h, w), True where any channel counts."""
    if problem.weight is None:
        return torch.ones(problem.y.shape[2:], dtype=torch.bool)
    return (problem.weight > 0).expand_as(problem.y).any(dim=1)[0].cpu()
