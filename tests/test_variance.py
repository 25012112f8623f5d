"""The two variances against NumPy and against their formula."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dipray.loop import Fit
from dipray.trace import concatenate
from dipray.variance import ExponentialVariance, WindowedVariance


def walk(length: int, *, step: float, shape=(1, 3, 5, 4), seed: int = 0) -> list[Tensor]:
    """Pictures about 0.5 that drift, as the outputs of a fit do."""
    generator = torch.Generator().manual_seed(seed)
    steps = step * torch.randn((length, *shape), generator=generator)
    return list(0.5 + steps.cumsum(dim=0))


def array(outputs: list[Tensor]) -> np.ndarray:
    return np.stack([output.double().numpy() for output in outputs])


@pytest.mark.parametrize("window", [2, 3, 7, 40])
@pytest.mark.parametrize("step", [1e-4, 0.1])
def test_the_windowed_variance_is_numpys(window, step):
    outputs = walk(20 * window + 3, step=step)
    variance = WindowedVariance(torch.zeros_like(outputs[0]), window)
    for at, output in enumerate(outputs, start=1):
        found = variance.update(output)
        assert found.shape == ()
        if at < window:
            assert torch.isnan(found)
            continue
        wanted = array(outputs[at - window : at]).var(axis=0).mean()
        assert float(found) == pytest.approx(wanted, rel=2e-3), at


@pytest.mark.parametrize("window", [2, 5])
def test_rounding_does_not_add_up(window):
    """The last of 2,000 outputs is as exact as the first, and a fit that stands still is 0."""
    outputs = walk(2000, step=1e-3, shape=(1, 1, 4, 4))
    variance = WindowedVariance(torch.zeros_like(outputs[0]), window)
    found = np.array([float(variance.update(output)) for output in outputs])[window - 1 :]
    windows = np.lib.stride_tricks.sliding_window_view(array(outputs), window, axis=0)
    off = np.abs(found / windows.var(axis=-1).mean(axis=(1, 2, 3, 4)) - 1)
    assert off[-200:].max() < max(2 * off[:200].max(), 1e-4)
    for _ in range(3 * window):
        last = variance.update(outputs[-1])
    assert abs(float(last)) < 1e-12


def test_what_is_measured_is_a_copy():
    window, shown = WindowedVariance(torch.zeros(1, 1, 2, 2), 2), torch.ones(1, 1, 2, 2)
    window.update(shown)
    shown.zero_()
    assert float(window.update(shown)) == pytest.approx(0.25)
    assert float(window.update(shown)) == pytest.approx(0)
    still = ExponentialVariance(torch.zeros(1, 1, 2, 2))
    shown.fill_(1)
    still.update(shown)
    shown.fill_(3)
    for _ in range(100):
        last = still.update(torch.ones(1, 1, 2, 2))
    assert float(last) == 0


def test_the_exponential_variance_is_its_formula():
    outputs = walk(160, step=0.02)
    variance = ExponentialVariance(torch.zeros_like(outputs[0]))
    mean, wanted, alpha = outputs[0].double(), 0.0, 0.1
    for at, output in enumerate(outputs, start=1):
        squared = float((output.double() - mean).square().sum()) / output.numel()
        wanted = (1 - alpha) * wanted + alpha * (1 - alpha) * squared
        mean = (1 - alpha) * mean + alpha * output.double()
        found = variance.update(output)
        assert found.shape == ()
        if at <= 100:
            assert torch.isnan(found), at
        else:
            assert float(found) == pytest.approx(wanted, rel=1e-4), at


def test_the_trace_has_both_of_the_outputs(problem, tiny):
    run = Fit(problem, tiny.replace(iterations=110, variance_window=6))
    outputs, rows = [], []
    for block in run.blocks(1):
        outputs.append(run.keeper.images()["final"])
        rows.append(block.rows)
    trace, made = concatenate(rows), array(outputs)
    assert np.isnan(trace["wmv"][:5]).all()
    for at in range(6, 111):
        wanted = made[at - 6 : at].var(axis=0).mean()
        assert trace["wmv"][at - 1] == pytest.approx(wanted, rel=1e-3)
    alone = ExponentialVariance(torch.zeros_like(outputs[0]))
    wanted = [float(alone.update(output)) for output in outputs]
    assert np.array_equal(trace["emv"], np.float32(wanted).astype(float), equal_nan=True)
    assert np.isfinite(trace["emv"]).sum() == 10


def test_without_a_window_there_is_neither(problem, tiny):
    run = Fit(problem, tiny.replace(iterations=110, variance_window=0))
    rows = concatenate([block.rows for block in run.blocks()])
    assert np.isnan(rows["wmv"]).all() and np.isnan(rows["emv"]).all()
    assert "wmv" not in run.picks and "emv" not in run.picks
