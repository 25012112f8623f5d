"""A plain encoder-decoder: no skip connections at all."""

from torch import Tensor, nn

from dipray.config import FitConfig
from dipray.models.enlarged import block_of_enlarged
from dipray.models.layers import Layers, spatial


class EncDec(nn.Module):
    """An hourglass of constant width with two 3x3 blocks a level on each side.

    (1, inputs, H, W) -> (1, outputs, H, W) in [0, 1].
    """

    def __init__(self, config: FitConfig, inputs: int, outputs: int) -> None:
        super().__init__()
        make, width = Layers(config), config.features
        self.downs = nn.ModuleList(
            nn.Sequential(
                make.halve(inputs if level == 0 else width, width), make.block(width, width)
            )
            for level in range(config.depth)
        )
        self.enlarge = nn.ModuleList(make.enlarge(width) for _ in range(config.depth))
        ups = [(make.block(width, width), make.block(width, width)) for _ in range(config.depth)]
        self.first = nn.ModuleList(first for first, _ in ups)
        self.second = nn.ModuleList(second for _, second in ups)
        self.head = make.head(width, outputs)

    def forward(self, z: Tensor) -> Tensor:
        """The picture for an input."""
        x, sizes = z, []
        for down in self.downs:
            sizes.append(spatial(x))
            x = down(x)
        for enlarge, first, second in zip(self.enlarge, self.first, self.second, strict=True):
            x = second(block_of_enlarged(first, enlarge, x, sizes.pop()))
        picture: Tensor = self.head(x)
        return picture
