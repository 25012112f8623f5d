"""Probe: what a fit's minimum is like, every so many iterations, before their steps."""

import hashlib
import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from dipray.config import FitConfig
from dipray.stability.invariance import scale_invariant
from dipray.stability.jacobian import jacobian_norm
from dipray.stability.lanczos import Product, Spectrum, largest_eigenvalues, warm_start
from dipray.stability.product import HessianProduct, flat
from dipray.stability.threshold import coupled_decay, preconditioner, threshold

MOST_RATIOS = 3  # eigenvalues that are recorded where so many lie near the threshold
NEAR = 0.8  # of the threshold, above which a further eigenvalue counts as near
TOLERANCE = 0.03  # of the largest eigenvalue, see `largest_eigenvalues`

PROBE_COLUMNS = (
    "sharpness",
    "sharpness_pre",
    "sharpness_ratio",
    "sharpness_ratio_2",
    "sharpness_ratio_3",
    "sharpness_scale_free",
    "jacobian",
    "weight_distance",
)


class Probed(Protocol):
    """What a probe is put into: a network on its way down."""

    net: nn.Module
    parameters: list[nn.Parameter]
    optimizer: Optimizer

    def evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Output and loss, as the step computes them but in fp32."""
        ...


class Probe:
    """Measures PROBE_COLUMNS of a descent before a step, and changes nothing of it.

    The loss is that of the input without jitter, with the norms in the mode that training uses, in
    fp32. The eigenvectors found are where the next search starts. config.probe_every: at the first
    iteration, multiples of it, and the last one.
    """

    def __init__(self, descent: Probed, config: FitConfig) -> None:
        self._descent = descent
        self._config = config
        self._beginning = flat(descent.parameters).detach().clone()
        self._invariant = scale_invariant(descent.net)
        self._before: dict[str, Tensor] = {}

    def next_due(self, done: int) -> int:
        """The first iteration after `done` at which it measures, one past the end if none is."""
        every, last = self._config.probe_every, self._config.iterations
        if done == 0:
            return 1
        return min((done // every + 1) * every, last if done < last else last + 1)

    def measure(self, z: Tensor, lr: float, iteration: int) -> dict[str, float]:
        """Numbers by column, of the state before the step of an iteration.

        z: the input, (1, C, H, W). Columns that there are not are left out: the ratios for lbfgs,
        the scale-free sharpness without norms, the Jacobian of a linearised network, further ratios
        where no other eigenvalue is near the threshold.
        """
        descent, config = self._descent, self._config
        z = z.detach().requires_grad_()
        output, loss = descent.evaluate(z)
        weights = flat(descent.parameters).detach()
        row = {"weight_distance": float((weights - self._beginning).norm())}
        if not config.linearised:
            row["jacobian"] = float(jacobian_norm(output, z, seed=config.seed_of("weights")))
        product = HessianProduct(loss, descent.parameters, decay=coupled_decay(config))
        limit = threshold(config, lr)
        divisor = preconditioner(descent.optimizer, descent.parameters, product.gradient)
        if limit is None or divisor is not None:
            found = self._search("raw", product, product.gradient, iteration, limit=None)
            row["sharpness"] = found.values[0]
        if limit is not None:
            scaled, slope = _scaled(product, divisor)
            values = self._search("stepped", scaled, slope, iteration, limit=limit).values
            row["sharpness_pre"] = values[0]
            row.setdefault("sharpness", values[0])
            names = ("sharpness_ratio", "sharpness_ratio_2", "sharpness_ratio_3")
            row |= {name: value / limit for name, value in zip(names, values, strict=False)}
        if self._invariant:
            length = float(get_total_norm(self._invariant))
            row["sharpness_scale_free"] = row["sharpness"] * length**2
        return row

    def _search(
        self, kind: str, product: Product, slope: Tensor, iteration: int, *, limit: float | None
    ) -> Spectrum:
        """The largest eigenvalues, from what was found last; one alone where there is no limit."""
        name = f"{self._config.seed_of('weights')}/probe/{kind}/{iteration}"
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1
        generator = torch.Generator().manual_seed(seed)
        found = largest_eigenvalues(
            product,
            warm_start(self._before.get(kind), slope, generator=generator),
            count=1 if limit is None else MOST_RATIOS,
            above=math.inf if limit is None else NEAR * limit,
            tolerance=TOLERANCE,
        )
        if math.isfinite(found.values[0]):
            self._before[kind] = found.vectors.sum(dim=0)
        return found

    def state(self) -> dict[str, Tensor]:
        """What the next search starts from."""
        return dict(self._before)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave; the descent is then at its beginning no more."""
        device = self._beginning.device
        self._before = {kind: vector.to(device).clone() for kind, vector in state.items()}


def _scaled(product: HessianProduct, divisor: Tensor | None) -> tuple[Product, Tensor]:
    """P^-1/2 H P^-1/2, which is symmetric and similar to P^-1 H, and the gradient beside it."""
    if divisor is None:
        return product, product.gradient
    root = divisor.rsqrt()
    return lambda v: root * product(root * v), root * product.gradient
