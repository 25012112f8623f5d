"""How much the outputs of a fit move: their variance over a window, and exponentially forgotten.

The two criteria of Wang et al., Early Stopping for Deep Image Prior (arXiv 2112.06074), divided by
the number of values. Work and waits an iteration do not grow with the window; its memory does.
Counts are tensors and sums stay where they are, so that an update can be recorded and replayed.
"""

from typing import Any

import torch
from torch import Tensor

FORGET = 0.1  # weight of the newest output in the exponential variance; the paper's
_MEMORY = round(10 / FORGET)  # outputs, after which the start is forgotten


class WindowedVariance:
    """(1/N) sum over a window of |x - its mean|^2 / window, of the last `window` outputs."""

    def __init__(self, like: Tensor, window: int) -> None:
        self._outputs = torch.zeros((window, *like.shape[1:]), device=like.device)
        self._mean = torch.zeros_like(self._outputs[0])
        # sum of squared distances to the mean; NaN, whatever is added, until the window is full
        self._squares = torch.full((), torch.nan, device=like.device)
        self._seen = torch.zeros(1, dtype=torch.long, device=like.device)

    def is_round(self, count: int) -> bool:
        """Whether the update to so many outputs is an exact one."""
        return count % len(self._outputs) == 0

    def update(self, output: Tensor, *, exact: bool | None = None) -> Tensor:
        """Take in the next output (1, C, H, W); 0-dim, NaN until the window is full.

        exact: `is_round` of the outputs so far, this one included; None waits for the device to
        find out.
        """
        window = len(self._outputs)
        if exact is None:
            exact = self.is_round(int(self._seen) + 1)
        at = self._seen % window
        newest, oldest = output[0], self._outputs.index_select(0, at)[0]
        self._outputs.index_copy_(0, at, output)
        self._seen += 1
        if exact:
            # once a window from all of it, so that rounding errors do not add up
            torch.mean(self._outputs, dim=0, out=self._mean)
            self._squares.copy_((self._outputs - self._mean).square().sum())
        else:
            before, change = self._mean, newest - oldest
            mean = before + change / window
            self._squares += (change * (newest - mean + oldest - before)).sum()
            self._mean.copy_(mean)
        return self._squares / (window * newest.numel())

    def state(self) -> dict[str, Any]:
        """The outputs in the window and their running sums."""
        sums = {"mean": self._mean, "squares": self._squares}
        return {"outputs": self._outputs, **sums, "seen": int(self._seen)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._outputs.copy_(state["outputs"])
        self._mean.copy_(state["mean"])
        self._squares.copy_(state["squares"])
        self._seen.fill_(state["seen"])
        if state["seen"] < len(self._outputs):
            self._squares.fill_(torch.nan)


class ExponentialVariance:
    """v <- (1 - a) v + a (1 - a) |x - m|^2 / N, then m <- (1 - a) m + a x, with a = 0.1."""

    def __init__(self, like: Tensor) -> None:
        self._mean = torch.zeros_like(like)
        self._variance = torch.zeros((), device=like.device)
        self._seen = torch.zeros((), dtype=torch.long, device=like.device)
        self._unknown = torch.full((), torch.nan, device=like.device)
        self._is_new = True

    def update(self, output: Tensor) -> Tensor:
        """Take in the next output (1, C, H, W); 0-dim, NaN until ten times its memory has passed.

        It starts from nothing, so its first values say how far the start was, not the outputs move.
        """
        if self._is_new:
            self._mean.copy_(output)
            self._is_new = False
        distance = (output - self._mean).square().mean()
        self._variance.add_(FORGET * distance).mul_(1 - FORGET)
        self._mean.lerp_(output, FORGET)
        self._seen += 1
        return torch.where(self._seen > _MEMORY, self._variance, self._unknown)

    def state(self) -> dict[str, Any]:
        """Running mean and variance."""
        return {"mean": self._mean, "variance": self._variance, "seen": int(self._seen)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._mean.copy_(state["mean"])
        self._variance.copy_(state["variance"])
        self._seen.fill_(state["seen"])
        self._is_new = state["seen"] == 0
