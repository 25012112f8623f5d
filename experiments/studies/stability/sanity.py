"""Is the instrument right: thresholds, products with the Hessian, eigenvalues, and the theorem?

Command: python -m experiments.studies.stability.sanity
Cost: half a minute on one core; no sweep.
Rule: every line says "holds". Any other is a bug in dipray or in torch, and no study of this folder
is to be believed before it is found.
Expected: scalar quadratics converge just below each optimizer's threshold and diverge just above;
products with the Hessian agree with central differences through every norm, and the largest
eigenvalue with the whole Hessian's; univariate ReLU networks that gradient descent has fitted keep
to the theorem. It would surprise if anything did not.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dipray.config import FitConfig
from dipray.models import build_network
from dipray.optim import make_optimizer
from dipray.stability import HessianProduct, largest_eigenvalues, preconditioner, threshold
from dipray.stability.lanczos import warm_start
from dipray.stability.product import flat
from experiments.studies.stability.univariate import descend

NEAR = 0.02  # how far from a threshold a step must tell
_SETTLED = 200  # steps after which Adam's divisor has its full size
NORMS = ("none", "batch", "instance", "group")
RULES: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd"},
    "heavy ball": {"optimizer": "sgd", "momentum": 0.9},
    "Nesterov": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "momentum": 0.5},
}


@dataclass(frozen=True)
class Check:
    """What was looked at, what came out, what is allowed, and whether it does."""

    what: str
    found: str
    allowed: str
    holds: bool


def growth(settings: dict[str, Any], factor: float, *, lr: float = 0.1, steps: int = 3000) -> float:
    """How much |x| grows on a quadratic of `factor` times the threshold, after 200 steps."""
    config = FitConfig(lr=lr, **settings)
    # so small that its gradient is nothing beside eps, which is then what adaptive steps divide by
    first = 1e-100
    x = torch.nn.Parameter(torch.full((1,), first, dtype=torch.float64))
    optimizer = make_optimizer([x], config)
    limit = threshold(config, lr)
    assert limit is not None
    curvature = factor * limit
    divisor = preconditioner(optimizer, [x], torch.zeros(1, dtype=torch.float64))
    if divisor is not None:
        for group in optimizer.param_groups:
            group["eps"] = 1.0
        divisor = preconditioner(optimizer, [x], torch.zeros(1, dtype=torch.float64))
        assert divisor is not None
        early = 1 - config.betas[0] if "betas" in optimizer.param_groups[0] else 1.0
        curvature *= float(divisor) / early  # Adam's divisor grows to its full size by and by
    growths = [1.0]
    for step in range(steps):
        x.grad = curvature * x.detach()
        optimizer.step()
        size = float(x.detach().abs())
        if step < _SETTLED:
            first = size
        growths.append(size / first)
        if not 1e-9 < growths[-1] < 1e6:
            break
    return max(growths[-20:])  # momentum swings through 0


class SmallFit:
    """The loss of a small network with a norm, in float64."""

    def __init__(self, norm: str) -> None:
        config = FitConfig.from_dict(
            {"depth": 1, "features": 4, "norm": norm, "activation": "tanh", "init": "kaiming"}
        )
        generator = torch.Generator().manual_seed(1)
        self.net = build_network(config, inputs=3, outputs=1).double()
        self.parameters = list(self.net.parameters())
        self.z = torch.randn(1, 3, 16, 16, generator=generator, dtype=torch.float64)
        self.y = torch.rand(1, 1, 16, 16, generator=generator, dtype=torch.float64)

    def loss(self) -> Tensor:
        """Of the weights as they are."""
        return (self.net(self.z) - self.y).square().mean()


def difference_error(norm: str, *, step: float = 1e-5) -> float:
    """How far H v is from central differences of the gradient, relative, in float64."""
    small = SmallFit(norm)
    product = HessianProduct(small.loss(), small.parameters)
    size = product.gradient.numel()
    v = torch.randn(size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    v /= v.norm()
    made = product(v)  # before the weights are moved
    sides = []
    for sign in (1, -1):
        _move(small.parameters, sign * step * v)
        gradients = torch.autograd.grad(small.loss(), small.parameters, materialize_grads=True)
        sides.append(flat(gradients))
        _move(small.parameters, -sign * step * v)
    wanted = (sides[0] - sides[1]) / (2 * step)
    return float((made - wanted).norm() / wanted.norm())


def eigenvalue_error(norm: str) -> float:
    """How far the largest eigenvalue is from that of the whole Hessian, relative, in float64."""
    small = SmallFit(norm)
    product = HessianProduct(small.loss(), small.parameters)
    size = product.gradient.numel()
    whole = torch.stack([product(row) for row in torch.eye(size, dtype=torch.float64)])
    exact = float(torch.linalg.eigvalsh((whole + whole.T) / 2)[-1])
    start = warm_start(None, product.gradient, generator=torch.Generator().manual_seed(3))
    found = largest_eigenvalues(product, start, tolerance=1e-3).values[0]
    return abs(found / exact - 1)


@torch.no_grad()
def _move(parameters: Sequence[Tensor], step: Tensor) -> None:
    parts = step.split([parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.add_(part.view_as(parameter))


def checks() -> Iterator[Check]:
    """All of them, as they are done."""
    for name, settings in RULES.items():
        below, above = growth(settings, 1 - NEAR), growth(settings, 1 + NEAR)
        yield Check(
            f"{name}: {1 - NEAR:g}, {1 + NEAR:g} of threshold",
            f"x{below:.1e}, x{above:.1e}",
            "below 1e-3, above 1e3",
            below < 1e-3 and above > 1e3,
        )
    for what, error_of, most in (
        ("H v, central differences", difference_error, 1e-6),
        ("eigenvalue, whole Hessian", eigenvalue_error, 1e-3),
    ):
        for norm in NORMS:
            error = error_of(norm)
            said = f"{what}, norm {norm}"
            yield Check(said, f"{error:.1e}", f"at most {most:.0e}", error <= most)
    for lr in (0.05, 0.07, 0.1):
        end = descend(lr)
        yield Check(
            f"ReLU theorem, lr {lr:g}: sharpness",
            f"{end.sharpness:.2f}",
            f"at most 2/lr = {end.most_sharp:.4g}, + 2 %",
            end.sharpness <= 1.02 * end.most_sharp,
        )
        yield Check(
            f"ReLU theorem, lr {lr:g}: integral of |f''| g",
            f"{end.curvature:.2f}",
            f"at most {end.most_curved:.4g}",
            end.holds,
        )


def main() -> int:
    """Print all checks; 1 if one does not hold."""
    torch.set_num_threads(1)
    all_hold = True
    for check in checks():
        verdict = "holds" if check.holds else "FAILS"
        print(f"{verdict}  {check.what}: {check.found} ({check.allowed})", flush=True)
        all_hold &= check.holds
    print("everything holds" if all_hold else "something does not hold: believe no study before")
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
