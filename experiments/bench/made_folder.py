"""The folder of a sweep that nobody ran, in every respect but its numbers like one that ran."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dipray.config import FitConfig
from dipray.folder import (
    CONFIG,
    OUTCOME,
    PROBLEM,
    PROBLEMS,
    PROVENANCE,
    SWEEP,
    TRIALS,
    encode_trace,
    part_file,
    snapshot_file,
    trial_id,
)
from dipray.images import encode_png
from dipray.kept import kept_by
from dipray.problem import Problem
from dipray.problem_folder import write_problem
from dipray.provenance import provenance
from dipray.stopping import make_rules
from dipray.store import Store
from dipray.sweep_config import SweepConfig
from dipray.trace import COLUMN_NAMES, COLUMNS, Rows, Summary
from dipray.watch import Watch
from experiments.studies.pictures import noisy_problem

SIDE = 64  # pixels of the picture
PARTS = 4  # of a trace: one for each checkpoint, every 30 s, of 3,000 iterations at 25 a second
_PICTURES = 12  # different ones, which the trials share
_NETS = ("skip", "unet", "encdec", "resunet")
_WIDTHS = (32, 64)
_RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Size:
    """How many trials, and how many iterations each of them has run."""

    trials: int = 1000
    iterations: int = 3000

    def __str__(self) -> str:
        return f"{self.trials:,} trials x {self.iterations:,} iterations"


def configurations(size: Size) -> list[FitConfig]:
    """Networks x widths x learning rates, for as many seeds as it takes."""
    base = FitConfig(depth=4, iterations=size.iterations, holdout=0.0, device="cpu")
    settings = itertools.product(_NETS, _WIDTHS, _RATES)
    cells = [{"net": net, "features": width, "lr": lr} for net, width, lr in settings]
    return [
        base.replace(seed=at // len(cells), **cells[at % len(cells)]) for at in range(size.trials)
    ]


def made_traces(size: Size) -> Iterator[tuple[FitConfig, Rows]]:
    """Each configuration with its trace: PSNR rises, peaks and falls, sooner with a greater lr.

    Columns are there where a denoising fit with the truth has them, costly ones at their
    iterations. Every value has noise, so that it takes the room on disk that real ones take.
    """
    for config in configurations(size):
        rng = np.random.default_rng(int(config.digest()[:16], 16))
        yield config, _trace(config, rng)


def _trace(config: FitConfig, rng: np.random.Generator) -> Rows:
    count = config.iterations
    iteration = np.arange(1.0, count + 1)
    way = iteration * np.sqrt(config.lr / 0.01)
    peak = 27 + rng.normal(0, 0.2) - abs(np.log10(config.lr / 0.01)) - (config.net == "unet")
    psnr = peak - 2 * np.log10(way / 900) ** 2
    smooth = {
        "loss": 0.005 + 0.06 * np.exp(-np.sqrt(way / 20)),
        "psnr": psnr,
        "psnr_ema": psnr + 1,
        "ssim": psnr / 36,
        "ssim_ema": psnr / 35,
        "wmv": 1e-3 * (1 + np.log10(way / 900) ** 2),
        "emv": 1e-3 * (1 + np.log10(way / 900) ** 2),
        "tv": 0.02 + 0.06 * (1 - np.exp(-way / 900)),
        "grad_norm": 0.1 / np.sqrt(way),
        "weight_norm": 40 + 0.001 * way,
    }
    for name in ("tv", "hf_energy", "laplacian"):
        smooth |= {name: smooth["tv"], f"{name}_ema": 0.8 * smooth["tv"]}
    rows = {name: np.full(count, np.nan) for name in COLUMN_NAMES}
    for name, values in smooth.items():
        rows[name] = values * (1 + 0.002 * rng.standard_normal(count))
    for column in COLUMNS:
        if column.costly:
            rows[column.name][iteration % config.metrics_every != 0] = np.nan
    rows["iteration"], rows["lr"] = iteration, np.full(count, config.lr)
    rows["data_loss"], rows["seconds"] = rows["loss"], 0.04 * iteration
    return rows


def make_folder(folder: Path, size: Size) -> Store:
    """Write the sweep, every file of it by what writes it in a real one; minutes for 1,000 trials.

    Each trial has its configuration, provenance, trace in parts, outcome with what the rules pick,
    pictures and snapshots. sweep.json comes last.
    """
    store = Store(folder)
    photographs = folder.with_name("pictures")
    problem = noisy_problem("astronaut", 0, size=SIDE, folder=photographs)
    write_problem(store.child(PROBLEMS, problem.name), problem)
    described = problem.describe()
    origins = provenance(configurations(size)[0], _CPU)
    pictures = _pictures(problem)
    for config, rows in made_traces(size):
        trial = store.child(TRIALS, trial_id(problem.name, described["fingerprint"], config))
        trial.write_json(CONFIG, config.to_dict())
        trial.write_json(PROBLEM, described)
        trial.write_json(PROVENANCE, origins)
        _write_trace(trial, rows)
        draw = itertools.cycle(pictures[config.seed % _PICTURES :] + pictures)
        for name in ("final", "ema", *kept_by(config, has_reference=True)):
            trial.write(f"{name}.png", next(draw))
        for iteration in config.snapshot_iterations():
            trial.write(snapshot_file(iteration), next(draw))
        trial.write_json(OUTCOME, _outcome(config, rows))
    asked = SweepConfig(scheduler="none", metric="psnr_ema_peak")
    space = {
        name: sorted({getattr(config, name) for config in configurations(size)})
        for name in ("net", "features", "lr", "seed")
    }
    store.write_json(SWEEP, {"space": space, "problems": [problem.name], **asked.to_dict()})
    return store


def _pictures(problem: Problem) -> list[bytes]:
    """PNGs of the truth with a little noise."""
    generator = torch.Generator().manual_seed(1)
    assert problem.reference is not None
    noises = torch.randn((_PICTURES, *problem.picture_shape), generator=generator)
    return [encode_png((problem.reference + 0.03 * noise).clamp(0, 1)) for noise in noises]


def _write_trace(trial: Store, rows: Rows) -> None:
    edges = np.linspace(0, len(rows["iteration"]), PARTS + 1).astype(int)
    for part, (start, end) in enumerate(itertools.pairwise(np.unique(edges))):
        own = {name: values[start:end] for name, values in rows.items()}
        trial.write(part_file(part), encode_trace(own, described=part == 0))


def _outcome(config: FitConfig, rows: Rows) -> dict[str, object]:
    summary = Summary()
    summary.update(rows)
    picks = {}
    for name, rule in make_rules(config).items():
        watch = Watch(rule)
        watch.update(rows, due=True)
        picks[name] = watch.pick.to_dict()
    return {"outcome": "BUDGET", "stopped_by": None, **summary.outcome_row(), "picks": picks}
