"""The C kernels do what torch's operations do, and are done without where they cannot be."""

import ctypes
import os
import stat
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from dipray.allocator import keep_freed_memory
from dipray.config import FitConfig
from dipray.kernels import add_doubled, kernels, library, norm_leaky, split_doubled
from dipray.models import build_network, layers
from dipray.models.enlarged import LEAST, add_conv_of_doubled, moments_of_doubled

needs_kernels = pytest.mark.skipif(kernels() is None, reason="there is no C compiler here")
SIZES = [(2, 2), (5, 7), (16, 33)]


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(3)
    return lambda *shape: torch.randn(*shape, generator=generator)


def plainly(x, weight, padding):
    doubled = F.interpolate(x, scale_factor=2, mode="bilinear")
    return F.conv2d(F.pad(doubled, (1, 1, 1, 1), mode=padding), weight)


def folded(x, weight, padding):
    blank = x.new_zeros(len(weight), 4 * x.shape[2] * x.shape[3])
    return add_conv_of_doubled(blank, x, weight, padding=padding)


def close(one, other):
    torch.testing.assert_close(one, other, rtol=2e-4, atol=2e-5 * float(other.abs().max()) + 1e-7)


def derivatives(function, *inputs):
    """First ones along a direction, and the second ones of their sum of squares."""
    inputs = [each.clone().requires_grad_() for each in inputs]
    made = function(*inputs)
    first = torch.autograd.grad(made.sin().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(each.square().sum() for each in first), inputs)
    return [made.detach(), *(each.detach() for each in first), *second]


@needs_kernels
@pytest.mark.parametrize("padding", ["reflect", "replicate"])
@pytest.mark.parametrize("size", SIZES)
def test_the_convolution_of_a_doubled_map(draw, size, padding):
    x, weight = draw(1, 6, *size), draw(5, 6, 3, 3)
    pairs = zip(
        derivatives(lambda x, w: folded(x, w, padding), x, weight),
        derivatives(lambda x, w: plainly(x, w, padding), x, weight),
        strict=True,
    )
    for one, other in pairs:
        close(one, other)


