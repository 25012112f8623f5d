"""Is a picture smoother at equal training loss the larger the learning rate, and by the edge?

Command: python -m experiments.studies.stability.smoothness [--full] [--smoke-test]
Cost: 315 fits, 315,000 iterations in all: the 270 of stability.edge (2 networks x 3 optimizers x 5
learning rates, on 3 photographs of 64x64 with 3 seeds each), and 45 of the network without norms
linearised at its initial weights, for two cores. --full takes 5 photographs of 256x256, 5 seeds and
the network of the DIP paper, and is for a GPU.
Measured: at the same training loss the slope of log(value) in log(lr), for total variation, mean
|Laplacian|, share of high frequencies and fraction of the noise that has been fitted; apart for
points before a fit has come to the edge of stability, and at it.
Null hypothesis: as long as the weights move so little that the network is linear in them (the lazy
regime), or the steps are small enough to follow gradient flow, all rates go the same way, and
pictures at equal loss are the same: a slope of 0. Before the edge that is what should be found, and
in the linearised network, which is the lazy regime itself, at every rate that is stable.
Rule: for each network and optimizer, supported where at the edge the slope's 95 % interval over
pictures lies below 0 and so does its difference to the slope before the edge. Refuted where at the
edge the interval holds 0 or lies above and leaves out -0.1, or where the slope is below 0 just as
much before the edge. Else not decided. The null itself is supported where the linearised network's
interval lies within -0.1 and 0.1, refuted where it lies outside: the comparison is then biased.
Expected: 0 before the edge and slightly below 0 at it, as the theory of stable minima has it. It
would surprise, and refute it, if the slopes were above 0.
"""

import sys

import pandas as pd

from analysis.phases import (
    NOISE,
    SMOOTHNESS,
    null_verdict,
    phase_frame,
    phase_slopes,
    smoothness_verdict,
)
from analysis.stability_plots import draw_at_equal_loss
from dipray.sweep import Grid
from experiments.studies.arms import trials_of
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.stability.fits import EDGE_ARMS, LAZY, LRS
from experiments.studies.stability.shared import stability_study
from experiments.studies.stability.verdicts import Verdicts
from experiments.studies.study import main

COLUMNS = (*SMOOTHNESS, NOISE)
JUDGED = ("tv", "laplacian")
ARMS = [*EDGE_ARMS, LAZY]


def _space(flags: StudyFlags) -> Grid:
    return {"arm": [arm.points() for arm in ARMS], "seed": flags.fit_seeds}


def _answer(found: Findings) -> None:
    groups = trials_of(ARMS, found.table)
    frames = {name: phase_frame(found.sweep, trials) for name, trials in groups.items()}
    tables, verdicts = [], Verdicts(found)
    for name, frame in frames.items():
        slopes = phase_slopes(frame, COLUMNS)
        tables.append(slopes.assign(arm=name))
        judge = null_verdict if name == LAZY.name else smoothness_verdict
        for column in JUDGED:
            verdicts.say(name, *judge(slopes, column))
    points = [frame.assign(arm=name) for name, frame in frames.items()]
    found.write("at_equal_loss", pd.concat(points, ignore_index=True))
    found.write("slopes", pd.concat(tables, ignore_index=True))
    verdicts.write("smoothness_verdicts")
    for network in LRS:
        own = {name: frame for name, frame in frames.items() if name.startswith(network)}
        if own:
            label = network.replace(" ", "_")
            found.draw(f"at_equal_loss_{label}", draw_at_equal_loss(own))


STUDY = stability_study("smoothness", __doc__, space=_space, answer=_answer)

if __name__ == "__main__":
    sys.exit(main(STUDY))
