"""Which device a fit runs on, and in which precision."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

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


class Precision:
    """How the network of a fit is computed; raises ConfigError if the device cannot.

    Loss and metrics stay in fp32: bf16 holds in the forward pass alone, and TF32 for convolutions,
    not for the matrix products of an operator.
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

    def forward(self) -> AbstractContextManager[object]:
        """A context for the forward pass."""
        return torch.autocast(self.device_type, dtype=torch.bfloat16, enabled=self.is_bf16)

    @contextmanager
    def convolutions(self) -> Iterator[None]:
        """A context for forward and backward pass; leaves cuDNN's flag as it was."""
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = self.is_tf32
        try:
            yield
        finally:
            torch.backends.cudnn.allow_tf32 = before
