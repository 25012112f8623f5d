"""What `auto` means for precision and compilation: the fastest that was measured to be as good.

A setting passes where the mean of its peak PSNR over pictures and seeds is within TOLERANCE of
float32's, by `python -m experiments.bench --only precision`, and pays where it is also faster. The
figures are in README.md.
"""

import torch

from dipray.config import FitConfig

TOLERANCE = 0.1  # dB

# device type -> the precision, and whether to compile; a device without a line was not measured
PASSED: dict[str, tuple[str, str]] = {
    "cpu": ("fp32", "off"),
}
UNMEASURED = ("fp32", "off")


def decided(config: FitConfig, device: torch.device) -> FitConfig:
    """The configuration with `auto` replaced by what it means on a device."""
    precision, compiled = PASSED.get(device.type, UNMEASURED)
    changes = {}
    if config.precision == "auto":
        changes["precision"] = precision
    if config.compile == "auto":
        changes["compile"] = compiled
    return config.replace(**changes) if changes else config
