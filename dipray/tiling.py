"""Tiling: where overlapping tiles of one size lie in a picture, and how they blend into it."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dipray.config import MIN_SIZE
from dipray.errors import ConfigError

_SHARE, _LEAST = 8, 32  # the default blend: an eighth of a tile, or so many pixels,
_MOST = 4  # but not more than a quarter of it


@dataclass(frozen=True)
class Axis:
    """The tiles along one side of a picture, all of the same length.

    spans: the pixels of each, in order. ramp: pixels over which one tile blends into the next.
    """

    length: int
    spans: tuple[slice, ...]
    ramp: int

    @classmethod
    def of(cls, length: int, *, tile: int, overlap: int, margin: int) -> "Axis":
        """The least tiles that overlap by `overlap` or more; spread evenly, so often by more.

        margin: pixels at the border of a tile that count nothing where another one has them.
        """
        if tile >= length:
            return cls(length, (slice(0, length),), 0)
        rest = length - tile
        steps = math.ceil(rest / (tile - overlap))
        starts = [k * rest // steps for k in range(steps + 1)]
        pitch = min(after - start for start, after in itertools.pairwise(starts))
        # a ramp longer than the pitch would reach into the one after it
        ramp = min(overlap - 2 * margin, pitch)
        return cls(length, tuple(slice(start, start + tile) for start in starts), ramp)

    def weights(self) -> list[Tensor]:
        """For each tile (its length,) of float64; wherever tiles overlap, they sum to 1.

        A raised cosine leads from one tile to the next, in the middle of what they share.
        """
        pixels = torch.arange(self.length, dtype=torch.float64) + 0.5
        left, weights = torch.ones(self.length, dtype=torch.float64), []
        for span, after in zip(self.spans, (*self.spans[1:], None), strict=True):
            mine = left
            if after is not None:
                middle = (after.start + span.stop) // 2
                place = (pixels - middle + self.ramp / 2) / max(self.ramp, 1e-9)
                right = (0.5 * math.pi * place.clamp(0, 1)).sin().square()
                mine, left = left * (1 - right), right
            weights.append(mine[span])
        return weights


@dataclass(frozen=True)
class Tiling:
    """A picture's tiles, rows times columns of them. Raises ConfigError for those that cannot be.

    height, width: of the picture. tile: pixels a side; where the picture is smaller, its side.
    overlap: pixels that neighbours share at least, of a tile at most half; 0 leaves seams; None:
    an eighth of the tile or 32, and twice the margin. margin: see `Axis.of`.
    """

    height: int
    width: int
    tile: int
    overlap: int | None = None
    margin: int = 0

    def __post_init__(self) -> None:
        if self.tile < MIN_SIZE:
            raise ConfigError(
                f"tile={self.tile}: allowed is {MIN_SIZE} or more pixels a side", field="tile"
            )
        most, least = self.tile // 2, 2 * self.margin + (1 if self.margin else 0)
        if not self.is_whole and least > most:
            raise ConfigError(
                f"tile={self.tile}: the filter of the measurement reaches {self.margin} pixels "
                f"into each side of a tile; write at least {2 * least}",
                field="tile",
            )
        if self.overlap is None:
            blend = max(self.tile // _SHARE, min(_LEAST, self.tile // _MOST))
            object.__setattr__(self, "overlap", min(2 * self.margin + blend, most))
        elif self.overlap < 0 or not (self.is_whole or least <= self.overlap <= most):
            raise ConfigError(
                f"tile_overlap={self.overlap}: allowed is {least} to {most} pixels with tiles of "
                f"{self.tile}",
                field="tile_overlap",
            )

    @property
    def is_whole(self) -> bool:
        """Whether one tile holds the whole picture."""
        return self.tile >= max(self.height, self.width)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every tile."""
        return min(self.tile, self.height), min(self.tile, self.width)

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Down and across."""
        assert self.overlap is not None
        settings = {"tile": self.tile, "overlap": self.overlap, "margin": self.margin}
        return Axis.of(self.height, **settings), Axis.of(self.width, **settings)

    @property
    def places(self) -> dict[str, tuple[slice, slice]]:
        """Name of each tile, its row and column, to its pixels; row by row."""
        down, across = self.axes
        return {
            f"{row}-{column}": (rows, columns)
            for row, rows in enumerate(down.spans)
            for column, columns in enumerate(across.spans)
        }

    def blend(self, tiles: Sequence[Tensor]) -> Tensor:
        """The tiles (1, C, h, w) on the CPU, in the order of `places`, as a picture (1, C, H, W).

        Summed in float64, so that tiles that agree come out as they are.
        """
        down, across = self.axes
        weights = [a[:, None] * b for a in down.weights() for b in across.weights()]
        whole = torch.zeros(1, tiles[0].shape[1], self.height, self.width, dtype=torch.float64)
        for place, weight, tile in zip(self.places.values(), weights, tiles, strict=True):
            whole[..., place[0], place[1]] += weight * tile
        return whole.float()

    def to_dict(self) -> dict[str, Any]:
        """Plain data: what a tile is called, and where it begins, [row, column] in pixels."""
        begin = {name: [rows.start, columns.start] for name, (rows, columns) in self.places.items()}
        return {"size": list(self.size), "overlap": self.overlap, "tiles": begin}
