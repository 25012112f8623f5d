"""Which measurements are held out, and that a fit does not see them."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dipray.config import FitConfig
from dipray.descent import State
from dipray.errors import ConfigError
from dipray.held_out import LEAST, count_held_out, held_out, known_pixels
from dipray.judges import Judges
from dipray.loop import Fit, fit
from dipray.noise import ClippedMean
from dipray.operators import Downsample
from dipray.problem import Problem
from dipray.trace import COLUMN_NAMES, concatenate

HALF = FitConfig(depth=1, holdout=0.5)


def problem_of(known: torch.Tensor) -> Problem:
    """Of noise, with a weight of 1 for what is known; known: (h, w) of bool."""
    y = torch.rand((1, 3, *known.shape), generator=torch.Generator().manual_seed(1))
    return Problem(y, weight=known.float()[None, None])


@settings(max_examples=60)
@given(st.floats(1e-4, 0.9999), st.integers(1, 400), st.integers(0, 2**63 - 1))
def test_exactly_so_many_known_pixels_are_held_out(share, count, seed):
    known = torch.zeros(400, dtype=torch.bool)
    known[torch.randperm(400, generator=torch.Generator().manual_seed(0))[:count]] = True
    problem = problem_of(known.view(20, 20))
    config = FitConfig(depth=1, holdout=share, holdout_seed=seed)
    assert known_pixels(problem) == count
    wanted = round(share * count)
    if wanted < LEAST or count - wanted < LEAST:
        for ask in (held_out, Judges):
            with pytest.raises(ConfigError) as caught:
                ask(problem, config)
            assert caught.value.field == "holdout"
            assert "\n" not in str(caught.value)
        return
    mask = held_out(problem, config)
    assert (mask.shape, mask.dtype) == ((1, 1, 20, 20), torch.bool)
    assert int(mask.sum()) == wanted == count_held_out(config, count, "x")
    assert not (mask.flatten() & ~known).any()


@pytest.mark.parametrize("share", [None, 0.0])
def test_nothing_is_held_out_unless_it_is_said(problem, share):
    config = FitConfig(holdout=share)
    assert held_out(problem, config) is None
    assert count_held_out(config, 1, "x") == 0


def test_a_pixel_is_known_if_one_channel_is(truth):
    weight = torch.zeros(1, 3, 32, 32)
    weight[:, 0, :8] = 1.0
    weight[:, 2, 4:12] = 1e-6
    problem = Problem(truth, weight=weight)
    assert known_pixels(problem) == 12 * 32
    mask = held_out(problem, HALF)
    assert int(mask.sum()) == 6 * 32
    assert not mask[..., 12:, :].any()


def test_all_fits_of_a_picture_share_the_mask(problem):
    config = FitConfig(holdout=0.1)
    mask = held_out(problem, config)
    assert torch.equal(mask, held_out(problem, config))
    for change in (
        {"seed": 5},
        {"seed_weights": 5, "seed_input": 6, "seed_jitter": 7},
        {"net": "unet", "depth": 2, "features": 8},
        {"optimizer": "sgd", "lr": 1.0, "iterations": 7},
        {"sure_sigma": 25.0, "stop": "val", "patience": 3},
    ):
        assert torch.equal(mask, held_out(problem, config.replace(**change))), change
    other = held_out(problem, config.replace(holdout_seed=1))
    assert int(other.sum()) == int(mask.sum())
    assert not torch.equal(mask, other)


def test_the_mask_is_of_the_pixels_and_not_of_what_they_show(problem):
    config = FitConfig(holdout=0.1)
    mask = held_out(problem, config)
    darker = dataclasses.replace(problem, y=problem.y / 2, name="darker", reference=None)
    assert torch.equal(mask, held_out(darker, config))
    gray = Problem(problem.y[:, :1], name="gray")
    assert torch.equal(mask, held_out(gray, config))


def test_the_mask_is_the_same_on_every_machine():
    mask = held_out(problem_of(torch.ones(16, 16, dtype=torch.bool)), FitConfig(holdout=0.04))
    assert mask.flatten().nonzero()[:, 0].tolist() == GOLDEN


GOLDEN = [54, 68, 83, 89, 91, 148, 202, 229, 241, 245]


@pytest.mark.parametrize(
    ("share", "known", "text"),
    [
        (
            0.02,
            256,
            "holdout=0.02: of the 256 measured pixels of cat that is 5, and 8 are needed to judge "
            "by; write at least 0.032, or 0",
        ),
        (
            0.03,
            10,
            "holdout=0.03: of the 10 measured pixels of cat that is 0, and 8 are needed to judge "
            "by; write 0",
        ),
        (
            1e-5,
            12_345,
            "holdout=1e-05: of the 12,345 measured pixels of cat that is 0, and 8 are needed to "
            "judge by; write at least 0.001, or 0",
        ),
        (
            0.99,
            256,
            "holdout=0.99: of the 256 measured pixels of cat that leaves 3 to fit; write at most "
            "0.5",
        ),
        (
            0.9,
            10,
            "holdout=0.9: of the 10 measured pixels of cat that leaves 1 to fit; write 0",
        ),
    ],
)
def test_what_a_wrong_share_is_told(share, known, text):
    with pytest.raises(ConfigError) as caught:
        count_held_out(FitConfig(holdout=share), known, "cat")
    assert (caught.value.field, str(caught.value)) == ("holdout", text)


@given(st.integers(1, 2000), st.floats(1e-4, 0.9999))
def test_the_advice_is_good(known, share):
    try:
        count_held_out(FitConfig(holdout=share), known, "cat")
    except ConfigError as error:
        advice = str(error).partition("; write ")[2]
    else:
        return
    said = advice.removeprefix("at least ").removeprefix("at most ").partition(",")[0]
    config = FitConfig(holdout=float(said))
    count = count_held_out(config, known, "cat")
    assert count == 0 or LEAST <= count <= known - LEAST


def test_a_mask_that_hides_almost_everything_is_told(noisy, tiny):
    known = torch.zeros(32, 32, dtype=torch.bool)
    known[3, :10] = True
    torn = problem_of(known)
    with pytest.raises(ConfigError, match=r"of the 10 measured pixels .* that is 1, .*; write 0$"):
        fit(torn, tiny)
    assert len(fit(torn, tiny.replace(holdout=0.0, iterations=2)).trace["loss"]) == 2


def task(name: str, truth: torch.Tensor, noisy: torch.Tensor) -> Problem:
    if name == "superres":
        operator = Downsample(32, 32, 2)
        return Problem(operator(noisy), operator, reference=truth, luma=True, trim=2)
    if name == "inpaint":
        weight = torch.ones(1, 1, 32, 32)
        weight[..., 8:14, 5:20] = 0
        weight[..., 20:, :] = 0.25
        return Problem(noisy * (weight > 0), weight=weight, reference=truth)
    if name == "clipped":
        return Problem(noisy, ClippedMean(25 / 255), reference=truth)
    return Problem(noisy, reference=truth)


TASKS = ("denoise", "clipped", "inpaint", "superres")


@pytest.mark.parametrize("sure_sigma", [None, 25.0])
@pytest.mark.parametrize("name", TASKS)
def test_the_fit_does_not_see_what_is_held_out(name, sure_sigma, truth, noisy, tiny):
    problem = task(name, truth, noisy)
    config = tiny.replace(holdout=0.1, sure_sigma=sure_sigma, variance_window=5)
    mask = held_out(problem, config)
    changed = dataclasses.replace(problem, y=torch.where(mask, 1 - problem.y, problem.y))
    assert not torch.equal(problem.y, changed.y)
    one, other = fit(problem, config), fit(changed, config)
    for column in set(COLUMN_NAMES) - {"seconds", "val_psnr", "val_psnr_ema"}:
        assert np.array_equal(one.trace[column], other.trace[column], equal_nan=True), column
    for column in ("val_psnr", "val_psnr_ema"):
        assert (one.trace[column] != other.trace[column]).all(), column
    by_val = {"peak_val", "peak_val_ema", "pick_val"}
    assert by_val < set(one.images) == set(other.images)
    for image in set(one.images) - by_val:
        assert torch.equal(one.images[image], other.images[image]), image
    seen = dataclasses.replace(problem, y=torch.where(mask, problem.y, 1 - problem.y))
    assert not np.array_equal(fit(seen, config).trace["loss"], one.trace["loss"])


@pytest.mark.parametrize("name", TASKS)
def test_loss_and_held_out_error_are_numpys(name, truth, noisy, tiny):
    problem = task(name, truth, noisy)
    config = tiny.replace(holdout=0.2, holdout_seed=4, ema_decay=0.7)
    weight = torch.ones_like(problem.y) if problem.weight is None else problem.weight
    weight = weight.expand_as(problem.y).double().numpy()
    hidden = held_out(problem, config).expand_as(problem.y).numpy()
    run = Fit(problem, config)
    for block in run.blocks(1):
        images = run.keeper.images()
        for column, image in (("val_psnr", "final"), ("val_psnr_ema", "ema")):
            made = problem.operator(images[image])
            squared = (made.double().numpy() - problem.y.double().numpy()) ** 2
            error = np.average(squared, weights=weight * hidden)
            assert block.rows[column][0] == pytest.approx(-10 * math.log10(error), abs=1e-3)
            if image == "final":
                fitted = np.average(squared, weights=weight * ~hidden)
                assert block.rows["data_loss"][0] == pytest.approx(fitted, rel=1e-4)


def held_out_error(problem: Problem, picture: torch.Tensor, **settings) -> float:
    """The mean squared error that the trace shows as val_psnr, of a picture that is given."""
    judges = Judges(problem, FitConfig(variance_window=0, **settings))
    row = judges.measure(State(picture, problem.operator(picture), {}), picture, None)
    assert torch.equal(row["val_psnr"], row["val_psnr_ema"])
    return 10 ** (-float(row["val_psnr"]) / 10)


@pytest.mark.parametrize("name", ["denoise", "superres"])
def test_the_held_out_error_is_that_against_the_truth_and_the_noise(name, truth):
    """In the mean over noise and masks, of a picture that no noise has touched."""
    generator = torch.Generator().manual_seed(0)
    sigma, picture = 0.1, truth + 0.2 * torch.randn(truth.shape, generator=generator)
    operator = Downsample(32, 32, 2) if name == "superres" else torch.nn.Identity()
    clean = operator(truth)
    wanted = float((operator(picture) - clean).square().mean())
    found = []
    for draw in range(150):
        noise = sigma * torch.randn(clean.shape, generator=generator)
        problem = Problem(clean + noise, operator, shape=(3, 32, 32))
        error = held_out_error(problem, picture, holdout=0.2, holdout_seed=draw)
        found.append(error - sigma**2)
    uncertain = np.std(found) / math.sqrt(len(found))
    assert uncertain < 0.1 * wanted
    assert np.mean(found) == pytest.approx(wanted, abs=3 * uncertain)


def test_the_held_out_error_ranks_pictures_as_the_truth_does(truth, noisy):
    generator = torch.Generator().manual_seed(0)
    problem = Problem(noisy)
    pictures = [
        truth + level * torch.randn(truth.shape, generator=generator)
        for level in (0.02, 0.05, 0.1, 0.2, 0.4)
    ]
    errors = [held_out_error(problem, picture, holdout=0.1) for picture in pictures]
    assert errors == sorted(errors)


def test_what_is_held_out_is_said_without_the_truth_alone(noisy, truth, tiny):
    blind = fit(Problem(noisy), tiny)
    assert np.isfinite(blind.trace["val_psnr_ema"]).all()
    scored = fit(Problem(noisy, reference=truth), tiny)
    assert np.isnan(scored.trace["val_psnr_ema"]).all()
    explicit = fit(Problem(noisy, reference=truth), tiny.replace(holdout=0.1))
    assert np.array_equal(explicit.trace["loss"], blind.trace["loss"])
    assert np.array_equal(explicit.trace["val_psnr_ema"], blind.trace["val_psnr_ema"])


def test_blocks_hold_out_the_same(noisy, tiny):
    run = Fit(Problem(noisy), tiny)
    rows = concatenate([block.rows for block in run.blocks(3)])
    assert np.array_equal(rows["val_psnr"], fit(Problem(noisy), tiny).trace["val_psnr"])
