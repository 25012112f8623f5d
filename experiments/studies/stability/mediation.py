"""Is it through the sharpness of minima that the learning rate changes the smoothness of pictures?

Command: python -m experiments.studies.stability.mediation [--full] [--smoke-test]
Cost: 162 fits, 162,000 iterations in all: 3 norms (none, batch, group) x 2 optimizers (SGD, Adam) x
3 learning rates, on 3 photographs of 64x64 with 3 seeds each, for two cores; those without norm are
fits of stability.edge. --full takes 5 photographs of 256x256, 5 seeds and the network of the DIP
paper, and is for a GPU.
Measured: at equal training loss, in logarithms, how total variation goes with the learning rate
(total), what of it is left beside a mediator (direct), and what goes through that (indirect); the
mediators are sharpness, the norm of the weights, and the scale-free sharpness lambda |w|^2 of the
convolutions that a norm follows.
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
from experiments.studies.stability.fits import (
    LRS,
    NO_NORM,
    ON_GPU,
    OPTIMIZERS,
    RUN,
    SMOKE,
    TWO_CORES,
    base,
)
from experiments.studies.stability.verdicts import Verdicts
from experiments.studies.study import Study, main

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
        frame = phase_frame(found.sweep, trials, columns=(*SMOOTHNESS, *MEDIATORS))
        table = mediation_table(frame)
        tables.append(table.assign(arm=arm.name))
        for row in table.to_dict("records"):
            verdicts.say(arm.name, *mediation_verdict(row))
    table = pd.concat(tables, ignore_index=True)
    found.write("mediation", table)
    verdicts.write("mediation_verdicts")
    rows = [
        {"label": f"{row['arm']}: {label}", "mean": row[part], "low": row[f"{part}_low"]}
        | {"high": row[f"{part}_high"]}
        for row in table.to_dict("records")
        for part, label in (("total", f"total ({row['mediator']})"), ("direct", "direct"))
    ]
    title = "slope of log(tv) in log(lr) at equal loss, and what is left beside the mediator"
    scores = pd.DataFrame(rows, columns=["label", "mean", "low", "high"])
    found.draw("mediation", draw_scores(scores, title=title, unit="slope", none_at=0.0))


STUDY = Study(
    name="stability.mediation",
    run=RUN,
    said=__doc__ or "",
    full=TWO_CORES,
    on_gpu=ON_GPU,
    smoke=SMOKE,
    base=base,
    space=_space,
    answer=_answer,
    metric="psnr_peak",
    fewest_pictures=3,
    most_noises=1,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
