"""Averages over seeds: aggregates of saved pictures, their gain, and where seeds disagree."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import trim_mean

from analysis.groups import SEEDS, groups
from analysis.names import known_names
from analysis.pictures import Picture, Pixels, decibels, decode, psnr
from analysis.sweep import Sweep
from dipray.errors import ConfigError, FolderError
from dipray.folder import FINISHED

TRIMMED = 0.25  # share of the values left out at each end, rounded down to whole members
AGGREGATES = ("mean", "median", "trimmed mean")
_MOST_SUBSETS = 300  # of one size


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
    """Finished trials of one problem that differ in their seeds alone, two or more, ids by seed."""
    trials = sweep.trials
    whole = trials[trials["outcome"].isin([each for each in FINISHED if each != "DIVERGED"])]
    found = [part.sort_values("seed", kind="stable") for part in groups(whole, SEEDS)]
    return [[str(trial) for trial in part.index] for part in found if len(part) > 1]


def ensemble_data(sweep: Sweep, trials: Iterable[str], *, picture: str = "ema") -> Ensemble:
    """The saved pictures of trials of one problem; raises FolderError, UnknownNameError."""
    table = sweep.trials
    members = known_names("trial", trials, table.index)
    problems = sorted(set(table.loc[members, "problem"]))
    if len(members) < 2 or len(problems) != 1:
        raise ConfigError(
            f"an ensemble needs two or more trials of one picture; given: {len(members)} of "
            f"{', '.join(problems) or 'none'}"
        )
    pictures = [decode(sweep.image(trial, picture)) for trial in members]
    truth = None
    if bool(sweep.problems.set_index("name").loc[problems[0], "has_reference"]):
        truth = decode(sweep.problem_image(problems[0], "reference")).pixels
    images = np.stack([each.pixels for each in pictures])
    return Ensemble(problems[0], picture, tuple(members), images, truth, pictures[0])


def gain_data(ensemble: Ensemble) -> pd.DataFrame:
    """PSNR (dB) of the mean of K members, K = 1 to N, beside the law of correlated errors.

    size; psnr, lowest, highest: over the subsets of that size (all, or 300 drawn); first: of the
    first K members, what a user has who runs K seeds; law: MSE_K = m (rho + (1 - rho) / K) in dB.
    attrs: mse (m), rho (the mean correlation of two members' errors) with rho_low and rho_high
    (jackknife over members, 95 %, NaN below 3), limit (dB, the law for endless K).
    For the mean over all subsets the law is an identity, whatever the members: what was found is
    rho; what could differ from the law is one subset, such as `first`.
    No rows without the truth.
    """
    columns = ["size", "psnr", "lowest", "highest", "first", "law"]
    if ensemble.truth is None:
        return pd.DataFrame(columns=columns)
    products = ensemble.error_products
    mse, rho = _mse_and_rho(products)
    rows = []
    for size in range(1, len(products) + 1):
        levels = [
            decibels(products[np.ix_(chosen, chosen)].mean())
            for chosen in _subsets(len(products), size)
        ]
        first = decibels(products[:size, :size].mean())
        law = decibels(mse * (rho + (1 - rho) / size))
        rows.append((size, float(np.mean(levels)), min(levels), max(levels), first, law))
    frame = pd.DataFrame(rows, columns=columns)
    low, high = _jackknife(products, rho)
    frame.attrs = {
        "mse": mse,
        "rho": rho,
        "rho_low": low,
        "rho_high": high,
        "limit": decibels(mse * rho),
    }
    return frame


def _mse_and_rho(products: NDArray[np.float64]) -> tuple[float, float]:
    count = len(products)
    mse = float(np.trace(products)) / count
    shared = float(products.sum() - np.trace(products)) / (count * (count - 1))
    return mse, shared / mse if mse else 1.0


def _jackknife(products: NDArray[np.float64], rho: float) -> tuple[float, float]:
    """Efron and Stein (1981): the spread of rho when one member at a time is left out."""
    count = len(products)
    if count < 3:
        return math.nan, math.nan
    without = np.array(
        [_mse_and_rho(np.delete(np.delete(products, each, 0), each, 1))[1] for each in range(count)]
    )
    error = math.sqrt((count - 1) / count * float(np.square(without - without.mean()).sum()))
    return rho - 1.96 * error, rho + 1.96 * error


def _subsets(count: int, size: int) -> list[list[int]]:
    if math.comb(count, size) <= _MOST_SUBSETS:
        return [list(chosen) for chosen in itertools.combinations(range(count), size)]
    draws = np.random.default_rng(size)
    return [sorted(draws.choice(count, size, replace=False)) for _ in range(_MOST_SUBSETS)]
