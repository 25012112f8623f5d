"""Processes below one of ours, as Linux lists them."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """The ids of all processes that a process has started, and theirs."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError):
                # the name in brackets may hold anything
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    yield int(entry.name), int(fields[1])


def title(pid: int) -> str:
    """What a process calls itself; empty if it is gone."""
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_text().replace("\0", " ").strip()
    return ""


def is_fit(pid: int) -> bool:
    """Whether a process is a worker that runs fits."""
    return title(pid).startswith("ray::") and "Trainable" in title(pid)


def workers(pid: int) -> list[int]:
    """Those below a driver that run a fit."""
    return [each for each in descendants(pid) if is_fit(each)]


def kill(pid: int) -> bool:
    """SIGKILL; whether the process was there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def await_end(pids: list[int], *, seconds: float = 30.0) -> None:
    """Wait for processes to end, and make those that do not."""
    until = time.monotonic() + seconds
    while (left := [pid for pid in pids if title(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        kill(pid)


def resident_bytes(pid: int) -> int:
    """Memory that a process holds for itself: resident, without what it shares; 0 if it is gone."""
    with contextlib.suppress(OSError, ValueError):
        fields = (Path("/proc") / str(pid) / "statm").read_text().split()
        return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    return 0


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has had; 0 if it is gone."""
    with contextlib.suppress(OSError, ValueError):
        fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def open_files(pid: int) -> int:
    """Its file descriptors; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return len(list((Path("/proc") / str(pid) / "fd").iterdir()))
    return 0
