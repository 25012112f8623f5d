"""Which optimizer restores a picture best, each at the learning rate that suits it?

Command: python -m experiments.studies.optimizers [--gpus-per-trial 0.25] [--smoke-test]
Cost: 575 fits, 1,725,000 iterations in all: 23 combinations of optimizer and learning rate, on 5
photographs of 256x256 with 5 seeds each. GPU hours are not measured; plan with 1,725,000 x s /
3,600 / n, where n fits run at a time and each takes s seconds for an iteration (`seconds` in the
trace of a short run), so 5 hours at 0.04 s and 4 at a time.
Expected: Adam, AdamW and RMSprop within 0.3 dB of each other at their best averages, SGD with
momentum close behind, plain SGD not done within the budget at two of its three rates; the worst
rate of a kind costs more than the worst kind does. It would surprise if SGD came out above Adam by
more than the seeds' noise; that rates matter more than kinds is refuted if the worst rates cost
less on average. Each kind is ranked by its best rate, of three (of L-BFGS, two first guesses). The
best of several looks better than it is on the pictures that it was chosen on, so each photograph is
scored at the rate that did best on the other four. L-BFGS cannot take a jittered input; Adam
without jitter stands beside it, and those two compare. Budgets are equal in iterations, not in
computing: one of L-BFGS evaluates the network several times, to find the length of its step (strong
Wolfe).
"""

import sys

import pandas as pd

from dipray.config import FitConfig
from dipray.sweep import Grid
from experiments.studies.factor_tables import METRICS, write_factors
from experiments.studies.findings import Findings
from experiments.studies.flags import SMOKE_FLAGS, StudyFlags
from experiments.studies.held_out import against_best, differences, ranking
from experiments.studies.pictures import picture_of
from experiments.studies.ranking_text import ranking_sentences
from experiments.studies.rate_plots import draw_rates
from experiments.studies.score_plots import draw_scores
from experiments.studies.study import Study, main
from search_spaces.optimizers import SPACE

# L-BFGS has no jitter, so Adam is tried without it as well
WITHOUT_JITTER = {"optimizer": "adam", "input_jitter": 0.0, "lr": [0.001, 0.003, 0.01]}
GRID: Grid = {"optimizer": [*SPACE.grid["optimizer"], WITHOUT_JITTER]}
SMOKE: Grid = {
    "optimizer": [
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": [False, True], "lr": [0.3, 3.0]},
        {"optimizer": "adam", "lr": [0.003, 0.01]},
        {"optimizer": "adam", "input_jitter": 0.0, "lr": [0.003, 0.01]},
        {"optimizer": "lbfgs", "line_search": "strong_wolfe", "input_jitter": 0.0, "lr": 1.0},
    ]
}


def kinds(trials: pd.DataFrame) -> pd.Series:
    """What is ranked: the optimizer with its momentum, and whether the input was jittered."""
    names = trials["optimizer"].astype("object")
    names = names + trials["momentum"].map(lambda each: f", momentum {each:g}" if each else "")
    names = names + trials["nesterov"].map({True: " (Nesterov)", False: ""})
    return names + trials["input_jitter"].map(lambda each: "" if each else ", no jitter")


def scored(found: Findings, metric: str) -> pd.DataFrame:
    """The fits as `held_out` takes them; one that diverged has no score."""
    table = found.table
    return pd.DataFrame(
        {
            "kind": kinds(table),
            "lr": table["lr"],
            "picture": table["problem"].map(picture_of),
            "problem": table["problem"],
            "seed": table["seed"],
            "score": table[metric].where(table["outcome"] != "DIVERGED"),
        }
    )


def _base(flags: StudyFlags) -> FitConfig:
    base = FitConfig(iterations=flags.iterations, device=flags.device)
    return base.replace(depth=2, features=4) if flags.smoke_test else base


def _space(flags: StudyFlags) -> Grid:
    return {**(SMOKE if flags.smoke_test else GRID), "seed": flags.fit_seeds}


def _answer(found: Findings) -> None:
    for metric, when in METRICS.items():
        fits = scored(found, metric)
        rows, pairs = ranking(fits), differences(fits)
        found.write(f"ranking_{metric}", rows)
        found.write(f"differences_{metric}", pairs)
        figure = draw_scores(
            against_best(rows, pairs),
            title=f"average {when}, at rates chosen on the other pictures, 95 % intervals",
            unit=f"PSNR against {rows['label'].iloc[0]} (dB)" if len(rows) else "",
            none_at=0.0,
        )
        found.draw(f"ranking_{metric}", figure)
        found.draw(f"rates_{metric}", draw_rates(fits, title=f"average {when}"))
        said = ranking_sentences(rows, pairs)
        found.say(f"{metric}, the average {when}:")
        found.say_each(said if metric == next(iter(METRICS)) else said[:1])
    write_factors(found)


STUDY = Study(
    name="optimizers",
    said=__doc__ or "",
    full=StudyFlags(),
    smoke=SMOKE_FLAGS,
    base=_base,
    space=_space,
    answer=_answer,
    fewest_pictures=2,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
