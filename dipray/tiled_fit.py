"""A fit in tiles: each tile a fit of its own, one after the other, blended into one picture."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from dipray.config import FitConfig
from dipray.held_out import known_pixels
from dipray.kept import PICTURES
from dipray.loop import FitResult, Outcome, fit
from dipray.metrics import psnr
from dipray.problem import Problem
from dipray.tile_problem import tile_problems, tiling
from dipray.tiling import Tiling


@dataclass(frozen=True)
class TiledResult:
    """What the fits of a picture's tiles leave.

    images: the blended pictures (1, C, H, W), named as a fit's: each tile has its own peak, and its
        own pick of each rule. psnr: their PSNR in dB by name, empty without a reference.
    tiles: the fit of each tile, by its name.
    """

    images: dict[str, Tensor]
    psnr: dict[str, float]
    outcome: Outcome
    tiles: dict[str, FitResult]
    tiling: Tiling


def fit_tiles(
    problem: Problem,
    config: FitConfig | None = None,
    *,
    tile: int,
    overlap: int | None = None,
) -> TiledResult:
    """Fit tiles of `tile` pixels a side that overlap by `overlap`, see `Tiling`, and blend them.

    Takes the memory of a fit of one tile. All share the configuration, seeds included. One tile
    that holds all gives exactly what `fit` does. Raises ConfigError and ProblemError.
    """
    tiles = tiling(problem, tile=tile, overlap=overlap)
    problems = tile_problems(problem, tiles)
    config = settled(config or FitConfig(), problem, tiles, problems)
    results = {name: fit(each, config) for name, each in problems.items()}
    images = blended(tiles, [result.images for result in results.values()])
    outcome = Outcome(worst_outcome(result.outcome for result in results.values()))
    return TiledResult(images, scores(images, problem), outcome, results, tiles)


def settled(
    config: FitConfig, problem: Problem, tiles: Tiling, problems: Mapping[str, Problem]
) -> FitConfig:
    """The configuration of every tile: as many pixels held out as the one of the fewest needs.

    Raises SizeError if the tiles are too small for the network.
    """
    of = problem.source if tiles.is_whole else f"tiles of {problem.source}"
    config.check_size(*tiles.size, picture=of)
    known = min(known_pixels(each) for each in problems.values())
    return config.settled(has_reference=problem.reference is not None, known=known)


def blended(tiles: Tiling, images: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Each kind of picture that every tile has, blended. images: of each tile, by kind.

    What a rule picks in a tile is its last average where the tile has no such picture.
    """
    result = {}
    for kind in PICTURES:
        instead = "ema" if kind.startswith("pick_") else kind
        parts = [of.get(kind, of.get(instead)) for of in images]
        there = [part for part in parts if part is not None]
        if len(there) == len(parts) and any(kind in of for of in images):
            result[kind] = tiles.blend(there)
    return result


def scores(images: Mapping[str, Tensor], problem: Problem) -> dict[str, float]:
    """PSNR in dB of each picture, where the truth is known."""
    truth = problem.reference
    return {} if truth is None else {kind: float(psnr(im, truth)) for kind, im in images.items()}


def worst_outcome(outcomes: Iterable[str]) -> str:
    """One outcome for many: DIVERGED if any is, STOPPED if any other is, else BUDGET."""
    found = set(outcomes)
    return next((str(o) for o in (Outcome.DIVERGED, Outcome.STOPPED) if o in found), "BUDGET")
