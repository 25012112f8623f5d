"""U-Net with two convolutions a level."""

from torch import nn

from dipray.config import FitConfig
from dipray.models.layers import Layers
from dipray.models.ushape import UShape


def _double_block(make: Layers, inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(make.block(inputs, outputs), make.block(outputs, outputs))


class UNet(UShape):
    """Ronneberger et al. (MICCAI 2015): two 3x3 blocks a level."""

    def __init__(self, config: FitConfig, inputs: int, outputs: int) -> None:
        super().__init__(config, inputs, outputs, _double_block)
