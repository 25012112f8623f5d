"""Products of a loss's Hessian with vectors, by differentiating twice in reverse."""

from collections.abc import Sequence

import torch
from torch import Tensor


class HessianProduct:
    """v -> H v for the Hessian of a scalar loss in its parameters, both as flat vectors.

    H v is the gradient of the product of v and the gradient (Pearlmutter, Neural Computation 6,
    1994). Both derivatives go in reverse, which is right for every layer: the derivative forward of
    the loss, differentiated in reverse, is silently wrong in torch 2.13 for norms with the
    statistics of the moment. The loss's graph is kept as long as this is.

    loss: 0-dim, made of the parameters as they are now. decay: the coefficient of an L2 term
    decay / 2 |parameters|^2 beside it, which the optimizer adds and the loss does not show.
    gradient: of both, flat, detached. Parameters that the loss does not depend on have zeros.
    """

    def __init__(self, loss: Tensor, parameters: Sequence[Tensor], *, decay: float = 0.0) -> None:
        self._parameters = list(parameters)
        self._decay = decay
        gradients = torch.autograd.grad(
            loss, self._parameters, create_graph=True, materialize_grads=True
        )
        # of a loss that is linear in some parameters the gradient there is a constant
        self._curved = [each for each in gradients if each.requires_grad]
        self._is_curved = [each.requires_grad for each in gradients]
        self.gradient = flat(gradients).detach()
        if decay:
            self.gradient = self.gradient + decay * flat(self._parameters).detach()

    def __call__(self, vector: Tensor) -> Tensor:
        """H v, flat, detached."""
        result = self._decay * vector
        if not self._curved:
            return result
        sizes = [parameter.numel() for parameter in self._parameters]
        parts = [
            part.view(parameter.shape)
            for part, parameter, is_curved in zip(
                vector.split(sizes), self._parameters, self._is_curved, strict=True
            )
            if is_curved
        ]
        products = torch.autograd.grad(
            self._curved, self._parameters, parts, retain_graph=True, materialize_grads=True
        )
        return result + flat(products).detach()


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """All values of some tensors as one vector."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
