"""Does ASHA find what the whole grid finds, for less than a third of its iterations?

Command: python -m experiments.studies.asha [--smoke-test]
Cost: 288 fits, 276,480 iterations in all: the 48 configurations of search_spaces/grids/
forty_eight.json (3 networks, widths, depths, 6 ways to optimise), on 2 photographs of 64x64 with 3
seeds each, all to their end. About 40 minutes on two CPU cores that nobody else uses.
Settings: chosen before any fit was run. Rungs at a sixteenth and a quarter of the budget, of four
fits at a rung one goes on, two fits at a time, the metric that `dipray sweep` compares by where the
truth is known. Of each seed's fits ASHA is replayed once in an order that the seed draws.
Expected: on each photograph and with each seed ASHA's best fit lies at most 0.15 dB below the best
of the grid, and it takes at most 30 % of the iterations. It is refuted by any seed or photograph
where it does not. ASHA stops a fit that is compared with few others, and an early rung ranks by
speed: both can make it miss.
"""

import sys
from pathlib import Path

import search_spaces
from dipray.config import FitConfig
from dipray.sweep import Grid, read_grid
from dipray.sweep_config import Resources
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.study import Study, main

GRID = Path(search_spaces.__file__).parent / "grids" / "forty_eight.json"


def _base(flags: StudyFlags) -> FitConfig:
    # nothing here asks for the costly columns or pictures on the way
    base = FitConfig(iterations=flags.iterations, device=flags.device, holdout=0.0)
    return base.replace(metrics_every=flags.iterations, snapshots=0, variance_window=0)


def _space(flags: StudyFlags) -> Grid:
    grid = read_grid(GRID)
    if flags.smoke_test:
        grid["net"], grid["depth"] = grid["net"][:1], 2
    return {"seed": flags.fit_seeds, **grid}  # a whole grid before the next seed begins


def _answer(found: Findings) -> None:
    found.say("to be answered")


STUDY = Study(
    name="asha",
    said=__doc__ or "",
    full=StudyFlags(
        resources=Resources(report_every=20),
        pictures=("astronaut", "chelsea"),
        size=64,
        seeds=3,
        iterations=960,
        device="cpu",
    ),
    smoke=StudyFlags(
        resources=Resources(report_every=2),
        smoke_test=True,
        pictures=("astronaut", "chelsea"),
        size=32,
        seeds=2,
        iterations=32,
        device="cpu",
    ),
    base=_base,
    space=_space,
    answer=_answer,
    metric="psnr_peak",
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
