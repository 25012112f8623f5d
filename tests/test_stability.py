"""Sharpness: products with the Hessian, eigenvalues, thresholds, and the probe in a fit."""

import math

import numpy as np
import pytest
import torch
from torch.autograd.functional import hessian
from torch.func import functional_call, grad, jvp, vjp

from dipray import Fit, FitConfig, fit
from dipray.errors import ConfigError
from dipray.kernels import kernels
from dipray.models import build_network
from dipray.optim import make_optimizer
from dipray.problem import Problem
from dipray.stability import (
    PROBE_COLUMNS,
    HessianProduct,
    largest_eigenvalues,
    preconditioner,
    threshold,
)
from dipray.stability.invariance import scale_invariant
from dipray.stability.jacobian import jacobian_norm
from dipray.stability.lanczos import warm_start
from dipray.stability.product import flat
from dipray.trace import COLUMN_NAMES
from experiments.studies.stability.sanity import (
    NORMS,
    RULES,
    SmallFit,
    difference_error,
    eigenvalue_error,
    growth,
)
from experiments.studies.stability.univariate import (
    ReLUNetwork,
    descend,
    sharpness,
    weight_function,
    weighted_curvature,
)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def noisy(size=16, channels=1):
    truth = torch.rand(1, channels, size, size, generator=generator(0))
    y = truth + 0.1 * torch.randn(truth.shape, generator=generator(1))
    return Problem(y, reference=truth)


TINY = FitConfig(
    depth=2,
    features=4,
    input_channels=2,
    input_jitter=0.0,
    iterations=30,
    metrics_every=5,
    probe_every=10,
    snapshots=0,
    device="cpu",
)


# products with the Hessian


