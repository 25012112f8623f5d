"""Keeper: the images of a fit, held on its device at the exact iteration they belong to."""

import torch
from torch import Tensor


class Keeper:
    """Last output, moving average, and the best of both by PSNR, by masked copies.

    final: the last finite output; ema: the moving average of the finite outputs.
    best: column of the trace -> the image with the greatest value there, for columns that are
    offered. Nothing here waits for the device.
    """

    def __init__(self, blank: Tensor, *, ema_decay: float) -> None:
        self.final = blank.clone()
        self.ema = blank.clone()
        self.best: dict[str, Tensor] = {}
        self._best_value: dict[str, Tensor] = {}
        self._decay = ema_decay
        self._started = torch.zeros((), dtype=torch.bool, device=blank.device)

    def follow(self, output: Tensor) -> None:
        """Take in the output of the next iteration, (1, C, H, W)."""
        finite = torch.isfinite(output).all()
        self.final = torch.where(finite, output, self.final)
        average = torch.where(self._started, torch.lerp(output, self.ema, self._decay), output)
        self.ema = torch.where(finite, average, self.ema)
        self._started = self._started | finite

    def offer(self, column: str, image: Tensor, value: Tensor) -> None:
        """Keep a copy of `image` if `value` (0-dim) is the greatest yet; NaN never is."""
        if column not in self.best:
            self.best[column] = image.clone()
            self._best_value[column] = torch.full_like(value, -torch.inf)
        better = value > self._best_value[column]
        self.best[column] = torch.where(better, image, self.best[column])
        self._best_value[column] = torch.where(better, value, self._best_value[column])

    def images(self) -> dict[str, Tensor]:
        """Copies on the CPU: final, ema, and peak and peak_ema where PSNR is known."""
        named = {"final": self.final, "ema": self.ema}
        for column, name in (("psnr", "peak"), ("psnr_ema", "peak_ema")):
            if column in self.best:
                named[name] = self.best[column]
        return {name: image.detach().to("cpu", copy=True) for name, image in named.items()}
