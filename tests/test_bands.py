"""The spectrum in bands, beside numpy and beside what it must be by definition."""

import math

import numpy as np
import pytest
import torch

from dipray.metrics.bands import Bands
from dipray.trace import BANDS


def pictures(height=32, width=24, channels=3):
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, channels, height, width, generator=generator)
    noise = 0.1 * torch.randn(truth.shape, generator=generator)
    return truth, truth + noise


def values(row, name):
    return np.array([float(row[f"{name}_{band}"]) for band in range(1, BANDS + 1)])


@pytest.mark.parametrize("size", [(32, 24), (31, 25), (16, 33)])
def test_power_is_that_of_the_whole_plane(size):
    truth, y = pictures(*size)
    found = values(Bands(y, truth).measure(truth), "power")
    full = np.abs(np.fft.fft2(truth[0].numpy().astype(np.float64))) ** 2 / (size[0] * size[1])
    radius = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
    for band in range(BANDS):
        low, high = 0.1 * band, 0.1 * (band + 1) if band < BANDS - 1 else np.inf
        inside = (radius > low * (1 + 1e-6)) & (radius <= high * (1 + 1e-6))
        assert found[band] == pytest.approx(full[:, inside].mean(), rel=1e-4)


def test_white_noise_has_the_same_power_in_all_bands():
    noise = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    power = values(Bands(noise, None).measure(noise), "power")
    assert power == pytest.approx(np.ones(BANDS), rel=0.06)


def test_the_noise_fraction_is_linear_from_the_truth_to_y():
    truth, y = pictures()
    bands = Bands(y, truth)
    for share in (0.0, 0.3, 1.0):
        row = bands.measure(truth + share * (y - truth))
        assert values(row, "noise_fraction") == pytest.approx(np.full(BANDS, share), abs=1e-4)


def test_one_band_of_the_noise_alone():
    truth, y = pictures()
    noise = torch.fft.rfft2(y - truth)
    radius = torch.hypot(torch.fft.fftfreq(32)[:, None], torch.fft.rfftfreq(24)[None])
    low = torch.fft.irfft2(noise * ((radius > 0) & (radius <= 0.1)), s=(32, 24))
    row = Bands(y, truth).measure(truth + low)
    assert values(row, "noise_fraction") == pytest.approx([1, 0, 0, 0, 0], abs=1e-3)


def test_correspondence_is_one_at_y_and_counts_no_surplus():
    truth, y = pictures()
    bands = Bands(y, truth)
    assert values(bands.measure(y), "fbc") == pytest.approx(np.ones(BANDS), abs=1e-5)
    assert values(bands.measure(2 * y), "fbc") == pytest.approx(np.ones(BANDS), abs=1e-5)
    assert values(bands.measure(y / 2), "fbc") == pytest.approx(np.full(BANDS, 0.5), abs=1e-5)
    assert values(bands.measure(torch.zeros_like(y)), "fbc") == pytest.approx(np.zeros(BANDS))


def test_without_the_truth_there_is_no_noise_fraction():
    _, y = pictures()
    row = Bands(y, None).measure(y)
    assert sorted(row) == sorted(f"{n}_{b}" for n in ("power", "fbc") for b in range(1, BANDS + 1))


def test_the_mean_belongs_to_no_band():
    truth, y = pictures()
    bands = Bands(y, truth)
    one, other = bands.measure(truth), bands.measure(truth + 0.25)
    for name, value in one.items():
        assert math.isclose(float(value), float(other[name]), rel_tol=1e-3, abs_tol=1e-4), name
