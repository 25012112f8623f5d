"""A sweep's folder, outside of its trials: what lies there, and writing it."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dipray
from dipray.baselines import baselines
from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import BASELINES, PROBLEM, PROBLEMS, is_finished, read_outcome, safe_name
from dipray.images import encode_png
from dipray.problem import Problem
from dipray.recorder import describe_problem
from dipray.store import Store
from dipray.sweep.search import Picture
from dipray.sweep.space import Space
from dipray.sweep_config import SweepConfig


def finished(trials: Store, metric: str) -> dict[str, float]:
    """The finished trials of a folder and their metric, NaN where they have none."""
    known = {}
    for name in trials.names():
        folder = trials.child(name)
        if is_finished(folder):
            row = read_outcome(folder)
            value = row.get("loss_final" if metric == "loss" else metric)
            known[name] = math.nan if value is None else float(value)
    return known


def of_picture(known: Mapping[str, float], trials: Store, picture: str) -> dict[str, float]:
    """Of the finished trials those of one picture, by what their folders say."""
    return {
        name: value
        for name, value in known.items()
        if trials.child(name).read_json(PROBLEM).get("name") == picture
    }


def write_problems(store: Store, problems: Sequence[Problem], pictures: Sequence[Picture]) -> None:
    """Write pictures and baselines once; raises FolderError if the name means another picture."""
    for problem, picture in zip(problems, pictures, strict=True):
        folder = store.child(PROBLEMS, problem.name)
        if folder.exists(PROBLEM):
            if folder.read_json(PROBLEM).get("fingerprint") != picture.fingerprint:
                raise FolderError(
                    f"{folder}: an earlier sweep has another picture of this name; choose another "
                    "folder for this sweep"
                )
            continue
        folder.write("measurement.png", encode_png(problem.y, bits=problem.bits))
        if problem.reference is not None:
            folder.write("reference.png", encode_png(problem.reference, bits=problem.bits))
        rows = []
        for baseline in baselines(problem):
            file = f"{safe_name(baseline.method)}.png"
            folder.write(file, encode_png(baseline.picture, bits=problem.bits))
            rows.append(
                {
                    "method": baseline.method,
                    "psnr": baseline.psnr,
                    "seconds": baseline.seconds,
                    "picture": file,
                }
            )
        folder.write_json(BASELINES, rows)
        folder.write_json(PROBLEM, describe_problem(problem))


def description(
    space: Space, base: FitConfig, config: SweepConfig, pictures: Sequence[Picture]
) -> dict[str, Any]:
    """Plain data on what a sweep was asked."""
    return {
        "dipray": dipray.__version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "problems": [picture.name for picture in pictures],
        "space": _plain(space),
        "base": base.to_dict(),
        "mode": config.mode,
        **config.to_dict(),
    }


def _plain(space: Space) -> Any:
    """A grid as it is, ranges and functions by what they call themselves."""
    if callable(space):
        return getattr(space, "__qualname__", repr(space))
    return json.loads(json.dumps(dict(space), default=repr))
