"""How much a network's output changes with its input."""

import torch
from torch import Tensor

_DIRECTIONS = 2


def jacobian_norm(output: Tensor, z: Tensor, *, seed: int) -> Tensor:
    """The root mean square, over the values of the output, of their gradient's length in z; 0-dim.

    That is |J|_F / sqrt(number of values). |J|_F^2 is estimated as the mean of |J' u|^2 over 2
    random sign vectors u (Hutchinson, Communications in Statistics 18, 1989), the same for a seed.
    output: (1, C, H, W), made of z, which requires its gradient. Its graph is kept.
    """
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros((), device=output.device)
    for _ in range(_DIRECTIONS):
        signs = torch.randint(0, 2, output.shape, generator=generator) * 2 - 1
        (pulled,) = torch.autograd.grad(output, z, signs.to(output), retain_graph=True)
        total += pulled.float().square().sum()
    return (total / _DIRECTIONS / output.numel()).sqrt()
