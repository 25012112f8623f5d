"""Networks by name."""

from collections.abc import Callable

import torch
from torch import nn

from dipray.config import FitConfig
from dipray.models.convnext import ConvNeXtUNet
from dipray.models.encdec import EncDec
from dipray.models.linearised import Linearised
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
        net = NETWORKS[config.net](config, inputs, outputs)
        if config.init == "kaiming":
            net.apply(_kaiming)
        return Linearised(net) if config.linearised else net


def _kaiming(module: nn.Module) -> None:
    """Weights that keep the size of maps through convolutions and rectifiers; biases 0."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


__all__ = ["NETWORKS", "build_network"]
