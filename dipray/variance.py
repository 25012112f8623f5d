"""How much the outputs of a fit move: their variance over a window, and exponentially forgotten.

The two criteria of Wang et al., Early Stopping for Deep Image Prior (arXiv 2112.06074), divided by
the number of values. Work and waits an iteration do not grow with the window; its memory does.
"""

from typing import Any

import torch
from torch import Tensor

FORGET = 0.1  # weight of the newest output in the exponential variance; the paper's


class WindowedVariance:
    """(1/N) sum over a window of |x - its mean|^2 / window, of the last `window` outputs."""

    def __init__(self, like: Tensor, window: int) -> None:
        self._outputs = torch.zeros((window, *like.shape[1:]), device=like.device)
        self._mean = torch.zeros_like(self._outputs[0])
        self._squares = torch.zeros((), device=like.device)  # sum of squared distances to the mean
        self._seen = 0

    def update(self, output: Tensor) -> Tensor:
        """Take in the next output (1, C, H, W); 0-dim, NaN until the window is full."""
        window = len(self._outputs)
        at = self._seen % window
        newest, oldest = output[0], self._outputs[at].clone()
        self._outputs[at] = newest
        self._seen += 1
        if at == window - 1:
            # once a window from all of it, so that rounding errors do not add up
            self._mean = self._outputs.mean(dim=0)
            self._squares = (self._outputs - self._mean).square().sum()
        elif self._seen > window:
            before, change = self._mean, newest - oldest
            self._mean = before + change / window
            self._squares += (change * (newest - self._mean + oldest - before)).sum()
        if self._seen < window:
            return output.new_full((), torch.nan)
        return self._squares / (window * newest.numel())

    def state(self) -> dict[str, Any]:
        """The outputs in the window and their running sums."""
        sums = {"mean": self._mean, "squares": self._squares}
        return {"outputs": self._outputs, **sums, "seen": self._seen}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._outputs.copy_(state["outputs"])
        self._mean = state["mean"].to(self._mean.device)
        self._squares = state["squares"].to(self._squares.device)
        self._seen = state["seen"]


class ExponentialVariance:
    """v <- (1 - a) v + a (1 - a) |x - m|^2 / N, then m <- (1 - a) m + a x, with a = 0.1."""

    def __init__(self, like: Tensor) -> None:
        self._mean = torch.zeros_like(like)
        self._variance = torch.zeros((), device=like.device)
        self._seen = 0

    def update(self, output: Tensor) -> Tensor:
        """Take in the next output (1, C, H, W); 0-dim, NaN until ten times its memory has passed.

        It starts from nothing, so its first values say how far the start was, not the outputs move.
        """
        if self._seen == 0:
            self._mean = output.clone()
        distance = (output - self._mean).square().mean()
        self._variance = (1 - FORGET) * (self._variance + FORGET * distance)
        self._mean = torch.lerp(self._mean, output, FORGET)
        self._seen += 1
        return self._variance if self._seen > 10 / FORGET else output.new_full((), torch.nan)

    def state(self) -> dict[str, Any]:
        """Running mean and variance."""
        return {"mean": self._mean, "variance": self._variance, "seen": self._seen}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._mean = state["mean"].to(self._mean.device)
        self._variance = state["variance"].to(self._variance.device)
        self._seen = state["seen"]
