"""A cluster on one machine whose nodes do not see the driver's results, and can be lost."""

import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from dipray.errors import FolderError
from experiments.faults.processes import await_end, descendants, is_fit, kill
from experiments.faults.workload import Run, Workload, checkpoints

# a lost node is noticed after a second and a half, not after half a minute
_QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_IN_A_ROOM_OF_ITS_OWN = 'mount -t tmpfs tmpfs "$0" && exec "$@"'


def may_hide_folders() -> bool:
    """Whether a process may be given its own view of the disk here."""
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


def _environment() -> dict[str, str]:
    """Of the nodes and of whoever joins them: a cluster is nobody else's business."""
    return {**_QUICK, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@dataclass
class Nodes:
    """A head with one CPU, and nodes with one CPU each to which `hidden` is an empty folder.

    Raises FolderError where folders cannot be hidden. All processes are gone at the end.
    """

    hidden: Path
    address: str = ""
    environment: dict[str, str] = field(default_factory=_environment)
    _head: "subprocess.Popen[bytes] | None" = None
    _others: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _folder: str = ""

    def __enter__(self) -> Self:
        if not may_hide_folders():
            raise FolderError(f"{self.hidden}: cannot be hidden from a process (unshare, mount)")
        self.hidden.mkdir(parents=True, exist_ok=True)
        # sockets lie below it, and their paths may have 107 characters
        self._folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        head = ["--head", f"--port={port}", f"--temp-dir={self._folder}", "--num-cpus=1"]
        self._head = self._start(
            [*head, "--include-dashboard=false", "--node-ip-address=127.0.0.1"]
        )
        self._await_start(1)
        self.add()
        self._await_start(2)  # a sweep counts the CPUs when it begins
        return self

    def _start(self, flags: list[str], prefix: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        ray = [
            str(Path(sys.executable).with_name("ray")),
            "start",
            "--block",
            "--disable-usage-stats",
        ]
        with (Path(self._folder) / "nodes.log").open("ab") as log:
            return subprocess.Popen(
                [*prefix, *ray, "--object-store-memory=100000000", *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def _await_start(self, count: int) -> None:
        """Until so many nodes have said that they run; raises FolderError with what they said."""
        log, until = Path(self._folder) / "nodes.log", time.monotonic() + 90
        while time.monotonic() < until:
            if log.read_text().count("Ray runtime started") >= count:
                return
            time.sleep(0.1)
        self.__exit__(None, None, None)
        raise FolderError(f"{self.address}: a node did not start")

    def add(self) -> None:
        """One more node that does not see the folder."""
        hide = ("unshare", "--mount", "sh", "-c", _IN_A_ROOM_OF_ITS_OWN, str(self.hidden))
        number = 2 + len(self._others)
        flags = [f"--address={self.address}", "--num-cpus=1", f"--node-ip-address=127.0.0.{number}"]
        self._others.append(self._start(flags, hide))

    def lose(self) -> None:
        """SIGKILL of everything on the newest node."""
        _kill_all(self._others[-1])

    def has_fit(self) -> bool:
        """Whether a fit runs on the newest node."""
        below = descendants(self._others[-1].pid)
        return any(is_fit(pid) for pid in below)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in [*self._others, *([self._head] if self._head else [])]:
            _kill_all(node)
        shutil.rmtree(self._folder, ignore_errors=True)


def _kill_all(node: "subprocess.Popen[bytes]") -> None:
    below = descendants(node.pid)
    node.kill()
    node.wait()
    for pid in below:
        kill(pid)
    await_end(below)


def lose_nodes(
    work: Workload, store: Path, log: Path, *, times: int, draw: random.Random
) -> tuple[int, int]:
    """Sweep on such a cluster and lose a node so many times; how often, and the exit code."""
    lost = 0
    with Nodes(store) as nodes:
        command = work.command(store, "--address", nodes.address)
        run = Run.start(command, store, log, **nodes.environment)
        while lost < times and run.await_that(
            lambda: nodes.has_fit() and bool(checkpoints(run.store)), seconds=60
        ):
            time.sleep(draw.uniform(0.1, 1.0))
            nodes.lose()
            lost += 1
            nodes.add()
        return lost, run.await_end()
