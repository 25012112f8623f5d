"""What do network, depth and width change in how well a picture is restored?

Command: python -m experiments.studies.architecture [--gpus-per-trial 0.25] [--smoke-test]
Cost: 500 fits, 1,500,000 iterations in all: 5 networks x 2 depths x 2 widths, on 5 photographs of
256x256 with 5 seeds each. GPU hours are not measured; plan with 1,500,000 x s / 3,600 / n, where n
fits run at a time and each takes s seconds for an iteration (`seconds` in the trace of a short
run), so 4 hours at 0.04 s and 4 at a time. The widest U-Nets take by far the longest.
Expected: the hourglass with thin skips (skip) or without any (encdec) needs width, while nets whose
skips carry whole feature maps (unet, resunet, convnext) fit the noise earlier, the more so the
wider, and so lose more between their best and the end of the budget. Depth matters less than
either. It would surprise if the best network differed by more than 1 dB from the second, or if the
order turned from one photograph to the next. What is expected is not borne out where its interval
over photographs holds zero, and refuted where the interval lies on the other side. Only one
learning rate is tried, the paper's, which another network may not like; what is told holds for that
rate.
"""

import sys

from analysis import draw_curves, score_table
from dipray.config import FitConfig
from dipray.sweep import Grid
from experiments.studies.factor_tables import METRICS, left_out, write_factors
from experiments.studies.findings import Findings
from experiments.studies.flags import SMOKE_FLAGS, StudyFlags
from experiments.studies.score_plots import draw_scores
from experiments.studies.study import Study, main
from search_spaces.networks import SPACE

# the ends of the space `networks`: an effect and an interaction show between ends that lie far
# apart, and what lies in the middle would more than double the fits
GRID: Grid = {"net": SPACE.grid["net"], "depth": [3, 5], "features": [32, 128]}
SMOKE: Grid = {"net": ["skip", "unet", "encdec"], "depth": [2, 3], "features": [4, 8]}


def _base(flags: StudyFlags) -> FitConfig:
    return FitConfig(iterations=flags.iterations, device=flags.device)


def _space(flags: StudyFlags) -> Grid:
    return {**(SMOKE if flags.smoke_test else GRID), "seed": flags.fit_seeds}


def _answer(found: Findings) -> None:
    found.say_each(write_factors(found))
    for metric, when in METRICS.items():
        scores = score_table(found.sweep, metric=metric, trials=found.trials)
        title = f"average {when}, 95 % intervals over seeds, on these pictures alone"
        figure = draw_scores(
            scores[scores["complete"]],
            of="iqm",
            title="; ".join([title, *left_out(scores)]),
            unit="interquartile mean PSNR (dB)",
        )
        found.draw(f"scores_{metric}", figure)
    table = found.table
    first = table["seed"] == table["seed"].min()
    for problem in found.problems():
        trials = table.index[first & (table["problem"] == problem)]
        figure = draw_curves(found.sweep, "psnr_ema", problem=problem, trials=trials)
        found.draw(f"curves_{problem}", figure)


STUDY = Study(
    name="architecture",
    said=__doc__ or "",
    full=StudyFlags(),
    smoke=SMOKE_FLAGS,
    base=_base,
    space=_space,
    answer=_answer,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
