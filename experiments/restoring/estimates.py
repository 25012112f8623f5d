"""How good the restored picture is, as far as the held-out pixels can tell."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.ensemble import Ensemble
from dipray.config import FitConfig
from dipray.estimate import Estimate, estimate_error
from experiments.restoring.picture import Damaged

_TWO_SIDED = 1.96  # standard errors of a 95 % interval
_LEVEL_ERROR = 0.04  # of an estimated noise variance, relative


@dataclass(frozen=True)
class Quality:
    """An estimate, and what it is of."""

    estimate: Estimate | None
    of: str
    by: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data: PSNR in dB with a 95 % interval, null where it has no end."""
        if self.estimate is None:
            return {"estimated_psnr": None}
        return {
            "estimated_psnr": self.estimate.psnr(),
            "estimated_psnr_low": self.estimate.psnr(_TWO_SIDED),
            "estimated_psnr_high": self.estimate.psnr(-_TWO_SIDED),
            "estimated_psnr_of": self.of,
            "estimated_by": self.by,
        }

    def lines(self) -> list[str]:
        """For a terminal."""
        if self.estimate is None:
            return []
        middle, low, high = (self.estimate.psnr(each) for each in (0, _TWO_SIDED, -_TWO_SIDED))
        said = "unknown" if low is None else f"above {low:.1f} dB"
        if middle is not None and low is not None:
            said = f"{middle:.1f} dB ({low:.1f} to {'any' if high is None else f'{high:.1f}'})"
        return [f"estimate     PSNR {said} {self.of}, by {self.by}"]


def quality(
    picture: Damaged,
    config: FitConfig,
    chosen: NDArray[np.float64],
    ensemble: Ensemble | None,
    risk: float | None,
) -> Quality:
    """The estimate for the restored picture.

    chosen: (H, W, C), of the fit that held pixels out. risk: Stein's estimate for one of the
    members, None if there is none. Averaging takes the members' variance from the mean of their
    errors, whatever the truth is (Krogh and Vedelsby, NeurIPS 1994); that one seed is as good as
    another is assumed.
    """
    problem = picture.problem
    gained = 0.0 if ensemble is None else float(ensemble.images.var(axis=0).mean())
    if risk is not None:
        of_member = Estimate(risk, _risk_error(picture), problem.y.numel())
        return Quality(
            of_member.less(gained), "of the restored picture", "Stein's unbiased risk estimate"
        )
    pixels = torch.from_numpy(np.ascontiguousarray(chosen.transpose(2, 0, 1)))[None].float()
    found = estimate_error(problem, config, pixels, noise_std=picture.sigma / 255)
    task = problem.origin["task"]
    by = "" if found is None else f"{found.pixels:,} pixels that were held out of the search"
    if found is None or task == "superres":
        of = "on the small picture; what lies between its pixels is not measured"
        return Quality(found, of, by)
    if task == "inpaint":
        return Quality(found.less(gained), "in the hole, if that is like the rest", by)
    of = "of pixels that a fit has not seen, at which it is worse than at others"
    return Quality(found.less(gained), of, by)


def _risk_error(picture: Damaged) -> float:
    """The standard error of Stein's estimate: of the noise, and of its level if estimated."""
    variance = (picture.sigma / 255) ** 2
    of_level = _LEVEL_ERROR if picture.sigma_is == "estimated" else 0.0
    return variance * math.hypot(2 / math.sqrt(picture.problem.y.numel()), of_level)
