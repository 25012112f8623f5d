"""A plain encoder-decoder: no skip connections at all."""

from torch import Tensor, nn

from dipray.config import FitConfig
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
        self.ups = nn.ModuleList(
            nn.Sequential(make.block(width, width), make.block(width, width))
            for _ in range(config.depth)
        )
        self.head = make.head(width, outputs)

    def forward(self, z: Tensor) -> Tensor:
        """The picture for an input."""
        x, sizes = z, []
        for down in self.downs:
            sizes.append(spatial(x))
            x = down(x)
        for enlarge, up in zip(self.enlarge, self.ups, strict=True):
            x = up(enlarge(x, sizes.pop()))
        picture: Tensor = self.head(x)
        return picture
