"""The frame that U-Nets share: blocks at each level, a step down, a step up, skips across."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from dipray.config import FitConfig
from dipray.models.enlarged import block_of_enlarged
from dipray.models.layers import Layers, spatial

Block = Callable[[Layers, int, int], nn.Module]
WIDEST = 4  # the width doubles at each level, up to this many times `features`


class UShape(nn.Module):
    """Ronneberger et al. (MICCAI 2015) with a choice of block.

    block: makes a module (N, inputs, h, w) -> (N, outputs, h, w). Skips carry `skip_channels`
    through a 1x1 block, or the whole feature map where that is None, or nothing at 0.
    (1, inputs, H, W) -> (1, outputs, H, W) in [0, 1].
    """

    def __init__(self, config: FitConfig, inputs: int, outputs: int, block: Block) -> None:
        super().__init__()
        make = Layers(config)
        widths = [config.features * min(2**level, WIDEST) for level in range(config.depth + 1)]
        self.stem = block(make, inputs, widths[0])
        self.halve = nn.ModuleList()
        self.down = nn.ModuleList()
        self.skip = nn.ModuleList()
        self.enlarge = nn.ModuleList()
        self.narrow = nn.ModuleList()
        self.up = nn.ModuleList()
        self.has_skips = config.skip_channels != 0
        for here, below in pairwise(widths):
            self.halve.append(make.halve(here, below))
            self.down.append(block(make, below, below))
            self.enlarge.append(make.enlarge(below))
            self.narrow.append(make.block(below, here))
            across = here if config.skip_channels is None else config.skip_channels
            project = config.skip_channels is not None and self.has_skips
            self.skip.append(make.block(here, across, 1) if project else nn.Identity())
            self.up.append(block(make, here + across, here))
        self.head = make.head(widths[0], outputs)

    def forward(self, z: Tensor) -> Tensor:
        """The picture for an input."""
        x, above = self.stem(z), []
        for halve, down in zip(self.halve, self.down, strict=True):
            above.append(x)
            x = down(halve(x))
        for level in reversed(range(len(self.up))):
            kept = above[level]
            x = block_of_enlarged(self.narrow[level], self.enlarge[level], x, spatial(kept))
            if self.has_skips:
                x = torch.cat([self.skip[level](kept), x], dim=1)
            x = self.up[level](x)
        picture: Tensor = self.head(x)
        return picture
