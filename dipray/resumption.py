"""Resumption: go on with a fit that was interrupted, from what lies in its folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dipray.checkpoint import Checkpoints, State
from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import CONFIG, TRACE, part_file, read_snapshots, snapshot_file
from dipray.loop import Fit
from dipray.problem import Problem
from dipray.stopping import CHECK_EVERY
from dipray.store import Store


@dataclass(frozen=True)
class Resumption:
    """Where a fit goes on: after `iteration`, 0 for the beginning.

    parts: of the trace that hold what is before. summary: the state of its running numbers.
    refused: a line on each checkpoint that is newer and no good, with its path.
    trial: whose checkpoint it is, where it is that of a fit with a smaller budget.
    """

    iteration: int = 0
    parts: int = 0
    summary: dict[str, Any] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    trial: str = ""


def last_stop(config: FitConfig) -> int:
    """The last iteration before the end up to which the budget has had no influence; 0 for none.

    Rules are asked there, so that a fit with a larger budget can go on from it as its own.
    """
    if config.lr_schedule != "constant":
        return 0
    return (config.iterations - 1) // CHECK_EVERY * CHECK_EVERY


def identity(fit: Fit) -> dict[str, str]:
    """What a checkpoint must agree in with the fit that is to go on from it."""
    return {
        "fingerprint": str(fit.problem.describe()["fingerprint"]),
        "configuration": fit.config.digest(),
        "device": fit.device.type,
    }


def resume(store: Store, problem: Problem, config: FitConfig) -> tuple[Fit, Resumption]:
    """The fit at its newest usable checkpoint in the folder, or at its beginning.

    Rows of the trace beyond that checkpoint are removed, so that none is there twice. A checkpoint
    that is broken, of another fit, or not backed by a whole trace is refused, and the one before
    is tried. Raises ConfigError like Fit, and FolderError.
    """
    refused: list[str] = []
    fit = Fit(problem, config)
    checkpoints = Checkpoints(store)
    for iteration, state, complaint in checkpoints.newest():
        if state is None:
            refused.append(complaint)
            continue
        try:
            _check(state, identity(fit))
            parts = _parts_before(store, iteration)
            fit.load_state(state["fit"])
            summary = dict(state["summary"])
        except Exception as error:  # whatever a foreign state makes torch or us stumble over
            reason = " ".join(str(error).split())[:200]
            refused.append(f"{store}/{checkpoints.path(iteration)}: {reason}")
            fit = Fit(problem, config)  # the other one may be half loaded
            continue
        _remove_beyond(store, parts)
        return fit, Resumption(iteration, parts, summary, tuple(refused))
    return fit, Resumption(refused=tuple(refused))


def extend(store: Store, shorter: Store, trial: str, fit: Fit) -> Resumption:
    """Let a new fit go on from the kept state of one with a smaller budget, else alike.

    trial: the name of that one, whose folder is `shorter`. Rows and snapshots up to there are
    copied; snapshots that the larger budget would have put elsewhere are not made. Raises
    ValueError or FolderError if there is no such state; the fit is then no good.
    """
    checkpoints = Checkpoints(shorter)
    for iteration, state, complaint in checkpoints.newest():
        if state is None:
            raise ValueError(complaint)
        budget = shorter.read_json(CONFIG)["iterations"]
        if not iteration < budget < fit.config.iterations or not last_stop(fit.config):
            raise ValueError(f"{trial}: not a smaller budget")
        same = fit.config.replace(iterations=budget).digest()
        _check(state, {**identity(fit), "configuration": same})
        parts = _parts_before(shorter, iteration)
        fit.load_state(state["fit"])
        store.remove(TRACE)
        for part in range(parts):
            store.write(part_file(part), shorter.read(part_file(part)))
        for at in read_snapshots(shorter):
            if at <= iteration:
                store.write(snapshot_file(at), shorter.read(snapshot_file(at)))
        return Resumption(iteration, parts, dict(state["summary"]), trial=trial)
    raise ValueError(f"{trial}: no state was kept")


def _check(state: State, wanted: Mapping[str, str]) -> None:
    for name, ours in wanted.items():
        if state.get(name) != ours:
            raise ValueError(f"of another {name}")


def _parts_before(store: Store, iteration: int) -> int:
    """How many parts hold the iterations from 1 to this one, each once; ValueError if none do."""
    done = parts = 0
    while done < iteration:
        part = part_file(parts)
        try:
            with store.open(part) as source:
                numbers = pq.read_table(source, columns=["iteration"])["iteration"].to_pylist()
        except (pa.ArrowException, OSError, FolderError) as error:
            raise ValueError(f"{part} is broken or missing ({error})") from None
        if not numbers or numbers != list(range(done + 1, done + len(numbers) + 1)):
            raise ValueError(f"{part} does not hold the iterations from {done + 1}")
        done, parts = numbers[-1], parts + 1
    if done > iteration:
        raise ValueError(f"{part_file(parts - 1)} goes beyond iteration {iteration}")
    return parts


def _remove_beyond(store: Store, parts: int) -> None:
    kept = {part_file(part) for part in range(parts)}
    for name in store.names(TRACE):
        if f"{TRACE}/{name}" not in kept:
            store.remove(f"{TRACE}/{name}")
