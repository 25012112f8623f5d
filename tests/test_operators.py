import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from dipray.operators import KERNELS, Downsample, resampling_matrix

PILLOW = {
    "lanczos3": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}
SIZES = [(16, 16), (32, 48), (17, 23), (33, 35), (19, 67), (50, 29), (64, 45)]


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator)


def test_every_kernel_but_one_is_pillows():
    assert set(KERNELS) - set(PILLOW) == {"lanczos2"}


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("kernel", PILLOW)
def test_downsampling_is_pillows_resize(kernel, factor):
    for height, width in SIZES:
        x = picture(height, width)
        y = Downsample(height, width, factor, kernel)(x)
        size = (y.shape[3], y.shape[2])
        for plane, small in zip(x[0].numpy(), y[0].numpy(), strict=True):
            wanted = np.asarray(Image.fromarray(plane).resize(size, PILLOW[kernel]))
            assert np.abs(small - wanted).max() < 1e-4


@pytest.mark.parametrize("size_in", range(16, 140))
def test_a_box_shares_the_pixels_on_its_edge_as_pillow_does(size_in):
    line = picture(1, size_in)[0, :1, 0]
    for factor in (2, 3, 4):
        size_out = round(size_in / factor)
        image = Image.fromarray(line.numpy())
        wanted = np.asarray(image.resize((size_out, 1), Image.Resampling.BOX))
        found = line @ resampling_matrix(size_in, size_out, "box").t()
        assert np.abs(found.numpy() - wanted).max() < 1e-4


@pytest.mark.parametrize("kernel", PILLOW)
def test_enlarging_is_pillows_too(kernel):
    line = picture(1, 17)[0, :1, 0]
    wanted = np.asarray(Image.fromarray(line.numpy()).resize((40, 1), PILLOW[kernel]))
    assert np.abs((line @ resampling_matrix(17, 40, kernel).t()).numpy() - wanted).max() < 1e-4


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("kernel", KERNELS)
def test_adjoint(kernel, factor):
    for height, width in SIZES:
        operator = Downsample(height, width, factor, kernel).double()
        u = picture(height, width, 1).double().requires_grad_()
        seen = operator(u)
        v = torch.rand_like(seen)
        (seen * v).sum().backward()
        other = picture(height, width, 2).double()
        assert torch.allclose((operator(other) * v).sum(), (other * u.grad).sum(), rtol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_constants_stay(kernel):
    for height, width in SIZES:
        for factor in (2, 3, 7):
            operator = Downsample(height, width, factor, kernel)
            seen = operator(torch.full((1, 1, height, width), 0.3))
            assert torch.allclose(seen, torch.tensor(0.3), atol=1e-6)


@pytest.mark.parametrize("kernel", [name for name in KERNELS if name != "box"])
def test_a_mirrored_picture_gives_a_mirrored_measurement(kernel):
    operator = Downsample(33, 26, 3, kernel)
    x = picture(33, 26)
    for axis in (2, 3):
        assert torch.allclose(operator(x.flip(axis)), operator(x).flip(axis), atol=1e-5)


@pytest.mark.parametrize(
    ("side", "factor", "small"), [(16, 4, 4), (17, 4, 4), (18, 4, 5), (19, 4, 5), (16, 64, 1)]
)
def test_sizes_are_rounded_and_never_nothing(side, factor, small):
    assert Downsample(side, 32, factor)(picture(side, 32)).shape[2] == small


def test_rows_sum_to_one_and_lanczos2_is_as_defined():
    weights = resampling_matrix(24, 8, "lanczos2").double().numpy()
    assert np.allclose(weights.sum(axis=1), 1, atol=1e-6)
    x = (np.arange(24) + 0.5 - 4.5 * 3) / 3
    wanted = np.where(np.abs(x) < 2, np.sinc(x) * np.sinc(x / 2), 0)
    assert np.allclose(weights[4], wanted / wanted.sum(), atol=1e-6)


def test_an_operator_pickles():
    operator = Downsample(20, 17, 3, "bicubic")
    again = pickle.loads(pickle.dumps(operator))
    x = picture(20, 17)
    assert torch.equal(again(x), operator(x))
    assert (again.factor, again.kernel) == (3, "bicubic")
    assert not list(operator.parameters())
