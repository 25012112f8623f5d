"""ASHA: what it loses and what it takes of a grid, told by the finished run of the study."""

import tempfile
from pathlib import Path

import pandas as pd

from analysis import Sweep, load_sweep
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep
from experiments.bench.finding import Finding, Goal
from experiments.studies.asha import STUDY
from experiments.studies.asha_replays import (
    MOST_LOST,
    MOST_SHARE,
    asha,
    at_equal_iterations,
    by_seed,
    verdicts,
)
from experiments.studies.pictures import noisy_problem, picture_of

RUN = Path("runs") / STUDY.name
_COMMAND = f"python -m experiments.studies.{STUDY.name}"


def measure(*, device: str, quick: bool, run: Path | str = RUN) -> list[Finding]:
    """Of each seed the dB lost and the share of the iterations; device counts for quick alone."""
    if quick:
        with tempfile.TemporaryDirectory() as folder:
            return _findings(_small_sweep(Path(folder), device))
    if not Path(run).exists():
        what = "ASHA on the grid of 48 configurations"
        return [Finding(what, None, "dB", remark=f"no {run}; run {_COMMAND} first")]
    return _findings(load_sweep(str(run)))


def _small_sweep(folder: Path, device: str) -> Sweep:
    flags = STUDY.flags(["--smoke-test", "--seeds", "1", "--device", device])
    plan, store = STUDY.plan(flags), Store(folder / "run")
    problems = [
        noisy_problem(picture, 0, size=flags.size, folder=folder / "pictures")
        for picture in flags.pictures
    ]
    config = SweepConfig(scheduler="none", metric=STUDY.metric, **flags.resources.to_dict())
    run_sweep(problems, plan.space, store, base=plan.base, config=config)
    return load_sweep(store)


def _findings(sweep: Sweep) -> list[Finding]:
    config = asha(sweep)
    table, curves = verdicts(by_seed(sweep, config, sweep.trials.index), config)
    found = []
    for row in at_equal_iterations(curves).to_dict("records"):
        ours = table[table["seed"] == row["seed"]]
        found += [
            Finding(
                f"PSNR that ASHA loses, seed {row['seed']:.0f}, the worse of {len(ours)} pictures",
                float(ours["lost"].max()),
                "dB",
                goal=Goal("at most", MOST_LOST, of="value"),
                remark=f"{_by_picture(ours)}; random search with as many iterations, mean of both: "
                f"{row['random']:.2f} dB",
            ),
            Finding(
                f"share of the grid's iterations, seed {row['seed']:.0f}",
                100 * row["share"],
                "%",
                "the whole grid",
                100.0,
                1 / row["share"],
                goal=Goal("at most", 100 * MOST_SHARE, of="value"),
            ),
        ]
    return found


def _by_picture(rows: pd.DataFrame) -> str:
    return ", ".join(
        f"{picture_of(row['problem'])} {row['lost']:.2f}" for row in rows.to_dict("records")
    )
