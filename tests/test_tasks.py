import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from dipray.errors import ConfigError, DiprayError, ImageError
from dipray.images import encode_png, read_picture
from dipray.operators import Downsample
from dipray.tasks import TASKS, TaskConfig, build_problem
from dipray.tasks.inpaint import random_mask
from dipray.tasks.truth import add_noise

DAMAGES = {
    # task -> settings that make it of a clean picture
    "denoise": {"noise_sigma": 25},
    "superres": {"scale": 4},
    "inpaint": {"mask_share": 0.5},
}


@pytest.fixture
def save(tmp_path):
    """Write a tensor as a PNG and return its path."""

    def write(name, pixels, **options):
        path = tmp_path / f"{name}.png"
        path.write_bytes(encode_png(pixels, **options))
        return path

    return write


def test_there_is_a_damage_for_each_task():
    assert set(DAMAGES) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_a_clean_picture_is_the_truth(task, clean_file, truth):
    problem = build_problem(TaskConfig(task=task, clean=clean_file, **DAMAGES[task]))
    assert torch.equal(problem.reference, truth)
    assert problem.picture_shape == (3, 32, 32)
    assert (problem.name, problem.bits) == ("astronaut", 8)
    assert problem.luma == (task == "superres")
    assert build_problem(TaskConfig.from_dict(problem.origin), name="again").y.equal(problem.y)
    assert pickle.loads(pickle.dumps(problem)).fingerprint() == problem.fingerprint()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("side", [16, 17, 37])
def test_sizes_and_gray(task, side, save, truth):
    gray = truth[:, :1].repeat(1, 1, 2, 2)[..., :side, :29]
    problem = build_problem(TaskConfig(task=task, clean=save("gray", gray), **DAMAGES[task]))
    assert problem.picture_shape == (1, side, 29)
    made = problem.operator(problem.reference)
    assert made.shape == problem.y.shape


@pytest.mark.parametrize("task", TASKS)
def test_alpha_and_depth_are_carried_through(task, save, truth):
    alpha = truth[:, 1:2].flip(3)
    path = save("rgba", truth, alpha=alpha, bits=16)
    problem = build_problem(TaskConfig(task=task, clean=path, **DAMAGES[task]))
    assert problem.bits == 16
    assert torch.allclose(problem.alpha, alpha, atol=1e-4)
    assert problem.picture_shape == (3, 32, 32)


@pytest.mark.parametrize("task", TASKS)
def test_alpha_of_a_damaged_picture(task, save, truth):
    alpha = truth[:, 1:2].flip(3)
    damage = {name: value for name, value in DAMAGES[task].items() if name != "noise_sigma"}
    path = save("rgba", truth, alpha=alpha)
    problem = build_problem(TaskConfig(task=task, image=path, **damage))
    assert problem.alpha.shape == (1, 1, *problem.picture_shape[1:])
    assert 0 <= float(problem.alpha.min()) <= float(problem.alpha.max()) <= 1
    if task != "superres":
        assert torch.equal(problem.alpha, alpha)


def test_noise_is_clipped_and_of_the_size_asked_for(truth):
    middle = torch.full((1, 3, 64, 64), 0.5)
    noise = add_noise(middle, noise_sigma=25, seed=3) - middle
    assert float(noise.std()) == pytest.approx(25 / 255, rel=0.02)
    assert abs(float(noise.mean())) < 0.003
    loud = add_noise(truth, noise_sigma=200, seed=3)
    assert (float(loud.min()), float(loud.max())) == (0, 1)


