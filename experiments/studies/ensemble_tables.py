"""Tables of the study of ensembles: what averaging, mixing and a longer fit come to."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ensemble import Ensemble, ensemble_data, ensemble_table
from analysis.gain import gain_data
from analysis.intervals import MeanInterval, mean_interval
from experiments.studies.findings import Findings
from experiments.studies.mixtures import correlations, mixture_data
from experiments.studies.pictures import picture_of

_GAIN = ["size", "psnr", "lowest", "highest", "first", "law"]


@dataclass(frozen=True)
class Group:
    """The fits of one network to one problem: those of one length, and a longer control or none."""

    problem: str
    net: str
    members: tuple[str, ...]
    control: str | None


def groups_of(found: Findings) -> list[Group]:
    """The groups with two or more fits that ended; fits that diverged are left out."""
    table = found.table
    table = table[table["outcome"] != "DIVERGED"]
    is_control = table["iterations"] != found.flags.iterations
    groups = []
    for (problem, net), rows in table.groupby(["problem", "net"], sort=False):
        controls = rows.index[is_control[rows.index]]
        members = tuple(map(str, rows.index.drop(controls)))
        if len(members) > 1:
            groups.append(Group(str(problem), str(net), members, next(iter(controls), None)))
    return groups


def shared_size(groups: list[Group]) -> int:
    """How many fits each group has at least, so that means of so many compare and average."""
    return min(len(group.members) for group in groups)


def gains(
    found: Findings, groups: list[Group], picture: str, size: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`gain_data` of each group, a row a size; and a row a group.

    The second: problem, net, seeds, size, one and mean (dB of one fit, and of the mean of `size`),
    rho, low, high (how errors of two seeds correlate), limit (dB of endless seeds).
    """
    sizes, summary = [], []
    for group in groups:
        data = gain_data(ensemble_data(found.sweep, group.members, picture=picture))
        said = {"problem": group.problem, "net": group.net}
        sizes.append(data.assign(**said)[[*said, *_GAIN]])
        attrs, psnr = data.attrs, data.set_index("size")["psnr"]
        summary.append(
            {
                **said,
                "seeds": len(group.members),
                "size": size,
                "one": psnr[1],
                "mean": psnr[size],
                "rho": attrs["rho"],
                "low": attrs["rho_low"],
                "high": attrs["rho_high"],
                "limit": attrs["limit"],
            }
        )
    for data in sizes:
        data.attrs = {}
    return pd.concat(sizes, ignore_index=True), pd.DataFrame(summary)


def mixtures(found: Findings, groups: list[Group], picture: str, size: int) -> pd.DataFrame:
    """`mixture_data` of each problem: problem, size, networks, count, psnr.

    The size is the same for all problems and sets of networks: `size`, which every network has,
    rounded down so that all networks together can share it.
    """
    networks = len({group.net for group in groups})
    size = size // networks * networks or size
    frames = []
    for problem, errors in _errors(found, groups, picture):
        frames.append(mixture_data(errors, size).assign(problem=problem, size=size))
    return pd.concat(frames, ignore_index=True)[["problem", "size", "networks", "count", "psnr"]]


def error_correlations(found: Findings, groups: list[Group], picture: str) -> pd.DataFrame:
    """problem, net, other, correlation: of the errors of two fits, of different seeds if alike."""
    frames = []
    for problem, errors in _errors(found, groups, picture):
        table = correlations(errors).rename_axis("net").reset_index()
        frame = table.melt("net", var_name="other", value_name="correlation")
        frames.append(frame.assign(problem=problem))
    return pd.concat(frames, ignore_index=True)[["problem", "net", "other", "correlation"]]


def controls(found: Findings, groups: list[Group], size: int) -> pd.DataFrame:
    """The mean of `size` seeds against one fit with as many iterations as all planned, in dB.

    problem, net, mean (of the first seeds' last averages), control (its last average),
    control_best (the best of its output and average, which only the truth can find), ahead (mean
    minus control_best).
    """
    rows = []
    for group in groups:
        if group.control is None:
            continue
        table = ensemble_table(found.sweep, group.members[:size], control=group.control)
        own = table[table["kind"] == "control"].iloc[0]
        mean = float(table.loc[table["name"] == "mean", "ema"].iloc[0])
        best = float(own[[name for name in ("peak", "peak_ema") if name in table]].max())
        rows.append((group.problem, group.net, mean, float(own["ema"]), best, mean - best))
    names = ["problem", "net", "mean", "control", "control_best", "ahead"]
    return pd.DataFrame(rows, columns=names)


def mixing(table: pd.DataFrame) -> pd.DataFrame:
    """What each set of networks gains against the network that is best alone, on average.

    table: what `mixtures` gives. networks, count, mean, low, high, p (dB, paired on problems,
    `mean_interval` with pictures as clusters), pictures; the best first. attrs: best, its name.
    That one is chosen on the same pictures, which is in its favour. Sets that lack a problem are
    left out; no rows, and "" for the best, if that leaves no network alone.
    """
    wide = table.pivot(index="problem", columns="networks", values="psnr").dropna(axis=1)
    counts = table.drop_duplicates("networks").set_index("networks")["count"]
    pure = [name for name in map(str, wide) if counts[name] == 1]
    best = str(wide[pure].mean().idxmax()) if pure else ""
    pictures = wide.index.map(picture_of)
    rows = []
    for name in map(str, wide if best else ()):
        found = mean_interval(wide[name] - wide[best], clusters=pictures)
        if name == best:
            found = MeanInterval(0.0, math.nan, math.nan, math.nan)
        rows.append((name, counts[name], *found, pictures.nunique()))
    names = ["networks", "count", "mean", "low", "high", "p", "pictures"]
    frame = pd.DataFrame(rows, columns=names)
    frame = frame.sort_values("mean", ascending=False, kind="stable", ignore_index=True)
    frame.attrs = {"best": best}
    return frame


def over_pictures(frame: pd.DataFrame, column: str) -> tuple[MeanInterval, int]:
    """The mean of a column over problems, pictures as clusters; and the number of pictures."""
    pictures = frame["problem"].map(picture_of)
    return mean_interval(frame[column], clusters=pictures), pictures.nunique()


def _errors(
    found: Findings, groups: list[Group], picture: str
) -> Iterator[tuple[str, dict[str, NDArray[np.float64]]]]:
    """Each problem with the errors (fits, values) of each of its networks."""
    for problem in dict.fromkeys(group.problem for group in groups):
        errors = {
            group.net: _error(ensemble_data(found.sweep, group.members, picture=picture))
            for group in groups
            if group.problem == problem
        }
        yield problem, errors


def _error(ensemble: Ensemble) -> NDArray[np.float64]:
    assert ensemble.truth is not None  # the study damages pictures that it knows
    return (ensemble.images - ensemble.truth).reshape(len(ensemble.members), -1)
