"""Audited: folders of results held against the truth together, and what limits the comparison."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.audit import TOLERANCE, audit_choice, audit_fits
from analysis.endings import ended_by
from analysis.ranks import rank_correlation, ranked_fits
from analysis.regret import CHOSEN_BY
from analysis.sweep import Sweep
from dipray.errors import FolderError


@dataclass(frozen=True)
class Audited:
    """The rows of several folders: `audit_fits`, `audit_choice`, `rank_correlation`, `ranked_fits`.

    notes: what limits them, a sentence each. metric: what the ranks are of; tolerance: dB.
    """

    fits: pd.DataFrame
    choice: pd.DataFrame
    correlation: pd.DataFrame
    ranked: pd.DataFrame
    notes: list[str]
    metric: str
    tolerance: float


def audited(
    sweeps: Sequence[Sweep], *, metric: str = CHOSEN_BY, tolerance: float = TOLERANCE
) -> Audited:
    """The audit of one folder or several, problems of different folders apart.

    metric: of which the rank correlation with the PSNR is taken. tolerance: dB by which a pick may
    miss the best of its fit and be in time. Raises FolderError where there is nothing to audit by
    or nothing to audit, UnknownNameError for a metric that trials do not have.
    """
    everywhere = ", ".join(str(sweep.store) for sweep in sweeps)
    if not any(sweep.trials["psnr_peak"].notna().any() for sweep in sweeps):
        raise FolderError(
            f"{everywhere}: nothing to audit by: the truth is not known; sweep --clean "
            "pictures, or give --gt"
        )
    fits = [audit_fits(sweep, tolerance=tolerance) for sweep in sweeps]
    choices = [audit_choice(sweep, tolerance=tolerance) for sweep in sweeps]
    if all(rows.empty for rows in (*fits, *choices)):
        raise FolderError(
            f"{everywhere}: nothing to audit: no fit has a pick by a rule; none has ended yet, "
            "or an earlier version made them"
        )
    places_of: dict[str, list[str]] = {}  # note -> the folders of which it holds
    for sweep, choice in zip(sweeps, choices, strict=True):
        for note in _notes(sweep, choice, tolerance=tolerance):
            places_of.setdefault(note, []).append(str(sweep.store))
    notes = [
        note if len(of) == len(sweeps) else f"{', '.join(of)}: {note}"
        for note, of in places_of.items()
    ]
    return Audited(
        _joined(fits),
        _joined(choices),
        _joined(rank_correlation(sweep, metric=metric) for sweep in sweeps),
        _joined(ranked_fits(sweep, metric=metric) for sweep in sweeps),
        notes,
        metric,
        tolerance,
    )


def _joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    whole = list(tables)
    for table in whole:
        table.attrs = {}  # no two are alike, and pandas compares them
    return pd.concat([each for each in whole if len(each)] or whole[:1], ignore_index=True)


def _notes(sweep: Sweep, choice: pd.DataFrame, *, tolerance: float) -> Iterator[str]:
    """What a reader of this folder's audit must know."""
    trials = sweep.trials
    known = trials.groupby("problem", sort=False)["psnr_peak"].transform("count") > 0
    blind = trials["problem"][~known].nunique()
    if blind:
        yield f"{blind} of {trials['problem'].nunique()} pictures have no truth and are left out."
    trials = trials[known]
    cut = trials[trials["outcome"] != "BUDGET"]
    if len(cut):
        endings = ended_by(cut).str.partition(":")[0].value_counts()
        by = ", ".join(f"{ending} {count}" for ending, count in endings.items())
        yield (
            f"{len(cut)} of {len(trials)} fits did not run to their budget ({by}): only rules that "
            "had fired by then count in them, and a better picture may have been still to come."
        )
    ahead = trials["psnr_peak"] - trials["psnr_ema_peak"]
    if (ahead > tolerance).any():
        yield (
            f"In {int((ahead > tolerance).sum())} of {len(trials)} fits a single output was better "
            f"than any average, by up to {ahead.max():.2f} dB, as in short fits that the average "
            "lags behind: that counts as lost by the iteration, which no rule can mend."
        )
    judged = trials[trials[CHOSEN_BY].notna()]
    if judged.empty:
        yield (
            "Nothing was held out, so the sweep has no choice without the truth; with --holdout "
            "0.03 it has."
        )
        return
    masks = judged.groupby("problem")[["holdout", "holdout_seed"]].nunique().max(axis=1)
    if (masks > 1).any():
        yield (
            f"{int((masks > 1).sum())} of {len(masks)} pictures have fits that hold out different "
            "pixels, whose held-out errors do not compare: the choice among them is partly chance."
        )
    for rule, count in choice.attrs["missing"].items():
        yield (
            f"{rule} has no pick in {count} of {len(masks)} chosen fits, which ended before it "
            "fired."
        )
    yield (
        "What it costs to hold measurements out of the loss is not in the regret: every fit here "
        "does, the best one too."
        if (trials["holdout"] > 0).all()
        else "Some fits hold nothing out: these cannot be chosen, but may be the best."
    )
