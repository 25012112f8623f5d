"""What does averaging fits of several seeds gain, and do several networks gain more than one?

Command: python -m experiments.studies.ensembles [--gpus-per-trial 0.25] [--smoke-test]
Cost: 180 fits, 960,000 iterations in all: 4 networks on 5 photographs of 256x256, with 8 seeds each
and a control of eight times the iterations. GPU hours are not measured; plan with 960,000 x s /
3,600 / n, where n fits run at a time and each takes s seconds for an iteration (`seconds` in the
trace of a short run), so 3 hours at 0.04 s and 4 at a time.
Expected: errors of two seeds correlate by rho of about 0.75, so that eight fits gain 1 dB and
endless ones 1.2 dB. The mean of eight ends above the control, which has long fitted the noise, and
above even the control's best iteration. Errors of different networks correlate less than those of
two seeds, so that two fits of each of four networks beat eight of the best network. The last is not
borne out where the interval over photographs holds zero, and refuted where it lies below; that
would surprise, unless one of the networks is far worse than the others. The best network is chosen
on the same photographs, which is in its favour. Where fits diverge, all means are of as many fits
as the network with the fewest has left.
"""

import sys

import pandas as pd
from matplotlib.figure import Figure

from analysis.intervals import MeanInterval
from dipray.config import FitConfig
from dipray.sweep import Grid
from experiments.studies.ensemble_figures import draw_correlations, draw_gains
from experiments.studies.ensemble_tables import (
    controls,
    error_correlations,
    gains,
    groups_of,
    mixing,
    mixtures,
    over_pictures,
    shared_size,
)
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.score_plots import draw_scores
from experiments.studies.study import Study, main
from experiments.studies.verdicts import verdict

# 2.2 to 3.8 million weights each: a network whose width doubles down to four times starts at 32
NETWORKS = [
    {"net": "skip", "features": 128},
    {"net": "encdec", "features": 128},
    {"net": "unet", "features": 32},
    {"net": "convnext", "features": 32},
]
SMOKE = [{"net": "skip", "features": 8}, {"net": "unet", "features": 4}]
# where the budget ends a fit, and its best, which only the truth can find
PICTURES = {"ema": "last averages", "peak_ema": "best averages"}


def _base(flags: StudyFlags) -> FitConfig:
    depth = 2 if flags.smoke_test else FitConfig().depth
    return FitConfig(depth=depth, iterations=flags.iterations, device=flags.device)


def _space(flags: StudyFlags) -> Grid:
    return {
        "network": SMOKE if flags.smoke_test else NETWORKS,
        "run": [
            {"seed": flags.fit_seeds},
            {"seed": 0, "iterations": flags.seeds * flags.iterations},
        ],
    }


def _answer(found: Findings) -> None:
    groups = groups_of(found)
    if not groups:
        found.say("no network has two fits that ended: nothing to average")
        return
    size = shared_size(groups)
    for picture, words in PICTURES.items():
        sizes, summary = gains(found, groups, picture, size)
        mixed = mixtures(found, groups, picture, size)
        against = mixing(mixed)
        correlated = error_correlations(found, groups, picture)
        for name, frame in (
            ("gain", sizes),
            ("rho", summary),
            ("mixtures", mixed),
            ("mixing", against),
            ("correlations", correlated),
        ):
            found.write(f"{name}_{picture}", frame)
        found.draw(f"gain_{picture}", draw_gains(sizes, summary, title=f"mean of {words}"))
        title = f"how the errors of two {words} correlate, mean over pictures"
        found.draw(f"correlations_{picture}", draw_correlations(correlated, title=title))
        if len(against):
            found.draw(f"mixing_{picture}", _draw_mixing(against, mixed, words))
        found.say(f"means of {words}:")
        found.say_each(_sentences(summary, against, size))
    control = controls(found, groups, size)
    found.write("controls", control)
    found.say("as much computing in one fit:")
    found.say_each(
        f"{net}: the mean of {size} seeds' last averages against the control's best: "
        f"{verdict(*over_pictures(rows, 'ahead'))}; the control ends at "
        f"{rows['control'].mean():.2f} dB, the mean of the seeds at {rows['mean'].mean():.2f} dB"
        for net, rows in control.groupby("net", sort=False)
    )


def _draw_mixing(against: pd.DataFrame, mixed: pd.DataFrame, words: str) -> Figure:
    size = mixed["size"].iloc[0]
    return draw_scores(
        against.assign(label=against["networks"]),
        title=f"mean of {size} {words}, shared out among networks, 95 % intervals",
        unit=f"PSNR against {size} of {against.attrs['best']} (dB)",
        none_at=0.0,
    )


def _sentences(summary: pd.DataFrame, against: pd.DataFrame, size: int) -> list[str]:
    said = []
    for net, rows in summary.groupby("net", sort=False):
        gained = verdict(*over_pictures(rows.assign(gain=rows["mean"] - rows["one"]), "gain"))
        said.append(
            f"{net}: rho {rows['rho'].mean():.2f}; {size} seeds against one: "
            f"{gained}; endless seeds {(rows['limit'] - rows['one']).mean():+.2f} dB"
        )
    if against.empty:
        return [*said, "no network has two fits that ended on every picture, so none are mixed"]
    best = against.attrs["best"]
    several = against[against["count"] > 1]
    if len(several):
        top, whole = several.iloc[0], several.iloc[several["count"].argmax()]
        said.append(
            f"{whole['networks']} mixed against {best} alone, the best network: "
            f"{_mixture(whole)}; the best mixture, {top['networks']}: {top['mean']:+.2f} dB"
        )
    return said


def _mixture(row: pd.Series) -> str:
    return verdict(MeanInterval(row["mean"], row["low"], row["high"], row["p"]), row["pictures"])


STUDY = Study(
    name="ensembles",
    said=__doc__ or "",
    full=StudyFlags(seeds=8),
    smoke=StudyFlags(
        smoke_test=True,
        pictures=("astronaut", "chelsea", "coffee"),
        size=32,
        seeds=4,
        iterations=30,
        device="cpu",
    ),
    base=_base,
    space=_space,
    answer=_answer,
    fewest_seeds=2,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
