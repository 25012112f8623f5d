"""Does SGD's learning rate change what is restored, or only how soon?

Command: python -m experiments.studies.learning_rate [--gpus-per-trial 0.25] [--smoke-test]
Cost: 375 fits, 1,875,000 iterations in all: 3 arms x 5 learning rates, on 5 photographs of 256x256
with 5 seeds each. GPU hours are not measured; plan with 1,875,000 x s / 3,600 / n, where n fits run
at a time and each takes s seconds for an iteration (`seconds` in the trace of a short run), so 5
hours at 0.04 s and 4 at a time.
Null hypothesis: at equal training loss all learning rates give the same picture, so a tenfold rate
changes its total variation by nothing.
Expected: at equal iterations a larger rate is further and its total variation larger, which tells
nothing; at equal lr x iterations the small rates lie on one line; at equal training loss little is
left, and that points to smoother pictures at larger rates, as the theory of stable minima has it
(Mulayoff et al., NeurIPS 2021: at a rate lr a minimum is stable only where the curvature is below
2 / lr). The theory is not borne out where the interval over photographs holds zero, and refuted
where it lies above, in the arm that is nearest to its assumptions: coordinates, no normalisation.
It would surprise if total variation rose with the rate at equal loss. The theory speaks of minima;
whether a fit has come to the edge of stability is not measured, and longer fits may do otherwise.
"""

import sys
from typing import get_args

import pandas as pd

from analysis.lr_bias import EQUAL, lr_slopes, lr_table
from analysis.lr_plots import draw_at_equal, draw_lr_curves
from analysis.matched import By, matched
from dipray.config import FitConfig
from dipray.sweep import Grid
from experiments.studies.arms import Arm, trials_of
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.rate_effects import effects_table, null_sentence, rate_effects
from experiments.studies.score_plots import draw_scores
from experiments.studies.study import Study, main

# each arm differs from the one before in one thing. No normalisation with noise as input is left
# out, since plain SGD then stays at a gray picture; with coordinates it dies at a rate of 30 (both
# tried at 64x64 with 32 channels)
_LRS = (0.1, 0.3, 1.0, 3.0, 10.0)
ARMS = (
    Arm("noise, batch norm", {"input_kind": "noise", "norm": "batch"}, _LRS),
    Arm("coordinates, batch norm", {"input_kind": "meshgrid", "norm": "batch"}, _LRS),
    Arm(
        "coordinates, no norm",
        {"input_kind": "meshgrid", "norm": "none"},
        (0.5, 1.0, 2.0, 4.0, 8.0),
    ),
)
_SMOKE_LRS = [0.5, 2.0]
_COLUMNS = ("psnr", "tv", "hf_energy", "laplacian")
_SAID = ("tv", "psnr")


def _base(flags: StudyFlags) -> FitConfig:
    # without normalisation SGD moves five levels too slowly, so all arms have three
    base = FitConfig(
        depth=3,
        optimizer="sgd",
        input_jitter=0.0,
        iterations=flags.iterations,
        device=flags.device,
    )
    return base.replace(depth=2, features=4) if flags.smoke_test else base


def _space(flags: StudyFlags) -> Grid:
    arms = [
        {**arm.settings, "lr": _SMOKE_LRS if flags.smoke_test else list(arm.lrs)} for arm in ARMS
    ]
    return {"arm": arms, "seed": flags.fit_seeds}


def _answer(found: Findings) -> None:
    by_arm = trials_of(ARMS, found.table)
    effects = pd.concat([_compare(found, by, by_arm) for by in get_args(By)], ignore_index=True)
    found.write("effects", effects)
    found.lines.console.print(effects_table(effects, _SAID))
    found.say(null_sentence(effects))
    of_tv = effects[effects["column"] == "tv"]
    of_tv = pd.concat([of_tv[of_tv["arm"] == arm] for arm in by_arm])
    ratios = of_tv[["mean", "low", "high"]] + 1
    figure = draw_scores(
        ratios.assign(label=of_tv["arm"] + ", " + of_tv["by"].map(EQUAL)),
        title="mean over pictures, 95 % intervals",
        unit="total variation at a tenfold learning rate, times that before",
        none_at=1.0,
        log=True,
    )
    found.draw("total_variation", figure)
    for arm, trials in by_arm.items():
        _draw_curves(found, arm.replace(", ", "_").replace(" ", "_"), trials)


def _compare(found: Findings, by: By, by_arm: dict[str, list[str]]) -> pd.DataFrame:
    """Tables of all arms where fits are equal `by`; what a tenfold rate changes in each."""
    tables, slopes, effects = [], [], []
    for arm, trials in by_arm.items():
        frame = matched(found.sweep, by=by, trials=trials, columns=_COLUMNS)
        own = lr_slopes(frame)
        tables.append(lr_table(frame).assign(arm=arm))
        slopes.append(own.assign(arm=arm))
        effects.append(rate_effects(own, by=by).assign(arm=arm, by=by))
    found.write(f"at_equal_{by}", pd.concat(tables, ignore_index=True))
    found.write(f"slopes_at_equal_{by}", pd.concat(slopes, ignore_index=True))
    return pd.concat(effects, ignore_index=True)


def _draw_curves(found: Findings, arm: str, trials: list[str]) -> None:
    problems = found.table.loc[trials, "problem"]
    for problem, ours in problems.groupby(problems, sort=False):
        own = list(ours.index)
        found.draw(f"curves_{arm}_{problem}", draw_lr_curves(found.sweep, trials=own))
        found.draw(f"at_equal_{arm}_{problem}", draw_at_equal(found.sweep, trials=own))


STUDY = Study(
    name="learning_rate",
    said=__doc__ or "",
    full=StudyFlags(iterations=5000),
    smoke=StudyFlags(
        smoke_test=True,
        pictures=("astronaut", "chelsea", "coffee"),
        size=32,
        seeds=2,
        iterations=60,
        device="cpu",
    ),
    base=_base,
    space=_space,
    answer=_answer,
    metric="psnr_peak",
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
