"""The best found so far against the iterations spent."""

import numpy as np
from numpy.typing import NDArray

from dipray.sweep.replay import Replay
from dipray.sweep_config import SweepConfig
from experiments.replaying.fits import WholeFits
from experiments.replaying.scores import budget

Array = NDArray[np.float64]


def below_best(replayed: Replay, whole: WholeFits, config: SweepConfig, shares: Array) -> Array:
    """How far the best reported so far is below the grid's best, in the metric's unit.

    shares: of the whole grid's iterations, where it is asked; the mean over pictures, NaN until
    each has reported. Where a scheduler has nothing left to run it stays as it is.
    """
    sign = 1 if config.mode == "max" else -1
    best: dict[str, float] = {}
    for fit in whole.fits:
        last = sign * fit.reports[-1][config.metric]
        best[fit.problem] = max(best.get(fit.problem, -np.inf), last)
    places = {problem: place for place, problem in enumerate(best)}
    goal, so_far = np.array(list(best.values())), np.full(len(best), -np.inf)
    spent, lost = [0.0], [np.inf]
    came: dict[str, int] = {}
    for each in replayed.told:
        place = places[each.problem]
        so_far[place] = max(so_far[place], sign * each.value)
        spent.append(spent[-1] + each.iteration - came.get(each.trial, 0))
        lost.append(float((goal - so_far).mean()))
        came[each.trial] = each.iteration
    asked = np.searchsorted(spent, shares * budget(whole.fits), side="right") - 1
    found = np.array(lost)[asked]
    return np.where(np.isfinite(found), found, np.nan)
