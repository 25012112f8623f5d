"""Weights whose size the network's output does not depend on."""

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn

from dipray.models.layers import Block
from dipray.models.linearised import Linearised

_NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)


def scale_invariant(net: nn.Module) -> list[Tensor]:
    """The weights of convolutions that a norm follows.

    Such a norm divides by the size of what it gets: c w gives the same output as w for c > 0 (but
    for the norm's eps), with gradients 1/c and curvature 1/c^2 times as large (van Laarhoven, "L2
    Regularization versus Batch and Weight Normalization", 2017). Sharpness says something about
    them only times |w|^2. None are in a linearised network, whose output is linear in all weights.
    """
    if isinstance(net, Linearised):
        return []
    return [conv.weight for conv, after in _neighbours(net) if isinstance(after, _NORMS)]


def _neighbours(net: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.Module]]:
    """Convolutions, and what comes after them."""
    for module in net.modules():
        if isinstance(module, Block):
            yield module.conv, module.norm
        elif isinstance(module, nn.Sequential):
            for first, second in pairwise(module):
                if isinstance(first, nn.Conv2d):
                    yield first, second
