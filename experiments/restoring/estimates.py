"""How good the restored picture is, as far as the held-out pixels can tell."""

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


@dataclass(frozen=True)
class Quality:
    """An estimate, and what it is of."""

    estimate: Estimate | None
    of: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data: PSNR in dB with a 95 % interval, null where it has no end."""
        if self.estimate is None:
            return {"estimated_psnr": None}
        return {
            "estimated_psnr": self.estimate.psnr(),
            "estimated_psnr_low": self.estimate.psnr(_TWO_SIDED),
            "estimated_psnr_high": self.estimate.psnr(-_TWO_SIDED),
            "estimated_psnr_of": self.of,
            "held_out_pixels": self.estimate.pixels,
        }

    def lines(self) -> list[str]:
        """For a terminal."""
        if self.estimate is None:
            return []
        middle, low, high = (self.estimate.psnr(each) for each in (0, _TWO_SIDED, -_TWO_SIDED))
        said = "unknown" if low is None else f"above {low:.1f} dB"
        if middle is not None and low is not None:
            said = f"{middle:.1f} dB ({low:.1f} to {'any' if high is None else f'{high:.1f}'})"
        return [
            f"estimate     PSNR {said} {self.of}, by {self.estimate.pixels:,} pixels that were "
            "held out of the search"
        ]


def quality(
    picture: Damaged,
    config: FitConfig,
    chosen: NDArray[np.float64],
    ensemble: Ensemble | None,
) -> Quality:
    """The estimate for the restored picture.

    chosen: (H, W, C), of the fit that held pixels out. Averaging takes the members' variance from
    the mean of their errors, whatever the truth is (Krogh and Vedelsby, NeurIPS 1994); that the
    seeds are as good as the fit that was chosen is assumed.
    """
    problem = picture.problem
    pixels = torch.from_numpy(np.ascontiguousarray(chosen.transpose(2, 0, 1)))[None].float()
    found = estimate_error(problem, config, pixels, noise_std=picture.sigma / 255)
    task = problem.origin["task"]
    if found is None or task == "superres":
        return Quality(found, "on the small picture; what lies between its pixels is not measured")
    if ensemble is not None:
        found = found.less(float(ensemble.images.var(axis=0).mean()))
    if task == "inpaint" and problem.hole is not None:
        return Quality(found, "in the hole, if that is like the rest")
    return Quality(found, "of the restored picture")
