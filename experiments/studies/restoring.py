"""Does `dipray restore`, which sees only the noisy file, beat known methods that know the noise?

Command: python -m experiments.studies.restoring [--smoke-test]
Cost: 5 photographs of 128x128, each the default of `dipray restore`: under 10 minutes on two CPU
cores, 50 in all.
Expected: at least 0.8 dB above scikit-image's non-local means in the mean over the photographs. The
known methods are given the noise level, 25 of 255; `restore` estimates it. Since restore also takes
into account that the noise is clipped at black and white, non-local means stands there once more
with the clipping undone (its picture through the inverse of x -> E[clip(x + noise)]).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from analysis import draw_gallery, load_sweep, save_figure, write_table
from analysis.gallery import Panel
from analysis.pictures import Picture, Pixels, decode, encode, psnr
from dipray.baselines import baselines
from dipray.noise import ClippedMean
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep_config import Resources
from experiments.commands import RestoreCommand
from experiments.exits import INTERRUPTED, exit_code
from experiments.outcomes import Lines
from experiments.restore import run_restore
from experiments.restoring.results import RECORD, RESTORED
from experiments.studies.pictures import (
    NOISE_SIGMA,
    PHOTOGRAPHS,
    PICTURES,
    Photograph,
    noisy_problem,
)

BESIDE = "non-local means"
UNDONE = f"{BESIDE}, clipping undone"


@dataclass(frozen=True)
class RestoringFlags:
    """The size of the study."""

    resources: Resources = field(default_factory=Resources)
    smoke_test: bool = False
    """a real run that is too small to mean anything"""
    pictures: tuple[Photograph, ...] = PHOTOGRAPHS
    """photographs, in scikit-image's words"""
    size: int = 128
    """pixels a side"""
    iterations: int = 3000
    """of a fit of `dipray restore`, at most"""
    seeds: int = 4
    """fits that it averages"""
    device: str = "auto"
    """auto, cpu, cuda or mps"""
    save_dir: str = "runs/restoring"
    """where the results lie, a folder for each photograph"""


SMOKE = RestoringFlags(
    smoke_test=True,
    pictures=("astronaut", "coffee"),
    size=32,
    iterations=30,
    seeds=2,
    device="cpu",
    save_dir="runs/restoring-smoke",
)


def clipping_undone(pixels: Pixels, sigma: float) -> Pixels:
    """What pixels in [0, 1] would be the mean of, had the noise not been clipped."""
    levels = np.linspace(0, 1, 4001)
    means = ClippedMean(sigma / 255)(torch.from_numpy(levels)).numpy()
    return np.interp(pixels, means, levels)


def known_methods(problem: Problem) -> dict[str, Pixels]:
    """What known methods make of the photograph, told its noise level."""
    pictures = {}
    for each in baselines(problem):
        pixels = each.picture[0].permute(1, 2, 0).double().numpy()
        pictures[each.method] = pixels
        if each.method == BESIDE:
            pictures[UNDONE] = clipping_undone(pixels, NOISE_SIGMA)
    return pictures


def restore(name: Photograph, flags: RestoringFlags) -> dict[str, Any] | None:
    """A row on one photograph; None if its restoration is not finished."""
    problem = noisy_problem(name, 0, size=flags.size, folder=Path(PICTURES))
    assert problem.reference is not None
    truth = problem.reference[0].permute(1, 2, 0).double().numpy()
    store = Store(flags.save_dir)
    noisy = problem.y[0].permute(1, 2, 0).double().numpy()
    store.write(f"{name}.png", encode(Picture(noisy)))
    place = store.child(name)
    command = RestoreCommand(
        image=Path(store.location) / f"{name}.png",
        resources=flags.resources,
        iterations=flags.iterations,
        seeds=flags.seeds,
        device=flags.device,
        save_dir=str(place),
    )
    if run_restore(command):
        return None
    record = place.read_json(RECORD)
    sweep = load_sweep(place)
    single = [psnr(decode(sweep.image(each, "ema")).pixels, truth) for each in record["averaged"]]
    pictures = known_methods(problem) | {"restored": decode(place.read(RESTORED)).pixels}
    levels = {method: psnr(pixels, truth) for method, pixels in pictures.items()}
    shown = [
        Panel(f"{method} {levels[method]:.2f} dB", pictures[method].astype(np.float32))
        for method in ("noisy input", BESIDE, "restored")
    ]
    panels = [*shown, Panel("truth", truth.astype(np.float32))]
    save_figure(draw_gallery(panels), store, f"{name}-beside.png")
    restored = levels.pop("restored")
    return {
        "picture": name,
        **levels,
        "one fit": float(np.mean(single)) if single else np.nan,
        "restored": restored,
        "estimate": record["estimated_psnr"],
        "low": record["estimated_psnr_low"],
        "high": record["estimated_psnr_high"],
        "sigma": record["sigma"],
        "seconds of fits": float(sweep.trials["seconds"].sum()),
    }


def run(flags: RestoringFlags) -> int:
    """Restore each photograph, then say how it stands beside known methods."""
    console = Console()
    lines = Lines(console)
    rows = []
    for name in flags.pictures:
        row = restore(name, flags)
        if row is None:
            return INTERRUPTED
        rows.append(row)
    frame = pd.DataFrame(rows)
    store = Store(flags.save_dir)
    write_table(store, "restoring", frame)
    console.print(_table(frame))
    for beside in (BESIDE, UNDONE):
        gains = frame["restored"] - frame[beside]
        lines.say(
            f"{gains.mean():+.2f} dB against {beside}, {gains.min():+.2f} to {gains.max():+.2f}; "
            f"better on {int((gains > 0).sum())} of {len(gains)} photographs"
        )
    highest = frame["high"].astype("float64").fillna(np.inf)
    inside = ((frame["restored"] >= frame["low"]) & (frame["restored"] <= highest)).sum()
    lines.say(f"the estimate's interval holds the true PSNR {inside} times of {len(frame)}")
    if flags.smoke_test:
        lines.say("a smoke test: these numbers mean nothing")
    lines.say(f"tables  {store}/restoring.csv")
    return 0


def _table(frame: pd.DataFrame) -> Table:
    """A row for each number, a column for each photograph."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("PSNR, dB", *frame["picture"], "mean"):
        table.add_column(heading, justify="left" if heading == "PSNR, dB" else "right")
    numbers = frame.drop(columns="picture").astype("float64")
    for name, values in numbers.items():
        digits = {"seconds of fits": 0, "sigma": 1}.get(str(name), 2)
        cells = [*values, values.mean()]
        table.add_row(str(name), *("" if np.isnan(v) else f"{v:.{digits}f}" for v in cells))
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study as its command line says; the exit code."""

    def parse(default: RestoringFlags) -> RestoringFlags:
        return tyro.cli(
            RestoringFlags,
            prog="python -m experiments.studies.restoring",
            description=__doc__,
            args=arguments,
            default=default,
            config=(tyro.conf.OmitArgPrefixes,),
        )

    def begin() -> int:
        flags = parse(RestoringFlags())
        return run(parse(SMOKE) if flags.smoke_test else flags)

    return exit_code("restoring", begin)


if __name__ == "__main__":
    sys.exit(main())
