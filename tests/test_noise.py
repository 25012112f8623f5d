"""Clipped noise: its moments, how a fit sees it, and finding its level in a picture."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from skimage import data

from dipray.noise import ClippedMean, estimate_noise_std
from dipray.task_config import TaskConfig
from dipray.tasks import build_problem


def moment(x, noise_std, power):
    """E[clip(x + s z)^power] by quadrature."""
    density = stats.norm(x, noise_std)
    inner, _ = integrate.quad(lambda y: y**power * density.pdf(y), 0, 1, points=[min(max(x, 0), 1)])
    return inner + density.sf(1)


@given(x=st.floats(0, 1), noise_std=st.floats(0.02, 0.4))
def test_mean_and_variance_are_those_of_clipped_noise(x, noise_std):
    model = ClippedMean(noise_std)
    at = torch.tensor([x], dtype=torch.float64)
    mean = moment(x, noise_std, 1)
    assert float(model(at)) == pytest.approx(mean, abs=1e-6)
    assert float(model.variance(at)) == pytest.approx(moment(x, noise_std, 2) - mean**2, abs=1e-6)


def test_far_from_black_and_white_nothing_changes():
    picture = torch.linspace(0.3, 0.7, 64).view(1, 1, 8, 8)
    model = ClippedMean(0.02)
    assert torch.allclose(model(picture), picture, atol=1e-6)
    assert torch.allclose(model.variance(picture), torch.full_like(picture, 0.0004), atol=1e-6)


def test_the_model_has_the_derivative_of_its_values():
    x = torch.linspace(0, 1, 9, dtype=torch.float64).view(1, 1, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(ClippedMean(0.1), (x,))


def test_a_task_with_clipped_noise_has_the_model_as_its_operator(clean_file):
    plain = build_problem(TaskConfig(clean=clean_file, noise_sigma=25))
    clipped = build_problem(TaskConfig(clean=clean_file, noise_sigma=25, clip_sigma=25.0))
    assert torch.equal(plain.y, clipped.y)
    assert clipped.fingerprint() != plain.fingerprint()
    dark = torch.zeros(1, 3, 32, 32)
    assert float(clipped.operator(dark).mean()) == pytest.approx(25 / 255 / np.sqrt(2 * np.pi))


@pytest.mark.parametrize("noise_std", [0.04, 0.1])
def test_the_level_is_found_although_black_and_white_hide_it(noise_std):
    photograph = data.astronaut() / 255  # a third of it is nearly black or white
    random = np.random.default_rng(0)
    noisy = (photograph + noise_std * random.standard_normal(photograph.shape)).clip(0, 1)
    picture = torch.from_numpy(noisy).permute(2, 0, 1)[None].float()
    assert estimate_noise_std(picture) == pytest.approx(noise_std, rel=0.1)


def test_a_gray_and_dark_picture_has_a_level_too():
    random = np.random.default_rng(0)
    dark = torch.from_numpy((0.1 + 0.02 * random.standard_normal((1, 1, 40, 40))).clip(0, 1))
    assert estimate_noise_std(dark.float()) == pytest.approx(0.02, rel=0.2)


def test_without_noise_there_is_none():
    ramp = torch.linspace(0.2, 0.8, 32).expand(1, 1, 32, 32)
    assert estimate_noise_std(ramp) < 1e-3
