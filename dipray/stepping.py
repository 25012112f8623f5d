"""Two ways to make the iterations of a block: as they are written, or replayed from recordings."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dipray.capture import Capture, CaptureError

WARM_UP = 3  # iterations as they are written, before the first is recorded


@dataclass(frozen=True)
class Variant:
    """All that the host decides about an iteration: those of one variant do the same on the device.

    costly: whether the metrics of every so many iterations are computed; exact: whether the
    windowed variance is, from its whole window; frozen: the pictures that are kept for good.
    """

    costly: bool
    exact: bool
    frozen: frozenset[str]


# learning rate (0-dim where it is on the device) and variant -> the row, 0-dim tensors by column
Iterate = Callable[[float | Tensor, Variant], list[Tensor]]


class Stepper(Protocol):
    """Makes the rows of one block after another.

    fallback: why iterations that were to be replayed are not, "" if they are.
    """

    fallback: str

    def make(self, iterate: Iterate, lrs: list[float], variants: Iterator[Variant]) -> Tensor:
        """A block of at most len(lrs) iterations: rows (len(lrs), columns), on the device.

        It ends with `variants`, which count the iterations; rows beyond are undefined.
        """
        ...

    def forget(self) -> None:
        """Tensors may have moved: nothing that was recorded holds any longer."""
        ...


class Written:
    """Runs each iteration as it is written."""

    fallback = ""

    def __init__(self, device: torch.device, columns: int) -> None:
        self._device = device
        self._columns = columns

    def make(self, iterate: Iterate, lrs: list[float], variants: Iterator[Variant]) -> Tensor:
        """A block of at most len(lrs) iterations: rows (len(lrs), columns), on the device."""
        rows = torch.empty((len(lrs), self._columns), device=self._device)
        for lr, row, variant in zip(lrs, rows, variants, strict=False):
            torch.stack(iterate(lr, variant), out=row)
        return rows

    def forget(self) -> None:
        """Nothing was recorded."""


class Replayed:
    """Records each variant of an iteration when it is first needed, and replays it from then on.

    The first iterations run as they are written, on the way warming up what recording needs warm;
    rehearsal: runs what these may leave out, and changes nothing. Learning rates, rows and the
    count of them lie on the device: an iteration finds its own there. most: of a block. What
    cannot be recorded runs as it is written, with a warning.
    """

    def __init__(
        self,
        capture: Capture,
        device: torch.device,
        columns: int,
        *,
        most: int,
        rehearsal: Callable[[], object],
    ) -> None:
        self.fallback = ""
        self._capture = capture
        self._rehearsal = rehearsal
        self._lrs = torch.empty(most, device=device)
        self._rows = torch.empty((most, columns), device=device)
        self._at = torch.zeros(1, dtype=torch.long, device=device)
        self.forget()

    def forget(self) -> None:
        """Tensors may have moved: warm up and record again."""
        self._recordings: dict[Variant, Callable[[], None]] = {}
        self._cold = WARM_UP

    def make(self, iterate: Iterate, lrs: list[float], variants: Iterator[Variant]) -> Tensor:
        """A block of at most len(lrs) iterations: rows (len(lrs), columns), on the device."""
        self._lrs[: len(lrs)].copy_(torch.tensor(lrs))
        self._at.zero_()
        for variant in variants:
            self._step(iterate, variant)
        return self._rows

    def _step(self, iterate: Iterate, variant: Variant) -> None:
        def once() -> None:
            lr = self._lrs.index_select(0, self._at)[0]
            row = torch.stack(iterate(lr, variant))
            self._rows.index_copy_(0, self._at, row[None])
            self._at.add_(1)

        if self.fallback:
            once()
        elif self._cold:
            if self._cold == WARM_UP:
                self._capture.aside(self._rehearsal)
            self._cold -= 1
            self._capture.aside(once)
        else:
            self._replay(variant, once)

    def _replay(self, variant: Variant, once: Callable[[], None]) -> None:
        if variant not in self._recordings:
            # pictures stay frozen: what was recorded before comes no more
            kept = {v: run for v, run in self._recordings.items() if v.frozen == variant.frozen}
            self._recordings = kept
            try:
                self._recordings[variant] = self._capture.record(once)
            except CaptureError as error:
                self.fallback = str(error)
                self._recordings = {}
                warnings.warn(f"iterations are not replayed ({error})", stacklevel=2)
                once()
                return
        self._recordings[variant]()
