"""Does a picture fitted in tiles show where they meet, and is it as good as one fitted whole?

Command: python -m experiments.seams [ITERATIONS]
Cost: about ten minutes on two CPU cores with the 1,500 iterations that it makes unless told.
Expected: tiles joined without a blend show a seam (ratio well above 1), blended ones do not; the
PSNR of the tiles is not below that of the whole fit. A picture fitted whole, and the truth, say
what ratio there is without any tile: what is depicted may have an edge there, so the seam of the
error is the better measure.
"""

import itertools
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from skimage import data
from torch import Tensor

from dipray.config import FitConfig
from dipray.images import encode_png
from dipray.loop import fit
from dipray.metrics import psnr
from dipray.problem import Problem
from dipray.tasks.truth import add_noise
from dipray.tile_problem import tile_problems, tiling
from dipray.tiled_fit import blended, fit_tiles
from dipray.tiling import Axis, Tiling
from experiments.exits import exit_code

FOLDER = Path("runs/seams")
TILE, OVERLAP = 144, 32  # four tiles of 256x256 pixels
CONFIG = FitConfig(
    features=16,
    depth=4,
    iterations=1500,
    metrics_every=100,
    variance_window=0,
    snapshots=0,
    device="cpu",
)
NEAR = 8  # pixels on each side of a seam that it is held against


def seam(picture: Tensor, tiles: Tiling) -> float:
    """Mean |difference| of pixels across the seams over that of their neighbourhood; 1: no seam.

    picture: (1, C, H, W). A seam is the middle of what two tiles share.
    """
    across, beside = [], []
    for axis, dim in zip(tiles.axes, (2, 3), strict=True):
        steps = picture.diff(dim=dim).abs().mean(dim=(0, 1, 5 - dim)).tolist()
        seams = _seams(axis)
        across += [steps[at] for at in seams]
        near = {at + by for at in seams for by in range(-NEAR, NEAR + 1)} - set(seams)
        beside += [steps[at] for at in sorted(near) if 0 <= at < len(steps)]
    return float(np.mean(across) / np.mean(beside))


def _seams(axis: Axis) -> list[int]:
    pairs = itertools.pairwise(axis.spans)
    return [(second.start + first.stop) // 2 - 1 for first, second in pairs]


def photograph() -> Problem:
    """scikit-image's astronaut, every 2x2 pixels averaged to 256x256, with noise of sigma 25."""
    small = data.astronaut().reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
    truth = torch.from_numpy(small.round().astype(np.float32) / 255).permute(2, 0, 1)[None]
    return Problem(add_noise(truth, noise_sigma=25, seed=0), reference=truth, name="astronaut")


def main(asked: list[str]) -> int:
    """Fit it whole, in tiles of one seed, and in tiles of a seed each; say PSNR and seams."""
    config = CONFIG.replace(iterations=int(asked[0])) if asked else CONFIG
    problem = photograph()
    tiles = tiling(problem, tile=TILE, overlap=OVERLAP)
    truth = problem.reference
    assert truth is not None
    print(f"truth: seam {seam(truth, tiles):.2f}", flush=True)
    same = fit_tiles(problem, config, tile=TILE, overlap=OVERLAP)
    _say("tiles", same.images, truth, tiles)
    parts = [each.images for each in same.tiles.values()]
    _say("tiles-butt-joined", blended(replace(tiles, overlap=0), parts), truth, tiles)
    _say("whole", fit(problem, config).images, truth, tiles)
    others = [
        fit(each, config.replace(seed=seed)).images
        for seed, each in enumerate(tile_problems(problem, tiles).values(), start=1)
    ]
    _say("tiles-of-a-seed-each", blended(tiles, others), truth, tiles)
    print(f"pictures in {FOLDER}")
    return 0


def _say(name: str, images: Mapping[str, Tensor], truth: Tensor, tiles: Tiling) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind in ("final", "ema", "peak_ema"):
        if kind in images:
            level, ratio = float(psnr(images[kind], truth)), seam(images[kind], tiles)
            of_error = seam(images[kind] - truth, tiles)
            print(
                f"{name}, {kind}: PSNR {level:.2f} dB, seam {ratio:.2f}, of the error "
                f"{of_error:.2f}",
                flush=True,
            )
            (FOLDER / f"{name}-{kind}.png").write_bytes(encode_png(images[kind]))


if __name__ == "__main__":
    sys.exit(exit_code("seams", lambda: main(sys.argv[1:])))
