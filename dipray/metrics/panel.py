"""Panel: the metrics that a problem can have, computed without a host round trip."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from dipray.metrics.bands import Bands
from dipray.metrics.quality import psnr, psnr_y, ssim
from dipray.metrics.smoothness import laplacian, tv
from dipray.metrics.spectrum import hf_energy

Metric = Callable[[Tensor], Tensor]


class Panel:
    """Named metrics of an output and of its moving average.

    truth: (1, C, H, W) or None; hole: bool of the same shape or None; luma, trim: see Problem.
    measured: a noisy picture, (1, C, H, W), beside which the output's spectrum is looked at, or
    None for not at all.
    `cheap` are for every iteration, `costly` for every so many.
    """

    def __init__(
        self,
        truth: Tensor | None,
        *,
        hole: Tensor | None,
        luma: bool,
        trim: int,
        measured: Tensor | None = None,
    ) -> None:
        self.cheap: dict[str, Metric] = {}
        self.costly: dict[str, Metric] = {}
        if truth is not None:
            self.cheap["psnr"] = partial(psnr, truth=truth)
            if luma:
                self.cheap["psnr_y"] = partial(psnr_y, truth=truth, trim=trim)
            if hole is not None:
                self.cheap["psnr_hole"] = partial(psnr, truth=truth, where=hole)
            self.costly["ssim"] = partial(ssim, truth=truth)
        self.cheap["tv"] = tv
        self.costly["hf_energy"] = hf_energy
        self.costly["laplacian"] = laplacian
        self.bands = None if measured is None else Bands(measured, truth)

    def measure(self, output: Tensor, average: Tensor, *, costly: bool) -> dict[str, Tensor]:
        """0-dim tensors by column: each metric of the output, and `_ema` of the average."""
        metrics = {**self.cheap, **self.costly} if costly else self.cheap
        row = {name: metric(output) for name, metric in metrics.items()}
        row |= {f"{name}_ema": metric(average) for name, metric in metrics.items()}
        if costly and self.bands is not None:
            row |= self.bands.measure(output)
        return row
