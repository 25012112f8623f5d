"""Is it through the sharpness of minima that the learning rate changes the smoothness of pictures?

Command: python -m experiments.studies.stability.mediation [--full] [--smoke-test]
Cost: 162 fits, 162,000 iterations in all: 3 norms (none, batch, group) x 2 optimizers (SGD, Adam) x
3 learning rates, on 3 photographs of 64x64 with 3 seeds each, for two cores; those without norm are
fits of stability.edge. --full takes 5 photographs of 256x256, 5 seeds and the network of the DIP
paper, and is for a GPU.
Measured: at equal training loss, in logarithms, how total variation goes with the learning rate
(total), what of it is left beside a mediator (direct), and what goes through that (indirect); the
mediators are sharpness (for Adam also as Adam scales it), the norm of the weights, and the
scale-free sharpness lambda |w|^2 of the convolutions that a norm follows.
Rule: for each norm, optimizer and mediator, supported where the 95 % intervals over pictures of
total and indirect leave out 0 on the same side and the indirect part is at least half; refuted
where the total's leaves it out and the indirect's holds 0, lies on the other side, or is below half
beyond doubt. Where the total's holds 0 there is nothing to mediate: not decided.
Expected: with norms the sharpness alone says little, as it depends on the size of the weights, and
the scale-free one more; without norms sharpness carries most, if the theory is what is at work. It
would surprise if the norm of the weights carried it everywhere.
"""

import sys

import pandas as pd

from analysis.mediation import MEDIATORS, mediation_table, mediation_verdict
from analysis.phases import SMOOTHNESS, phase_frame
from dipray.sweep import Grid
from experiments.studies.arms import Arm
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.score_plots import draw_scores
from experiments.studies.stability.fits import LRS, NO_NORM, OPTIMIZERS
from experiments.studies.stability.shared import stability_study
from experiments.studies.stability.verdicts import Verdicts
from experiments.studies.study import main

PRECONDITIONED = "sharpness_pre"
NORMS = {"no norm": "none", "batch norm": "batch", "group norm": "group"}
ARMS = [
    # every other of the rates without norm, so that those fits are there already
    Arm(
        f"{label}, {name}",
        {**NO_NORM, **OPTIMIZERS[name], "norm": norm},
        LRS["no norm"][name][::2],
    )
    for label, norm in NORMS.items()
    for name in ("sgd", "adam")
]


def _space(flags: StudyFlags) -> Grid:
    return {"arm": [arm.points() for arm in ARMS], "seed": flags.fit_seeds}


def _answer(found: Findings) -> None:
    tables, verdicts = [], Verdicts(found)
    for arm in ARMS:
        trials = arm.trials(found.table)
        if not trials:
            continue
        mediators = (*MEDIATORS, PRECONDITIONED) if "adam" in arm.name else MEDIATORS
        frame = phase_frame(found.sweep, trials, columns=(*SMOOTHNESS, *mediators))
        table = mediation_table(frame, mediators=mediators)
        tables.append(table.assign(arm=arm.name))
        for row in table.to_dict("records"):
            verdicts.say(arm.name, *mediation_verdict(row))
    table = pd.concat(tables, ignore_index=True)
    found.write("mediation", table)
    verdicts.write("mediation_verdicts")
    title = "slope of log(tv) in log(lr) at equal loss, and what is left of it beside a mediator"
    scores = _bars(table)
    found.draw("mediation", draw_scores(scores, title=title, unit="slope", none_at=0.0))


def _bars(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each arm's total slope, and one for what each mediator leaves of it."""
    rows = []
    for arm, own in table.groupby("arm", sort=False):
        for place, row in enumerate(own.to_dict("records")):
            parts = [("direct", f"beside {row['mediator']}")]
            if place == 0:
                parts.insert(0, ("total", "total"))
            for part, label in parts:
                low, high = row[f"{part}_low"], row[f"{part}_high"]
                rows.append((f"{arm}: {label}", row[part], low, high))
    return pd.DataFrame(rows, columns=["label", "mean", "low", "high"])


STUDY = stability_study("mediation", __doc__, space=_space, answer=_answer)

if __name__ == "__main__":
    sys.exit(main(STUDY))
