"""Known methods: what they restore, against scikit-image's own functions."""

import numpy as np
import pytest
import torch
from skimage import data
from skimage.restoration import (
    calibrate_denoiser,
    cycle_spin,
    denoise_invariant,
    denoise_nl_means,
    denoise_tv_chambolle,
    denoise_wavelet,
    inpaint_biharmonic,
)
from skimage.transform import resize
from torch import nn

from dipray.baselines import METHODS, baselines
from dipray.baselines import interpolation as filling
from dipray.baselines.denoising import WEIGHTS, non_local_means, total_variation, wavelet
from dipray.metrics import psnr
from dipray.operators import Downsample
from dipray.problem import Problem
from dipray.tasks import TASKS
from dipray.tasks.inpaint import random_mask
from dipray.tasks.truth import add_noise

CLEANERS = {
    "non-local means": non_local_means,
    "total variation": total_variation,
    "wavelet": wavelet,
}


def crop(channels):
    """Of a photograph, (1, C, 64, 48) in [0, 1]: fur, an eye, and what is out of focus."""
    pixels = torch.from_numpy(data.chelsea()[80:144, 120:168].astype(np.float32) / 255)
    return pixels.permute(2, 0, 1)[None, :channels].contiguous()


def drawn(channels):
    """Edges, a slope and waves, (1, C, 40, 56) in [0, 1]."""
    row, column = torch.meshgrid(torch.arange(40.0), torch.arange(56.0), indexing="ij")
    disc = ((row - 20) ** 2 + (column - 18) ** 2 < 120).float()
    waves = 0.1 * torch.sin(column / 3) * (column > 34)
    plane = 0.2 + 0.3 * disc + 0.006 * row + waves
    return torch.stack([plane * share for share in (1, 0.7, 0.5)])[None, :channels]


PICTURES = [make(channels) for make in (crop, drawn) for channels in (1, 3)]
IDS = ["photograph-gray", "photograph", "drawing-gray", "drawing"]


def noisy(truth, *, sigma=25, known=True):
    origin = {"task": "denoise", **({"noise_sigma": sigma} if known else {})}
    y = add_noise(truth, noise_sigma=sigma, seed=1)
    return Problem(y, reference=truth, origin=origin)


def torn(truth, *, mask=None, sigma=0.0):
    _, _, height, width = truth.shape
    mask = random_mask(height, width, share=0.5, seed=2) if mask is None else mask
    y = add_noise(truth, noise_sigma=sigma, seed=1) if sigma else truth
    return Problem(y * mask, weight=mask, reference=truth, origin={"task": "inpaint"})


def small(truth, *, scale=2):
    operator = Downsample(*truth.shape[2:], scale)
    origin = {"task": "superres"}
    return Problem(operator(truth), operator=operator, reference=truth, origin=origin)


def pictures_of(problem):
    return {found.method: found.picture for found in baselines(problem)}


def array(picture):
    return picture[0].permute(1, 2, 0).numpy()


def test_every_task_has_its_methods():
    assert set(METHODS) == set(TASKS)
    assert list(METHODS["denoise"]) == ["noisy input", *CLEANERS]
    assert list(METHODS["superres"]) == ["bicubic"]
    assert list(METHODS["inpaint"]) == ["masked input", "biharmonic"]


def test_a_user_s_own_operator_has_none(truth):
    blur = nn.AvgPool2d(3, 1, 1)
    assert baselines(Problem(blur(truth), operator=blur, reference=truth)) == []


@pytest.mark.parametrize("truth", PICTURES, ids=IDS)
@pytest.mark.parametrize("damage", [noisy, torn, small])
def test_a_method_restores(damage, truth):
    problem = damage(truth)
    found = baselines(problem)
    assert [each.method for each in found] == list(METHODS[problem.origin["task"]])
    given = found[0].psnr if damage is not small else 0
    for each in found:
        assert each.picture.shape == truth.shape and each.picture.dtype == torch.float32
        assert float(each.picture.min()) >= 0 and float(each.picture.max()) <= 1
        assert each.psnr == pytest.approx(float(psnr(each.picture, truth)))
        assert each.seconds >= 0
        if "input" not in each.method:
            assert each.psnr > given + 3
    again = pictures_of(problem)
    assert all(torch.equal(each.picture, again[each.method]) for each in found)


def test_without_the_truth_there_is_no_psnr():
    truth = crop(3)
    for problem in (noisy(truth), torn(truth), small(truth)):
        blind = Problem(
            problem.y,
            operator=problem.operator,
            weight=problem.weight,
            shape=problem.picture_shape,
            origin=problem.origin,
        )
        assert [each.psnr for each in baselines(blind)] == [None] * len(baselines(problem))


@pytest.mark.parametrize("channels", [1, 3])
def test_denoising_is_scikit_image_s(channels):
    problem = noisy(crop(channels))
    y, sigma, made = array(problem.y), 25 / 255, pictures_of(problem)

    def same(method, expected):
        expected = torch.from_numpy(np.clip(expected, 0, 1).reshape(y.shape))
        assert torch.allclose(made[method], expected.permute(2, 0, 1)[None], atol=1e-6)

    assert torch.equal(made["noisy input"], problem.y)
    sizes = {"patch_size": 5, "patch_distance": 6, "fast_mode": False}
    same(
        "non-local means",
        denoise_nl_means(y, h=0.8 * sigma, sigma=sigma, channel_axis=-1, **sizes),
    )
    settings = {"sigma": sigma, "convert2ycbcr": channels == 3, "channel_axis": -1}
    spun = cycle_spin(y, denoise_wavelet, 3, func_kw=settings, workers=1, channel_axis=-1)
    same("wavelet", spun)
    assert float(psnr(made["wavelet"], crop(channels))) > 0.5 + float(
        psnr(
            torch.from_numpy(denoise_wavelet(y, **settings)).permute(2, 0, 1)[None], crop(channels)
        )
    )


