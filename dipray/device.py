"""Which device a fit runs on, and in which precision."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import torch

from dipray.config import FitConfig
from dipray.errors import ConfigError


def resolve_device(config: FitConfig) -> torch.device:
    """The device that the configuration names; raises ConfigError if this machine lacks it."""
    if config.device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(config.device)
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }[device.type]
    if (device.index or 0) >= there:
        raise ConfigError(
            f"device={config.device!r}: this machine has {there} {device.type} devices; "
            "write auto or cpu",
            field="device",
        )
    return device


def memory_format(device: torch.device) -> torch.memory_format:
    """How a network's weights and maps lie in memory: channels last on CUDA, as cuDNN has them."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


class Precision:
    """How the network of a fit is computed; raises ConfigError if the device cannot.

    Loss and metrics stay in fp32: bf16 holds in the network's forward pass, TF32 in its forward
    pass and in the backward pass.
    """

    def __init__(self, config: FitConfig, device: torch.device) -> None:
        self.device_type = device.type
        self.is_bf16 = config.precision == "bf16"
        self.is_tf32 = config.precision == "tf32"
        if self.is_tf32 and device.type != "cuda":
            raise ConfigError(
                f"precision='tf32': only CUDA devices have it, this is {device.type}; write fp32",
                field="precision",
            )

    def iteration(self) -> AbstractContextManager[None]:
        """A context for a whole iteration, in which convolutions are exact."""
        return self._convolutions("ieee")

    @contextmanager
    def forward(self) -> Iterator[None]:
        """A context for the network's forward pass."""
        with (
            self.backward(),
            # a cache of cast weights must not be shared between a CUDA graph and what is around it
            torch.autocast(
                self.device_type,
                dtype=torch.bfloat16,
                enabled=self.is_bf16,
                cache_enabled=False,
            ),
        ):
            yield

    def backward(self) -> AbstractContextManager[None]:
        """A context for the backward pass."""
        return self._convolutions("tf32" if self.is_tf32 else "ieee")

    @contextmanager
    def _convolutions(self, how: Literal["ieee", "tf32"]) -> Iterator[None]:
        # cuDNN allows TF32 by default; its setting is left as it was
        if self.device_type != "cuda":
            yield
            return
        setting = torch.backends.cudnn.conv  # type: ignore[attr-defined]
        before, setting.fp32_precision = setting.fp32_precision, how
        try:
            yield
        finally:
            setting.fp32_precision = before
