"""Where a result came from: versions, commit, device, seeds."""

import functools
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import dipray
from dipray.config import FitConfig
from dipray.kernels import kernels

_PACKAGES = ("torch", "numpy", "pillow", "pyarrow", "ray", "optuna")


def provenance(config: FitConfig, device: torch.device) -> dict[str, Any]:
    """Plain data on what a fit ran with; nothing that names the user or the host."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "dipray": dipray.__version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        # torch says which build it is, its metadata need not
        "packages": {name: _version(name) for name in _PACKAGES} | {"torch": torch.__version__},
        "platform": platform.platform(),
        "device": device.type,
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
        "c_kernels": kernels() is not None,  # which round otherwise than torch's layers
        "seeds": {
            "weights": config.seed_of("weights"),
            "input": config.seed_of("input"),
            "jitter": config.seed_of("jitter"),
        },
    }


@functools.cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@functools.cache
def device_name(device: torch.device) -> str:
    """The model of the GPU or processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpus = Path("/proc/cpuinfo")
    if device.type == "cpu" and cpus.exists():
        for line in cpus.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@functools.cache  # what was imported stays, whatever is committed while it runs
def _git_commit() -> str | None:
    """The commit of the source that runs, with + if it was changed; None outside a checkout."""
    here = Path(dipray.__file__).parent
    if not (here.parent / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
