"""Networks by name."""

from collections.abc import Callable

import torch
from torch import nn

from dipray.config import FitConfig
from dipray.models.convnext import ConvNeXtUNet
from dipray.models.encdec import EncDec
from dipray.models.resunet import ResUNet
from dipray.models.skip import Skip
from dipray.models.unet import UNet

NETWORKS: dict[str, Callable[[FitConfig, int, int], nn.Module]] = {
    # name -> (config, input channels, picture channels) -> module
    "skip": Skip,
    "unet": UNet,
    "encdec": EncDec,
    "resunet": ResUNet,
    "convnext": ConvNeXtUNet,
}


def build_network(config: FitConfig, *, inputs: int, outputs: int) -> nn.Module:
    """The network on the CPU, its weights drawn from the configuration's seed alone."""
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed, which would seed every accelerator too
        torch.default_generator.manual_seed(config.seed_of("weights"))
        return NETWORKS[config.net](config, inputs, outputs)


__all__ = ["NETWORKS", "build_network"]
