"""Rules that say where to stop a fit. A rule is shown columns of the trace that need no truth."""

import copy
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.trace import TRUTH_COLUMNS, Rows

RuleName = Literal["budget", "loss", "wmv", "emv", "val", "sure"]

CHECK_EVERY = 25  # iterations between two looks; an early end falls on a multiple of it
_FRAME = 25  # iterations whose mean loss is compared: the jitter makes single values noisy
_LEAST_GAIN = 1e-3  # a relative drop of the loss below this is no improvement


class Measured:
    """The columns of a block that a user without the truth could see."""

    def __init__(self, rows: Rows) -> None:
        self.rows: Rows = MappingProxyType(
            {name: values for name, values in rows.items() if name not in TRUTH_COLUMNS}
        )


class Rule(Protocol):
    """Picks an iteration of a fit; called with every block in order until it fires.

    picked: the iteration that it would hand out now, 0 before there is one.
    """

    name: RuleName
    picked: int

    def fires(self, seen: Measured) -> bool:
        """Take in what a user can see of a block; True if nothing later would be picked."""
        ...


@runtime_checkable
class Oracle(Protocol):
    """A rule that is shown the truth, for studies of where a fit should have ended."""

    name: str

    def fires_knowing(self, rows: Rows) -> bool:
        """Take in all columns of a block; True ends the fit with this block."""
        ...


class Budget:
    """A fixed number of iterations: picks the last one."""

    name: RuleName = "budget"

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations
        self.picked = 0

    def fires(self, seen: Measured) -> bool:
        """True at the last iteration."""
        self.picked = int(seen.rows["iteration"][-1])
        return self.picked >= self.iterations


class LossPlateau:
    """Fires when the mean loss of a frame has not dropped by a thousandth for `patience`.

    Picks the iteration at which it fires, as whoever stops at a plateau does.
    """

    name: RuleName = "loss"

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = np.inf
        self.best_iteration = 0
        self.picked = 0
        self._frame: list[float] = []

    def fires(self, seen: Measured) -> bool:
        """True once the plateau is `patience` iterations long."""
        rows = seen.rows
        for iteration, loss in zip(rows["iteration"], rows["loss"], strict=True):
            self._frame.append(float(loss))
            if len(self._frame) < _FRAME:
                continue
            mean = float(np.mean(self._frame))
            self._frame.clear()
            if mean < self.best * (1 - _LEAST_GAIN):
                self.best, self.best_iteration = mean, int(iteration)
        self.picked = int(rows["iteration"][-1])
        return self.picked - self.best_iteration >= self.patience


class BestOf:
    """Picks the best value of a column so far; fires when it is `patience` iterations old.

    val: the held-out error of the moving average. sure: its risk estimate. wmv, emv: the variance
    of the outputs, windowed and exponential (Wang et al., Early Stopping for Deep Image Prior,
    arXiv 2112.06074): least where the picture is there and the noise not yet.
    """

    def __init__(self, name: RuleName, patience: int) -> None:
        self.name = name
        self.column, self._sign = CRITERIA[name]
        self.patience = patience
        self.best = -np.inf
        self.picked = 0

    def fires(self, seen: Measured) -> bool:
        """True once the best is `patience` iterations ago."""
        values = self._sign * seen.rows[self.column]
        if np.isfinite(values).any():
            at = int(np.nanargmax(values))
            if values[at] > self.best:
                self.best = float(values[at])
                self.picked = int(seen.rows["iteration"][at])
        return self.picked > 0 and int(seen.rows["iteration"][-1]) - self.picked >= self.patience


# rule -> the column that it compares, and its sign: 1 where greater is better
CRITERIA: dict[RuleName, tuple[str, Literal[1, -1]]] = {
    "val": ("val_psnr_ema", 1),
    "sure": ("sure_ema", -1),
    "wmv": ("wmv", -1),
    "emv": ("emv", -1),
}

RULES: dict[RuleName, Callable[[FitConfig], Rule]] = {
    "budget": lambda config: Budget(config.iterations),
    "loss": lambda config: LossPlateau(config.patience),
    "wmv": lambda config: BestOf("wmv", config.patience),
    "emv": lambda config: BestOf("emv", config.patience),
    "val": lambda config: BestOf("val", config.patience),
    "sure": lambda config: BestOf("sure", config.patience),
}


def make_rules(config: FitConfig) -> dict[RuleName, Rule]:
    """A new rule of each kind that has something to look at."""
    absent: set[RuleName] = set()
    if not config.holdout:
        absent.add("val")
    if config.sure_sigma is None:
        absent.add("sure")
    if not config.variance_window:
        absent |= {"wmv", "emv"}
    return {name: make(config) for name, make in RULES.items() if name not in absent}


class PastPeak:
    """Fires `patience` iterations after the best PSNR of output and average; needs the truth."""

    name = "psnr"

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = {"psnr": -np.inf, "psnr_ema": -np.inf}
        self.best_iteration = 0

    def fires_knowing(self, rows: Rows) -> bool:
        """True once neither has improved for `patience` iterations."""
        for name, best in self.best.items():
            at = int(np.argmax(rows[name]))
            if rows[name][at] > best:
                self.best[name] = float(rows[name][at])
                self.best_iteration = max(self.best_iteration, int(rows["iteration"][at]))
        return bool(rows["iteration"][-1] - self.best_iteration >= self.patience)


def make_oracle(config: FitConfig, *, has_reference: bool) -> Oracle | None:
    """The oracle that ends the fit, if it is to; raises ConfigError if it lacks the truth."""
    if config.stop != "psnr":
        return None
    if not has_reference:
        raise ConfigError(
            "stop='psnr': needs the truth; give a reference (--gt) or write stop val",
            field="stop",
        )
    return PastPeak(config.patience)


_SETTINGS = frozenset({"name", "column", "_sign", "patience", "iterations"})  # of a rule's making


def memory(rule: Rule | Oracle) -> dict[str, Any]:
    """What a rule has come to know: its attributes, plain data all, but those it was made with."""
    known = {name: value for name, value in vars(rule).items() if name not in _SETTINGS}
    return copy.deepcopy(known)


def load_memory(rule: Rule | Oracle, remembered: Mapping[str, Any]) -> None:
    """Let a new rule of the same kind go on from what `memory` gave."""
    vars(rule).update(copy.deepcopy(dict(remembered)))
