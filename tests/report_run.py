"""Folders of sweeps written without a fit: quick, and with whatever a report has to bear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dipray.codec import encode_png
from dipray.config import FitConfig
from dipray.folder import encode_trace, snapshot_file, trial_id
from dipray.store import Store
from dipray.trace import COLUMN_NAMES, Summary

NASTY = "<img src=x onerror=alert(1)></script><b>"
BASE = FitConfig(depth=1, features=4, iterations=400, snapshots=4, device="cpu")


@dataclass(frozen=True)
class Kind:
    """What the pictures of a problem are like."""

    size: tuple[int, int] = (24, 32)
    channels: int = 3
    bits: int = 8
    truth: bool = True


def picture(kind: Kind, seed: int, noise: float = 0.1) -> bytes:
    """A slope with noise of a seed, as PNG."""
    height, width = kind.size
    slope = np.linspace(0.2, 0.8, width)[None, :, None] * np.ones((height, 1, kind.channels))
    pixels = slope + noise * np.random.default_rng(seed).standard_normal(slope.shape)
    levels = pixels.clip(0, 1) * (2**kind.bits - 1)
    return encode_png(levels.round().astype(np.uint16 if kind.bits == 16 else np.uint8))


def trace(config: FitConfig, *, truth: bool, run: int) -> dict[str, np.ndarray]:
    """A fit that rises, peaks and falls, sooner with a greater lr."""
    rows = {name: np.full(run, np.nan) for name in COLUMN_NAMES}
    iteration = np.arange(1.0, run + 1)
    way = iteration * config.lr / 0.01
    luck = 0.1 * np.random.default_rng(config.seed).standard_normal()
    rows["iteration"], rows["lr"] = iteration, np.full(run, config.lr)
    rows["loss"] = rows["data_loss"] = 0.005 + 0.06 * np.exp(-np.sqrt(way / 20))
    rows["tv"] = 0.02 + 0.06 * (1 - np.exp(-way / 300))
    rows["tv_ema"] = 0.8 * rows["tv"]
    rows["seconds"] = 0.01 * iteration
    costly = iteration % config.metrics_every == 0
    rows["hf_energy"][costly], rows["laplacian"][costly] = 0.01, rows["tv"][costly]
    if truth:
        peak = 26 + luck - abs(np.log10(config.lr / 0.01))
        rows["psnr"] = peak - 2 * np.log10(way / 150) ** 2
        rows["psnr_ema"] = rows["psnr"] + 1
    return rows


def add_problem(
    store: Store, name: str, kind: Kind, baselines: Sequence[Mapping[str, Any]] | None = None
) -> None:
    """A problem's folder, by default with its input and non-local means as known methods."""
    folder = store.child("problems", name)
    shape = [kind.channels, *kind.size]
    folder.write_json(
        "problem.json",
        {
            "name": name,
            "shape": shape,
            "measurement_shape": shape,
            "has_reference": kind.truth,
            "fingerprint": name,
            "origin": {"task": "denoise", "noise_sigma": 25.0},
        },
    )
    if baselines is None:
        known = {"noisy input": 20.0, "non-local means": 25.5}
        baselines = [
            {
                "method": method,
                "psnr": psnr if kind.truth else None,
                "seconds": 0.1,
                "picture": f"{method.replace(' ', '_')}.png",
            }
            for method, psnr in known.items()
        ]
    folder.write_json("baselines.json", baselines)
    for row in baselines:
        if row["picture"]:
            folder.write(row["picture"], picture(kind, 2))
    folder.write("measurement.png", picture(kind, 1))
    if kind.truth:
        folder.write("reference.png", picture(kind, 0, noise=0.0))


def add_trial(
    store: Store,
    problem: str,
    kind: Kind,
    config: FitConfig,
    *,
    outcome: str = "BUDGET",
    reason: str | None = None,
    run: int | None = None,
    stopped_by: str | None = None,
) -> str:
    """A trial's folder; its name."""
    name = trial_id(problem, problem, config)
    folder = store.child("trials", name)
    folder.write_json("config.json", config.to_dict())
    folder.write_json("problem.json", {"name": problem, "shape": [kind.channels, *kind.size]})
    folder.write_json("provenance.json", {"git_commit": "abc123", "packages": {"torch": "2.9"}})
    rows = trace(config, truth=kind.truth, run=config.iterations if run is None else run)
    summary = Summary()
    numbers: dict[str, Any] = {}
    if outcome != "FAILED":
        summary.update(rows)
        numbers = summary.outcome_row()
        folder.write("trace.parquet/part-00000.parquet", encode_trace(rows))
        for place, image in enumerate(("final", "ema", "peak", "peak_ema")):
            if kind.truth or not image.startswith("peak"):
                folder.write(f"{image}.png", picture(kind, 10 * config.seed + place, 0.05))
        for place, iteration in enumerate(config.snapshot_iterations()):
            if iteration <= len(rows["iteration"]):
                folder.write(snapshot_file(iteration), picture(kind, 100 + place, 0.02))
    said = {"outcome": outcome, "stopped_by": stopped_by, "reason": reason}
    folder.write_json("outcome.json", said | numbers)
    return name


def make_run(
    root: Path,
    problems: Mapping[str, Kind],
    configs: Sequence[FitConfig],
    *,
    metric: str = "psnr_peak",
) -> Store:
    """A sweep of every configuration on every problem, all of them run to their end."""
    store = Store(root)
    asked = {"metric": metric, "search": "grid", "scheduler": "none", "base": BASE.to_dict()}
    store.write_json("sweep.json", asked | {"space": {"lr": [0.003, 0.01], "seed": [0, 1]}})
    for name, kind in problems.items():
        add_problem(store, name, kind)
        for config in configs:
            add_trial(store, name, kind, config)
    return store


def grid(lrs: Sequence[float] = (0.003, 0.01, 0.03), seeds: int = 2) -> list[FitConfig]:
    """Configurations of some learning rates and seeds."""
    return [BASE.replace(lr=lr, seed=seed) for lr in lrs for seed in range(seeds)]
