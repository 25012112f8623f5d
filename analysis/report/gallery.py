"""The pictures of one problem: what there is, in the order in which it matters."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.report.pictures import Shot
from analysis.report.restored import PICTURE, restored_note
from analysis.report.words import number_text
from analysis.sweep import Sweep, read_png
from dipray.errors import FolderError
from dipray.trace import PEAKS

KINDS = {
    "peak_ema": "average at its peak",
    "peak": "output at its peak",
    "peak_val_ema": "average at its best held-out error",
    "peak_val": "output at its best held-out error",
    "ema": "average at the end",
    "final": "output at the end",
}
_SHOWN = ("psnr", "psnr_ema", "tv", "tv_ema")  # at a snapshot's iteration


@dataclass
class Gallery:
    """Captions for the page, and the shots that stand behind its keys."""

    content: dict[str, Any] = field(default_factory=dict)
    shots: list[Shot] = field(default_factory=list)


def gallery(sweep: Sweep, problem: str, lines: list[dict[str, Any]]) -> Gallery:
    """Input, truth, known methods, the pictures of each trial, snapshots of the best trial.

    Shots come in the order of their importance: what is missing or too heavy is left out later.
    """
    shots: list[Shot] = []

    def shot(key: str, read: Any, *, main: bool = False) -> str:
        shots.append(Shot(key, read, main))
        return key

    def problem_shot(name: str, *, main: bool = False) -> str:
        read = partial(sweep.problem_image, problem, name)
        return shot(f"{problem}/problem/{name}", read, main=main)

    methods = sweep.baselines[sweep.baselines["problem"] == problem].to_dict("records")
    title, psnr = _input_of(methods)
    fixed = [
        {"key": problem_shot("measurement", main=True), "title": title, "note": _decibels(psnr)},
        {"key": problem_shot("reference", main=True), "title": "truth", "note": ""},
    ]
    restored = restored_note(sweep, problem)
    if restored is not None:
        read = partial(read_png, sweep.store, PICTURE)
        key = shot(f"{problem}/restored", read, main=True)
        fixed.append({"key": key, "title": "restored by this run", "note": restored})
    trials = sweep.trials.loc[[line["trial"] for line in lines]]
    numbers = {peak.picture: peak.value for peak in PEAKS}
    kinds = [k for k in KINDS if k not in numbers or trials[numbers[k]].notna().any()]
    best = [line["trial"] for line in lines[:1]]
    for trial in best:
        for kind in kinds:
            shot(f"{trial}/{kind}", partial(sweep.image, trial, kind), main=True)
    film = snapshot_data(sweep, best[0]) if best else pd.DataFrame()
    frames = [
        {
            "key": shot(
                f"{best[0]}/snapshot/{row['iteration']}",
                partial(sweep.snapshot, best[0], int(row["iteration"])),
                main=True,
            ),
            "iteration": int(row["iteration"]),
            "note": _note(row),
        }
        for row in film.to_dict("records")
    ]
    for row in methods:
        if row["method"] != title and row["picture"] is not None and not pd.isna(row["picture"]):
            key = problem_shot(str(row["picture"]), main=True)
            fixed.append({"key": key, "title": str(row["method"]), "note": _decibels(row["psnr"])})
    for trial in trials.index[1:]:
        for kind in kinds:
            shot(f"{trial}/{kind}", partial(sweep.image, trial, kind))
    notes = {
        str(trial): {kind: _trial_note(row, kind) for kind in kinds}
        for trial, row in zip(trials.index, trials.to_dict("records"), strict=True)
    }
    content = {
        "size": _size(sweep, problem),
        "fixed": fixed,
        "kinds": [{"name": kind, "title": KINDS[kind]} for kind in kinds],
        "notes": notes,
        "film": frames,
        "truth": f"{problem}/problem/reference",
        "measurement": f"{problem}/problem/measurement",
    }
    return Gallery(content, shots)


def snapshot_data(sweep: Sweep, trial: str) -> pd.DataFrame:
    """iteration of each saved output of a trial, and psnr, psnr_ema (dB), tv, tv_ema there.

    Raises UnknownNameError for an unknown trial.
    """
    try:
        iterations = sweep.snapshots(trial)
    except (FolderError, OSError):
        iterations = []
    rows = sweep.traces(_SHOWN, [trial]) if iterations else sweep.traces(_SHOWN, [])
    rows = rows.drop(columns="trial").drop_duplicates("iteration").set_index("iteration")
    return rows.reindex(pd.Index(iterations, dtype="int64", name="iteration")).reset_index()


def _input_of(methods: list[dict[Any, Any]]) -> tuple[str, float]:
    """Name and PSNR of the method that is the measurement itself, `noisy input`."""
    for row in methods:
        if str(row["method"]).endswith("input"):
            return str(row["method"]), row["psnr"]
    return "measurement", np.nan


def _size(sweep: Sweep, problem: str) -> list[int] | None:
    """Height and width of a problem's picture in pixels, if they are known."""
    problems = sweep.problems
    for shape in problems.loc[problems["name"] == problem, "shape"]:
        if isinstance(shape, tuple) and len(shape) == 3:
            return [int(side) for side in shape[1:]]
    return None


def _decibels(psnr: float) -> str:
    return "" if pd.isna(psnr) else f"{psnr:.2f} dB"


def _note(row: dict[Any, Any]) -> str:
    parts = []
    if np.isfinite(row["psnr"]):
        parts.append(f"PSNR {row['psnr']:.2f} dB")
    if np.isfinite(row["psnr_ema"]):
        parts.append(f"of the average {row['psnr_ema']:.2f} dB")
    if np.isfinite(row["tv"]):
        parts.append(f"TV {row['tv']:.4f} per pixel")
    return ", ".join(parts)


def _trial_note(row: dict[Any, Any], kind: str) -> str:
    """PSNR of a trial's picture, and the iteration it is from."""
    columns = {
        **{p.picture: (p.scored[1] if p.scored else p.value, p.iteration) for p in PEAKS},
        "final": ("psnr_final", "iterations_run"),
        "ema": ("psnr_ema_final", "iterations_run"),
    }
    psnr, iteration = (row[name] for name in columns[kind])
    parts = [_decibels(psnr)] if not pd.isna(psnr) else []
    if not pd.isna(iteration):
        parts.append(f"iteration {number_text('iteration', iteration)}")
    return ", ".join(parts)
