import math

import pytest
import torch
from torch import nn

from dipray.config import FitConfig
from dipray.optim import LR_SCHEDULES, OPTIMIZERS, lr_at, make_optimizer

SETTINGS = [
    {"optimizer": "sgd", "lr": 0.1},
    {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9},
    {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
    {"optimizer": "adam", "lr": 0.1},
    {"optimizer": "adamw", "lr": 0.1},
    {"optimizer": "rmsprop", "lr": 0.05},
    {"optimizer": "rmsprop", "lr": 0.01, "momentum": 0.9},
    {"optimizer": "lbfgs", "lr": 0.5},
    {"optimizer": "lbfgs", "lr": 1.0, "line_search": "strong_wolfe"},
]
CURVATURE = torch.tensor([1.0, 4.0])


def run(steps: int, **settings) -> list[list[float]]:
    """The positions on a quadratic from (1, 1), the start first."""
    x = nn.Parameter(torch.ones(2))
    optimizer = make_optimizer([x], FitConfig(**settings))

    def closure():
        optimizer.zero_grad()
        loss = 0.5 * (CURVATURE * x.square()).sum()
        loss.backward()
        return loss

    path = [x.tolist()]
    for _ in range(steps):
        optimizer.step(closure)
        path.append(x.tolist())
    return path


def loss(position: list[float]) -> float:
    return float(0.5 * (CURVATURE * torch.tensor(position).square()).sum())


def test_every_optimizer_is_tried():
    assert {settings["optimizer"] for settings in SETTINGS} == set(OPTIMIZERS)
    assert set(OPTIMIZERS) == set(FitConfig.model_fields["optimizer"].annotation.__args__)
    assert set(LR_SCHEDULES) == set(FitConfig.model_fields["lr_schedule"].annotation.__args__)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(map(str, settings)))
def test_the_loss_goes_down(settings):
    path = run(60, **settings)
    assert loss(path[-1]) < 0.05 * loss(path[0])


def test_line_search_of_lbfgs():
    path = run(6, optimizer="lbfgs", lr=1.0, line_search="strong_wolfe")
    assert loss(path[-1]) < 1e-6
    losses = [loss(position) for position in path]
    assert losses == sorted(losses, reverse=True)
    config = FitConfig(optimizer="lbfgs", line_search="strong_wolfe")
    (group,) = make_optimizer([nn.Parameter(torch.ones(2))], config).param_groups
    assert group["line_search_fn"] == "strong_wolfe"


def test_an_iteration_of_lbfgs_is_one_update():
    config = FitConfig(optimizer="lbfgs")
    (group,) = make_optimizer([nn.Parameter(torch.ones(2))], config).param_groups
    assert group["max_iter"] == 1
    assert group["line_search_fn"] is None


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_by_its_formula(nesterov):
    lr, momentum = 0.1, 0.8
    x, velocity = torch.ones(2), torch.zeros(2)
    for position in run(5, optimizer="sgd", lr=lr, momentum=momentum, nesterov=nesterov)[1:]:
        gradient = CURVATURE * x
        velocity = momentum * velocity + gradient
        x = x - lr * (gradient + momentum * velocity if nesterov else velocity)
        assert position == pytest.approx(x.tolist(), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_betas_by_their_formula(optimizer):
    lr, betas, decay = 0.1, (0.5, 0.7), 0.2
    x, mean, square = torch.ones(2), torch.zeros(2), torch.zeros(2)
    path = run(5, optimizer=optimizer, lr=lr, betas=betas, weight_decay=decay)
    for step, position in enumerate(path[1:], start=1):
        gradient = CURVATURE * x
        if optimizer == "adam":
            gradient = gradient + decay * x
        else:
            x = x * (1 - lr * decay)
        mean = betas[0] * mean + (1 - betas[0]) * gradient
        square = betas[1] * square + (1 - betas[1]) * gradient.square()
        corrected = mean / (1 - betas[0] ** step), square / (1 - betas[1] ** step)
        x = x - lr * corrected[0] / (corrected[1].sqrt() + 1e-8)
        assert position == pytest.approx(x.tolist(), rel=1e-4)


def test_weight_decay_of_sgd_is_added_to_the_gradient():
    x = torch.ones(2)
    for position in run(5, optimizer="sgd", lr=0.1, weight_decay=0.5)[1:]:
        x = x - 0.1 * (CURVATURE * x + 0.5 * x)
        assert position == pytest.approx(x.tolist(), rel=1e-5)


def test_rmsprop_by_its_formula():
    lr, momentum, decay = 0.01, 0.8, 0.5
    x, square, velocity = torch.ones(2), torch.zeros(2), torch.zeros(2)
    path = run(5, optimizer="rmsprop", lr=lr, momentum=momentum, weight_decay=decay)
    for position in path[1:]:
        gradient = CURVATURE * x + decay * x
        square = 0.99 * square + 0.01 * gradient.square()
        velocity = momentum * velocity + gradient / (square.sqrt() + 1e-8)
        x = x - lr * velocity
        assert position == pytest.approx(x.tolist(), rel=1e-4)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        # of iterations 1, 26, 50, 51, 75, 76, 100 of 100, at lr 2
        ("constant", [2, 2, 2, 2, 2, 2, 2]),
        ("linear", [2, 1.5, 1.02, 1, 0.52, 0.5, 0.02]),
        ("step", [2, 2, 2, 0.2, 0.2, 0.02, 0.02]),
        ("cosine", [2] + [1 + math.cos(math.pi * done / 100) for done in (25, 49, 50, 74, 75, 99)]),
    ],
)
def test_schedules(schedule, values):
    config = FitConfig(lr=2.0, lr_schedule=schedule, iterations=100)
    found = [lr_at(config, iteration) for iteration in (1, 26, 50, 51, 75, 76, 100)]
    assert found == pytest.approx(values)


@pytest.mark.parametrize("schedule", LR_SCHEDULES)
def test_every_schedule_starts_at_lr_and_never_rises(schedule):
    jump = {"lr_jump_at": 20, "lr_jump_by": 0.1} if schedule == "jump" else {}
    config = FitConfig(lr=0.3, lr_schedule=schedule, iterations=37, **jump)
    rates = [lr_at(config, iteration) for iteration in range(1, 38)]
    assert rates[0] == 0.3
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0
