"""Optimizers and learning-rate schedules by name.

Made `in_place` they step without the host: the learning rate is a tensor, and so are their counts,
on the device of the weights. A step can then be recorded and replayed.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from dipray.config import FitConfig

Parameters = Iterable[nn.Parameter]

MANNER = ("lr", "fused", "foreach", "capturable")  # of stepping; no part of what was learnt
NOT_IN_PLACE = ("lbfgs",)  # decides on the host how far to go


def decay_of(config: FitConfig) -> float:
    """The weight decay, its default for the optimizer put in: without one AdamW would be Adam."""
    if config.weight_decay is not None:
        return config.weight_decay
    return 0.01 if config.optimizer == "adamw" else 0.0


def _sgd(parameters: Parameters, config: FitConfig, lr: float | Tensor) -> Optimizer:
    """Gradient descent, with momentum and Nesterov's form of it where they are set."""
    return SGD(
        parameters,
        lr=lr,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=decay_of(config),
        fused=True,
    )


def _adam(parameters: Parameters, config: FitConfig, lr: float | Tensor) -> Optimizer:
    """Adam (Kingma and Ba, ICLR 2015); weight decay is an L2 term."""
    return _of_adams(Adam, parameters, config, lr)


def _adamw(parameters: Parameters, config: FitConfig, lr: float | Tensor) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)."""
    return _of_adams(AdamW, parameters, config, lr)


def _of_adams(
    kind: type[Adam] | type[AdamW], parameters: Parameters, config: FitConfig, lr: float | Tensor
) -> Optimizer:
    return kind(
        parameters,
        lr=lr,
        betas=config.betas,
        weight_decay=decay_of(config),
        fused=True,
        capturable=_is_tensor(lr),
    )


def _rmsprop(parameters: Parameters, config: FitConfig, lr: float | Tensor) -> Optimizer:
    """RMSprop (Tieleman and Hinton, 2012), with momentum where it is set."""
    return RMSprop(
        parameters,
        lr=lr,
        momentum=config.momentum,
        weight_decay=decay_of(config),
        # one tensor after the other it would read a learning rate that is a tensor
        foreach=_is_tensor(lr) or None,
        capturable=_is_tensor(lr),
    )


def _lbfgs(parameters: Parameters, config: FitConfig, lr: float | Tensor) -> Optimizer:
    """L-BFGS with 10 steps of memory; line_search strong_wolfe guards its steps."""
    # one quasi-Newton update a step, so that an iteration is one update for every optimizer
    line_search = None if config.line_search == "none" else config.line_search
    return torch.optim.LBFGS(
        parameters, lr=lr, max_iter=1, history_size=10, line_search_fn=line_search
    )


def _is_tensor(lr: float | Tensor) -> bool:
    return isinstance(lr, Tensor)


OPTIMIZERS: dict[str, Callable[[Parameters, FitConfig, float | Tensor], Optimizer]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
    "lbfgs": _lbfgs,
}


def make_optimizer(
    parameters: Parameters, config: FitConfig, *, in_place: bool = False
) -> Optimizer:
    """The optimizer that the configuration names; `in_place` for all but NOT_IN_PLACE."""
    parameters = list(parameters)
    lr: float | Tensor = config.lr
    if in_place:
        lr = torch.tensor(lr, device=parameters[0].device)
    return OPTIMIZERS[config.optimizer](parameters, config, lr)


Schedule = Callable[[FitConfig, int], float]  # of an iteration, from 1: the factor on lr


def _by_progress(factor: Callable[[float], float]) -> Schedule:
    """A schedule that knows the share of the budget that is done, in [0, 1)."""
    return lambda config, iteration: factor((iteration - 1) / config.iterations)


def _jump(config: FitConfig, iteration: int) -> float:
    assert config.lr_jump_at is not None and config.lr_jump_by is not None
    return config.lr_jump_by if iteration > config.lr_jump_at else 1.0


LR_SCHEDULES: dict[str, Schedule] = {
    "constant": lambda _config, _iteration: 1.0,
    "cosine": _by_progress(lambda done: 0.5 * (1 + math.cos(math.pi * done))),
    "linear": _by_progress(lambda done: 1 - done),
    "step": _by_progress(lambda done: 0.1 ** ((done >= 0.5) + (done >= 0.75))),
    "jump": _jump,
}


def lr_at(config: FitConfig, iteration: int) -> float:
    """The learning rate of an iteration, counted from 1."""
    return config.lr * LR_SCHEDULES[config.lr_schedule](config, iteration)
