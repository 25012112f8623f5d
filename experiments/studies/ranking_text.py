"""A ranking of kinds at their best rates, in words."""

import numpy as np
import pandas as pd

from analysis.verdicts import NOT_SHOWN
from experiments.studies.held_out import LEVEL, against_best


def ranking_sentences(rows: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """The ranking in words: each kind, and whether the best differs from it."""
    said = []
    compared = against_best(rows, pairs).set_index("label")
    for place, row in enumerate(rows.to_dict("records")):
        text = f"{row['label']}: {row['mean']:.2f} dB at lr {row['rates']}"
        if place and row["label"] in compared.index:
            text += _compared(compared.loc[row["label"]])
        if row["at_end"] and row["tried"] > 1:
            text += "; at an end of the rates tried"
        if row["diverged"]:
            text += f"; {row['diverged']} of its fits diverged"
        said.append(text)
    if len(rows) > 1:
        several = rows[rows["tried"] > 1]
        rate, kind = (several["mean"] - several["worst"]).mean(), rows["mean"].agg(np.ptp)
        said.append(
            f"the worst rate tried costs {rate:.2f} dB, mean over kinds, and the worst kind "
            f"{kind:.2f} dB against the best"
        )
    if rows["label"].str.startswith("lbfgs").any() and len(rows) > 1:
        said.append(
            "an iteration of lbfgs evaluates the network several times (strong Wolfe): at equal "
            "iterations it has had more computing than the others"
        )
    if len(rows):
        said.append(
            "rates are chosen on the other pictures; chosen on the same one, scores would be "
            f"{rows['optimism'].mean():.2f} dB higher on average"
        )
    return said


def _compared(row: pd.Series) -> str:
    text = f", {row['mean']:+.2f} against the best"
    if pd.isna(row["p"]):
        return text
    shown = "shown" if row["p_adjusted"] <= 1 - LEVEL else NOT_SHOWN
    return f"{text} ({row['low']:+.2f} to {row['high']:+.2f}, {shown} to differ)"
