"""The linearised network: products with its Jacobian, and the way down that theory gives it."""

import copy

import numpy as np
import pytest
import torch
from torch.func import functional_call, jacrev

from dipray import Fit, FitConfig, fit
from dipray.errors import ConfigError
from dipray.models import build_network
from dipray.models.linearised import Linearised
from dipray.problem import Problem
from dipray.stability import HessianProduct
from dipray.stability.invariance import scale_invariant

NORMS = ("none", "batch", "instance", "group")
TINY = FitConfig(
    depth=1,
    features=3,
    input_channels=2,
    activation="tanh",
    linearised=True,
    optimizer="sgd",
    lr=0.05,
    holdout=0.0,
    input_jitter=0.0,
    iterations=12,
    metrics_every=4,
    probe_every=4,
    snapshots=0,
    device="cpu",
)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def problem(size=16):
    ramp = torch.linspace(0.6, 1, size)
    return Problem((ramp[:, None] * ramp)[None, None])


class Moved:
    """A small linearised network away from its initial weights, with its Jacobian there, float64.

    The Jacobian is made in reverse, a value of the output at a time.
    """

    def __init__(self, norm, size=8):
        config = TINY.replace(norm=norm)
        net = build_network(config.replace(linearised=False), inputs=2, outputs=1).double()
        self.linear = Linearised(net)
        self.parameters = list(self.linear.parameters())
        self.z = torch.rand(1, 2, size, size, generator=generator(0)).double()
        names = [name for name, _ in net.named_parameters()]
        starts = {name: p.detach().clone() for name, p in net.named_parameters()}

        def of_weights(weights):
            return functional_call(net, weights, (self.z,)).flatten()

        self.first = of_weights(starts).detach()
        each = jacrev(of_weights)(starts)
        self.jacobian = torch.cat([each[name].flatten(1) for name in names], dim=1).detach()
        self.v = torch.randn(self.jacobian.shape[1], generator=generator(2)).double()
        self.move(1.0)

    @torch.no_grad()
    def move(self, factor):
        """The weights, along v."""
        sizes = [p.numel() for p in self.parameters]
        for parameter, part in zip(self.parameters, self.v.split(sizes), strict=True):
            parameter.add_(factor * part.view_as(parameter))


@pytest.mark.parametrize("norm", NORMS)
def test_output_gradient_and_hessian_are_those_of_the_expansion(norm):
    moved = Moved(norm)
    output = moved.linear(moved.z)
    wanted = moved.first + moved.jacobian @ moved.v
    assert torch.allclose(output.flatten(), wanted, rtol=0, atol=1e-10)
    y = torch.rand(output.shape, generator=generator(3)).double()
    product = HessianProduct((output - y).square().mean(), moved.parameters)
    scale = 2 / output.numel()
    slope = scale * moved.jacobian.T @ (wanted - y.flatten())
    assert torch.allclose(product.gradient, slope, atol=1e-10)
    u = torch.randn(len(moved.v), generator=generator(4)).double()
    curved = scale * moved.jacobian.T @ (moved.jacobian @ u)
    assert torch.allclose(product(u), curved, atol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_the_jacobian_agrees_with_central_differences(norm):
    moved = Moved(norm)
    step = 1e-6
    sides = []
    moved.move(-1.0)  # back to the first weights
    for sign in (1, -1):
        moved.move(sign * step)
        sides.append(moved.linear.net(moved.z).flatten().detach())
        moved.move(-sign * step)
    wanted = (sides[0] - sides[1]) / (2 * step)
    error = (moved.jacobian @ moved.v - wanted).norm() / wanted.norm()
    assert float(error) < 1e-6


def test_it_begins_as_the_network():
    for settings in ({}, {"norm": "none", "init": "kaiming"}, {"net": "unet"}):
        config = TINY.replace(**settings)
        linear = build_network(config, inputs=2, outputs=3)
        plain = build_network(config.replace(linearised=False), inputs=2, outputs=3)
        z = torch.rand(1, 2, 19, 16, generator=generator(0))
        assert torch.equal(linear(z), plain(z))
        for one, other in zip(linear.parameters(), plain.parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_descent_goes_the_way_that_theory_gives(norm):
    """The residual after k steps is (I - 2 lr / N J J')^k times the first."""
    config = TINY.replace(norm=norm, init="kaiming")
    run = Fit(problem(), config)
    z, y = run.input.clean.double(), run.problem.y.double()
    net = build_network(config.replace(linearised=False), inputs=2, outputs=1).double()
    starts = {name: p.detach() for name, p in net.named_parameters()}
    each = jacrev(lambda weights: functional_call(net, weights, (z,)).flatten())(starts)
    jacobian = torch.cat([each[name].flatten(1) for name in starts], dim=1)
    curved = 2 / y.numel() * (jacobian @ jacobian.T)
    config = config.replace(lr=1.5 / float(torch.linalg.eigvalsh(curved)[-1]))
    residual = (functional_call(net, starts, (z,)) - y).flatten()
    losses = []
    for _ in range(config.iterations):
        losses.append(float(residual.square().mean()))
        residual = residual - config.lr * curved @ residual
    rows = [block.rows["loss"] for block in Fit(problem(), config).blocks()]
    assert np.concatenate(rows) == pytest.approx(losses, rel=1e-4)
    assert losses[-1] < 0.8 * losses[0]


def test_its_sharpness_does_not_change_and_nothing_is_scale_free():
    trace = fit(problem(), TINY.replace(iterations=40)).trace
    measured = trace["sharpness"][np.isfinite(trace["sharpness"])]
    assert len(measured) == 11
    assert measured == pytest.approx(measured[0], rel=0.03)
    assert np.isnan(trace["sharpness_scale_free"]).all()
    assert np.isnan(trace["jacobian"]).all()
    assert trace["weight_distance"][-1] > 0
    net = build_network(TINY, inputs=2, outputs=1)
    assert scale_invariant(net) == []
    assert scale_invariant(net.net)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lbfgs"])
def test_it_goes_on_from_its_state(optimizer):
    config = TINY.replace(optimizer=optimizer, lr=0.01, input_jitter=1 / 30)
    first = Fit(problem(), config)
    next(first.blocks(8))
    state = copy.deepcopy(first.state())
    # the first weights are drawn again
    assert len(state["descent"]["net"]) == len(first.descent.parameters)
    second = Fit(problem(), config)
    second.load_state(state)
    ends = []
    for run in (first, second):
        for _ in run.blocks():
            pass
        ends.append(run.keeper.final)
    assert torch.equal(*ends)


@pytest.mark.parametrize("settings", [{"precision": "bf16"}, {"compile": "on"}])
def test_settings_that_it_does_not_take_are_refused(settings):
    with pytest.raises(ConfigError, match="linearised takes its default only; drop it"):
        TINY.replace(**settings)
