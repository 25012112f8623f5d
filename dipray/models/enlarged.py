"""A 3x3 convolution of a map that is first doubled in size, worked out at the small size.

A sum over channels at one place and a bilinear interpolation commute, so each of the nine taps of
the kernel is a matrix product at the small size, a quarter of the work, and no doubled map is
written, normalised or padded. The same function but for rounding, with derivatives of every order.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dipray.kernels import add_doubled
from dipray.models.layers import Block, Enlarge, can_use_kernels

PADDINGS = ("reflect", "replicate")
LEAST = 1 << 14  # values of the small map; below it the plain way is as fast


def block_of_enlarged(
    block: nn.Module, enlarge: nn.Module, x: Tensor, size: tuple[int, int]
) -> Tensor:
    """block(enlarge(x, size)) for a Block whose convolution is 3x3 and keeps the size."""
    assert isinstance(block, Block) and isinstance(enlarge, Enlarge)
    conv = block.conv
    if not can_fold(conv, enlarge, x, size):
        y: Tensor = block(enlarge(x, size))
        return y
    assert conv.bias is not None
    blank = conv.bias[:, None].expand(-1, size[0] * size[1]).contiguous()
    return block.finish(add_conv_of_doubled(blank, x, conv.weight, padding=conv.padding_mode))


def can_fold(conv: nn.Conv2d, enlarge: Enlarge, x: Tensor, size: tuple[int, int]) -> bool:
    """Whether `add_conv_of_doubled` does what conv and enlarge do."""
    height, width = x.shape[-2:]
    return (
        enlarge.how == "bilinear"
        and tuple(size) == (2 * height, 2 * width)
        and x.numel() >= LEAST
        and conv.padding_mode in PADDINGS
        and can_use_kernels(x)
    )


def add_conv_of_doubled(full: Tensor, x: Tensor, weight: Tensor, *, padding: str) -> Tensor:
    """Full + conv2d(pad(interpolate(x, scale_factor=2, mode="bilinear")), weight), in place.

    full: (O, 4 h w), contiguous and no view; x: (1, I, h, w); weight: (O, I, 3, 3); padding: one of
    PADDINGS, a pixel wide. Returns (1, O, 2h, 2w). All on the CPU, float32.
    """
    outputs, inputs = weight.shape[:2]
    by_tap = weight.permute(2, 3, 0, 1).reshape(9 * outputs, inputs)
    taps = (by_tap @ x.reshape(inputs, -1)).view(9, outputs, *x.shape[-2:])
    added = add_doubled(full, taps, reflect=padding == "reflect")
    return added.view(1, outputs, 2 * x.shape[-2], 2 * x.shape[-1])


def moments_of_doubled(x: Tensor) -> tuple[Tensor, Tensor]:
    """x without the mean of each channel, and the variances of interpolate(x, scale_factor=2).

    x: (1, C, h, w). The doubled map has the means of the small one; its squares sum to x'Kx, where
    K is the stencil [6, 20, 6] x [6, 20, 6] / 256 with the border repeated.
    """
    centred = x - x.mean(dim=(2, 3), keepdim=True)
    line = x.new_tensor([6 / 16, 20 / 16, 6 / 16])
    stencil = torch.outer(line, line).expand(x.shape[1], 1, 3, 3).contiguous()
    around = F.pad(centred, (1, 1, 1, 1), mode="replicate")
    spread = F.conv2d(around, stencil, groups=x.shape[1])
    return centred, (centred * spread).mean(dim=(0, 2, 3)) / 4