def test_products_are_those_of_the_whole_hessian():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    net.double()
    x, y = torch.randn(10, 3).double(), torch.randn(10, 1).double()
    names, parameters = zip(*net.named_parameters(), strict=True)

    def of_vector(vector):
        parts = vector.split([p.numel() for p in parameters])
        named = {n: part.view_as(p) for n, p, part in zip(names, parameters, parts, strict=True)}
        return (functional_call(net, named, (x,)) - y).square().mean()

    exact = hessian(of_vector, flat(parameters).detach())
    product = HessianProduct((net(x) - y).square().mean(), parameters, decay=0.3)
    eye = torch.eye(len(exact)).double()
    found = torch.stack([product(row) for row in eye])
    assert torch.allclose(found, exact + 0.3 * eye, atol=1e-12)
    slope = grad(of_vector)(flat(parameters).detach()) + 0.3 * flat(parameters).detach()
    assert torch.allclose(product.gradient, slope, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_products_agree_with_central_differences(norm):
    assert difference_error(norm) < 1e-8


@pytest.mark.parametrize("norm", NORMS)
def test_the_largest_eigenvalue_is_that_of_the_whole_hessian(norm):
    assert eigenvalue_error(norm) < 1e-5


@pytest.mark.skipif(kernels() is None, reason="there is no C compiler here")
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_the_kernels_have_the_same_products(norm, monkeypatch):
    config = FitConfig(depth=2, features=4, norm=norm)
    net = build_network(config, inputs=3, outputs=1)
    z = torch.randn(1, 3, 32, 32, generator=generator(0))
    y = torch.rand(1, 1, 32, 32, generator=generator(1))
    parameters = list(net.parameters())
    v = torch.randn(sum(p.numel() for p in parameters), generator=generator(2))
    ours = HessianProduct((net(z) - y).square().mean(), parameters)(v)
    net.double()  # which they do not take
    theirs = HessianProduct((net(z.double()) - y.double()).square().mean(), parameters)(v.double())
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-3


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # in torch itself
@pytest.mark.parametrize(
    ("norm", "is_wrong"), [("batch", True), ("instance", True), ("group", False), ("none", False)]
)
def test_the_other_order_is_wrong_in_torch(norm, is_wrong):
    # reverse over forward through norms with the statistics of the moment; once torch has mended
    # it this fails, and the warning in HessianProduct can go
    net = build_network(
        FitConfig(depth=2, features=4, norm=norm, activation="silu"), inputs=3, outputs=1
    ).double()
    z = torch.randn(1, 3, 16, 16, generator=generator(0)).double()
    named = {name: p.detach() for name, p in net.named_parameters()}
    vectors = {
        name: torch.randn(p.shape, generator=generator(3)).double() for name, p in named.items()
    }

    def loss(parameters):
        return functional_call(net, parameters, (z,)).square().mean()

    forward_of_reverse = jvp(grad(loss), (named,), (vectors,))[1]
    _, pull = vjp(lambda p: jvp(loss, (p,), (vectors,))[1], named)
    reverse_of_forward = pull(torch.ones(()).double())[0]
    ours = HessianProduct(net(z).square().mean(), list(net.parameters()))(flat(vectors.values()))
    right, other = (flat(each.values()) for each in (forward_of_reverse, reverse_of_forward))
    assert float((ours - right).norm() / right.norm()) < 1e-10
    assert (float((other - right).norm() / right.norm()) > 0.05) == is_wrong


def test_a_loss_that_is_linear_has_no_curvature():
    weights = torch.ones(3, requires_grad=True)
    other = torch.ones(2, requires_grad=True)  # which the loss has nothing to do with
    product = HessianProduct((weights * torch.arange(3.0)).sum(), [weights, other])
    assert torch.equal(product(torch.ones(5)), torch.zeros(5))
    assert torch.equal(product.gradient, torch.tensor([0.0, 1.0, 2.0, 0.0, 0.0]))


# eigenvalues


def symmetric(values, seed=0):
    turn, _ = torch.linalg.qr(
        torch.randn(len(values), len(values), generator=generator(seed)).double()
    )
    return turn @ torch.diag(torch.tensor(values).double()) @ turn.T, turn


def test_several_eigenvalues_where_they_are_above_a_bound():
    matrix, turn = symmetric([5.0, 4.8, 4.5, 1.0, -6.0, *np.linspace(-1, 1, 45)])
    start = warm_start(None, matrix[0], generator=generator(1))
    found = largest_eigenvalues(matrix.__matmul__, start, count=3, above=2.0, tolerance=1e-4)
    assert found.values == pytest.approx([5.0, 4.8, 4.5], rel=1e-5)
    assert (found.vectors.T * turn[:, :3]).shape == turn[:, :3].shape
    overlap = (found.vectors @ turn[:, :3]).abs()
    assert torch.allclose(overlap, torch.eye(3).double(), atol=1e-2)
    fewer = largest_eigenvalues(matrix.__matmul__, start, count=3, above=4.9, tolerance=1e-4)
    assert fewer.values == pytest.approx([5.0], rel=1e-5)
    assert fewer.products <= found.products


def test_the_error_bounds_hold():
    matrix, _ = symmetric([3.0, 2.9, *np.linspace(-2, 2, 58)])
    exact = torch.linalg.eigvalsh(matrix).numpy()
    start = warm_start(None, matrix[0], generator=generator(1))
    for tolerance in (0.3, 0.03, 1e-3):
        found = largest_eigenvalues(matrix.__matmul__, start, tolerance=tolerance)
        nearest = np.abs(exact - found.values[0]).min()
        assert nearest <= found.errors[0] + 1e-9
        assert found.errors[0] <= tolerance * 3.0


def test_a_warm_start_takes_fewer_products_and_finds_a_new_largest():
    values = [3.0, 1.9, *np.linspace(-1, 1, 198)]
    matrix, turn = symmetric(values)
    cold = largest_eigenvalues(
        matrix.__matmul__, warm_start(None, matrix[0], generator=generator(1))
    )
    before = cold.vectors.sum(dim=0)
    changed = matrix + 1.5 * torch.outer(turn[:, 1], turn[:, 1])  # 1.9 is 3.4 now
    slope = turn[:, 1] + turn[:, 5]  # along which steps swing
    warm = largest_eigenvalues(
        changed.__matmul__, warm_start(before, slope, generator=generator(2))
    )
    assert warm.values[0] == pytest.approx(3.4, rel=1e-2)
    again = largest_eigenvalues(
        matrix.__matmul__, warm_start(before, matrix[0], generator=generator(2))
    )
    assert again.products < cold.products
    assert again.values[0] == pytest.approx(3.0, rel=1e-3)


def test_what_is_not_finite_gives_nan():
    found = largest_eigenvalues(lambda v: v * math.nan, torch.ones(4) / 2)
    assert math.isnan(found.values[0])


def test_all_of_a_small_space_is_exact():
    matrix, _ = symmetric([2.0, 1.0, -3.0])
    start = warm_start(None, matrix[0], generator=generator(1))
    found = largest_eigenvalues(matrix.__matmul__, start, count=5, tolerance=1e-12)
    assert found.values == pytest.approx([2.0, 1.0, -3.0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # in torch and in what it imports
@pytest.mark.parametrize("norm", NORMS)
def test_curvlinops_agrees(norm):
    from curvlinops import HessianLinearOperator

    small = SmallFit(norm)
    small.net.float()  # it knows float32 only
    z, y = small.z.float(), small.y.float()
    product = HessianProduct((small.net(z) - y).square().mean(), small.parameters)
    v = torch.randn(product.gradient.numel(), generator=generator(5))
    operator = HessianLinearOperator(
        small.net, torch.nn.MSELoss(), small.parameters, [(z, y)], check_deterministic=False
    )
    theirs = torch.as_tensor(operator @ v.numpy())
    assert float((product(v) - theirs).norm() / theirs.norm()) < 1e-4


# thresholds


@pytest.mark.parametrize("rule", RULES)
def test_a_quadratic_below_the_threshold_converges_and_above_diverges(rule):
    assert growth(RULES[rule], 0.98) < 1e-3
    assert growth(RULES[rule], 1.02) > 1e3


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"optimizer": "sgd"}, 2 / 0.1),
        ({"optimizer": "sgd", "momentum": 0.9}, 38.0),
        ({"optimizer": "sgd", "momentum": 0.9, "nesterov": True}, 3.8 / 0.28),
        ({"optimizer": "adam"}, 380.0),
        ({"optimizer": "adamw", "weight_decay": 0.0}, 380.0),
        ({"optimizer": "adamw", "weight_decay": 1.0}, 19 * 1.9 / 0.1),
        ({"optimizer": "rmsprop", "momentum": 0.5}, 30.0),
        ({"optimizer": "lbfgs"}, None),
    ],
)
def test_thresholds_are_those_of_the_literature(settings, wanted):
    found = threshold(FitConfig(lr=0.1, **settings), 0.1)
    assert found == (None if wanted is None else pytest.approx(wanted))


