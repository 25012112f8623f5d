"""The network of the DIP paper: an hourglass with thin skip connections."""

from torch import Tensor, nn

from dipray.config import FitConfig
from dipray.models.layers import Layers, spatial
from dipray.models.merge import Merge

PAPER_SKIP_CHANNELS = 4


class Skip(nn.Module):
    """Ulyanov et al. (CVPR 2018): constant width, 1x1 skips, a 1x1 block after each step up.

    At 5 levels of 128 channels, skips of 4, a 32-channel input and RGB out it has 2,217,831
    parameters. (1, inputs, H, W) -> (1, outputs, H, W) in [0, 1].
    """

    def __init__(self, config: FitConfig, inputs: int, outputs: int) -> None:
        super().__init__()
        make, width = Layers(config), config.features
        across = PAPER_SKIP_CHANNELS if config.skip_channels is None else config.skip_channels
        self.skips = nn.ModuleList()
        self.downs = nn.ModuleList()
        self.ups = nn.ModuleList()
        self.merges = nn.ModuleList()
        for level in range(config.depth):
            channels = inputs if level == 0 else width
            if across:
                self.skips.append(make.block(channels, across, 1))
            self.downs.append(nn.Sequential(make.halve(channels, width), make.block(width, width)))
            self.ups.append(make.enlarge(width))
            self.merges.append(Merge(make, width, across))
        self.head = make.head(width, outputs)

    def forward(self, z: Tensor) -> Tensor:
        """The picture for an input."""
        x, above = z, []
        for level, down in enumerate(self.downs):
            above.append((spatial(x), self.skips[level](x) if len(self.skips) else None))
            x = down(x)
        for level in reversed(range(len(self.downs))):
            size, carried = above[level]
            x = self.merges[level](x, carried, self.ups[level], size)
        picture: Tensor = self.head(x)
        return picture
