"""The theorem that all began with: stable minima of univariate ReLU networks, in numbers.

Mulayoff, Michaeli and Soudry, "The Implicit Bias of Minima Stability: A View from Function Space",
NeurIPS 2021. Of f(x) = sum_i v_i relu(w_i x + b_i) + c, fitted to n points with the loss
(1/2n) sum (f(x_j) - y_j)^2, every minimum at which gradient descent with the step lr can stay has

    integral of |f''(x)| g(x) dx  <=  1/lr - 1/2,

and so has, at zero loss, every minimum of sharpness lambda with (lambda - 1) / 2 on the right.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dipray.stability import HessianProduct, largest_eigenvalues
from dipray.stability.lanczos import warm_start


class ReLUNetwork(nn.Module):
    """f: (n,) -> (n,), one hidden layer of ReLUs, in float64."""

    def __init__(self, width: int, *, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def draw(size: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(size, generator=generator, dtype=torch.float64))

        self.inner, self.shift, self.outer = draw(width), draw(width), draw(width)
        with torch.no_grad():
            self.outer.div_(width**0.5)
        self.offset = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """The function's values."""
        hidden = torch.relu(x[:, None] * self.inner + self.shift)
        return hidden @ self.outer + self.offset

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """(1/2n) sum of squares."""
        return (self(x) - y).square().mean() / 2


def weight_function(at: Tensor, x: Tensor) -> Tensor:
    """g of the theorem at some places, for the points x: 0 outside of them."""
    sides = []
    for sign in (1, -1):  # what lies below, and above by mirroring
        here, points = sign * at, sign * x
        below = points[None] < here[:, None]
        count = below.sum(dim=1).clamp_min(1)
        mean = (points * below).sum(dim=1) / count
        share = below.double().mean(dim=1)
        sides.append(share.square() * (here - mean) * (1 + mean.square()).sqrt())
    return torch.minimum(*sides).clamp_min(0)


@torch.no_grad()
def weighted_curvature(net: ReLUNetwork, x: Tensor) -> float:
    """The integral of |f''| g: f'' is v_i |w_i| at each kink -b_i / w_i, of kinks alike the sum."""
    kinks = -net.shift / net.inner
    places, which = torch.unique(kinks, return_inverse=True)
    bends = torch.zeros_like(places).index_add(0, which, net.outer * net.inner.abs())
    return float((bends.abs() * weight_function(places, x)).sum())


def sharpness(net: ReLUNetwork, x: Tensor, y: Tensor) -> float:
    """The largest eigenvalue of the loss's Hessian."""
    product = HessianProduct(net.loss(x, y), list(net.parameters()))
    start = warm_start(None, product.gradient, generator=torch.Generator().manual_seed(0))
    return largest_eigenvalues(product, start, tolerance=1e-6, most=200).values[0]


@dataclass(frozen=True)
class Descended:
    """Where gradient descent came to: lambda, its bound 2/lr, both sides of the theorem."""

    lr: float
    loss: float
    sharpness: float
    curvature: float

    @property
    def most_sharp(self) -> float:
        """2/lr."""
        return 2 / self.lr

    @property
    def most_curved(self) -> float:
        """The theorem's bound, 1/lr - 1/2."""
        return 1 / self.lr - 0.5

    @property
    def holds(self) -> bool:
        """The inequality, with 2 % for a descent that is not over."""
        return self.curvature <= 1.02 * self.most_curved


def descend(lr: float, *, steps: int = 10_000, width: int = 40, seed: int = 0) -> Descended:
    """Gradient descent on eight points of a jagged line."""
    generator = torch.Generator().manual_seed(100 + seed)
    x = torch.linspace(-1.5, 1.5, 8, dtype=torch.float64)
    y = torch.randn(len(x), generator=generator, dtype=torch.float64) / 2
    net = ReLUNetwork(width, seed=seed)
    parameters = list(net.parameters())
    for _ in range(steps):
        gradients = torch.autograd.grad(net.loss(x, y), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(lr * gradient)
    loss = float(net.loss(x, y).detach())
    return Descended(lr, loss, sharpness(net, x, y), weighted_curvature(net, x))
