"""A difference over pictures in words: how large, how sure, and whether it is shown at all."""

import math

from analysis.intervals import MeanInterval
from analysis.verdicts import NOT_SHOWN


def verdict(found: MeanInterval, pictures: int) -> str:
    """`+0.12 dB (95 % interval +0.05 to +0.19, 5 pictures): shown to differ from none`.

    found: dB, what `mean_interval` gives; it has no interval where there is too little to tell.
    """
    over = f"{pictures} picture{'' if pictures == 1 else 's'}"
    if math.isnan(found.low):
        return f"{found.mean:+.2f} dB ({over}, too few for an interval)"
    shown = NOT_SHOWN if found.low <= 0 <= found.high else "shown"
    interval = f"95 % interval {found.low:+.2f} to {found.high:+.2f}, {over}"
    return f"{found.mean:+.2f} dB ({interval}): {shown} to differ from none"
