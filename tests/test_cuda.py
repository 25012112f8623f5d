"""The engine on a GPU; everything here is skipped where there is none."""

import dataclasses
import weakref

import numpy as np
import pytest
import torch

from dipray import fit
from dipray.capture import graphs_on, no_graphs
from dipray.checkpoint import decode_state, encode_state
from dipray.loop import Fit
from dipray.models import NETWORKS
from dipray.operators import Downsample
from dipray.optim import NOT_IN_PLACE, OPTIMIZERS
from dipray.problem import Problem
from dipray.stepping import WARM_UP, Written
from dipray.trace import concatenate
from tests.recording import Refusing

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


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_sharpness_is_that_of_the_cpu(problem, on_gpu, optimizer):
    still = on_gpu.replace(
        input_jitter=0.0, optimizer=optimizer, lr=1e-3, iterations=9, probe_every=4
    )
    there, here = fit(problem, still), fit(problem, still.replace(device="cpu"))
    for name in ("sharpness", "sharpness_ratio", "jacobian", "power_1", "noise_fraction_1"):
        known = np.isfinite(here.trace[name])
        assert known.sum() >= 2
        np.testing.assert_allclose(there.trace[name][known], here.trace[name][known], rtol=3e-2)


# whole iterations as CUDA graphs

TOLERANCE = {"fp32": 5e-3, "tf32": 1e-2, "bf16": 5e-2}  # some backward passes add in any order
NAMES = ("loss", "psnr", "psnr_ema", "ssim", "tv", "weight_norm", "lr", "val_psnr", "wmv")


def ran(problem, config, graphs=graphs_on):
    run = Fit(problem, config, graphs=graphs)
    return run, concatenate([block.rows for block in run.blocks()])


def refusing(_device, generator):
    """The same kernels, launched one by one."""
    return Refusing(generator)


def written(problem, config):
    with pytest.warns(UserWarning, match="not replayed"):
        return ran(problem, config, refusing)


def assert_near(one, other, rtol):
    for name in NAMES:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, err_msg=name)


@pytest.mark.parametrize("precision", TOLERANCE)
def test_a_graph_computes_what_single_kernels_do(problem, on_gpu, precision):
    config = on_gpu.replace(
        precision=precision, lr_schedule="cosine", holdout=0.1, variance_window=8, sure_sigma=25.0
    )
    (run, rows), (plain, others) = ran(problem, config), written(problem, config)
    assert run.fallback == ""
    assert len(run._stepper._recordings) >= 2
    assert torch.equal(run.input.state(), plain.input.state())  # it drew the same numbers
    assert_near(rows, others, TOLERANCE[precision])
    for name, image in run.keeper.images().items():
        torch.testing.assert_close(image, plain.keeper.images()[name], rtol=0, atol=0.02)


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name not in NOT_IN_PLACE])
def test_every_optimizer_is_replayed(problem, on_gpu, optimizer):
    config = on_gpu.replace(optimizer=optimizer, lr=1e-3)
    config = config.replace(momentum=0.9) if optimizer in ("sgd", "rmsprop") else config
    run, rows = ran(problem, config)
    assert run.fallback == ""
    assert_near(rows, written(problem, config)[1], TOLERANCE["fp32"])
    assert_near(rows, ran(problem, config, no_graphs)[1], 2e-2)


@pytest.mark.parametrize("net", NETWORKS)
def test_every_network_is_replayed(problem, on_gpu, net):
    run, rows = ran(problem, on_gpu.replace(net=net, variance_window=4))
    assert run.fallback == "" and np.isfinite(rows["loss"]).all()


def test_lbfgs_is_not_recorded(problem, on_gpu):
    run, _ = ran(problem, on_gpu.replace(optimizer="lbfgs", lr=1e-3))
    assert isinstance(run._stepper, Written)


def test_nothing_in_a_block_waits_for_the_device(problem, on_gpu):
    config = on_gpu.replace(
        iterations=60, holdout=0.1, sure_sigma=25.0, variance_window=5, patience=20, lr=0.03
    )
    run = Fit(problem, config)
    step, watched = run._stepper._step, []

    def watching(iterate, variant):
        torch.cuda.set_sync_debug_mode("error" if run.iteration > WARM_UP else "default")
        try:
            step(iterate, variant)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        watched.append(run.iteration)

    run._stepper._step = watching
    for _ in run.blocks():
        pass
    assert run.fallback == "" and len(watched) == run.iteration


def test_what_cannot_be_recorded_runs_as_it_is_written(noisy, truth, on_gpu):
    class Waiting(torch.nn.Module):
        def forward(self, x):
            return x * float(x.detach().max() > -1)

    one = Problem(noisy, operator=Waiting(), reference=truth)
    run = Fit(one, on_gpu)
    with pytest.warns(UserWarning, match="not replayed"):
        rows = concatenate([block.rows for block in run.blocks()])
    assert "captur" in run.fallback
    plain = Problem(noisy, reference=truth)
    after, wanted = ran(plain, on_gpu)  # the device still records
    assert after.fallback == ""
    assert_near(rows, wanted, TOLERANCE["fp32"])
    assert torch.equal(run.input.state(), after.input.state())
    assert torch.isfinite(torch.randn(4, device="cuda")).all()


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_fit_goes_on(problem, on_gpu, optimizer):
    config = on_gpu.replace(optimizer=optimizer, lr=1e-3, holdout=0.1, variance_window=4)
    run = Fit(problem, config)
    next(run.blocks(12))
    state = decode_state(encode_state(run.state()))
    rest = concatenate([block.rows for block in run.blocks()])
    again = Fit(problem, config)
    again.load_state(state)
    assert_near(concatenate([b.rows for b in again.blocks()]), rest, TOLERANCE["fp32"])
    assert again.fallback == ""
    there = Fit(problem, config.replace(device="cpu"))  # goes on with other noise
    there.load_state(state)
    assert np.isfinite(next(there.blocks(16)).rows["loss"]).all()
    back = Fit(problem, config)
    back.load_state(decode_state(encode_state(there.state())))
    assert np.isfinite(concatenate([b.rows for b in back.blocks()])["loss"]).all()


def test_channels_lie_last(problem, on_gpu):
    run = Fit(problem, on_gpu)
    tensors = [run.input.clean, *(p for p in run.descent.parameters if p.ndim == 4)]
    assert all(t.is_contiguous(memory_format=torch.channels_last) for t in tensors)


def test_a_fit_that_nobody_holds_frees_its_memory(problem, on_gpu):
    run = Fit(problem, on_gpu)
    next(run.blocks(12))
    last = weakref.ref(run)
    del run
    assert last() is None
