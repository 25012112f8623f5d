import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dipray.metrics import Panel, hf_energy, laplacian, luma, psnr, psnr_y, ssim, tv

SHAPES = [(c, h, w) for c in (1, 3) for h, w in ((16, 16), (17, 23), (30, 20), (33, 32), (24, 27))]


def pair(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(1, *shape, generator=generator)
    blurred = torch.nn.functional.avg_pool2d(truth, 3, stride=1, padding=1)
    noise = torch.randn(1, *shape, generator=generator)
    return blurred + 0.05 * noise, truth


def array(picture):
    """(H, W, C) float64."""
    return picture[0].permute(1, 2, 0).double().numpy()


def skimage_psnr(picture, truth):
    return peak_signal_noise_ratio(array(truth), array(picture).clip(0, 1), data_range=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_psnr_is_scikit_images(shape):
    picture, truth = pair(shape)
    assert float(psnr(picture, truth)) == pytest.approx(skimage_psnr(picture, truth), abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_is_scikit_images(shape):
    picture, truth = pair(shape)
    wanted = structural_similarity(
        array(truth),
        array(picture).clip(0, 1),
        data_range=1,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert float(ssim(picture, truth)) == pytest.approx(wanted, abs=1e-4)


def test_a_perfect_picture():
    _, truth = pair((3, 16, 16))
    assert float(psnr(truth, truth)) == 150
    assert float(ssim(truth, truth)) == pytest.approx(1, abs=1e-6)


def test_psnr_clips_the_picture():
    truth = torch.ones(1, 1, 16, 16)
    assert float(psnr(truth + 5, truth)) == 150
    assert float(psnr(truth - 5, truth)) == pytest.approx(0, abs=1e-6)


def test_psnr_of_nan_is_nan():
    picture, truth = pair((3, 16, 16))
    picture[0, 0, 0, 0] = torch.nan
    assert torch.isnan(psnr(picture, truth))


@pytest.mark.parametrize("shape", SHAPES)
def test_psnr_of_a_hole(shape):
    picture, truth = pair(shape)
    hole = torch.rand(picture.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    error = (picture.clamp(0, 1) - truth)[hole].double().square().mean()
    wanted = -10 * np.log10(float(error))
    assert float(psnr(picture, truth, where=hole)) == pytest.approx(wanted, abs=1e-4)
    known = torch.where(hole, picture, truth)
    assert float(psnr(known, truth, where=hole)) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("trim", [0, 2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_psnr_on_luma(shape, trim):
    picture, truth = pair(shape)
    y = []
    for image in (picture, truth):
        values = array(image).clip(0, 1)
        if shape[0] == 3:
            red, green, blue = np.moveaxis(values, 2, 0)
            values = (16 + 65.481 * red + 128.553 * green + 24.966 * blue) / 255
        y.append(values[trim : shape[1] - trim, trim : shape[2] - trim])
    wanted = 10 * np.log10(1 / ((y[0] - y[1]) ** 2).mean())
    assert float(psnr_y(picture, truth, trim=trim)) == pytest.approx(wanted, abs=1e-4)


def test_luma_is_in_studio_range():
    black, white = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    assert torch.allclose(luma(black) * 255, torch.tensor(16.0))
    assert torch.allclose(luma(white) * 255, torch.tensor(235.0))


@pytest.mark.parametrize("shape", SHAPES)
def test_tv_by_definition(shape):
    picture, _ = pair(shape)
    x = array(picture)
    wanted = (np.abs(np.diff(x, axis=0)).sum() + np.abs(np.diff(x, axis=1)).sum()) / x.size
    assert float(tv(picture)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_laplacian_by_definition(shape):
    picture, _ = pair(shape)
    x = array(picture)
    total = 0.0
    for row in range(1, shape[1] - 1):
        for column in range(1, shape[2] - 1):
            around = x[row - 1, column] + x[row + 1, column] + x[row, column - 1]
            total += np.abs(around + x[row, column + 1] - 4 * x[row, column]).sum()
    assert float(laplacian(picture)) == pytest.approx(total / x.size, rel=1e-5)


@pytest.mark.parametrize("cutoff", [0.25, 0.125, 0.4])
@pytest.mark.parametrize("shape", SHAPES)
def test_hf_energy_by_definition(shape, cutoff):
    picture, _ = pair(shape)
    _, height, width = shape
    power = np.abs(np.fft.fft2(array(picture), axes=(0, 1))) ** 2
    power[0, 0] = 0
    down = np.rint(np.fft.fftfreq(height) * height)[:, None]
    across = np.rint(np.fft.fftfreq(width) * width)[None, :]
    # radius > cutoff without roots or divisions, so that a frequency on the ring is not above it
    high = (down * width) ** 2 + (across * height) ** 2 > (cutoff * height * width) ** 2 + 1e-6
    wanted = power[high].sum() / power.sum()
    assert float(hf_energy(picture, cutoff=cutoff)) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("metric", [tv, laplacian, hf_energy])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_constant_has_none(metric, shape):
    for value in (0.0, 0.3, 1.0):
        assert float(metric(torch.full((1, *shape), value))) == pytest.approx(0, abs=1e-6)


def test_waves_lie_where_they_are():
    column = torch.arange(32.0)
    for cycles, wanted in ((2, 0), (8, 0), (9, 1), (16, 1)):
        wave = torch.cos(2 * torch.pi * cycles * column / 32).expand(1, 1, 32, 32)
        assert float(hf_energy(wave)) == pytest.approx(wanted, abs=1e-5)


def test_metrics_can_be_differentiated():
    for metric in (tv, laplacian, hf_energy):
        picture = pair((3, 17, 20))[0].requires_grad_()
        metric(picture).backward()
        assert torch.isfinite(picture.grad).all()


@pytest.mark.parametrize(
    ("has_truth", "has_hole", "has_luma", "names"),
    [
        (False, False, False, {"tv"}),
        (False, True, True, {"tv"}),
        (True, False, False, {"tv", "psnr"}),
        (True, True, False, {"tv", "psnr", "psnr_hole"}),
        (True, False, True, {"tv", "psnr", "psnr_y"}),
    ],
)
def test_the_panel_has_what_the_problem_allows(has_truth, has_hole, has_luma, names):
    picture, truth = pair((3, 16, 16))
    panel = Panel(
        truth if has_truth else None,
        hole=truth > 0.5 if has_hole else None,
        luma=has_luma,
        trim=2,
    )
    cheap = panel.measure(picture, truth, costly=False)
    assert set(cheap) == names | {f"{name}_ema" for name in names}
    costly = panel.measure(picture, truth, costly=True)
    more = {"hf_energy", "laplacian"} | ({"ssim"} if has_truth else set())
    assert set(costly) == set(cheap) | more | {f"{name}_ema" for name in more}
    assert all(value.ndim == 0 for value in costly.values())
    assert torch.equal(costly["tv"], tv(picture))
    assert torch.equal(costly["tv_ema"], tv(truth))
