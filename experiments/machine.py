"""The machine that figures come from; nothing that names the host."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from dipray.provenance import device_name


def machine(device: str = "cpu") -> dict[str, object]:
    """Processor, cores, memory and versions, as plain data."""
    import torch

    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "device": device_name(torch.device(device)),
        "processor": device_name(torch.device("cpu")),
        "simd": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ray": _version("ray"),
        "pandas": _version("pandas"),
    }


def in_words(device: str = "cpu") -> str:
    """The same in a line."""
    of = machine(device)
    gpu = "" if of["device"] == of["processor"] else f"{of['device']}, "
    return (
        f"{gpu}{of['processor']} ({of['simd']}), {of['cores']} cores, {of['memory_gib']} GiB, "
        f"Python {of['python']}, torch {of['torch']}"
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
