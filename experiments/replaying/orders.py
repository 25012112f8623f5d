"""The orders in which fits begin."""

from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np

from dipray.sweep.replay import WholeFit


def drawn_order(fits: Sequence[WholeFit], seed: int) -> list[WholeFit]:
    """The fits at random, pictures in turn as in a sweep; the same for the same seed."""
    draw = np.random.default_rng(seed)
    by_picture: dict[str, list[WholeFit]] = {}
    for fit in fits:
        by_picture.setdefault(fit.problem, []).append(fit)
    drawn = [[ours[at] for at in draw.permutation(len(ours))] for ours in by_picture.values()]
    return [fit for fit in chain.from_iterable(zip_longest(*drawn)) if fit is not None]
