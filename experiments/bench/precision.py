"""Does a faster setting restore as well? Peak PSNR over pictures and seeds, beside float32.

Cost: 9 fits of each setting, about a quarter of an hour on one CPU core, and compiling.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dipray.automatic import TOLERANCE
from dipray.config import FitConfig
from dipray.kernels import SWITCH, kernels
from dipray.loop import fit
from dipray.problem import Problem
from experiments.bench.finding import Finding, Goal
from experiments.bench.timing import ratio
from experiments.studies.pictures import PHOTOGRAPHS, PICTURES, noisy_problem

SETTINGS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "tf32": {"precision": "tf32"},
    "bf16": {"precision": "bf16"},
    "compiled": {"compile": "on"},
    "no C kernels": {},
}
NET = {"depth": 4, "features": 32, "iterations": 600, "snapshots": 0}
TINY = {"depth": 2, "features": 4, "iterations": 3, "snapshots": 0}


@dataclass
class Peaks:
    """Of one setting, fit by fit: peak PSNR of output and average in dB, seconds an iteration."""

    output: list[float] = field(default_factory=list)
    average: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, problem: Problem, config: FitConfig) -> None:
        """Fit once more."""
        done = fit(problem, config)
        row = {name: value or 0.0 for name, value in done.summary.items()}
        self.output.append(row["psnr_peak"])
        self.average.append(row["psnr_ema_peak"])
        self.seconds.append(row["seconds"] / row["iterations_run"])


def measure(*, device: str, quick: bool) -> list[Finding]:
    """For each setting how far its peaks are from float32's, and its speed beside it."""
    pictures, seeds, size = (PHOTOGRAPHS[:1], 1, 32) if quick else (PHOTOGRAPHS[:3], 3, 64)
    base = FitConfig.from_dict((TINY if quick else NET) | {"device": device})
    wanted, unmeasured = _wanted(device, quick)
    peaks = {name: Peaks() for name in wanted}
    for picture in pictures:
        problem = noisy_problem(picture, 0, size=size, folder=Path(PICTURES))
        for seed in range(seeds):
            for name in wanted:  # in turn, so that a busy machine hits all
                with _kernels(name != "no C kernels"):
                    peaks[name].add(problem, base.replace(seed=seed, **SETTINGS[name]))
    exact = peaks.pop("fp32")
    return [_finding(name, exact, of) for name, of in peaks.items()] + unmeasured


def _wanted(device: str, quick: bool) -> tuple[list[str], list[Finding]]:
    """The settings that can be measured here, and a line for each other one."""
    wanted, unmeasured = [], []
    for name in SETTINGS:
        reason = ""
        if device == "cpu" and name == "tf32":
            reason = "only CUDA devices have it"
        elif device == "cpu" and name == "bf16" and not quick and not _has_bf16():
            reason = "this processor lacks it and imitates it, many times slower than fp32"
        elif device != "cpu" and name == "no C kernels":
            continue
        elif quick and name == "compiled":
            reason = "takes minutes"
        if reason:
            unmeasured.append(Finding(name, None, "dB", remark=f"not measured: {reason}"))
        else:
            wanted.append(name)
    return wanted, unmeasured


def _finding(name: str, exact: Peaks, peaks: Peaks) -> Finding:
    change = np.subtract(peaks.output, exact.output)
    of_average = np.subtract(peaks.average, exact.average)
    return Finding(
        f"{name}: peak PSNR less fp32's, {len(change)} fits",
        abs(float(change.mean())),
        "dB",
        "fp32",
        goal=Goal("at most", TOLERANCE, of="value"),
        remark=f"mean {change.mean():+.3f} dB ({change.min():+.2f} to {change.max():+.2f}), of the "
        f"average {of_average.mean():+.3f} dB; speed {ratio(exact.seconds, peaks.seconds):.2f}x",
    )


def _has_bf16() -> bool:
    """Whether the processor computes in bf16."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def _kernels(wanted: bool) -> Iterator[None]:
    """With the C kernels, or without them."""
    before = os.environ.get(SWITCH)
    if not wanted:
        os.environ[SWITCH] = "off"
    kernels.cache_clear()
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(SWITCH, None)
        else:
            os.environ[SWITCH] = before
        kernels.cache_clear()
