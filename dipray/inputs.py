"""The network's input z: noise, coordinates or Fourier features, and its jitter."""

import math

import torch
from torch import Tensor

from dipray.config import FitConfig
from dipray.device import memory_format

NOISE_HEIGHT = 0.1  # of the uniform noise input; the DIP paper's


def coordinates(height: int, width: int) -> Tensor:
    """(1, 2, H, W): column and row of each pixel, both from 0 to 1."""
    rows, columns = torch.meshgrid(
        torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij"
    )
    return torch.stack([columns, rows])[None]


def fourier_features(
    height: int, width: int, *, channels: int, scale: float, generator: torch.Generator
) -> Tensor:
    """(1, channels, H, W): cos and sin of 2 pi b.v for random b (Tancik et al., NeurIPS 2020).

    b ~ N(0, scale^2) in cycles a side, v the coordinates in [0, 1]; `channels` is even.
    """
    frequencies = torch.randn(channels // 2, 2, generator=generator) * scale
    angles = 2 * math.pi * torch.einsum("fc,nchw->nfhw", frequencies, coordinates(height, width))
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def channels_of(config: FitConfig) -> int:
    """The number of the input's channels."""
    return 2 if config.input_kind == "meshgrid" else config.input_channels or 32


def make_input(config: FitConfig, height: int, width: int) -> Tensor:
    """z, (1, C, H, W) float32 on the CPU, the same for the same configuration."""
    generator = torch.Generator().manual_seed(config.seed_of("input"))
    channels = channels_of(config)
    if config.input_kind == "meshgrid":
        return coordinates(height, width)
    if config.input_kind == "fourier":
        return fourier_features(
            height, width, channels=channels, scale=config.fourier_scale, generator=generator
        )
    if config.input_kind == "gaussian":
        return torch.randn(1, channels, height, width, generator=generator)
    return torch.rand(1, channels, height, width, generator=generator) * NOISE_HEIGHT


class JitteredInput:
    """z on a device, with fresh noise at each call from a generator of its own."""

    def __init__(self, config: FitConfig, height: int, width: int, device: torch.device) -> None:
        z = make_input(config, height, width)
        self.clean = z.to(device, memory_format=memory_format(device))
        self.jitter = config.input_jitter
        self.generator = torch.Generator(device).manual_seed(config.seed_of("jitter"))

    def __call__(self) -> Tensor:
        """z + N(0, jitter^2), (1, C, H, W)."""
        if self.jitter == 0:
            return self.clean
        noise = torch.empty_like(self.clean).normal_(0, self.jitter, generator=self.generator)
        return noise.add_(self.clean)

    def state(self) -> Tensor:
        """Where the generator of the jitter is."""
        return self.generator.get_state()

    def load_state(self, state: Tensor) -> None:
        """Go on from what `state` gave; on another kind of device from the beginning."""
        if state.numel() == self.generator.get_state().numel():
            self.generator.set_state(state)