def test_a_rate_of_zero_is_stable_everywhere():
    assert threshold(FitConfig(), 0.0) == math.inf


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
def test_the_preconditioner_is_what_the_step_divides_by(optimizer):
    config = FitConfig(optimizer=optimizer, lr=1e-3, weight_decay=0.0)
    parameter = torch.nn.Parameter(torch.randn(7, generator=generator(0)).double())
    optimizer_ = make_optimizer([parameter], config)
    momentum = torch.zeros(7).double()
    for step in range(5):
        gradient = torch.randn(7, generator=generator(10 + step)).double()
        divisor = preconditioner(optimizer_, [parameter], gradient)
        b = config.betas[0] if optimizer != "rmsprop" else 0.0
        momentum = b * momentum + (1 - b) * gradient
        before = parameter.detach().clone()
        parameter.grad = gradient
        optimizer_.step()
        # Adam's P has in it what makes its momentum's sum of the gradients alone
        wanted = before - config.lr * momentum / (
            divisor if b == 0 else divisor / (1 - b) * (1 - b)
        )
        assert torch.allclose(parameter.detach(), wanted, rtol=1e-6, atol=1e-9)


def test_sgd_divides_by_nothing():
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = make_optimizer([parameter], FitConfig(optimizer="sgd"))
    assert preconditioner(optimizer, [parameter], torch.ones(2)) is None


