"""Sweeps written by hand: traces and pictures with properties that are known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dipray.codec import encode_png
from dipray.config import FitConfig
from dipray.folder import encode_trace, trial_id
from dipray.store import Store
from dipray.trace import COLUMN_NAMES, Rows, Summary

BASE = FitConfig(depth=1, features=4, iterations=100, input_jitter=0.0, device="cpu")

Array = NDArray[np.float64]


def png_of(pixels: Array, *, bits: int = 8) -> bytes:
    """(H, W, C) in [0, 1] as PNG bytes."""
    levels = np.round(pixels.clip(0, 1) * (2**bits - 1))
    return encode_png(levels.astype(np.uint16 if bits == 16 else np.uint8))


def empty_sweep(folder: Path) -> Store:
    """The folder of a sweep without a trial."""
    store = Store(folder)
    store.write_json("sweep.json", {"metric": "psnr_peak"})
    return store


def add_problem(store: Store, name: str, reference: bytes | None = None) -> None:
    """A problem, its truth known or not."""
    folder = store.child("problems", name)
    folder.write_json("problem.json", {"name": name, "has_reference": reference is not None})
    if reference is not None:
        folder.write("reference.png", reference)


def add_trial(
    store: Store,
    config: FitConfig,
    *,
    problem: str = "p",
    rows: Rows | None = None,
    images: Mapping[str, bytes] | None = None,
    outcome: str = "BUDGET",
) -> str:
    """A trial with a trace, pictures, or both; its id. STOPPED by its own rule, or by `asha`."""
    stopped_by = {"STOPPED": "loss", "asha": "asha"}.get(outcome)
    outcome = "STOPPED" if stopped_by else outcome
    trial = trial_id(problem, "", config)
    folder = store.child("trials", trial)
    folder.write_json("config.json", config.to_dict())
    folder.write_json("problem.json", {"name": problem})
    summary = Summary()
    if rows is not None:
        folder.write("trace.parquet/part-00000.parquet", encode_trace(rows))
        summary.update(rows)
    for name, data in (images or {}).items():
        folder.write(f"{name}.png", data)
    numbers: dict[str, Any] = {"iterations_run": config.iterations, **summary.outcome_row()}
    folder.write_json("outcome.json", {"outcome": outcome, "stopped_by": stopped_by, **numbers})
    return trial


def trace_rows(loss: Array, *, lr: float | Array, every: int = 1, **columns: Array) -> Rows:
    """A trace with some of its columns; hf_energy and laplacian each `every` iterations."""
    count = len(loss)
    rows = {name: np.full(count, np.nan) for name in COLUMN_NAMES}
    rows["iteration"] = np.arange(1.0, count + 1)
    rows["lr"] = np.broadcast_to(np.asarray(lr, np.float64), (count,)).copy()
    rows["loss"], rows["data_loss"] = loss, loss
    for name, values in columns.items():
        rows[name] = np.asarray(values, np.float64).copy()
        if name in ("hf_energy", "laplacian"):
            rows[name][rows["iteration"] % every != 0] = np.nan
    return rows
