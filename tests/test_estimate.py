"""The error that held-out pixels estimate, against the truth."""

import numpy as np
import pytest
import torch

from dipray.config import FitConfig
from dipray.estimate import Estimate, estimate_error
from dipray.noise import ClippedMean
from dipray.problem import Problem

CONFIG = FitConfig(holdout=0.3)


def noisy_problems(truth, *, count, noise_std, clipped):
    for seed in range(count):
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
        y = truth + noise_std * noise
        if clipped:
            yield Problem(y.clamp(0, 1), operator=ClippedMean(noise_std), reference=truth)
        else:
            yield Problem(y, reference=truth)


def test_the_mean_over_noise_is_the_true_error(truth):
    guess = (0.9 * truth + 0.03).clamp(0, 1)  # made without looking at any measurement
    true = float((guess - truth).square().mean())
    found = [
        estimate_error(problem, CONFIG, guess, noise_std=0.1)
        for problem in noisy_problems(truth, count=200, noise_std=0.1, clipped=False)
    ]
    values = np.array([each.mse for each in found])
    error = values.std() / np.sqrt(len(values))
    # one mask for all, so what is estimated is the error on its pixels
    assert values.mean() == pytest.approx(true, abs=4 * error + 0.15 * true)
    assert found[0].pixels == round(0.3 * 32 * 32)
    # channels differ, so a pixel's standard error is not exactly the spread over noises
    assert np.mean([each.standard_error for each in found]) == pytest.approx(values.std(), rel=0.3)


def test_clipped_noise_takes_its_own_variance_away(truth):
    found = [
        estimate_error(problem, CONFIG, truth, noise_std=0.2).mse
        for problem in noisy_problems(truth, count=100, noise_std=0.2, clipped=True)
    ]
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / 10)


def test_nothing_held_out_says_nothing(problem):
    assert estimate_error(problem, FitConfig(holdout=0.0), problem.y) is None


def test_an_estimate_in_decibels_and_its_ends():
    estimate = Estimate(mse=0.01, standard_error=0.001, pixels=100)
    assert estimate.psnr() == pytest.approx(20)
    assert estimate.psnr(1) == pytest.approx(-10 * np.log10(0.011))
    assert estimate.psnr(-10) is None
    assert estimate.less(0.009).psnr() == pytest.approx(30, abs=1e-4)
    assert estimate.scaled(0.5).psnr() == pytest.approx(-10 * np.log10(0.005))
