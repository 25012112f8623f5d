"""Stein's estimate where it is known exactly, and along a small fit."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dipray.loop import Fit, fit
from dipray.noise import ClippedMean
from dipray.operators import Downsample
from dipray.problem import Problem
from dipray.risk import STEP, Risk
from dipray.trace import COLUMN_NAMES, concatenate

SIGMA = 0.1


def blur(y: Tensor) -> Tensor:
    """Linear: a fifth of a pixel and of each of its four neighbours, round the edge."""
    around = sum(torch.roll(y, shift, axis) for shift in (1, -1) for axis in (2, 3))
    return (y + around) / 5


def picture(generator: torch.Generator, *, channels: int = 1) -> Tensor:
    return blur(blur(torch.rand((1, channels, 16, 16), generator=generator)))


def estimate(y: Tensor, method, *, fitted: Tensor | None = None, seed: int = 0) -> float:
    fitted = torch.ones_like(y) if fitted is None else fitted
    risk = Risk(y, fitted, noise_std=SIGMA, seed=seed)
    return float(risk.estimate(method(y), method(risk.y)))


def near(found: list[float], wanted: float) -> bool:
    """Whether the mean of draws is a value, within three standard errors."""
    return abs(np.mean(found) - wanted) < 3 * np.std(found) / math.sqrt(len(found))


def test_the_second_measurement_is_disturbed_by_signs():
    y = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    step = Risk(y, torch.ones_like(y), noise_std=SIGMA, seed=1).y - y
    assert torch.allclose(step.abs(), torch.full_like(y, STEP * SIGMA), atol=1e-6)
    assert 0.4 < float((step > 0).float().mean()) < 0.6
    again, other = (Risk(y, torch.ones_like(y), noise_std=SIGMA, seed=seed).y for seed in (1, 2))
    assert torch.equal(again - y, step)
    assert not torch.equal(other - y, step)


def test_of_a_linear_method_its_mean_over_probes_is_exact():
    generator = torch.Generator().manual_seed(0)
    y = picture(generator) + SIGMA * torch.randn((1, 1, 16, 16), generator=generator)
    misfit = float((blur(y) - y).double().square().mean())
    wanted = misfit - SIGMA**2 + 2 * SIGMA**2 * (1 / 5)  # the trace of the blur is n / 5
    found = [estimate(y, blur, seed=seed) for seed in range(400)]
    assert near(found, wanted)
    assert np.std(found) < 0.2 * wanted


@pytest.mark.parametrize("gain", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (1, 3, 16, 16)])
def test_of_a_diagonal_method_it_is_exact_over_what_is_fitted(gain, shape):
    generator = torch.Generator().manual_seed(0)
    y = torch.rand((1, 3, 16, 16), generator=generator)
    fitted = (torch.rand(shape, generator=generator) < 0.6).float()
    misfit = np.average(((gain - 1) * y.double().numpy()) ** 2, weights=fitted.expand_as(y).numpy())
    wanted = misfit - SIGMA**2 + 2 * SIGMA**2 * gain
    found = estimate(y, lambda seen: gain * seen, fitted=fitted)
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_noise_that_is_not_the_same_everywhere_counts_value_by_value():
    generator = torch.Generator().manual_seed(0)
    y = torch.rand((1, 3, 16, 16), generator=generator)
    variance = SIGMA**2 * torch.rand(y.shape, generator=generator)
    fitted = (torch.rand((1, 1, 16, 16), generator=generator) < 0.6).float()
    risk = Risk(y, fitted, noise_std=SIGMA, seed=0)
    found = float(risk.estimate(0.3 * y, 0.3 * risk.y, variance=variance))
    each = (0.7 * y.double().numpy()) ** 2 + variance.double().numpy() * (2 * 0.3 - 1)
    wanted = np.average(each, weights=fitted.expand_as(y).numpy())
    assert found == pytest.approx(wanted, rel=1e-4)


def test_of_clipped_noise_the_clipped_mean_is_judged():
    """Black, where half of the noise is cut off: the model and its variance make up for it."""
    generator = torch.Generator().manual_seed(0)
    truth, operator, off, naive = 0.2 * picture(generator), ClippedMean(SIGMA), [], []
    clean, variance = operator(truth), operator.variance(truth)
    for draw in range(300):
        noise = SIGMA * torch.randn(truth.shape, generator=generator)
        y = (truth + noise).clamp(0, 1)
        risk = Risk(y, torch.ones_like(y), noise_std=SIGMA, seed=draw)
        error = float((blur(y) - clean).square().mean())
        off.append(float(risk.estimate(blur(y), blur(risk.y), variance=variance)) - error)
        naive.append(float(risk.estimate(blur(y), blur(risk.y))) - error)
    assert near(off, 0.0)
    assert abs(np.mean(naive)) > 10 * abs(np.mean(off))


def test_its_mean_over_noise_is_the_error_against_the_truth():
    generator = torch.Generator().manual_seed(0)
    truth, off = picture(generator, channels=3), []
    for draw in range(300):
        y = truth + SIGMA * torch.randn(truth.shape, generator=generator)
        error = float((blur(y) - truth).square().mean())
        off.append(estimate(y, blur, seed=draw) - error)
    assert near(off, 0.0)
    assert np.std(off) < 0.1 * SIGMA**2


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_second_fit_leaves_the_first_alone(problem, tiny, optimizer):
    config = tiny.replace(optimizer=optimizer, iterations=12, holdout=0.1)
    alone, beside = fit(problem, config), fit(problem, config.replace(sure_sigma=25.0))
    assert np.isnan(alone.trace["sure"]).all()
    assert np.isfinite(beside.trace["sure"]).all() and np.isfinite(beside.trace["sure_ema"]).all()
    for name in set(COLUMN_NAMES) - {"seconds", "sure", "sure_ema"}:
        assert np.array_equal(alone.trace[name], beside.trace[name], equal_nan=True), name
    assert set(beside.images) == {*alone.images, "pick_sure"}
    for name, image in alone.images.items():
        assert torch.equal(image, beside.images[name]), name


def test_the_second_fit_starts_as_the_first(problem, tiny):
    run = Fit(problem, tiny.replace(sure_sigma=25.0))
    for one, other in zip(run.descent.parameters, run.twin.parameters, strict=True):
        assert torch.equal(one, other) and one is not other
    assert not torch.equal(run.descent.y, run.twin.y)
    next(run.blocks(1))
    assert any(
        not torch.equal(one, other)
        for one, other in zip(run.descent.parameters, run.twin.parameters, strict=True)
    )
    assert Fit(problem, tiny).twin is None


def test_a_weight_for_all_channels_is_a_weight_for_each(noisy, tiny):
    """What a mask of shape (1, 1, h, w) says of each pixel it says of three values."""
    config = tiny.replace(sure_sigma=25.0, holdout=0.1)
    mask = torch.ones(1, 1, 32, 32)
    mask[..., 4:9, 7:20] = 0
    one = fit(Problem(noisy, weight=mask), config).trace
    other = fit(Problem(noisy, weight=mask.expand(1, 3, 32, 32).clone()), config).trace
    for name in ("sure", "sure_ema", "val_psnr", "loss"):
        assert np.array_equal(one[name], other[name]), name


def along(problem: Problem, config, truth: Tensor) -> tuple[np.ndarray, np.ndarray, dict]:
    """The true error of A(output) and of A(average) at every iteration, and the trace."""
    run = Fit(problem, config)
    errors, rows = [], []
    clean = problem.operator(truth)
    for block in run.blocks(1):
        images = run.keeper.images()
        made = [problem.operator(images[name]) for name in ("final", "ema")]
        errors.append([float((each - clean).square().mean()) for each in made])
        rows.append(block.rows)
    of_output, of_average = np.array(errors).T
    return of_output, of_average, concatenate(rows)


@pytest.mark.parametrize("name", ["denoise", "superres"])
def test_it_follows_the_true_error_of_a_fit_that_takes_up_the_noise(name, truth, tiny):
    operator = Downsample(32, 32, 2) if name == "superres" else torch.nn.Identity()
    clean, sigma = operator(truth), 50
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)) * sigma / 255
    problem = Problem(clean + noise, operator, shape=(3, 32, 32))  # Gaussian: nothing is clipped
    config = tiny.replace(
        depth=1, features=16, lr=0.02, iterations=250, ema_decay=0.9, sure_sigma=float(sigma),
        holdout=0.0, input_jitter=0.0,
    )  # fmt: skip
    of_output, of_average, trace = along(problem, config, truth)
    # the fit is past its best, while the loss still falls
    assert of_average[-1] > 1.1 * of_average.min()
    assert trace["loss"][-1] < 0.7 * trace["loss"][int(of_average.argmin())]
    for column, error in (("sure", of_output), ("sure_ema", of_average)):
        assert np.abs(trace[column] - error).max() < 0.25 * (sigma / 255) ** 2, column
        assert np.corrcoef(trace[column], error)[0, 1] > 0.9, column
    # what it picks is nearly as good as the best
    assert of_average[int(trace["sure_ema"].argmin())] < 1.15 * of_average.min()
