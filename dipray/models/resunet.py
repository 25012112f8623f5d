"""U-Net with residual blocks."""

from torch import Tensor, nn

from dipray.config import FitConfig
from dipray.models.layers import Layers
from dipray.models.ushape import UShape


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., CVPR 2016); 1x1 where widths differ."""

    def __init__(self, make: Layers, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            make.block(inputs, outputs), make.conv(outputs, outputs, 3), make.norm(outputs)
        )
        self.shortcut: nn.Module = (
            nn.Identity()
            if inputs == outputs
            else nn.Sequential(make.conv(inputs, outputs, 1), make.norm(outputs))
        )
        self.activation = make.activation()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)."""
        y: Tensor = self.activation(self.branch(x) + self.shortcut(x))
        return y


class ResUNet(UShape):
    """A U-Net of residual blocks (after Zhang et al., IEEE GRSL 2018)."""

    def __init__(self, config: FitConfig, inputs: int, outputs: int) -> None:
        super().__init__(config, inputs, outputs, ResidualBlock)
