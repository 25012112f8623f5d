"""What the tile of a picture is measured by: a Problem of its own, cut out of the whole one."""

from dataclasses import replace

from torch import Tensor, nn

from dipray.errors import ProblemError
from dipray.noise import ClippedMean
from dipray.operators import Downsample
from dipray.problem import Problem
from dipray.tiling import Tiling

_LOCAL = (nn.Identity, ClippedMean)  # pixel by pixel


def tiling(problem: Problem, *, tile: int, overlap: int | None = None) -> Tiling:
    """Tiles for a problem's picture; raises ConfigError, and ProblemError for own operators."""
    _, height, width = problem.picture_shape
    margin = 0
    if isinstance(problem.operator, Downsample):
        margin = problem.operator.reach
    elif not isinstance(problem.operator, _LOCAL):
        raise ProblemError(
            f"{problem.name}: its operator {type(problem.operator).__name__} may look at the whole "
            "picture, which tiles cannot; they are for denoising, inpainting and super-resolution"
        )
    return Tiling(height, width, tile, overlap, margin)


def tile_problems(problem: Problem, tiles: Tiling) -> dict[str, Problem]:
    """The problem of each tile, by its name. One that holds all is the problem itself.

    Tiles are kept at 16 bit, so that they can be blended from their files, and without alpha.
    Raises ProblemError where nothing was measured in a tile.
    """
    if tiles.is_whole:
        return dict.fromkeys(tiles.places, problem)
    return {name: _cut(problem, name, *place) for name, place in tiles.places.items()}


def _cut(problem: Problem, name: str, rows: slice, columns: slice) -> Problem:
    operator, weight = problem.operator, problem.weight
    measured = (rows, columns)
    whole: Tensor | None = None
    if isinstance(operator, Downsample):
        window = operator.window(rows, columns)
        operator, measured, whole = window.operator, (window.rows, window.columns), window.whole
    y = problem.y[(..., *measured)].contiguous()
    if weight is not None:
        weight = weight.expand_as(problem.y)[(..., *measured)].contiguous()
    if whole is not None:
        weight = whole.float() if weight is None else weight * whole
    if weight is not None and not bool((weight > 0).any()):
        raise ProblemError(
            f"{problem.name}: nothing is known of the tile at row {rows.start}, column "
            f"{columns.start}; write a larger tile than {rows.stop - rows.start}"
        )
    channels = problem.picture_shape[0]
    reference = problem.reference
    return replace(
        problem,
        y=y,
        operator=operator,
        weight=weight,
        reference=None if reference is None else reference[..., rows, columns].contiguous(),
        shape=(channels, rows.stop - rows.start, columns.stop - columns.start),
        alpha=None,
        bits=16,
        trim=0,
        name=f"{problem.name}-{name}",
        origin={**problem.origin, "tile": [rows.start, columns.start]},
    )
