"""Which trials of a plot stand out, and how: colours that colour-blind readers can tell apart."""

import textwrap
from dataclasses import dataclass

import pandas as pd

from analysis.captions import caption
from analysis.configuration import label, varying_settings
from analysis.leaderboard import higher_is_better

# Okabe and Ito, "Color Universal Design" (2008), without the yellow that is lost on white
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#BBBBBB"
METHOD_GREY = "#555555"
_DASHES = ("-", "--", "-.")  # for more rounds of the colours
_LABEL_WIDTH = 42  # characters of a line of the legend

MOST_LABELLED = len(OKABE_ITO)


@dataclass(frozen=True)
class Look:
    """The colour, dash and legend of a trial's line."""

    colour: str
    dash: str
    label: str


def looks(trials: pd.DataFrame, *, by: str, most: int = MOST_LABELLED) -> dict[str, Look]:
    """Looks of the best `most` trials, the best first; the others are to be grey.

    Best is by the column `by`, whatever is plotted, so that a trial looks alike in all plots.
    """
    settings = varying_settings(trials)
    ranked = trials[by].sort_values(ascending=not higher_is_better(by), kind="stable")
    best = trials.loc[ranked.index[:most]]
    return {
        str(trial): Look(
            OKABE_ITO[place % len(OKABE_ITO)],
            _DASHES[place // len(OKABE_ITO) % len(_DASHES)],
            textwrap.fill(label(row, settings) or caption(str(trial)), _LABEL_WIDTH),
        )
        for place, (trial, row) in enumerate(best.iterrows())
    }
