"""The layers that every network is built of, made from the fields of FitConfig."""

import math
from collections.abc import Callable
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dipray.config import FitConfig
from dipray.kernels import kernels, norm_leaky

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}

NORMS: dict[str, Callable[[int], nn.Module]] = {
    # statistics of the moment only: a fit has no test mode, so there is nothing to remember
    "batch": lambda channels: nn.BatchNorm2d(channels, track_running_stats=False),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "group": lambda channels: nn.GroupNorm(math.gcd(channels, 8), channels),
    "none": lambda _: nn.Identity(),
}


class Layers:
    """Makes layers that agree with one configuration."""

    def __init__(self, config: FitConfig) -> None:
        self.config = config

    def conv(
        self, inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 1
    ) -> nn.Conv2d:
        """A convolution that keeps the size, or halves it (rounded up) with stride 2."""
        if size == 1:
            return Pointwise(inputs, outputs, 1)
        mode = self.config.padding
        return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, padding_mode=mode)

    def norm(self, channels: int) -> nn.Module:
        """The normalisation layer."""
        return NORMS[self.config.norm](channels)

    def activation(self) -> nn.Module:
        """The nonlinearity."""
        return ACTIVATIONS[self.config.activation]()

    def block(self, inputs: int, outputs: int, size: int = 3) -> "Block":
        """Convolution, norm, activation."""
        return Block(self.conv(inputs, outputs, size), self.norm(outputs), self.activation())

    def halve(self, inputs: int, outputs: int) -> "Block":
        """A 3x3 block that halves the size, rounded up."""
        how = self.config.downsampling
        pool: nn.Module | None = None
        if how != "stride":
            pool = (nn.AvgPool2d if how == "avg" else nn.MaxPool2d)(2, ceil_mode=True)
        conv = self.conv(inputs, outputs, 3, stride=1 if pool else 2)
        return Block(conv, self.norm(outputs), self.activation(), pool=pool)

    def enlarge(self, channels: int) -> "Enlarge":
        """The step back up."""
        return Enlarge(channels, self.config.upsampling)

    def head(self, channels: int, outputs: int) -> nn.Sequential:
        """The 1x1 convolution and sigmoid that make a picture."""
        return nn.Sequential(self.conv(channels, outputs, 1), nn.Sigmoid())


class Pointwise(nn.Conv2d):
    """A 1x1 convolution; for one small map on the CPU a plain matrix product is faster."""

    MOST = 1 << 20  # values of the map; above it is the other way round

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)."""
        if x.numel() > self.MOST or not can_use_kernels(x):
            return super().forward(x)
        assert self.bias is not None
        y = torch.addmm(self.bias[:, None], self.weight.flatten(1), x.flatten(2)[0])
        return y.view(1, -1, *spatial(x))


class Block(nn.Module):
    """A convolution, perhaps a pooling, then a norm and an activation."""

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.Module,
        activation: nn.Module,
        *,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv = conv
        self.pool = pool or nn.Identity()
        self.norm = norm
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w), or half of that."""
        return self.finish(self.pool(self.conv(x)))

    def finish(self, x: Tensor) -> Tensor:
        """The norm and the activation of x, in one where that is faster."""
        norm, activation = self.norm, self.activation
        if isinstance(activation, nn.LeakyReLU) and is_by_channel(norm) and can_use_kernels(x):
            slope = activation.negative_slope
            return norm_leaky(x, norm.weight, norm.bias, eps=norm.eps, slope=slope)
        y: Tensor = activation(norm(x))
        return y


def is_by_channel(norm: nn.Module) -> TypeGuard[nn.BatchNorm2d | nn.InstanceNorm2d]:
    """Whether each channel has its own moments; with one picture these two are the same."""
    return isinstance(norm, (nn.BatchNorm2d, nn.InstanceNorm2d))


def can_use_kernels(x: Tensor) -> bool:
    """Whether dipray's own kernels take it: one picture in float32 on the CPU.

    Under autocast, torch.compile and the transforms of torch.func torch's own layers must do.
    """
    return (
        len(x) == 1
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and kernels() is not None
    )


class Enlarge(nn.Module):
    """Undo a halving: (1, C, h, w) -> (1, C, H, W) for the H, W that were halved (rounded up)."""

    def __init__(self, channels: int, how: str) -> None:
        super().__init__()
        self.how = how
        self.transposed: nn.ConvTranspose2d | None = None
        if how == "transposed":
            self.transposed = nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """X, enlarged to `size`."""
        if self.transposed is not None:
            enlarged: Tensor = self.transposed(x, output_size=list(size))
            return enlarged
        if self.how == "nearest":
            return F.interpolate(x, size=size, mode="nearest")
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def spatial(x: Tensor) -> tuple[int, int]:
    """(H, W) of (N, C, H, W)."""
    return x.shape[-2], x.shape[-1]
