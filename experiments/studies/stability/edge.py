"""Do fits of a Deep Image Prior come to the edge of stability, and stay there?

Command: python -m experiments.studies.stability.edge [--full] [--smoke-test]
Cost: 270 fits, 270,000 iterations in all: 2 networks (no norm and smooth; the standard one) x 3
optimizers (SGD, momentum 0.9, Adam) x 5 learning rates, on 3 photographs of 64x64 with 3 seeds
each, for two cores. --full takes 5 photographs of 256x256, 5 seeds and the network of the DIP
paper, and is for a GPU. The fits are those of stability.smoothness too, which then runs none.
Measured: the largest eigenvalue of the Hessian of the mean squared error, for Adam of its
preconditioned Hessian, over the threshold of the optimizer at hand (`sharpness_ratio`).
Rule: for each network and optimizer, of the fits that reach a ratio of 0.9, the share whose median
ratio over the last quarter lies outside of [0.9, 1.2]. Supported where the 95 % interval of that
share over pictures ends at or below one in five; refuted where it begins above; else not decided.
Expected: large rates come to the edge at once, small ones as the sharpness grows, and all that do
stay near 1. Refuted would be fits that stay well above it and still descend, or that fall far below
after having been there.
"""

import sys

import pandas as pd

from analysis.edge import edge_summary, edge_table, edge_verdict
from analysis.stability_plots import draw_ratios
from dipray.sweep import Grid
from experiments.studies.arms import trials_of
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.stability.fits import EDGE_ARMS
from experiments.studies.stability.shared import stability_study
from experiments.studies.stability.verdicts import Verdicts
from experiments.studies.study import main


def _space(flags: StudyFlags) -> Grid:
    return {"arm": [arm.points() for arm in EDGE_ARMS], "seed": flags.fit_seeds}


def _answer(found: Findings) -> None:
    groups = trials_of(EDGE_ARMS, found.table)
    tables, summaries, verdicts = [], [], Verdicts(found)
    for name, trials in groups.items():
        table = edge_table(found.sweep, trials)
        tables.append(table.assign(arm=name))
        summaries.append(edge_summary(table).assign(arm=name))
        verdicts.say(name, *edge_verdict(table))
    found.write("edge", pd.concat(tables).rename_axis("trial").reset_index())
    found.write("edge_by_lr", pd.concat(summaries, ignore_index=True))
    verdicts.write("edge_verdicts")
    found.draw("edge", draw_ratios(found.sweep, groups))


STUDY = stability_study("edge", __doc__, space=_space, answer=_answer)

if __name__ == "__main__":
    sys.exit(main(STUDY))
