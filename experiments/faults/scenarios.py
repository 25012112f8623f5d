"""The faults: each is put into a running sweep, which is then let come to its end."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dipray.checkpoint import Checkpoints
from dipray.folder import FINISHED, OUTCOME, TRIALS
from dipray.store import Store
from experiments.faults.damage import Damage, damage
from experiments.faults.full_disk import FullDisk
from experiments.faults.nodes import lose_nodes
from experiments.faults.processes import await_end, descendants, kill, workers
from experiments.faults.workload import Run, Workload, checkpoints


@dataclass
class Result:
    """What a kind of fault did: how many were put in, and the damage that was left."""

    kind: str
    injected: int
    damage: Damage
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """Where faults are put in: a workload and its folder without any.

    times: how often a fault of one kind is put in. draw: when, and where.
    """

    work: Workload
    reference: Store
    times: int
    draw: random.Random

    def place(self, kind: str) -> tuple[Path, Path]:
        """The sweep's folder and its log."""
        name = kind.replace(" ", "-")
        return self.work.folder / name, self.work.folder / f"{name}.log"

    def start(self, kind: str, *more: str) -> Run:
        """The sweep, begun or gone on with."""
        store, log = self.place(kind)
        return Run.start(self.work.command(store, *more), store, log)

    def result(self, kind: str, injected: int, *remarks: str) -> Result:
        """Once the sweep has come to its end."""
        store, _ = self.place(kind)
        found = damage(Store(str(store)), self.reference)
        return Result(kind, injected, found, remarks=list(remarks))

    def wait_for_work(self, run: Run) -> bool:
        """Until there is new unfinished work, and a little longer; False if it ended first."""
        before = checkpoints(run.store)
        if not run.await_that(lambda: bool(checkpoints(run.store) - before)):
            return False
        time.sleep(self.draw.uniform(0.2, 2.5))
        return not run.is_over


def interrupted_by(bench: Bench, kind: str, strike: Callable[[Run], None]) -> Result:
    """Strike the driver so many times, each time starting the same command again."""
    injected = 0
    while True:
        run = bench.start(kind)
        if injected < bench.times and bench.wait_for_work(run):
            strike(run)
            injected += 1
            continue
        code = run.await_end()
        return bench.result(kind, injected, f"exit code {code} in the end")


def driver_killed(bench: Bench) -> Result:
    """SIGKILL of the driver, and with it of the local Ray."""

    def strike(run: Run) -> None:
        below = descendants(run.process.pid)
        run.process.kill()
        run.process.wait()
        await_end(below)

    return interrupted_by(bench, "driver killed", strike)


def driver_interrupted(bench: Bench) -> Result:
    """Ctrl-C and SIGTERM in turn."""
    signals = [signal.SIGINT, signal.SIGTERM]
    codes: list[int] = []

    def strike(run: Run) -> None:
        codes.append(run.signal(signals[len(codes) % 2]))

    result = interrupted_by(bench, "driver interrupted", strike)
    result.remarks.insert(0, f"exit codes {', '.join(map(str, codes))}")
    return result


def workers_killed(bench: Bench) -> Result:
    """SIGKILL of workers while the driver goes on."""
    run, injected = bench.start("workers killed"), 0
    while injected < 2 * bench.times and bench.wait_for_work(run):
        there = workers(run.process.pid)
        injected += bool(there) and kill(bench.draw.choice(there))
    code = run.await_end()
    return bench.result("workers killed", injected, f"exit code {code}")


def checkpoints_damaged(bench: Bench) -> Result:
    """The driver is killed, and then the newest checkpoint of each trial is spoilt."""
    kind, injected = "checkpoints damaged", 0
    for spoil in (_cut, _flip, _replace)[: bench.times]:
        run = bench.start(kind)
        if not bench.wait_for_work(run):
            run.await_end()
            break
        below = descendants(run.process.pid)
        run.process.kill()
        run.process.wait()
        await_end(below)
        trials = run.store.child(TRIALS)
        for name in trials.names():
            newest = Checkpoints(trials.child(name)).iterations()[:1]
            for iteration in newest:
                path = Checkpoints(trials.child(name)).path(iteration)
                trials.write(f"{name}/{path}", spoil(trials.read(f"{name}/{path}")))
                injected += 1
    bench.start(kind).await_end()
    return bench.result(kind, injected)


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1 :]


def _replace(_: bytes) -> bytes:
    return b"cos\nsystem\n(S'false'\ntR."  # a pickle that would run a command


def disk_full(bench: Bench, *, kib: int = 5000) -> Result:
    """The results' disk fills up; then there is room again. kib: its size at first."""
    kind = "disk full"
    store, log = bench.place(kind)
    with FullDisk(store, kib=kib) as disk:
        run = Run.start(bench.work.command(store / "sweep", "--max-failures", "0"), store, log)
        code = run.await_end()
        disk.enlarge()
        unfinished = [
            name
            for name in Store(str(store / "sweep")).names(TRIALS)
            if not _is_done(Store(str(store / "sweep")).child(TRIALS, name))
        ]
        again = Run.start(bench.work.command(store / "sweep"), store, log).await_end()
        found = damage(Store(str(store / "sweep")), bench.reference)
    said = f"exit codes {code} (full), {again} (with room)"
    return Result(kind, int(bool(code or unfinished)), found, remarks=[said])


def _is_done(folder: Store) -> bool:
    return folder.exists(OUTCOME) and folder.read_json(OUTCOME).get("outcome") in FINISHED


def nodes_lost(bench: Bench) -> Result:
    """Of two nodes that share no disk one is lost, again and again."""
    kind = "nodes lost"
    store, log = bench.place(kind)
    injected, code = lose_nodes(bench.work, store, log, times=bench.times, draw=bench.draw)
    return bench.result(kind, injected, f"exit code {code}")


SCENARIOS: dict[str, Callable[[Bench], Result]] = {
    "driver killed": driver_killed,
    "driver interrupted": driver_interrupted,
    "workers killed": workers_killed,
    "nodes lost": nodes_lost,
    "checkpoints damaged": checkpoints_damaged,
    "disk full": disk_full,
}