# the univariate theorem


@pytest.mark.parametrize("seed", range(10))
def test_every_minimum_without_loss_keeps_to_the_theorem(seed):
    net = ReLUNetwork(20, seed=seed)
    x = torch.randn(9, generator=generator(seed)).double()
    y = net(x).detach()
    assert weighted_curvature(net, x) <= (sharpness(net, x, y) - 1) / 2


def test_gradient_descent_keeps_to_the_theorem():
    end = descend(0.1, steps=8000)
    assert end.loss < 1e-4
    assert end.sharpness == pytest.approx(end.most_sharp, rel=0.02)  # it came to the edge
    assert 0 < end.curvature <= end.most_curved


def test_the_weight_function_by_hand():
    x = torch.tensor([-1.0, 0.0, 2.0]).double()
    at = torch.tensor([-2.0, 1.0, 3.0]).double()
    # at 1: two of three below, mean -1/2; one above, 2
    below = (2 / 3) ** 2 * 1.5 * math.sqrt(1.25)
    above = (1 / 3) ** 2 * 1.0 * math.sqrt(5.0)
    assert weight_function(at, x).tolist() == pytest.approx([0.0, min(below, above), 0.0])


def test_kinks_at_one_place_bend_together():
    net = ReLUNetwork(2, seed=0)
    with torch.no_grad():
        net.inner.copy_(torch.tensor([1.0, 2.0]))
        net.shift.copy_(torch.tensor([-0.5, -1.0]))
        net.outer.copy_(torch.tensor([2.0, -1.0]))  # 2 * 1 - 1 * 2 = 0
    assert weighted_curvature(net, torch.tensor([0.0, 0.2, 1.0]).double()) == 0.0


# scale, Jacobian


@pytest.mark.parametrize("net", ["skip", "unet", "encdec", "resunet", "convnext"])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_output_does_not_depend_on_the_size_of_scale_invariant_weights(net, norm):
    config = FitConfig(net=net, depth=2, features=8, norm=norm, activation="relu")
    network = build_network(config, inputs=3, outputs=1).double()
    z = torch.randn(1, 3, 32, 32, generator=generator(0)).double()
    for module in network.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-12
    for name, parameter in network.named_parameters():
        if name.endswith("bias") and parameter.ndim == 1:
            with torch.no_grad():  # a bias before a norm would have to grow with the weights
                parameter.zero_()
    weights = scale_invariant(network)
    assert len(weights) >= config.depth
    before = network(z)
    with torch.no_grad():
        for weight in weights:
            weight.mul_(3.0)
    assert torch.allclose(network(z), before, atol=1e-6)


def test_without_norms_nothing_is_scale_invariant():
    net = build_network(FitConfig(depth=2, features=4, norm="none"), inputs=2, outputs=1)
    assert scale_invariant(net) == []


def test_the_jacobian_of_a_linear_map():
    matrix = torch.randn(6, 5, generator=generator(0))
    z = torch.randn(5, generator=generator(1), requires_grad=True)
    found = [float(jacobian_norm((matrix @ z), z, seed=seed)) for seed in range(300)]
    wanted = float(matrix.square().sum() / 6) ** 0.5
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(wanted, rel=0.05)
    assert jacobian_norm(2 * z, z, seed=0) == pytest.approx(2.0)


# the probe in a fit


def test_the_columns_exist():
    assert set(PROBE_COLUMNS) < set(COLUMN_NAMES)


