"""How sharp a minimum can be for an optimizer to stay there: thresholds and preconditioners."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from dipray.config import FitConfig
from dipray.optim import decay_of


def threshold(config: FitConfig, lr: float) -> float | None:
    """The largest curvature at which the optimizer's steps do not grow, None for lbfgs.

    On a quadratic of curvature h, measured for adam, adamw and rmsprop by their `preconditioner`,
    the optimizer converges below it and diverges above. In torch's conventions, b being momentum or
    the first of adam's betas: sgd 2/lr; with momentum 2(1+b)/lr; with Nesterov's
    2(1+b)/(lr(1+2b)); rmsprop as sgd with momentum; adam 2(1+b)/(lr(1-b)), so 38/lr for b = 0.9;
    adamw, whose decay w shrinks the weights beside it, (1+b)(2-lr w)/(lr(1-b)).
    Cohen et al., "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability",
    ICLR 2021, appendix B, and "Adaptive Gradient Methods at the Edge of Stability", 2022. Where lr
    is 0 nothing moves, and it is infinite.
    """
    if config.optimizer == "lbfgs":
        return None
    if lr == 0:
        return float("inf")
    b = config.momentum
    if config.optimizer in ("adam", "adamw"):
        b = config.betas[0]
        decay = decay_of(config) if config.optimizer == "adamw" else 0.0
        return (1 + b) * (2 - lr * decay) / (lr * (1 - b))
    if config.nesterov:
        return 2 * (1 + b) / (lr * (1 + 2 * b))
    return 2 * (1 + b) / lr


def coupled_decay(config: FitConfig) -> float:
    """The coefficient of the L2 term that the optimizer adds to the gradient."""
    return 0.0 if config.optimizer in ("adamw", "lbfgs") else decay_of(config)


def preconditioner(
    optimizer: Optimizer, parameters: Sequence[Tensor], gradient: Tensor
) -> Tensor | None:
    """P, flat: what the coming step divides by, value by value; None where that is by nothing.

    gradient: flat, at the weights that the step starts from; it enters P. For adam and adamw
    P = (1 - b1^t) (sqrt(v_t / (1 - b2^t)) + eps), for rmsprop sqrt(v_t) + eps.
    """
    group = optimizer.param_groups[0]
    if "betas" not in group and "alpha" not in group:
        return None
    squared = _second_moments(optimizer.state, parameters)
    if "betas" in group:
        b1, b2 = group["betas"]
        step = _steps(optimizer.state, parameters) + 1
        moment = squared * b2 + (1 - b2) * gradient.square()
        divisor = (moment / (1 - b2**step)).sqrt() + group["eps"]
        return (1 - b1**step) * divisor
    alpha = group["alpha"]
    return (squared * alpha + (1 - alpha) * gradient.square()).sqrt() + group["eps"]


def _second_moments(memory: Mapping[Tensor, Any], parameters: Sequence[Tensor]) -> Tensor:
    parts = []
    for parameter in parameters:
        own = memory.get(parameter) or {}
        known = own.get("exp_avg_sq", own.get("square_avg"))
        parts.append((torch.zeros_like(parameter) if known is None else known).reshape(-1))
    return torch.cat(parts).detach()


def _steps(memory: Mapping[Tensor, Any], parameters: Sequence[Tensor]) -> int:
    return max(int((memory.get(parameter) or {}).get("step", 0)) for parameter in parameters)
