"""Which trials of a plot stand out, and how: colours that colour-blind readers can tell apart."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.configuration import label, varying_settings

# Okabe and Ito, "Color Universal Design" (2008), without the yellow that is lost on white
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#BBBBBB"
METHOD_GREY = "#555555"
_DASHES = ("-", "--")  # a second round of the colours
_LABEL_WIDTH = 42  # characters of a line of the legend

MOST_LABELLED = 10


@dataclass(frozen=True)
class Look:
    """The colour, dash and legend of a trial's line."""

    colour: str
    dash: str
    label: str


def looks(trials: pd.DataFrame, *, most: int = MOST_LABELLED) -> dict[str, Look]:
    """Looks of the best `most` trials, the best first; the others are to be grey.

    Best is by psnr_peak, or by loss_final without the truth, whatever is plotted, so that a trial
    looks alike in all plots.
    """
    settings = varying_settings(trials)
    return {
        trial: Look(
            OKABE_ITO[place % len(OKABE_ITO)],
            _DASHES[place // len(OKABE_ITO) % len(_DASHES)],
            textwrap.fill(label(trials.loc[trial, :], settings) or trial, _LABEL_WIDTH),
        )
        for place, trial in enumerate(_best_first(trials)[:most])
    }


def _best_first(trials: pd.DataFrame) -> Sequence[str]:
    known = bool(trials["psnr_peak"].notna().any())
    order = trials["psnr_peak" if known else "loss_final"].sort_values(
        ascending=not known, kind="stable"
    )
    return [str(trial) for trial in order.index]