@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_total_variation_finds_a_good_weight(sigma):
    truth = crop(3)
    problem = noisy(truth, sigma=sigma)
    y = array(problem.y)

    def quality(cleaned):
        return float(psnr(torch.from_numpy(cleaned).permute(2, 0, 1)[None], truth))

    precise = {"eps": 5e-5, "max_num_iter": 1000, "channel_axis": -1}

    def at(weight):
        return quality(denoise_tv_chambolle(y, weight * sigma / 255, **precise))

    made = float(psnr(pictures_of(problem)["total variation"], truth))
    weights = [at(weight) for weight in WEIGHTS]
    assert made == pytest.approx(min(weights, key=lambda level: abs(level - made)), abs=1e-4)
    assert max(weights) - 0.5 < made <= max(weights) + 1e-4
    settings = {name: [value] for name, value in precise.items()}
    settings["weight"] = WEIGHTS * sigma / 255
    blinded = calibrate_denoiser(y, denoise_tv_chambolle, settings)
    assert blinded.func is denoise_invariant
    assert made > quality(blinded(y))


@pytest.mark.parametrize("method", CLEANERS)
def test_noise_that_nobody_knows_is_estimated(method):
    truth = crop(3)
    known, found = (noisy(truth, known=known) for known in (True, False))
    levels = [float(psnr(pictures_of(each)[method], truth)) for each in (known, found)]
    assert levels[1] == pytest.approx(levels[0], abs=1)


@pytest.mark.parametrize("sigma", [0.01, 1, 2, 5, 100, 255])
def test_weak_and_strong_noise(sigma):
    for method, picture in pictures_of(noisy(crop(3), sigma=sigma)).items():
        assert bool(torch.isfinite(picture).all()), method
        assert float(picture.min()) >= 0 and float(picture.max()) <= 1


def test_non_local_means_in_weak_noise():
    truth = torch.from_numpy(data.astronaut()[::4, ::4].astype(np.float32) / 255)
    truth = truth.permute(2, 0, 1)[None].contiguous()
    problem = noisy(truth, sigma=2)  # scikit-image's exact algorithm makes NaN of it
    picture = pictures_of(problem)["non-local means"]
    assert bool(torch.isfinite(picture).all())
    assert float(psnr(picture, truth)) > float(psnr(problem.y, truth)) + 0.2


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_without_noise_stays(channels):
    flat = torch.full((1, channels, 16, 16), 0.5)
    stripes = (torch.arange(16.0) % 4 / 4).expand(1, channels, 16, 16).contiguous()
    for picture in (flat, stripes):
        for method, cleaned in pictures_of(Problem(picture, origin={"task": "denoise"})).items():
            assert torch.allclose(cleaned, picture, atol=1e-5), method


@pytest.mark.parametrize("damage", [noisy, torn, small])
@pytest.mark.parametrize("size", [(16, 16), (17, 29), (5, 40), (4, 4), (3, 3)])
def test_sizes(damage, size):
    truth = crop(3)[..., : size[0], : size[1]].contiguous()
    for picture in (truth, truth[:, :1]):
        problem = damage(picture)
        for method, made in pictures_of(problem).items():
            assert made.shape == picture.shape, method
            assert bool(torch.isfinite(made).all()), method


@pytest.mark.parametrize("sigma", [0, 25])
@pytest.mark.parametrize("channels", [1, 3])
def test_inpainting_leaves_known_pixels_as_measured(channels, sigma):
    truth = crop(channels)
    mask = torch.ones(1, 1, 64, 48)
    mask[..., 10:30, 5:25] = 0
    mask[..., 60:, 44:] = 0  # in the corner
    problem = torn(truth, mask=mask, sigma=sigma)
    made = pictures_of(problem)
    known = (mask == 1).expand_as(truth)
    assert torch.equal(made["masked input"], problem.y)
    assert torch.equal(made["biharmonic"][known], problem.y[known])
    expected = inpaint_biharmonic(
        array(problem.y).astype(np.float64), mask[0, 0].numpy() == 0, channel_axis=-1
    )
    assert np.allclose(array(made["biharmonic"]), expected, atol=1e-6)


def test_a_smooth_picture_is_filled_in_exactly():
    row, column = torch.meshgrid(torch.arange(24.0), torch.arange(20.0), indexing="ij")
    plane = (0.1 + 0.02 * row + 0.01 * column)[None, None]
    mask = torch.ones(1, 1, 24, 20)
    mask[..., 6:18, 5:15] = 0
    made = pictures_of(torn(plane, mask=mask))
    assert torch.allclose(made["biharmonic"], plane, atol=1e-5)


def test_bicubic_is_scikit_image_s():
    problem = small(crop(3), scale=4)
    expected = np.clip(resize(array(problem.y), (64, 48), order=3, mode="symmetric"), 0, 1)
    assert np.allclose(array(pictures_of(problem)["bicubic"]), expected, atol=1e-6)


def test_a_method_that_fails_is_left_out(monkeypatch):
    monkeypatch.setattr(filling, "MOST_MISSING", 100)
    problem = torn(crop(1))
    with pytest.warns(UserWarning, match=r"picture: biharmonic left out \(1,536 pixels"):
        found = baselines(problem)
    assert [each.method for each in found] == ["masked input"]