def test_a_fit_measures_when_it_is_due_and_changes_nothing():
    problem = noisy()
    plain = fit(problem, TINY.replace(probe_every=0))
    probed = fit(problem, TINY)
    known = np.flatnonzero(np.isfinite(probed.trace["sharpness_ratio"])) + 1
    assert known.tolist() == [1, 10, 20, 30]
    for column in ("loss", "psnr", "tv", "weight_norm"):
        assert np.array_equal(plain.trace[column], probed.trace[column])
    assert torch.equal(plain.images["final"], probed.images["final"])
    assert np.isnan(plain.trace["sharpness"]).all()
    assert np.isnan(plain.trace["power_1"]).all()
    assert probed.trace["weight_distance"][0] == 0
    assert probed.trace["weight_distance"][29] > 0
    assert np.isfinite(probed.trace["noise_fraction_3"][[0, 4, 9]]).all()


@pytest.mark.parametrize(
    "every", [1, 7, 25, 40], ids=["each", "no divisor", "with the rules", "beyond the end"]
)
def test_it_is_due_at_the_first_multiples_and_last(every):
    rows = fit(noisy(), TINY.replace(probe_every=every)).trace["sharpness"]
    known = set((np.flatnonzero(np.isfinite(rows)) + 1).tolist())
    assert known == {1, *range(every, 31, every), 30}


