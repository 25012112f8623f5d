"""Folders of sweeps that nobody ran: configurations and the numbers that came out."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from analysis import Sweep, load_sweep
from dipray.config import FitConfig
from dipray.folder import trial_id
from dipray.store import Store
from dipray.trace import Summary

BASE = FitConfig(depth=2, features=8, iterations=100, device="cpu")


def made_sweep(
    folder: Path,
    rows: Iterable[dict[str, Any]],
    *,
    asked: dict[str, Any] | None = None,
    origins: dict[str, dict[str, Any]] | None = None,
) -> Sweep:
    """A row: problem, settings, seed, and outcome, stopped_by or numbers of the outcome.

    origins: problem -> what it was made of.
    """
    store = Store(folder)
    store.write_json("sweep.json", asked or {"metric": "psnr_ema_peak"})
    for name, origin in (origins or {}).items():
        store.child("problems", name).write_json("problem.json", {"name": name, "origin": origin})
    for row in rows:
        settings = {key: value for key, value in row.items() if key in FitConfig.model_fields}
        config = BASE.replace(**settings)
        trial = store.child("trials", trial_id(row["problem"], "", config))
        trial.write_json("config.json", config.to_dict())
        trial.write_json("problem.json", {"name": row["problem"]})
        given = {key: value for key, value in row.items() if key not in (*settings, "problem")}
        outcome = {**Summary().outcome_row(), "iterations_run": 100, "outcome": "BUDGET"} | given
        trial.write_json("outcome.json", outcome)
    return load_sweep(folder)


def grid(
    arms: Sequence[dict[str, Any]],
    score: Callable[[dict[str, Any], str], float],
    *,
    problems: Sequence[str] = ("a", "b", "c"),
    seeds: Sequence[int] = (0, 1, 2),
    noise: float = 0.1,
    metric: str = "psnr_ema_peak",
    draw: int = 0,
) -> list[dict[str, Any]]:
    """A row for each of arms x problems x seeds: score(arm, problem) and normal noise."""
    rng = np.random.default_rng(draw)
    return [
        {"problem": problem, "seed": seed, **arm}
        | {metric: score(arm, problem) + noise * rng.standard_normal()}
        for arm, problem, seed in product(arms, problems, seeds)
    ]
