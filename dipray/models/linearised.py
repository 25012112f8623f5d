"""Linearised: a network's first-order expansion at its initial weights, trained in its place."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Linearised(nn.Module):
    """f(z; w0) + J(z; w0) (w - w0), of a network f with initial weights w0; w is what is trained.

    That is what a network of infinite width is under gradient descent (Jacot, Gabriel, Hongler,
    NeurIPS 2018; Lee et al., NeurIPS 2019), and the lazy regime of Chizat, Oyallon, Bach (NeurIPS
    2019): the loss is quadratic, its Hessian does not change, and without randomness all learning
    rates far below the largest stable one take the same way down.

    z: (1, C, H, W), the output as the network's, but no longer bound to [0, 1]. It has no gradient
    in z, which would be a third derivative of the network: through norms torch 2.13 has it 2 %
    wrong. An iteration costs about three of the network's.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self._names = [name for name, _ in net.named_parameters()]
        for name, weight in net.named_parameters():
            # drawn from the seed again where a fit goes on, so not a part of its state
            start = weight.detach().clone()
            self.register_buffer(_start_of(name), start, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """The expansion at an input."""
        weights = list(self.net.parameters())
        starts = [getattr(self, _start_of(name)).detach() for name in self._names]
        moved = [weight - start for weight, start in zip(weights, starts, strict=True)]
        with torch.enable_grad():
            leaves = [start.requires_grad_() for start in starts]
            named = dict(zip(self._names, leaves, strict=True))
            first = functional_call(self.net, named, (z.detach(),))
            tangent = _Tangent(first, leaves)
        change: Tensor = _Along.apply(tangent, *moved)
        return first.detach() + change


def _start_of(name: str) -> str:
    return f"start_{name.replace('.', '_')}"


class _Tangent:
    """The Jacobian J of an output in some leaves, as products with it from both sides.

    Both by differentiating in reverse only: torch's derivative forward, differentiated in reverse,
    is wrong through norms with the statistics of the moment.
    """

    def __init__(self, output: Tensor, leaves: Sequence[Tensor]) -> None:
        self._output, self._leaves = output, leaves
        # J' u is linear in u, whatever u is; its derivative in u along v is J v
        self._u = torch.zeros_like(output, requires_grad=True)
        self._pulled = torch.autograd.grad(
            output, leaves, self._u, create_graph=True, materialize_grads=True
        )

    def along(self, v: Sequence[Tensor]) -> Tensor:
        """J v."""
        (product,) = torch.autograd.grad(self._pulled, self._u, v, retain_graph=True)
        return product

    def against(self, u: Tensor) -> tuple[Tensor, ...]:
        """J' u."""
        return torch.autograd.grad(
            self._output, self._leaves, u, retain_graph=True, materialize_grads=True
        )


class _Along(torch.autograd.Function):
    """v -> J v, as often differentiable as one likes."""

    @staticmethod
    def forward(ctx: Any, tangent: _Tangent, *v: Tensor) -> Tensor:
        ctx.tangent = tangent
        return tangent.along(v)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return None, *_Against.apply(ctx.tangent, *grads)


class _Against(torch.autograd.Function):
    """u -> J' u, likewise."""

    @staticmethod
    def forward(ctx: Any, tangent: _Tangent, u: Tensor) -> tuple[Tensor, ...]:
        ctx.tangent = tangent
        return tangent.against(u)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return None, _Along.apply(ctx.tangent, *grads)


__all__ = ["Linearised"]
