"""Averages over seeds: aggregates of saved pictures, and where the seeds disagree."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr, trim_mean

from analysis.endings import ended_by_itself
from analysis.groups import SEEDS, groups
from analysis.names import known_names
from analysis.pictures import Picture, Pixels, decode, psnr
from analysis.sweep import Sweep
from dipray.errors import ConfigError, FolderError

TRIMMED = 0.25  # share of the values left out at each end, rounded down to whole members
_SAME = 1e-12  # below, values differ by rounding alone
AGGREGATES = ("mean", "median", "trimmed mean")


@dataclass(frozen=True)
class Ensemble:
    """The same picture (`final`, `ema`, `peak` or `peak_ema`) of several trials.

    images: (K, H, W, C) in [0, 1], in the order of members; truth: (H, W, C) or None;
    sample: the first member, whose alpha and depth the aggregates take.
    """

    problem: str
    picture: str
    members: tuple[str, ...]
    images: NDArray[np.float64]
    truth: Pixels | None
    sample: Picture

    @cached_property
    def aggregates(self) -> dict[str, Pixels]:
        """mean, median and trimmed mean (a quarter of the members off each end), pixel by pixel."""
        return {
            "mean": self.images.mean(axis=0),
            "median": np.median(self.images, axis=0),
            "trimmed mean": trim_mean(self.images, TRIMMED, axis=0),
        }

    @cached_property
    def deviation(self) -> Pixels:
        """(H, W): standard deviation over members (K - 1), root mean square over channels."""
        return np.sqrt(self.images.var(axis=0, ddof=1).mean(axis=-1))

    @property
    def psnr(self) -> pd.DataFrame:
        """name (a trial, or an aggregate) and psnr in dB; no rows without the truth."""
        if self.truth is None:
            return pd.DataFrame({"name": pd.Series(dtype="str"), "psnr": pd.Series(dtype="float")})
        named = dict(zip(self.members, self.images, strict=True)) | self.aggregates
        rows = [(name, psnr(pixels, self.truth)) for name, pixels in named.items()]
        return pd.DataFrame(rows, columns=["name", "psnr"])

    @cached_property
    def error_products(self) -> NDArray[np.float64]:
        """(K, K): mean product of the errors of two members; raises FolderError without truth."""
        if self.truth is None:
            raise FolderError(f"{self.problem}: errors need the truth, which is not known")
        errors = (self.images - self.truth).reshape(len(self.members), -1)
        return errors @ errors.T / errors.shape[1]


def seed_groups(sweep: Sweep) -> list[list[str]]:
    """Trials of one problem that differ in their seeds alone, two or more, ids by seed.

    They ended by themselves: what a scheduler cut short is of another length. Of the same fit
    twice, such as on two devices, the first counts.
    """
    trials = sweep.trials
    whole = trials[ended_by_itself(trials)]
    found = [
        part.drop_duplicates(list(SEEDS)).sort_values("seed", kind="stable")
        for part in groups(whole, SEEDS)
    ]
    return [[str(trial) for trial in part.index] for part in found if len(part) > 1]


def ensemble_data(sweep: Sweep, trials: Iterable[str], *, picture: str = "ema") -> Ensemble:
    """The saved pictures of trials of one problem; raises FolderError, ConfigError."""
    table = sweep.trials
    members = known_names("trial", trials, table.index)
    problems = sorted(set(table.loc[members, "problem"]))
    if len(members) < 2 or len(problems) != 1:
        raise ConfigError(
            f"an ensemble needs two or more trials of one picture; given: {len(members)} of "
            f"{', '.join(problems) or 'none'}"
        )
    pictures = [_saved(sweep, trial, picture) for trial in members]
    truth = None
    if bool(sweep.problems.set_index("name").loc[problems[0], "has_reference"]):
        reference = sweep.problem_image(problems[0], "reference")
        truth = _decoded(reference, f"{problems[0]}/reference.png").pixels
    images = np.stack([each.pixels for each in pictures])
    return Ensemble(problems[0], picture, tuple(members), images, truth, pictures[0])


def _saved(sweep: Sweep, trial: str, name: str) -> Picture:
    return _decoded(sweep.image(trial, name), f"{trial}/{name}.png")


def _decoded(data: bytes, place: str) -> Picture:
    try:
        return decode(data)
    except ValueError as error:
        raise FolderError(f"{place}: {error}") from None


def deviation_tells(ensemble: Ensemble) -> float:
    """Spearman's rank correlation, over pixels, of `deviation` with the error of the mean.

    1 where the seeds disagree most just where their mean is worst. NaN without the truth, or if
    one of the two is the same everywhere.
    """
    if ensemble.truth is None:
        return math.nan
    error = np.square(ensemble.aggregates["mean"] - ensemble.truth).mean(axis=-1)
    if min(np.ptp(error), np.ptp(ensemble.deviation)) < _SAME:
        return math.nan
    return float(spearmanr(ensemble.deviation.ravel(), error.ravel()).statistic)


def ensemble_table(
    sweep: Sweep, members: Sequence[str], *, control: str | None = None
) -> pd.DataFrame:
    """PSNR (dB) of each seed, the aggregates and the control, in each of their saved pictures.

    name (a trial or an aggregate), kind ("seed", "aggregate" or "control"), then a column for each
    of final, ema, peak and peak_ema that all of them have. No rows without the truth.
    """
    columns: dict[str, pd.Series] = {}
    others = [] if control is None else [control]
    for picture in saved_pictures(sweep, [*members, *others]):
        ensemble = ensemble_data(sweep, members, picture=picture)
        if ensemble.truth is None:
            continue
        columns[picture] = ensemble.psnr.set_index("name")["psnr"]
        for trial in others:
            pixels = _saved(sweep, trial, picture).pixels
            columns[picture][trial] = psnr(pixels, ensemble.truth)
    frame = pd.DataFrame(columns).rename_axis("name").reset_index()
    kinds = dict.fromkeys(members, "seed") | dict.fromkeys(AGGREGATES, "aggregate")
    frame.insert(1, "kind", frame["name"].map(lambda name: kinds.get(name, "control")))
    return frame


def saved_pictures(sweep: Sweep, trials: Iterable[str]) -> list[str]:
    """Those of final, ema, peak and peak_ema that every one of the trials has."""
    return [name for name in ("final", "ema", "peak", "peak_ema") if sweep.have_image(trials, name)]
