"""Problem: what is measured, how it came about, and the truth where somebody knows it."""

import contextlib
import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from dipray.errors import ProblemError

Operator = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Problem:
    """Restore x from y = A(x) + noise.

    y: the measurement, (1, C, h, w), finite. It and all other tensors are kept as float32.
    operator: A, differentiable, maps (1, C, H, W) to the shape of y; an nn.Module moves with the
        problem to a device.
    weight: how much each value of y counts in the loss, >= 0, broadcastable to y; None is 1
        everywhere. Values of weight 0 are unknown.
    reference: the true picture, (1, C, H, W) in [0, 1], or None. Used to score, never to fit.
    shape: (C, H, W) of the picture; None takes it from the reference, or from y.
    alpha: (1, 1, H, W), put back on every picture that is saved.
    bits: 8 or 16, the depth of saved pictures.
    trim: pixels cut from each side before PSNR on luma (super-resolution's habit).
    luma: whether PSNR on luma is recorded.
    name, origin: what a table and a folder call it, and plain data on how it was made.

    Raises ProblemError if the parts do not belong together.
    """

    y: Tensor
    operator: Operator = field(default_factory=nn.Identity)
    weight: Tensor | None = None
    reference: Tensor | None = None
    shape: tuple[int, int, int] | None = None
    alpha: Tensor | None = None
    bits: int = 8
    luma: bool = False
    trim: int = 0
    name: str = "picture"
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label in ("y", "weight", "reference", "alpha"):
            tensor = getattr(self, label)
            if tensor is None:
                continue
            if not isinstance(tensor, Tensor):
                raise ProblemError(
                    f"{label} is a {type(tensor).__name__}; give a torch tensor (1, C, H, W)"
                )
            if tensor.ndim != 4 or tensor.shape[0] != 1:
                raise ProblemError(f"{label} has shape {tuple(tensor.shape)}; give (1, C, H, W)")
            if label != "weight" and not tensor.is_floating_point():
                raise ProblemError(f"{label} is {tensor.dtype}; give floats, a picture in [0, 1]")
            if not bool(torch.isfinite(tensor).all()):
                raise ProblemError(f"{label} holds NaN or infinite values")
            object.__setattr__(self, label, tensor.float())
        if self.bits not in (8, 16):
            raise ProblemError(f"bits is {self.bits}; give 8 or 16")
        if self.shape is None:
            source = self.y if self.reference is None else self.reference
            object.__setattr__(self, "shape", tuple(source.shape[1:]))
        self._check_shapes()

    def _check_shapes(self) -> None:
        if self.reference is not None and tuple(self.reference.shape[1:]) != self.shape:
            raise ProblemError(
                f"the reference is {_size(self.reference)} where the picture is "
                f"{'x'.join(str(side) for side in self.picture_shape)} (C, H, W)"
            )
        if self.alpha is not None and self.alpha.shape[1:] != (1, *self.picture_shape[1:]):
            raise ProblemError(
                f"the alpha is {_size(self.alpha)} where the picture is "
                f"{'x'.join(str(side) for side in self.picture_shape)} (C, H, W)"
            )
        channels, height, width = self.picture_shape
        if channels not in (1, 3):
            raise ProblemError(f"the picture has {channels} channels; allowed are 1 and 3")
        if not 0 <= 2 * self.trim < min(height, width):
            raise ProblemError(f"trim is {self.trim}; allowed is 0 or more, below half the side")
        for label in ("reference", "alpha"):
            tensor = getattr(self, label)
            if tensor is not None and not bool(((tensor >= 0) & (tensor <= 1)).all()):
                raise ProblemError(f"the {label} has values outside [0, 1]; divide by its range")
        blank = torch.zeros((1, *self.picture_shape), device=self.y.device, requires_grad=True)
        try:
            made = self.operator(blank)
        except Exception as error:
            raise ProblemError(
                f"the operator fails on a picture of shape {tuple(blank.shape)}: {error}"
            ) from error
        if not made.requires_grad:
            raise ProblemError("the operator is not differentiable: no gradient comes through it")
        if made.shape != self.y.shape:
            raise ProblemError(
                f"the operator makes {tuple(made.shape)} of a picture of shape "
                f"{tuple(blank.shape)}, but y is {tuple(self.y.shape)}"
            )
        if self.weight is not None:
            try:
                spread = self.weight.expand_as(self.y)
            except RuntimeError:
                raise ProblemError(
                    f"the weight {tuple(self.weight.shape)} does not broadcast to y "
                    f"{tuple(self.y.shape)}"
                ) from None
            if bool((spread < 0).any()) or not bool((spread > 0).any()):
                raise ProblemError("the weight must be at least 0, and above 0 somewhere")

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the picture that is sought."""
        assert self.shape is not None
        return self.shape

    @property
    def source(self) -> str:
        """The file that it was made of, or its name where there is none."""
        return str(self.origin.get("image") or self.origin.get("clean") or self.name)

    @property
    def hole(self) -> Tensor | None:
        """(1, C, H, W), True where nothing was measured; None if that names no pixels."""
        if self.weight is None or tuple(self.y.shape[1:]) != self.picture_shape:
            return None
        missing = (self.weight == 0).expand_as(self.y)
        return missing if bool(missing.any()) else None

    @property
    def seen(self) -> Tensor | None:
        """Y where it is a picture itself, measured everywhere; else None."""
        if tuple(self.y.shape[1:]) != self.picture_shape:
            return None
        return None if self.hole is not None else self.y

    def to(self, device: torch.device | str) -> "Problem":
        """The same problem with its tensors, and its operator if it is a module, on `device`."""
        moved: dict[str, Any] = {
            label: None if (tensor := getattr(self, label)) is None else tensor.to(device)
            for label in ("y", "weight", "reference", "alpha")
        }
        operator = self.operator
        if isinstance(operator, nn.Module):
            operator = copy.deepcopy(operator).to(device)
        return replace(self, operator=operator, **moved)

    def describe(self) -> dict[str, Any]:
        """Plain data: name, sizes, fingerprint, and how it was made."""
        return {
            "name": self.name,
            "shape": list(self.picture_shape),
            "measurement_shape": list(self.y.shape[1:]),
            "has_reference": self.reference is not None,
            "fingerprint": self.to("cpu").fingerprint(),  # a GPU may differ in the last bits
            "origin": dict(self.origin),
        }

    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of all that decides what a fit sees and is scored against.

        An operator is known by what it does to a fixed random picture; a module does it in float64
        on the CPU, so that the last bits of a processor do not show.
        """
        digest = hashlib.sha256(repr((self.luma, self.trim, self.bits)).encode())
        probe = torch.rand((1, *self.picture_shape), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            seen = self.operator(probe.to(self.y.device))
            if isinstance(self.operator, nn.Module):
                with contextlib.suppress(RuntimeError):  # a module may insist on float32
                    seen = copy.deepcopy(self.operator).to("cpu", torch.float64)(probe.double())
        for tensor in (self.y, self.weight, self.reference, self.alpha, seen):
            digest.update(b"none" if tensor is None else _bytes(tensor))
        return digest.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    array = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
    return repr(array.shape).encode() + array.tobytes()


def _size(tensor: Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape[1:])
