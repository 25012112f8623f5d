"""Which device a fit runs on, and in which precision."""

from contextlib import AbstractContextManager

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
    """How the convolutions of a fit are computed; raises ConfigError if the device cannot."""

    def __init__(self, config: FitConfig, device: torch.device) -> None:
        self.device_type = device.type
        self.is_bf16 = config.precision == "bf16"
        if config.precision == "tf32" and device.type != "cuda":
            raise ConfigError(
                f"precision='tf32': only CUDA devices have it, this is {device.type}; write fp32",
                field="precision",
            )
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = config.precision == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = config.precision == "tf32"

    def __call__(self) -> AbstractContextManager[object]:
        """A context in which the forward pass runs."""
        return torch.autocast(self.device_type, dtype=torch.bfloat16, enabled=self.is_bf16)
