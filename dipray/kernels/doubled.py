"""The taps of a 3x3 convolution of a bilinearly doubled map, put together and taken apart."""

import ctypes
from typing import Any

import torch
from torch import Tensor

from dipray.kernels.library import kernels, pointer


def add_doubled(full: Tensor, taps: Tensor, *, reflect: bool) -> Tensor:
    """Full + the sum over taps of the doubled map of each, shifted by its place; in place.

    full: (O, 4 h w), and no view, whose gradient torch would copy; taps: (9, O, h, w), row by row
    of the kernel; both float32 on the CPU and contiguous, h and w at least 2. Beyond its border the
    doubled map is reflected, or repeated. Linear, and its derivatives of every order are there.
    """
    added: Tensor = _Add.apply(full, taps, reflect)
    return added


def split_doubled(full: Tensor, *, height: int, width: int, reflect: bool) -> Tensor:
    """The adjoint of what `add_doubled` adds: (O, 4 h w) -> (9, O, h, w)."""
    taps: Tensor = _Split.apply(full, height, width, reflect)
    return taps


class _Add(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, full: Tensor, taps: Tensor, reflect: bool) -> Tensor:
        ctx.height, ctx.width = taps.shape[2:]
        ctx.reflect = reflect
        ctx.mark_dirty(full)
        _call("add_doubled", taps, full, taps.shape[1:], reflect)
        return full

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (full,) = gradients
        taps = split_doubled(full, height=ctx.height, width=ctx.width, reflect=ctx.reflect)
        return full, taps, None


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, full: Tensor, height: int, width: int, reflect: bool) -> Tensor:
        ctx.reflect = reflect
        taps = full.new_empty((9, len(full), height, width))
        _call("split_doubled", full.contiguous(), taps, taps.shape[1:], reflect)
        return taps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (taps,) = gradients
        nothing = taps.new_zeros((taps.shape[1], 4 * taps.shape[2] * taps.shape[3]))
        full = add_doubled(nothing, taps.contiguous(), reflect=ctx.reflect)
        return full, None, None, None


def _call(name: str, given: Tensor, made: Tensor, small: tuple[int, ...], reflect: bool) -> None:
    library = kernels()
    assert library is not None, "ask kernels() first"
    sizes = [ctypes.c_long(size) for size in small]
    if getattr(library, name)(pointer(given), pointer(made), *sizes, int(reflect)):
        raise MemoryError(f"{name}: no memory for a few rows of {small[-1]} values")
