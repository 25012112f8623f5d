"""The layers that every network is built of, made from the fields of FitConfig."""

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from dipray.config import FitConfig

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
        mode = self.config.padding if size > 1 else "zeros"
        return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, padding_mode=mode)

    def norm(self, channels: int) -> nn.Module:
        """The normalisation layer."""
        return NORMS[self.config.norm](channels)

    def activation(self) -> nn.Module:
        """The nonlinearity."""
        return ACTIVATIONS[self.config.activation]()

    def block(self, inputs: int, outputs: int, size: int = 3) -> nn.Sequential:
        """Convolution, norm, activation."""
        return nn.Sequential(
            self.conv(inputs, outputs, size), self.norm(outputs), self.activation()
        )

    def halve(self, inputs: int, outputs: int) -> nn.Sequential:
        """A 3x3 block that halves the size, rounded up."""
        if self.config.downsampling == "stride":
            shrink: list[nn.Module] = [self.conv(inputs, outputs, 3, stride=2)]
        else:
            pool = nn.AvgPool2d if self.config.downsampling == "avg" else nn.MaxPool2d
            shrink = [self.conv(inputs, outputs, 3), pool(2, ceil_mode=True)]
        return nn.Sequential(*shrink, self.norm(outputs), self.activation())

    def enlarge(self, channels: int) -> "Enlarge":
        """The step back up."""
        return Enlarge(channels, self.config.upsampling)

    def head(self, channels: int, outputs: int) -> nn.Sequential:
        """The 1x1 convolution and sigmoid that make a picture."""
        return nn.Sequential(self.conv(channels, outputs, 1), nn.Sigmoid())


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
