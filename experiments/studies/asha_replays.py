"""What ASHA and random search find in whole grids, seed by seed, and how the settings matter."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import Sweep
from dipray.sweep.replay import Replay, replay
from dipray.sweep_config import SweepConfig
from experiments.replaying.curves import below_best
from experiments.replaying.fits import WholeFits, whole_fits
from experiments.replaying.orders import drawn_order
from experiments.replaying.scores import scores, together

# written down before any fit was run
PARALLEL = 2  # fits at a time
FIRST_RUNG = 1 / 16  # of the budget; the second is at a quarter
FACTOR = 4.0
MOST_LOST = 0.15  # dB
MOST_SHARE = 0.30  # of the grid's iterations

SHARES = np.linspace(0, 1, 401)  # of the grid's iterations, where curves are asked
RANDOM_ORDERS = 200  # of random search, for its expectation
OTHER_ORDERS = 20  # of each other setting

Array = NDArray[np.float64]
BySeed = dict[int, WholeFits]


def asha(sweep: Sweep, *, first_rung: float = FIRST_RUNG, factor: float = FACTOR) -> SweepConfig:
    """ASHA as the study has it, for the budget and reports of the sweep."""
    budget = int(sweep.trials["iterations"].max())
    return SweepConfig(
        scheduler="asha",
        metric="psnr_peak",
        grace_period=max(1, round(budget * first_rung)),
        reduction_factor=factor,
        report_every=int(sweep.asked["report_every"]),
    )


def unscheduled(config: SweepConfig) -> SweepConfig:
    """The same without a scheduler."""
    return SweepConfig(scheduler="none", metric=config.metric, report_every=config.report_every)


def by_seed(sweep: Sweep, config: SweepConfig, trials: Iterable[str]) -> BySeed:
    """The whole fits of each seed, in the order of `trials`; raises FolderError."""
    seeds = sweep.trials.loc[list(trials), "seed"]
    return {
        int(seed): whole_fits(sweep, config, trials=list(ours.index))
        for seed, ours in seeds.groupby(seeds)
    }


def in_order(whole: WholeFits, config: SweepConfig, order: int) -> Replay:
    """A replay of the fits in an order that is drawn with the seed `order`."""
    return replay(drawn_order(whole.fits, order), config, parallel=PARALLEL)


def verdicts(
    grids: BySeed, config: SweepConfig, *, orders: int = RANDOM_ORDERS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ASHA once for each seed, the order drawn by that seed: `scores`, and curves.

    The scores have a row for each seed and picture. Curves: way (asha; random, the mean of so many
    orders; grid, in its own order), seed, share of the grid's iterations, and below, in dB. Their
    ends: `attrs["ends"]`, for each seed the share where ASHA has ended.
    """
    rows, curves, ends = [], [], {}
    for seed, whole in grids.items():
        found, alone = in_order(whole, config, seed), unscheduled(config)
        table = scores(found, whole, config).assign(seed=seed)
        rows.append(table)
        ends[seed] = float(table["iterations"].sum() / table["planned"].sum())
        at_random = [
            below_best(in_order(whole, alone, order), whole, alone, SHARES)
            for order in range(orders)
        ]
        listed = replay(whole.fits, alone, parallel=PARALLEL)
        for way, below in (
            ("asha", below_best(found, whole, config, SHARES)),
            ("random", np.mean(at_random, axis=0)),
            ("grid", below_best(listed, whole, alone, SHARES)),
        ):
            curves.append(pd.DataFrame({"way": way, "seed": seed, "share": SHARES, "below": below}))
    joined = pd.concat(curves, ignore_index=True)
    joined.attrs["ends"] = ends
    return pd.concat(rows, ignore_index=True), joined


def at_equal_iterations(curves: pd.DataFrame) -> pd.DataFrame:
    """seed, share, asha, random: dB below the grid's best where ASHA has ended, over pictures."""
    rows = []
    for seed, end in curves.attrs["ends"].items():
        there = curves[(curves["seed"] == seed) & (curves["share"] <= end)]
        last = there.groupby("way")["below"].last()
        after = curves[(curves["seed"] == seed) & (curves["way"] == "asha")]["below"].iloc[-1]
        rows.append({"seed": seed, "share": end, "asha": after, "random": last["random"]})
    return pd.DataFrame(rows)


def other_settings(
    sweep: Sweep, trials: Iterable[str], *, orders: int = OTHER_ORDERS
) -> pd.DataFrame:
    """What other settings would have done, means over seeds and orders; looked at afterwards.

    setting, share, lost (dB, mean over pictures, seeds and orders), worst, and within: the share of
    pictures, seeds and orders where at most MOST_LOST was lost.
    """
    trials = list(trials)
    chosen = asha(sweep)
    settings = {
        f"asha, first rung at {_spell(rung)}, factor {factor:g}": asha(
            sweep, first_rung=rung, factor=factor
        )
        for factor in (3.0, 4.0)
        for rung in (1 / 48, 1 / 24, 1 / 16, 1 / 8, 1 / 4)
    }
    settings["asha as chosen, by psnr_ema_peak"] = chosen.replace(metric="psnr_ema_peak")
    settings["hyperband, the same rungs"] = chosen.replace(scheduler="hyperband")
    settings["median, the same grace period"] = chosen.replace(
        scheduler="median", reduction_factor=3.0
    )
    rows = []
    for name, config in settings.items():
        tables = [
            scores(in_order(whole, config, order), whole, config).assign(run=f"{seed}/{order}")
            for seed, whole in by_seed(sweep, config, trials).items()
            for order in range(orders)
        ]
        table = pd.concat(tables, ignore_index=True)
        rows.append(
            {
                "setting": name,
                "share": together(table, "run")["share"].mean(),
                "lost": table["lost"].mean(),
                "worst": table["lost"].max(),
                "within": (table["lost"] <= MOST_LOST).mean(),
            }
        )
    return pd.DataFrame(rows)


def _spell(share: float) -> str:
    return f"1/{1 / share:.0f}"