@needs_kernels
@pytest.mark.parametrize("reflect", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_taking_apart_is_the_adjoint_of_putting_together(draw, size, reflect):
    height, width = size
    taps, full = draw(9, 4, height, width), draw(4, 4 * height * width)
    made = add_doubled(torch.zeros_like(full), taps, reflect=reflect)
    back = split_doubled(full, height=height, width=width, reflect=reflect)
    assert float((made * full).sum()) == pytest.approx(float((taps * back).sum()), rel=1e-4)


@needs_kernels
def test_putting_together_adds_in_place(draw):
    full, taps = draw(2, 24), draw(9, 2, 2, 3)
    before, alone = full.clone(), add_doubled(torch.zeros(2, 24), taps, reflect=True)
    assert add_doubled(full, taps, reflect=True) is full
    close(full, before + alone)


def test_moments_of_a_doubled_map(draw):
    x = draw(1, 5, 6, 9).double() * 3 + 40
    doubled = F.interpolate(x, scale_factor=2, mode="bilinear")
    centred, variance = moments_of_doubled(x)
    torch.testing.assert_close(variance, doubled.var(dim=(0, 2, 3), unbiased=False))
    torch.testing.assert_close(centred, x - doubled.mean(dim=(2, 3), keepdim=True))


@needs_kernels
@pytest.mark.parametrize("size", [(2, 3), (17, 31), (80, 64)])
def test_norm_and_leaky_relu_in_one(draw, size):
    x, weight, bias = draw(1, 5, *size) * 3 + 50, draw(5), draw(5)

    def torchs(x, weight, bias):
        return F.leaky_relu(F.batch_norm(x, None, None, weight, bias, True), 0.2)

    def ours(x, weight, bias):
        return norm_leaky(x, weight, bias, eps=1e-5, slope=0.2)

    for one, other in zip(
        derivatives(ours, x, weight, bias), derivatives(torchs, x, weight, bias), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-4 * float(other.abs().max()))
    # without a second derivative in sight the kernel does the backward pass, too
    inputs = [each.clone().requires_grad_() for each in (x, weight, bias)]
    ahead = draw(1, 5, *size)
    mine = torch.autograd.grad(ours(*inputs), inputs, ahead)
    for one, other in zip(mine, torch.autograd.grad(torchs(*inputs), inputs, ahead), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-5 * float(other.abs().max()))


def gradients(net, z):
    picture = net(z)
    return [picture.detach(), *torch.autograd.grad(picture.square().sum(), list(net.parameters()))]


@needs_kernels
@pytest.mark.parametrize("padding", ["reflect", "replicate", "zeros"])
@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("net", ["skip", "unet", "encdec"])
def test_a_network_is_the_same_with_and_without(draw, monkeypatch, net, norm, padding):
    config = FitConfig(net=net, norm=norm, padding=padding, depth=2, features=16, input_channels=4)
    network = build_network(config, inputs=4, outputs=3)
    z = draw(1, 4, 64, 96)
    assert LEAST <= 16 * 32 * 48  # so that the last step up is folded
    here = gradients(network, z)
    monkeypatch.setattr(layers, "kernels", lambda: None)
    there = gradients(network, z)
    close(here[0], there[0])
    norm_of_all = torch.cat([each.flatten() for each in there[1:]]).norm()
    for one, other in zip(here[1:], there[1:], strict=True):
        assert (one - other).norm() < 1e-4 * norm_of_all


@needs_kernels
def test_the_kernels_are_used_where_they_can_be(draw, monkeypatch):
    calls = []
    real = kernels()

    class Counted:
        def __getattr__(self, name):
            calls.append(name)
            return getattr(real, name)

    for module in ("doubled", "normed"):
        monkeypatch.setattr(sys.modules[f"dipray.kernels.{module}"], "kernels", Counted)
    network = build_network(FitConfig(depth=2, features=16), inputs=32, outputs=3)
    network(draw(1, 32, 64, 96)).sum().backward()
    assert calls.count("add_doubled") == calls.count("split_doubled") == 1
    assert calls.count("norm_forward") == calls.count("norm_backward") == 2 + 4 + 4


def test_no_compiler_and_a_broken_one_are_done_without(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for compiler in ("no-such-compiler", "false"):
        monkeypatch.setenv("CC", compiler)
        kernels.cache_clear()
        assert kernels() is None
    monkeypatch.delenv("CC")
    monkeypatch.setenv("DIPRAY_KERNELS", "off")
    kernels.cache_clear()
    assert kernels() is None
    monkeypatch.undo()
    kernels.cache_clear()


@needs_kernels
def test_they_are_compiled_once_into_a_folder_of_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernels.cache_clear()
    assert isinstance(kernels(), ctypes.CDLL)
    folder = tmp_path / "dipray"
    (made,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kernels.cache_clear()
    monkeypatch.setattr(subprocess, "run", forbid_compiling(subprocess.run))
    assert isinstance(kernels(), ctypes.CDLL)
    assert list(folder.iterdir()) == [made]
    monkeypatch.undo()
    kernels.cache_clear()


def forbid_compiling(run):
    def only_versions(command, **options):
        assert command[1:] == ["--version"], "compiled twice"
        return run(command, **options)

    return only_versions


@needs_kernels
def test_a_folder_that_others_may_write_to_is_not_trusted(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "dipray").mkdir()
    (tmp_path / "dipray").chmod(0o777)
    assert library._cache() != tmp_path / "dipray"


def test_freed_memory_is_kept_where_the_c_library_can():
    code = (
        "import resource, torch\n"
        "from dipray.allocator import keep_freed_memory\n"
        "print(keep_freed_memory())\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(5): torch.ones(1 << 24).add(1)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "faults()\n"
        "print(faults())\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout.split()
    if said[0] == "True":
        assert int(said[1]) < 40_000  # giving 640 MiB back and taking it again would be 160,000
    assert keep_freed_memory() == (said[0] == "True")
