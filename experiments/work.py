"""What `dipray fit` has to do: one fit, or one for each tile, and the memory that takes."""

from collections.abc import Mapping
from dataclasses import dataclass

from dipray.config import FitConfig
from dipray.device import resolve_device
from dipray.errors import ConfigError
from dipray.footprint import advice, footprint, memory_there
from dipray.held_out import known_pixels
from dipray.problem import Problem
from dipray.tile_problem import tile_problems, tiling
from dipray.tiled_fit import settled
from dipray.tiling import Tiling


@dataclass(frozen=True)
class Work:
    """A settled configuration, and the tiles with their problems by name; None: the picture whole.

    suffix: of the folder's name, which tells tiles of other sizes apart.
    """

    config: FitConfig
    tiles: Tiling | None
    problems: Mapping[str, Problem]

    @property
    def suffix(self) -> str:
        """Empty for a picture as a whole."""
        return "" if self.tiles is None else f"-tiles-{self.tiles.tile}-{self.tiles.overlap}"


def divided(problem: Problem, config: FitConfig, *, tile: int | None, overlap: int | None) -> Work:
    """In tiles if `tile` is less than the picture has; raises ConfigError and ProblemError."""
    if tile is None and overlap is not None:
        raise ConfigError(
            f"tile_overlap={overlap}: has no effect here; it is used with tile",
            field="tile_overlap",
        )
    tiles = None if tile is None else tiling(problem, tile=tile, overlap=overlap)
    if tiles is None or tiles.is_whole:
        has_reference, known = problem.reference is not None, known_pixels(problem)
        return Work(config.settled(has_reference=has_reference, known=known), None, {})
    problems = tile_problems(problem, tiles)
    return Work(settled(config, problem, tiles, problems), tiles, problems)


def needs(problem: Problem, work: Work) -> list[str]:
    """`dipray fit --dry-run`: what would be fitted, and whether there is memory, in lines."""
    channels, height, width = problem.picture_shape
    config, tiles = work.config, work.tiles
    size = (height, width) if tiles is None else tiles.size
    config.check_size(*size, picture=problem.source)
    shape = (channels, *size)
    needed, there = footprint(config, shape), memory_there(resolve_device(config))
    said = (
        f"about {needed / 2**30:.2g} GiB beside the process itself; there are {there / 2**30:.1f}"
    )
    if needed > there:
        said = str(advice(config, shape, there))
    picture = f"{height}x{width} pixels"
    if tiles is not None:
        picture += f" in {len(work.problems)} tiles of {size[0]}x{size[1]}, one after the other"
    return [
        f"picture    {picture}",
        f"memory     {said}",
        "nothing was started; drop --dry-run to begin",
    ]
