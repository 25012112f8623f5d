"""The C kernels as a shared library: compiled at first use, kept in the user's cache.

Where there is no compiler, or it cannot compile them, there are none, and torch's own operations do
the same work more slowly. DIPRAY_KERNELS=off asks for that.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from torch import Tensor

SWITCH = "DIPRAY_KERNELS"  # of the environment
SOURCES = [Path(__file__).with_name(name) for name in ("doubled.c", "normed.c")]
FLAGS = (
    *("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"),
    *("-fopenmp", "-shared", "-fPIC"),
)


@functools.cache
def kernels() -> ctypes.CDLL | None:
    """The library, or None where there can be none."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if os.environ.get(SWITCH) == "off" or sys.platform != "linux" or compiler is None:
        return None
    try:
        return ctypes.CDLL(str(_compiled(compiler)))
    except (OSError, subprocess.SubprocessError):
        return None


def pointer(tensor: Tensor) -> ctypes.c_void_p:
    """Where a contiguous tensor's values lie, which must outlive the call."""
    return ctypes.c_void_p(tensor.data_ptr())


def _compiled(compiler: str) -> Path:
    """The file, made now unless it was made before on such a machine by such a compiler."""
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, check=True, timeout=60
    ).stdout
    sources = [source.read_bytes() for source in SOURCES]
    parts = [*sources, version, " ".join(FLAGS).encode(), _processor()]
    name = f"kernels-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:32]}.so"
    folder = _cache()
    there = folder / name
    if there.is_file() and there.stat().st_uid == os.getuid():
        return there
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / name
        subprocess.run(
            [compiler, *FLAGS, "-o", str(made), *map(str, SOURCES)],
            capture_output=True,
            check=True,
            timeout=300,
        )
        made.replace(there)  # others may do the same at the same time
    return there


def _cache() -> Path:
    """A folder that nobody else writes to: what lies there is loaded as code."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "dipray"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_uid == os.getuid() and not status.st_mode & 0o022:
            return folder
    except (OSError, RuntimeError):
        pass
    return Path(tempfile.mkdtemp(prefix="dipray-"))  # for this process alone


def _processor() -> bytes:
    """What -march=native looks at."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    kind = [line for line in lines if line.startswith(("model name", "flags", "Features"))][:2]
    return "|".join([platform.machine(), *kind]).encode()
