"""Keeper: the images of a fit, held on its device at the exact iteration they belong to."""

from collections.abc import Iterable

import torch
from torch import Tensor


class Keeper:
    """Last output, moving average, and the best of both by PSNR, by masked copies.

    final: the last finite output; ema: the moving average of the finite outputs.
    best: column of the trace -> the image with the greatest value there.
    Every tensor stays where it is, and nothing here waits for the device.
    """

    def __init__(self, blank: Tensor, *, ema_decay: float, columns: Iterable[str] = ()) -> None:
        self.final = blank.clone()
        self.ema = blank.clone()
        self.best = {column: blank.clone() for column in columns}
        self._best_value = {column: blank.new_full((), -torch.inf) for column in self.best}
        self._decay = ema_decay
        self._started = torch.zeros((), dtype=torch.bool, device=blank.device)

    def follow(self, output: Tensor) -> None:
        """Take in the output of the next iteration, (1, C, H, W)."""
        finite = torch.isfinite(output).all()
        average = torch.where(self._started, torch.lerp(output, self.ema, self._decay), output)
        torch.where(finite, output, self.final, out=self.final)
        torch.where(finite, average, self.ema, out=self.ema)
        self._started |= finite

    def offer(self, column: str, image: Tensor, value: Tensor) -> None:
        """Keep a copy of `image` if `value` (0-dim) is the greatest yet; NaN never is."""
        best, best_value = self.best[column], self._best_value[column]
        better = value > best_value
        torch.where(better, image, best, out=best)
        torch.where(better, value, best_value, out=best_value)

    def images(self) -> dict[str, Tensor]:
        """Copies on the CPU, of what there was: final, ema, and peak and peak_ema with a PSNR."""
        named = {}
        if bool(self._started):
            named = {"final": self.final, "ema": self.ema}
        for column, name in (("psnr", "peak"), ("psnr_ema", "peak_ema")):
            if column in self.best and bool(self._best_value[column] > -torch.inf):
                named[name] = self.best[column]
        return {name: image.detach().to("cpu", copy=True) for name, image in named.items()}
