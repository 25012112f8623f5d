import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import data
from torch import nn

from dipray.config import FitConfig
from dipray.errors import ConfigError, ProblemError, SizeError
from dipray.loop import fit
from dipray.noise import ClippedMean
from dipray.operators import Downsample
from dipray.problem import Problem
from dipray.tasks.truth import add_noise
from dipray.tile_problem import tile_problems, tiling
from dipray.tiled_fit import blended, fit_tiles
from dipray.tiling import Tiling
from experiments.seams import seam


@st.composite
def tilings(draw):
    tile = draw(st.integers(16, 70))
    margin = draw(st.integers(0, 6))
    least = 2 * margin + 1 if margin else 0
    overlap = draw(st.one_of(st.none(), st.integers(least, max(least, tile // 2))))
    sides = [draw(st.integers(16, 300)) for _ in range(2)]
    try:
        return Tiling(*sides, tile, overlap, margin)
    except ConfigError:
        return Tiling(*sides, 16, None, 3)


@given(tilings())
def test_tiles_cover_the_picture_and_their_weights_sum_to_one(tiles):
    for axis in tiles.axes:
        total = torch.zeros(axis.length, dtype=torch.float64)
        weights = axis.weights()
        for span, weight in zip(axis.spans, weights, strict=True):
            assert (weight >= 0).all()
            total[span] += weight
        assert (total == 1).all()
        assert len({span.stop - span.start for span in axis.spans}) == 1
        for first, second in itertools.pairwise(axis.spans):
            assert first.stop - second.start >= tiles.overlap
        if tiles.margin:  # what is not whole there counts nothing
            assert all((weight[: tiles.margin] == 0).all() for weight in weights[1:])
            assert all((weight[-tiles.margin :] == 0).all() for weight in weights[:-1])


@given(tilings())
def test_tiles_that_agree_blend_into_the_picture_itself(tiles):
    down = torch.linspace(0, 1, tiles.height)[:, None].expand(-1, tiles.width)
    across = torch.linspace(0, 1, tiles.width).expand(tiles.height, -1)
    picture = torch.stack([(down + across) / 2, torch.full_like(down, 0.3), down * across])[None]
    cut = [picture[..., rows, columns] for rows, columns in tiles.places.values()]
    assert torch.equal(tiles.blend(cut), picture)


WRONG = [
    ({"tile": 8}, "tile=8: allowed is 16 or more pixels a side"),
    ({"tile": 32, "overlap": 17}, "tile_overlap=17: allowed is 0 to 16 pixels with tiles of 32"),
    ({"tile": 32, "overlap": -1}, "tile_overlap=-1: allowed is 0 to 16"),
    ({"tile": 32, "overlap": 4, "margin": 3}, "tile_overlap=4: allowed is 7 to 16"),
    ({"tile": 32, "margin": 14}, "tile=32: the filter of the measurement reaches 14 pixels"),
]


@pytest.mark.parametrize(("settings", "words"), WRONG)
def test_tiles_that_cannot_be(settings, words):
    with pytest.raises(ConfigError) as caught:
        Tiling(64, 64, **settings)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("size", [(96, 120), (97, 118)])
@pytest.mark.parametrize(("factor", "kernel"), [(2, "lanczos3"), (4, "bicubic"), (3, "box")])
def test_the_operator_of_a_tile_is_the_cut_of_the_whole_one(size, factor, kernel):
    operator = Downsample(*size, factor, kernel)
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    y = operator(x)
    tiles = tiling(Problem(y, operator, reference=x), tile=64)
    seen, shapes = torch.zeros_like(y[:, :1], dtype=torch.bool), set()
    for rows, columns in tiles.places.values():
        window = operator.window(rows, columns)
        made, measured = window.operator(x[..., rows, columns]), y[..., window.rows, window.columns]
        assert made.shape == measured.shape
        assert torch.allclose(made * window.whole, measured * window.whole, atol=1e-6)
        seen[..., window.rows, window.columns] |= window.whole
        shapes.add(tuple(made.shape))
    assert seen.all()  # nothing that was measured is lost
    assert len(shapes) == 1


def test_a_tile_is_the_cut_of_measurement_mask_and_truth(noisy, truth):
    mask = (truth[:, :1] > 0.2).float()
    alpha = torch.ones_like(mask)
    problem = Problem(noisy * mask, weight=mask, reference=truth, alpha=alpha, name="one")
    tiles = tiling(problem, tile=20, overlap=8)
    assert list(tiles.places) == ["0-0", "0-1", "1-0", "1-1"]
    cut = tile_problems(problem, tiles)["1-0"]
    part = (..., slice(12, 32), slice(0, 20))
    assert torch.equal(cut.y, problem.y[part])
    assert torch.equal(cut.weight, mask.expand_as(noisy)[part])
    assert torch.equal(cut.reference, truth[part])
    assert (cut.name, cut.origin["tile"], cut.alpha, cut.bits) == ("one-1-0", [12, 0], None, 16)
    clipped = replace(problem, operator=ClippedMean(0.1))
    assert isinstance(tile_problems(clipped, tiles)["1-0"].operator, ClippedMean)


def test_what_cannot_be_tiled_is_told(noisy, tiny):
    blur = nn.Conv2d(3, 3, 3, padding=1)
    with pytest.raises(ProblemError, match="operator Conv2d may look at the whole picture"):
        fit_tiles(Problem(noisy, blur, name="mine"), tiny, tile=20)
    half = torch.ones(1, 1, 32, 32)
    half[..., 14:] = 0
    with pytest.raises(ProblemError, match="nothing is known of the tile at row 0, column 16"):
        fit_tiles(Problem(noisy, weight=half), tiny, tile=16, overlap=0)
    with pytest.raises(SizeError, match=r"too deep for a picture of 16x16 pixels \(tiles of one"):
        fit_tiles(Problem(noisy, name="one"), tiny.replace(depth=5), tile=16)


def test_one_tile_that_holds_all_is_the_ordinary_fit(problem, tiny):
    whole, tiled = fit(problem, tiny), fit_tiles(problem, tiny, tile=40)
    assert whole.images.keys() == tiled.images.keys()
    assert all(torch.equal(image, tiled.images[kind]) for kind, image in whole.images.items())
    assert tiled.outcome == whole.outcome
    assert tiled.psnr["ema"] == pytest.approx(whole.summary["psnr_ema_final"], abs=1e-4)


def test_enlarging_in_tiles_holds_pixels_out_and_blends_every_kind(noisy, tiny):
    problem = Problem(noisy, Downsample(64, 64, 2), shape=(3, 64, 64))
    result = fit_tiles(problem, tiny, tile=48)
    assert len(result.tiles) == 4
    assert {"final", "ema", "peak_val", "peak_val_ema"} <= result.images.keys()
    assert all(image.shape == (1, 3, 64, 64) for image in result.images.values())
    assert result.psnr == {}


def test_a_pick_that_is_the_last_average_of_a_tile_is_blended_as_such():
    tiles = Tiling(16, 24, 16, 8)
    one, two = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    images = blended(tiles, [{"ema": one, "pick_wmv": two}, {"ema": two}])
    assert images.keys() == {"ema", "pick_wmv"}
    assert (images["pick_wmv"] == 1).all()
    assert blended(tiles, [{"ema": one}, {}]) == {}


def test_tiles_joined_without_a_blend_show_seams_and_blended_ones_do_not():
    photo = torch.from_numpy(data.astronaut()[40:360:4, 100:420:4]).permute(2, 0, 1)[None] / 255
    problem = Problem(add_noise(photo, noise_sigma=25, seed=0), reference=photo)
    config = FitConfig(
        net="encdec", depth=2, features=8, input_channels=8, iterations=120, metrics_every=120,
        variance_window=0, snapshots=0, device="cpu",
    )  # fmt: skip
    result = fit_tiles(problem, config, tile=48, overlap=16)
    assert len(result.tiles) == 4
    parts = [each.images for each in result.tiles.values()]
    joined = blended(replace(result.tiling, overlap=0), parts)
    for kind in ("final", "ema"):
        assert seam(joined[kind], result.tiling) > 1.4
        assert 0.75 < seam(result.images[kind], result.tiling) < 1.2
