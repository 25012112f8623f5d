"""Keeper: the images of a fit, held on its device at the exact iteration they belong to."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Keeper:
    """Last output, moving average, and named images at the best value of something.

    final: the last finite output; ema: the moving average of the finite outputs.
    best: name -> the image offered with the greatest value, or the least, by masked copies; `signs`
    are its names, with 1 where greater is better and -1 where less is.
    Every tensor stays where it is, and nothing here waits for the device.
    """

    def __init__(
        self, blank: Tensor, *, ema_decay: float, signs: Mapping[str, int] | None = None
    ) -> None:
        self.final = blank.clone()
        self.ema = blank.clone()
        self.best = {name: blank.clone() for name in signs or ()}
        self._signs = dict(signs or {})
        self._best_value = {name: blank.new_full((), -torch.inf) for name in self.best}
        self._frozen: set[str] = set()
        self._decay = ema_decay
        self._started = torch.zeros((), dtype=torch.bool, device=blank.device)

    def follow(self, output: Tensor) -> None:
        """Take in the output of the next iteration, (1, C, H, W)."""
        finite = torch.isfinite(output).all()
        average = torch.where(self._started, torch.lerp(output, self.ema, self._decay), output)
        torch.where(finite, output, self.final, out=self.final)
        torch.where(finite, average, self.ema, out=self.ema)
        self._started |= finite

    def offer(self, name: str, image: Tensor, value: Tensor) -> None:
        """Keep a copy of `image` if `value` (0-dim) is the best yet; NaN never is."""
        if name in self._frozen:
            return
        best, best_value = self.best[name], self._best_value[name]
        value = self._signs[name] * value
        better = value > best_value
        torch.where(better, image, best, out=best)
        torch.where(better, value, best_value, out=best_value)

    def freeze(self, name: str, image: Tensor | None = None) -> None:
        """Keep what is kept under that name for good, or `image` (1, C, H, W) instead."""
        if image is not None:
            self.best[name] = image.clone()
            self._best_value[name] = image.new_full((), torch.inf)
        self._frozen.add(name)

    @property
    def frozen(self) -> frozenset[str]:
        """The names that are kept for good."""
        return frozenset(self._frozen)

    def state(self) -> dict[str, Any]:
        """Every picture, its value, and which are kept for good."""
        return {
            "final": self.final,
            "ema": self.ema,
            "started": self._started,
            "best": dict(self.best),
            "best_value": dict(self._best_value),
            "frozen": sorted(self._frozen),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for mine, saved in (
            (self.final, state["final"]),
            (self.ema, state["ema"]),
            (self._started, state["started"]),
        ):
            mine.copy_(saved)
        device = self.final.device
        self.best = {name: image.to(device) for name, image in state["best"].items()}
        self._best_value = {name: value.to(device) for name, value in state["best_value"].items()}
        self._frozen = set(state["frozen"])

    def images(self) -> dict[str, Tensor]:
        """Copies on the CPU of what there was: final, ema, and each of `best`."""
        named = {}
        if bool(self._started):
            named = {"final": self.final, "ema": self.ema}
        for name, image in self.best.items():
            if bool(self._best_value[name] > -torch.inf):
                named[name] = image
        return {name: image.detach().to("cpu", copy=True) for name, image in named.items()}