def test_noise_follows_its_seed_alone(clean_file, truth):
    def noisy(seed):
        task = TaskConfig(clean=clean_file, noise_sigma=25, noise_seed=seed)
        torch.rand(3)
        return build_problem(task).y

    assert torch.equal(noisy(1), noisy(1))
    assert not torch.equal(noisy(1), noisy(2))
    before = torch.get_rng_state()
    add_noise(truth, noise_sigma=25, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_denoising_a_file_as_it_is(save, truth, noisy):
    image, gt = save("noisy", noisy), save("truth", truth)
    blind = build_problem(TaskConfig(image=image))
    assert torch.equal(blind.y, read_picture(image).pixels)
    assert blind.reference is None
    scored = build_problem(TaskConfig(image=image, gt=gt))
    assert torch.equal(scored.y, blind.y)
    assert torch.equal(scored.reference, truth)


@pytest.mark.parametrize("kernel", ["lanczos2", "lanczos3", "bicubic", "bilinear", "box"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_low_resolution_is_the_operator_of_the_truth(kernel, scale, save, truth):
    clean = save("truth", truth[..., :29, :])
    problem = build_problem(TaskConfig(task="superres", clean=clean, scale=scale, kernel=kernel))
    operator = Downsample(29, 32, scale, kernel)
    for one in (operator, problem.operator):
        # y is made in float64, so that it is the same on every processor
        torch.testing.assert_close(one(truth[..., :29, :]), problem.y, rtol=0, atol=1e-6)
    assert problem.trim == scale


def test_enlarging_a_file_as_it_is(save, truth):
    task = TaskConfig(task="superres", image=save("small", truth), scale=3)
    problem = build_problem(task)
    assert torch.equal(problem.y, truth)
    assert problem.picture_shape == (3, 96, 96)
    assert problem.reference is None


def test_noise_after_the_lower_resolution(clean_file):
    settings = {"task": "superres", "clean": clean_file, "scale": 2}
    still = build_problem(TaskConfig(**settings)).y
    loud = build_problem(TaskConfig(**settings, noise_sigma=10, noise_seed=4)).y
    assert torch.equal(loud, add_noise(still, noise_sigma=10, seed=4))


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.77, 0.999])
@pytest.mark.parametrize("size", [(16, 16), (17, 23)])
def test_a_random_mask_hides_exactly_its_share(share, size):
    mask = random_mask(*size, share=share, seed=0)
    count = size[0] * size[1]
    assert mask.shape == (1, 1, *size)
    assert int((mask == 0).sum()) == min(max(round(share * count), 1), count - 1)
    assert int((mask == 1).sum()) == count - int((mask == 0).sum())
    assert torch.equal(mask, random_mask(*size, share=share, seed=0))
    if 10 < mask.sum() < count - 10:
        assert not torch.equal(mask, random_mask(*size, share=share, seed=1))


def test_nothing_under_the_mask_gets_out(save, truth):
    known = random_mask(32, 32, share=0.4, seed=1)
    mask = save("mask", known)
    other = torch.where(known.bool(), truth, 1 - truth)
    problems = [
        build_problem(TaskConfig(task="inpaint", image=save(name, pixels), mask=mask))
        for name, pixels in (("one", truth), ("other", other))
    ]
    assert torch.equal(problems[0].y, problems[1].y)
    assert problems[0].fingerprint() == problems[1].fingerprint()
    assert torch.equal(problems[0].weight, known)
    assert torch.equal(problems[0].hole, (known == 0).expand_as(truth))
    assert not problems[0].y[problems[0].hole].any()


def test_noise_where_the_mask_knows(clean_file, truth):
    task = TaskConfig(task="inpaint", clean=clean_file, mask_share=0.5, noise_sigma=20)
    problem = build_problem(task)
    noisy = add_noise(truth, noise_sigma=20, seed=0)
    assert torch.equal(problem.y, noisy * problem.weight)
    assert torch.equal(problem.reference, truth)


def fails(error, **settings) -> str:
    with pytest.raises(error) as caught:
        build_problem(TaskConfig(**settings))
    assert isinstance(caught.value, DiprayError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "give either image"),
        ({"image": "a.png", "clean": "b.png"}, "give either image"),
        ({"clean": "a.png", "gt": "b.png", "noise_sigma": 5}, "gt: clean is the truth already"),
        ({"image": "a.png", "noise_sigma": 5}, "noise_sigma: noise is added to clean only"),
        ({"clean": "a.png"}, "noise_sigma: denoising a clean picture needs it"),
        ({"clean": "a.png", "noise_sigma": 0}, "noise_sigma: denoising a clean picture needs it"),
        ({"task": "superres", "image": "a.png"}, "scale: superres needs it"),
        ({"image": "a.png", "scale": 2}, "scale: denoise does not take it"),
        ({"task": "inpaint", "image": "a.png"}, "mask: inpaint needs one of mask and mask_share"),
        (
            {"task": "inpaint", "image": "a.png", "mask": "b.png", "mask_share": 0.5},
            "needs one of mask and mask_share",
        ),
        ({"image": "a.png", "mask": "b.png"}, "mask: denoise takes no mask"),
        ({"task": "deblur", "image": "a.png"}, "task='deblur': allowed is 'denoise'"),
        ({"image": 3}, "image=3: allowed is"),
        ({"task": "superres", "image": "a.png", "scale": 1}, "scale=1: allowed is"),
        ({"task": "inpaint", "image": "a.png", "mask_share": 1.0}, "mask_share=1.0: allowed is"),
        ({"clean": "a.png", "noise_sigma": float("nan")}, "noise_sigma=nan: allowed is"),
        ({"imag": "a.png"}, "imag: no such setting; did you mean image?"),
    ],
)
def test_settings_that_make_no_task(settings, words):
    assert words in fails(ConfigError, **settings)


def test_files_that_make_no_problem(save, tmp_path, truth):
    good, half = save("good", truth), save("half", truth[..., :16, :])
    gray = save("gray", truth[:, :1])
    known = random_mask(32, 32, share=0.4, seed=1)
    masks = {
        "small": save("small", known[..., :16]),
        "white": save("white", known * 0 + 1),
        "black": save("black", known * 0),
        "gray": save("gray_mask", known / 2),
    }
    text = tmp_path / "text.png"
    text.write_text("hello")
    missing = tmp_path / "no.png"
    assert str(missing) in fails(ImageError, image=missing)
    assert str(text) in fails(ImageError, image=text)
    assert str(missing) in fails(ImageError, image=good, gt=missing)
    said = fails(ImageError, image=good, gt=half)
    assert said == (f"{half}: the truth is 16x32 RGB, but the restored picture will be 32x32 RGB")
    assert "32x32 gray, but" in fails(ImageError, image=good, gt=gray)
    assert "will be 128x128 RGB" in fails(ImageError, task="superres", image=good, gt=good, scale=4)
    inpaint = {"task": "inpaint", "image": good}
    assert "the mask is 32x16, but" in fails(ImageError, **inpaint, mask=masks["small"])
    assert "all white (nothing is missing)" in fails(ImageError, **inpaint, mask=masks["white"])
    assert "all black (all missing)" in fails(ImageError, **inpaint, mask=masks["black"])
    assert "not binary" in fails(ImageError, **inpaint, mask=masks["gray"])
    assert str(missing) in fails(ImageError, **inpaint, mask=missing)


def test_a_palette_mask_and_a_jpeg_picture(tmp_path, truth):
    known = random_mask(32, 32, share=0.4, seed=1)
    mask, image = tmp_path / "mask.png", tmp_path / "picture.jpg"
    Image.fromarray(known[0, 0].bool().numpy()).convert("P").save(mask)
    pixels = (truth[0].permute(1, 2, 0) * 255).numpy().astype(np.uint8)
    Image.fromarray(pixels).save(image)
    problem = build_problem(TaskConfig(task="inpaint", image=image, mask=mask))
    assert torch.equal(problem.weight, known)
