"""The engine on a GPU; everything here is skipped where there is none."""

import dataclasses

import numpy as np
import pytest
import torch

from dipray import fit
from dipray.operators import Downsample
from dipray.problem import Problem

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device; there is none here"
)


@pytest.fixture
def on_gpu(tiny):
    return tiny.replace(device="cuda")


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_fit_runs_in_every_precision(problem, on_gpu, precision):
    result = fit(problem, on_gpu.replace(precision=precision))
    assert result.outcome == "BUDGET"
    assert all(image.device.type == "cpu" for image in result.images.values())
    assert np.isfinite(result.trace["psnr_ema"]).all()


def test_the_first_iterations_are_those_of_the_cpu(problem, on_gpu):
    # weights and input come from the CPU's generators; the jitter does not
    still = on_gpu.replace(input_jitter=0.0, iterations=3)
    there, here = fit(problem, still), fit(problem, still.replace(device="cpu"))
    for name in ("loss", "psnr", "ssim", "tv", "weight_norm"):
        np.testing.assert_allclose(there.trace[name], here.trace[name], rtol=2e-3)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "lbfgs"])
def test_every_optimizer_runs(problem, on_gpu, optimizer):
    assert fit(problem, on_gpu.replace(optimizer=optimizer, lr=1e-3)).outcome == "BUDGET"


def test_super_resolution_and_holes_run(problem, truth, on_gpu):
    operator = Downsample(32, 32, 2)
    small = Problem(operator(truth), operator=operator, reference=truth, luma=True, trim=2)
    assert np.isfinite(fit(small, on_gpu).trace["psnr_y"]).all()
    weight = torch.ones(1, 1, 32, 32)
    weight[..., 8:16, 8:16] = 0
    torn = dataclasses.replace(problem, weight=weight)
    assert np.isfinite(fit(torn, on_gpu).trace["psnr_hole"]).all()
    assert operator.rows.device.type == "cpu"


def test_the_fingerprint_is_that_of_the_cpu(problem):
    assert problem.to("cuda").to("cpu").fingerprint() == problem.fingerprint()
