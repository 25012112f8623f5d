"""U-Net with ConvNeXt-style blocks."""

from torch import Tensor, nn

from dipray.config import FitConfig
from dipray.models.layers import Layers
from dipray.models.ushape import UShape


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, norm, 1x1 to four times the width, activation, 1x1, beside a shortcut.

    After Liu et al. (CVPR 2022), with the configuration's norm and activation in place of layer
    norm and GELU, and without layer scale; a 1x1 convolution first where widths differ.
    """

    def __init__(self, make: Layers, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project: nn.Module = (
            nn.Identity() if inputs == outputs else make.conv(inputs, outputs, 1)
        )
        self.branch = nn.Sequential(
            make.conv(outputs, outputs, 7, groups=outputs),
            make.norm(outputs),
            make.conv(outputs, 4 * outputs, 1),
            make.activation(),
            make.conv(4 * outputs, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)."""
        x = self.project(x)
        y: Tensor = x + self.branch(x)
        return y


class ConvNeXtUNet(UShape):
    """A U-Net of ConvNeXt-style blocks."""

    def __init__(self, config: FitConfig, inputs: int, outputs: int) -> None:
        super().__init__(config, inputs, outputs, ConvNeXtBlock)
