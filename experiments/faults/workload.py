"""The sweep that the faults are put into: a few short fits of a small picture."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dipray.folder import TRIALS
from dipray.store import Store
from experiments.faults.processes import await_end, descendants
from experiments.studies.pictures import photograph_file

GRID = {
    "net": ["skip", "encdec"],
    "optimizer": [
        {"optimizer": "adam", "lr": 0.01},
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
        {"optimizer": "lbfgs", "lr": 0.1},
    ],
    "seed": [0, 1],
}


@dataclass(frozen=True)
class Workload:
    """A sweep by its command line, in a folder of its own.

    iterations: of each fit. side: of the picture, in pixels. seeds: how many of each fit.
    """

    folder: Path
    iterations: int = 400
    side: int = 48
    grid: Mapping[str, Any] = field(default_factory=lambda: GRID)

    def prepare(self) -> None:
        """Write picture and grid."""
        photograph_file("astronaut", self.side, self.folder)
        (self.folder / "grid.json").write_text(json.dumps(self.grid))

    def command(self, store: str | Path, *more: str) -> list[str]:
        """The sweep into `store`; a checkpoint at each report, so that much is written."""
        flags = {
            "--clean": self.folder / f"astronaut-{self.side}.png",
            "--noise-sigma": 25,
            "--grid": self.folder / "grid.json",
            "--save-dir": store,
            "--depth": 2,
            "--features": 8,
            "--iterations": self.iterations,
            "--snapshots": 3,
            "--variance-window": 20,
            "--scheduler": "none",
            "--report-every": 25,
            "--checkpoint-every-s": 0,
            "--max-failures": -1,
            "--device": "cpu",
        }
        words = [str(word) for pair in flags.items() for word in pair]
        return [sys.executable, "-m", "experiments.cli", "sweep", *words, *more]


@dataclass
class Run:
    """A sweep under way in another process; `log` takes what it prints."""

    process: "subprocess.Popen[bytes]"
    log: Path
    store: Store

    @classmethod
    def start(cls, command: Sequence[str], store: str | Path, log: Path, **more: str) -> "Run":
        """Begin; `more` are environment variables."""
        with log.open("ab") as file:
            process = subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **more},
                start_new_session=True,
            )
        return cls(process, log, Store(str(store)))

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def await_that(self, is_so: Callable[[], bool], *, seconds: float = 120.0) -> bool:
        """Wait until something is so; False if the sweep ended first, or the time is up."""
        until = time.monotonic() + seconds
        while not self.is_over and time.monotonic() < until:
            if is_so():
                return True
            time.sleep(0.02)
        return False

    def await_end(self, *, seconds: float = 300.0) -> int:
        """Its exit code, once all that it had started is gone too."""
        below = descendants(self.process.pid)
        try:
            code = self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                below = descendants(self.process.pid)
                self.process.kill()
                self.process.wait()
            await_end(below)
        return code

    def signal(self, number: int) -> int:
        """Send a signal and wait for the end; the exit code."""
        below = descendants(self.process.pid)
        self.process.send_signal(number)
        code = self.await_end()
        await_end(below)
        return code


def checkpoints(store: Store) -> set[tuple[str, str]]:
    """Those that there are now, trial and file: unfinished work that could go on."""
    trials = store.child(TRIALS)
    return {(name, file) for name in trials.names() for file in trials.names(f"{name}/checkpoint")}
