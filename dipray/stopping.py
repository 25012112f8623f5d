"""Rules that end a fit early. A rule is shown columns of the trace and answers when to stop."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.trace import TRUTH_COLUMNS, Rows

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
    """Whether to end the fit after what was just seen; called with every block in order."""

    name: str

    def wants_stop(self, seen: Measured) -> bool:
        """Take in what a user can see of a block; True ends the fit with this block."""
        ...


@runtime_checkable
class Oracle(Protocol):
    """A rule that is shown the truth, for studies of where a fit should have ended."""

    name: str

    def wants_stop_knowing(self, rows: Rows) -> bool:
        """Take in all columns of a block; True ends the fit with this block."""
        ...


class Never:
    """Runs to the end of the budget."""

    name = "none"

    def wants_stop(self, seen: Measured) -> bool:  # noqa: ARG002
        """Never."""
        return False


class LossPlateau:
    """Stops when the mean loss of a frame has not dropped by a thousandth for `patience`."""

    name = "loss"

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = np.inf
        self.best_iteration = 0
        self._frame: list[float] = []

    def wants_stop(self, seen: Measured) -> bool:
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
        return bool(rows["iteration"][-1] - self.best_iteration >= self.patience)


class PastPeak:
    """Stops `patience` iterations after the best PSNR of output and average; needs the truth."""

    name = "psnr"

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = {"psnr": -np.inf, "psnr_ema": -np.inf}
        self.best_iteration = 0

    def wants_stop_knowing(self, rows: Rows) -> bool:
        """True once neither has improved for `patience` iterations."""
        for name, best in self.best.items():
            at = int(np.argmax(rows[name]))
            if rows[name][at] > best:
                self.best[name] = float(rows[name][at])
                self.best_iteration = max(self.best_iteration, int(rows["iteration"][at]))
        return bool(rows["iteration"][-1] - self.best_iteration >= self.patience)


RULES: dict[str, Callable[[int], Rule | Oracle]] = {
    "none": lambda _: Never(),
    "loss": LossPlateau,
    "psnr": PastPeak,
}


def asks_to_stop(rule: Rule | Oracle, rows: Rows) -> bool:
    """Show a rule what it may see of a block."""
    if isinstance(rule, Oracle):
        return rule.wants_stop_knowing(rows)
    return rule.wants_stop(Measured(rows))


def make_rule(config: FitConfig, *, has_reference: bool) -> Rule | Oracle:
    """The rule that the configuration names; raises ConfigError where it needs a missing truth."""
    if config.stop == "psnr" and not has_reference:
        raise ConfigError(
            "stop='psnr': needs the truth; give a reference (--gt) or write stop loss",
            field="stop",
        )
    return RULES[config.stop](config.patience)
