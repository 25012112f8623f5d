"""Does lowering the learning rate at the edge of stability make fits sharper and pictures rougher?

Command: python -m experiments.studies.stability.intervention [--full] [--smoke-test]
Cost: 144 fits, 144,000 iterations in all: 2 networks (no norm; the standard one) x 2 optimizers
(SGD, Adam) x a large rate that drops to an eighth half-way, the same rate kept, a small rate that
rises to the eightfold, and the same kept, on 3 photographs of 64x64 with 3 seeds each, for two
cores; those that are kept are fits of stability.edge. --full takes 5 photographs of 256x256, 5
seeds and the network of the DIP paper, and is for a GPU.
Measured: sharpness and total variation of the fit that was changed, over those of its twin that was
not, at losses that both reach after the change only.
Rule: of fits that were at the edge (a ratio of 0.9 when last measured), after a drop supported
where the 95 % intervals over pictures of both ratios lie above 1, refuted where one lies below 1 or
within 5 % of it, else not decided. After a rise the same with below for above, of all fits.
Expected: without the bound the sharpness grows again, and total variation with it; a rise throws
the fit out of its sharp valley into a flatter one. It would surprise, and speak against stability
as the cause of smoothness, if sharpness moved as it should and total variation did not.
"""

import sys
from typing import Any

import pandas as pd

from analysis.intervention import jump_effects, jump_table, jump_verdict
from analysis.stability_plots import draw_jumps
from dipray.sweep import Grid
from experiments.studies.arms import Arm
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.stability.fits import EDGE_ARMS
from experiments.studies.stability.shared import stability_study
from experiments.studies.stability.verdicts import Verdicts
from experiments.studies.study import main

FACTOR = 8.0
ARMS = [arm for arm in EDGE_ARMS if not arm.settings["momentum"]]


def _rates(arm: Arm) -> tuple[float, float]:
    """The rates that rise and drop: next to the ends, since at the ends fits stall or die."""
    return arm.lrs[0], arm.lrs[-2]


def _points(arm: Arm, iterations: int) -> list[dict[str, Any]]:
    at = iterations // 2
    small, large = _rates(arm)
    return [
        {**arm.settings, "lr": lr, **more}
        for lr, by in ((large, 1 / FACTOR), (small, FACTOR))
        for more in ({}, {"lr_schedule": "jump", "lr_jump_at": at, "lr_jump_by": by})
    ]


def _space(flags: StudyFlags) -> Grid:
    points = [point for arm in ARMS for point in _points(arm, flags.iterations)]
    return {"arm": points, "seed": flags.fit_seeds}


def _answer(found: Findings) -> None:
    tables, effects, verdicts, drawn = [], [], Verdicts(found), {}
    for arm in ARMS:
        trials = arm.trials(found.table)
        if not trials:
            continue
        table = jump_table(found.sweep, trials).assign(arm=arm.name)
        tables.append(table)
        small, large = _rates(arm)
        for dropped, lr, way in ((True, large, "drop"), (False, small, "rise")):
            own = table[(table["jump_by"] < 1) == dropped]
            own = own[own["at_edge"].astype(bool)] if dropped else own
            found_here = jump_effects(own)
            effects.append(found_here.assign(arm=arm.name, way=way))
            verdicts.say(f"{arm.name}, {way}", *jump_verdict(found_here, dropped=dropped))
            rates = found.table.loc[trials, "lr"]
            drawn[f"{arm.name}, {way}"] = [str(trial) for trial in rates.index[rates == lr]]
    found.write("interventions", pd.concat(tables, ignore_index=True))
    found.write("intervention_effects", pd.concat(effects, ignore_index=True))
    verdicts.write("intervention_verdicts")
    found.draw("interventions", draw_jumps(found.sweep, drawn))


STUDY = stability_study("intervention", __doc__, space=_space, answer=_answer)

if __name__ == "__main__":
    sys.exit(main(STUDY))
