"""The step up of the skip network: what comes from below joined with what was carried across."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dipray.models.enlarged import add_conv_of_doubled, can_fold, moments_of_doubled
from dipray.models.layers import Enlarge, Layers, is_by_channel


class Merge(nn.Module):
    """Norm, 3x3 block and 1x1 block of (carried, enlarged x)."""

    def __init__(self, make: Layers, width: int, across: int) -> None:
        super().__init__()
        self.norm = make.norm(width + across)
        self.block = make.block(width + across, width)
        self.narrow = make.block(width, width, 1)
        self.across = across

    def forward(
        self, x: Tensor, carried: Tensor | None, enlarge: Enlarge, size: tuple[int, int]
    ) -> Tensor:
        """x: (1, width, h, w); carried: (1, across, H, W) or None; size: (H, W)."""
        conv = self.block.conv
        if not isinstance(self.norm, nn.GroupNorm) and can_fold(conv, enlarge, x, size):
            x = self._folded(x, carried)
        else:
            x = enlarge(x, size)
            x = conv(self.norm(x if carried is None else torch.cat([carried, x], dim=1)))
        merged: Tensor = self.narrow(self.block.finish(x))
        return merged

    def _folded(self, x: Tensor, carried: Tensor | None) -> Tensor:
        """conv(norm(cat(carried, enlarged x))); batch and instance norm of one are the same."""
        norm, conv = self.norm, self.block.conv
        across, mode = self.across, conv.padding_mode
        of_carried, of_x = conv.weight[:, :across], conv.weight[:, across:]
        assert conv.bias is not None
        bias: Tensor = conv.bias
        if is_by_channel(norm):
            # the affine map commutes with doubling and padding, and goes into the weights
            x, variance = moments_of_doubled(x)
            bias = bias + of_x.sum(dim=(2, 3)) @ norm.bias[across:]
            of_x = of_x * (norm.weight[across:] * torch.rsqrt(variance + norm.eps))[:, None, None]
            if carried is not None:
                affine = norm.weight[:across], norm.bias[:across]
                carried = F.batch_norm(carried, None, None, *affine, True, 0.0, norm.eps)
        if carried is None:
            start = bias[:, None].expand(-1, 4 * x.shape[-2] * x.shape[-1]).contiguous()
        else:
            # few channels: a matrix product of their patches is faster than a convolution
            patches = F.unfold(F.pad(carried, (1, 1, 1, 1), mode=mode), 3)[0]
            start = torch.addmm(bias[:, None], of_carried.flatten(1), patches)
        return add_conv_of_doubled(start, x, of_x, padding=mode)
