"""The largest eigenvalues of a symmetric matrix that is known by its products with vectors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

Product = Callable[[Tensor], Tensor]

# lengths of what a start has beside what was found before
_DOWNHILL = 0.3
_FRESH = 0.1
_OTHERS = 5  # times the tolerance of the first


@dataclass(frozen=True)
class Spectrum:
    """Largest eigenvalues, descending.

    values: numbers; vectors: (count, n), of length 1; errors: for each, how far it is at most from
    an eigenvalue (the length of H v - value v). products: how many were needed.
    """

    values: list[float]
    vectors: Tensor
    errors: list[float]
    products: int


def warm_start(before: Tensor | None, gradient: Tensor, *, generator: torch.Generator) -> Tensor:
    """A vector of length 1 to start from: what was found before, the gradient, something random.

    before: a vector near the eigenvectors of a matrix that has changed little since, or None.
    Without the other two an eigenvector that is new could be missed; where steps begin to swing
    along one, the gradient has most of it.
    """
    start = torch.randn(len(gradient), generator=generator).to(gradient)
    start *= _FRESH / start.norm()
    slope = gradient.norm()
    if slope > 0 and torch.isfinite(slope):
        start += _DOWNHILL * gradient / slope
    if before is not None:
        start += before / before.norm()
    return start / start.norm()


def largest_eigenvalues(
    product: Product,
    start: Tensor,
    *,
    count: int = 1,
    above: float = -np.inf,
    tolerance: float = 0.01,
    fewest: int = 4,
    most: int = 50,
) -> Spectrum:
    """The largest eigenvalues by Lanczos' method, each new vector made orthogonal to all before.

    start: (n,), of length 1. count: how many at most; the second and those after it only where they
    are larger than `above`, so that what nobody asks about takes no products. tolerance: the first
    is found once its error is at most so much of the largest absolute eigenvalue, the others at
    five times that; they are mostly far nearer, since the true error goes with its square.
    fewest, most: products; after `most` the values are returned as they are, from below.
    Eigenvalues that are exactly equal are found as one. Non-finite products give NaN.
    Golub and Van Loan, "Matrix Computations", 4th edition, chapter 10.
    """
    most = min(most, start.numel())
    basis = torch.empty(most, start.numel(), dtype=start.dtype, device=start.device)
    diagonal: list[float] = []
    beside: list[float] = []
    vector = start
    for done in range(1, most + 1):
        basis[done - 1] = vector
        made = product(vector)
        diagonal.append(float(vector @ made))
        known = basis[:done]
        for _ in range(2):  # once leaves what rounding leaves
            made = made - known.T @ (known @ made)
        length = float(made.norm())
        if not np.isfinite(length + diagonal[-1]):
            nothing = torch.full_like(basis[:1], torch.nan)
            return Spectrum([np.nan], nothing, [np.nan], done)
        values, shares = eigh_tridiagonal(np.array(diagonal), np.array(beside))
        values, shares = values[::-1], shares[:, ::-1]
        errors = length * np.abs(shares[-1])
        scale = float(np.abs(values).max())
        wanted = max(1, int((values[:count] > above).sum()))
        is_whole = length <= 1e-6 * scale or done == most
        allowed = tolerance * scale * np.where(np.arange(wanted) == 0, 1, _OTHERS)
        is_found = done >= fewest and (errors[:wanted] <= allowed).all()
        if is_whole or is_found:
            chosen = torch.as_tensor(
                shares[:, :wanted].T.copy(), dtype=basis.dtype, device=basis.device
            )
            found = [float(each) for each in values[:wanted]]
            return Spectrum(found, chosen @ known, [float(e) for e in errors[:wanted]], done)
        beside.append(length)
        vector = made / length
    raise AssertionError("the last product ends it")
