"""Does the learning rate act on smoothness for a network of coordinates, but not of white noise?

Command: python -m experiments.studies.stability.coordinates [--full] [--smoke-test]
Cost: 90 fits, 90,000 iterations in all: 2 inputs (coordinates; standard normal noise) x 5 learning
rates, SGD, no norm, on 3 photographs of 64x64 with 3 seeds each, for two cores; those of noise are
fits of stability.edge. --full takes 5 photographs of 256x256, 5 seeds and the network of the DIP
paper, and is for a GPU.
Measured: as in stability.smoothness, for either input.
Rule: the theorems bound a network as a function of its input, which is the picture's smoothness for
coordinates alone. Supported where at the edge the slope of log(tv) in log(lr) at equal loss has a
95 % interval over pictures below 0 for coordinates, and one that holds 0 or lies above for noise.
Refuted where that of coordinates holds 0 or lies above and leaves out -0.1, or where that of noise
lies below 0 as well and below that of coordinates' middle. Else not decided.
Expected: a slope below 0 for coordinates. It would surprise if noise had the steeper one.
"""

import sys
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.edge import REFUTED, SUPPORTED, UNDECIDED
from analysis.phases import AT_EDGE, NOISE, SMOOTHNESS, phase_frame, phase_slopes, slope_text
from analysis.stability_plots import draw_at_equal_loss
from dipray.sweep import Grid
from experiments.studies.arms import Arm, trials_of
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.stability.fits import LRS, NO_NORM, OPTIMIZERS
from experiments.studies.stability.shared import stability_study
from experiments.studies.stability.verdicts import Verdicts
from experiments.studies.study import main

_CLOSE = 0.1
INPUTS = {"coordinates": "meshgrid", "noise": "gaussian"}
ARMS = [
    Arm(
        name,
        {**NO_NORM, **OPTIMIZERS["sgd"], "input_kind": kind},
        LRS["no norm"]["sgd"],
    )
    for name, kind in INPUTS.items()
]


def _space(flags: StudyFlags) -> Grid:
    return {"arm": [arm.points() for arm in ARMS], "seed": flags.fit_seeds}


def input_verdict(coordinates: Mapping[Any, Any], noise: Mapping[Any, Any]) -> tuple[str, str]:
    """Rows of `phase_slopes`, of tv at the edge, for the two inputs: verdict and sentence."""
    said = f"tv at the edge: coordinates {slope_text(coordinates)}, noise {slope_text(noise)}"
    if min(coordinates["pictures"], noise["pictures"]) < 3:
        return UNDECIDED, said
    if coordinates["high"] >= 0:
        return (REFUTED if coordinates["low"] > -_CLOSE else UNDECIDED), said
    if noise["high"] >= 0:
        return SUPPORTED, said
    return (REFUTED if noise["slope"] < coordinates["slope"] else UNDECIDED), said


def _answer(found: Findings) -> None:
    groups = trials_of(ARMS, found.table)
    frames = {name: phase_frame(found.sweep, trials) for name, trials in groups.items()}
    slopes = {name: phase_slopes(frame, (*SMOOTHNESS, NOISE)) for name, frame in frames.items()}
    tables = [each.assign(arm=name) for name, each in slopes.items()]
    found.write("input_slopes", pd.concat(tables, ignore_index=True))
    rows = [_at_edge(slopes[name]) for name in INPUTS]
    verdicts = Verdicts(found)
    verdicts.say("coordinates against noise", *input_verdict(*rows))
    verdicts.write("input_verdicts")
    found.draw("inputs", draw_at_equal_loss(frames))


def _at_edge(slopes: pd.DataFrame) -> dict[Any, Any]:
    rows = slopes[(slopes["column"] == "tv") & (slopes["phase"] == AT_EDGE)]
    return rows.to_dict("records")[0]


STUDY = stability_study("coordinates", __doc__, space=_space, answer=_answer)

if __name__ == "__main__":
    sys.exit(main(STUDY))
