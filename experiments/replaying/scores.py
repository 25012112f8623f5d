"""Scores of a replay: what a scheduler ran, found and lost, a row for each picture."""

from collections.abc import Iterable

import pandas as pd

from dipray.sweep.replay import Replay, WholeFit
from dipray.sweep_config import SweepConfig
from experiments.replaying.fits import WholeFits


def scores(replayed: Replay, whole: WholeFits, config: SweepConfig) -> pd.DataFrame:
    """Columns problem, fits, stopped, iterations, planned, share, chosen, best, grid_best, lost...

    planned: iterations of the whole grid; share: iterations / planned. chosen: the trial that comes
    out best, best: its metric where it ended; grid_best: that of the whole grid's best. lost: how
    much worse, in the metric's unit; below 0 where a fit was ended that would have ended worse.
    psnr: dB of the picture that the choice hands out; grid_psnr: of the whole grid's choice;
    best_psnr: the greatest that there was.
    """
    sign = 1 if config.mode == "max" else -1
    last = {each.trial: each for each in replayed.told}
    rows = []
    for problem in dict.fromkeys(fit.problem for fit in whole.fits):
        ours = [fit for fit in whole.fits if fit.problem == problem]
        found = {fit.trial: last[fit.trial].value for fit in ours}
        full = {fit.trial: fit.reports[-1][config.metric] for fit in ours}
        chosen = max(found, key=lambda trial: sign * found[trial])
        best = max(full, key=lambda trial: sign * full[trial])
        iterations, planned = sum(last[fit.trial].iteration for fit in ours), budget(ours)
        rows.append(
            {
                "problem": problem,
                "fits": len(ours),
                "stopped": sum(fit.trial in replayed.stopped for fit in ours),
                "iterations": iterations,
                "planned": planned,
                "share": iterations / planned,
                "chosen": chosen,
                "best": found[chosen],
                "grid_best": full[best],
                "lost": sign * (full[best] - found[chosen]),
                "psnr": whole.handed_out[chosen][last[chosen].iteration],
                "grid_psnr": list(whole.handed_out[best].values())[-1],
                "best_psnr": whole.best_psnr[problem],
            }
        )
    return pd.DataFrame(rows)


def budget(fits: Iterable[WholeFit]) -> int:
    """The iterations of fits that run to their end."""
    return sum(int(fit.reports[-1]["iteration"]) for fit in fits)


def together(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Over pictures, for each value of `by`: iterations summed, metrics and losses averaged."""
    groups = table.groupby(by)
    means = groups[["best", "grid_best", "lost", "psnr", "grid_psnr", "best_psnr"]].mean()
    sums = groups[["iterations", "planned"]].sum()
    return means.join(sums).assign(share=sums["iterations"] / sums["planned"])