@pytest.mark.parametrize(
    ("settings", "has_ratio"),
    [
        ({"optimizer": "sgd", "lr": 0.5}, True),
        ({"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}, True),
        ({"optimizer": "adam"}, True),
        ({"optimizer": "adamw"}, True),
        ({"optimizer": "rmsprop", "lr": 1e-3}, True),
        ({"optimizer": "lbfgs", "lr": 0.1}, False),
    ],
    ids=["sgd", "nesterov", "adam", "adamw", "rmsprop", "lbfgs"],
)
def test_every_optimizer_has_its_ratio(settings, has_ratio):
    config = TINY.replace(norm="none", activation="gelu", init="kaiming", **settings)
    run = Fit(noisy(), config)
    trace = {}
    for block in run.blocks():
        for name, values in block.rows.items():
            trace.setdefault(name, []).extend(values)
    at = [0, 9, 19, 29]
    assert np.isfinite(np.array(trace["sharpness"])[at]).all()
    ratios = np.array(trace["sharpness_ratio"])[at]
    assert np.isfinite(ratios).all() == has_ratio
    if has_ratio:
        limit = threshold(config, config.lr)
        assert ratios == pytest.approx(np.array(trace["sharpness_pre"])[at] / limit)
    if settings["optimizer"] == "sgd":
        assert trace["sharpness"][9] == trace["sharpness_pre"][9]
    assert np.isnan(trace["sharpness_scale_free"]).all()  # without norms


def test_the_ratio_of_a_fit_is_that_of_the_whole_hessian():
    config = TINY.replace(
        optimizer="adam", norm="none", activation="gelu", init="kaiming", iterations=11
    )
    problem = noisy()
    run = Fit(problem, config)
    list(zip(run.blocks(10), range(1), strict=False))
    while run.iteration < 10:
        next(run.blocks(10))
    descent, z = run.descent, run.input.clean
    product = HessianProduct(descent.evaluate(z)[1], descent.parameters)
    divisor = preconditioner(descent.optimizer, descent.parameters, product.gradient).double()
    size = len(divisor)
    whole = torch.stack([product(row) for row in torch.eye(size)]).double()
    scaled = divisor.rsqrt()[:, None] * whole * divisor.rsqrt()
    exact = float(torch.linalg.eigvalsh((scaled + scaled.T) / 2)[-1])
    measured = run.probe.measure(z, config.lr, 11)
    assert measured["sharpness_pre"] == pytest.approx(exact, rel=5e-3)
    assert measured["sharpness_ratio"] == pytest.approx(exact / (38 / config.lr), rel=5e-3)
    raw = float(torch.linalg.eigvalsh((whole + whole.T) / 2)[-1])
    assert measured["sharpness"] == pytest.approx(raw, rel=5e-3)


def test_the_scale_free_sharpness_is_times_the_weights_squared():
    run = Fit(noisy(), TINY)
    row = run.probe.measure(run.input.clean, 0.01, 1)
    weights = flat(scale_invariant(run.descent.net)).detach()
    wanted = row["sharpness"] * float(weights.norm()) ** 2
    assert row["sharpness_scale_free"] == pytest.approx(wanted, rel=1e-5)


def test_gradient_descent_on_a_small_network_comes_to_the_edge():
    config = TINY.replace(
        optimizer="sgd",
        lr=2.0,
        norm="none",
        activation="gelu",
        init="kaiming",
        input_kind="gaussian",
        features=8,
        iterations=600,
        probe_every=100,
    )
    ratio = fit(noisy(), config).trace["sharpness_ratio"]
    late = ratio[np.isfinite(ratio)][-3:]
    assert (late > 0.8).all() and (late < 2.0).all()


def test_a_fit_goes_on_from_its_state_bit_for_bit():
    problem = noisy()
    whole = fit(problem, TINY)
    first = Fit(problem, TINY)
    blocks = first.blocks(15)
    while first.iteration < 15:
        next(blocks)
    second = Fit(problem, TINY)
    second.load_state(first.state())
    rows = [block.rows for block in second.blocks(15)]
    for column in ("loss", *PROBE_COLUMNS, "fbc_2"):
        later = np.concatenate([row[column] for row in rows])
        assert np.array_equal(later, whole.trace[column][15:], equal_nan=True), column


def test_superresolution_has_no_spectrum_beside_y():
    low = torch.rand(1, 1, 16, 16, generator=generator(0))
    operator = torch.nn.AvgPool2d(2)
    trace = fit(Problem(low, operator, shape=(1, 32, 32)), TINY).trace
    assert np.isfinite(trace["sharpness"][0])
    assert np.isnan(trace["power_1"]).all()


def test_jitter_is_left_out_of_what_is_measured():
    config = TINY.replace(input_jitter=0.1, iterations=10)
    run = Fit(noisy(), config)
    before = run.input.state().clone()
    one = run.probe.measure(run.input.clean, 0.01, 1)
    assert torch.equal(run.input.state(), before)
    assert one["sharpness"] > 0


# settings


def test_the_rate_jumps_once():
    config = TINY.replace(lr_schedule="jump", lr_jump_at=12, lr_jump_by=0.125)
    trace = fit(noisy(), config).trace
    assert set(trace["lr"][:12]) == {0.01}
    assert set(trace["lr"][12:]) == {0.00125}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lr_schedule": "jump"}, "lr_jump_at and lr_jump_by"),
        ({"lr_schedule": "jump", "lr_jump_at": 5}, "lr_jump_at and lr_jump_by"),
        ({"lr_jump_at": 5}, "lr_schedule jump"),
        ({"lr_jump_by": 0.5}, "lr_schedule jump"),
        ({"probe_every": -1}, "at least 0"),
        ({"init": "he"}, "init='he'"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(ConfigError, match=said):
        FitConfig(**settings)


def test_kaiming_keeps_the_size_of_maps():
    config = FitConfig(depth=4, features=64, norm="none", activation="relu", init="kaiming")
    net = build_network(config, inputs=32, outputs=3)
    z = torch.randn(1, 32, 64, 64, generator=generator(0))
    sizes = []
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, i, o: sizes.append(float(o.detach().std())))
    net(z)
    assert all(0.05 < size < 20 for size in sizes)
    default = build_network(config.replace(init="torch"), inputs=32, outputs=3)
    with torch.no_grad():
        assert float(net(z).std()) > 10 * float(default(z).std())
