"""Normalisation of each channel by its own moments and a leaky ReLU, in one pass each way."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dipray.kernels.library import kernels, pointer


def norm_leaky(x: Tensor, weight: Tensor, bias: Tensor, *, eps: float, slope: float) -> Tensor:
    """leaky_relu(batch_norm(x)) with the moments of x, which is (1, C, H, W), float32, on the CPU.

    weight, bias: (C,). Differentiable any number of times; only the first is faster than torch's.
    """
    y: Tensor = _NormLeaky.apply(x.contiguous(), weight, bias, eps, slope)
    return y


class _NormLeaky(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 (torch hands them on like this)
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float
    ) -> Tensor:
        library = kernels()
        assert library is not None, "ask kernels() first"
        y, mean, rstd = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        channels, size = x.shape[1], x.shape[2] * x.shape[3]
        library.norm_forward(
            *map(pointer, (x, weight, bias, y, mean, rstd)),
            ctypes.c_long(channels),
            ctypes.c_long(size),
            ctypes.c_float(eps),
            ctypes.c_float(slope),
        )
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        ctx.eps, ctx.slope = eps, slope
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        (of_y,) = gradients
        if torch.is_grad_enabled():  # it will be differentiated again
            z = F.batch_norm(x, None, None, weight, bias, True, 0.0, ctx.eps)
            y = F.leaky_relu(z, ctx.slope)
            return (*torch.autograd.grad(y, (x, weight, bias), of_y, create_graph=True), None, None)
        library = kernels()
        assert library is not None
        of_x, of_weight = torch.empty_like(x), torch.empty_like(weight)
        of_bias = torch.empty_like(bias)
        channels, size = x.shape[1], x.shape[2] * x.shape[3]
        tensors = (x, of_y.contiguous(), weight, bias, mean, rstd, of_x, of_weight, of_bias)
        library.norm_backward(
            *map(pointer, tensors),
            ctypes.c_long(channels),
            ctypes.c_long(size),
            ctypes.c_float(ctx.slope),
        )
        return of_x, of_weight, of_bias, None, None
