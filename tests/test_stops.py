"""Whole fits and the rules that watch them: where they end, and the pictures that they keep."""

import numpy as np
import pytest
import torch

from dipray.config import FitConfig
from dipray.kept import KEPT, PICTURES, kept_by
from dipray.loop import Fit, FitResult, Outcome, fit
from dipray.metrics import psnr
from dipray.problem import Problem
from dipray.stopping import CHECK_EVERY, CRITERIA, RULES
from dipray.tasks.truth import add_noise
from dipray.trace import COLUMN_NAMES, PEAKS, concatenate

TINY = FitConfig(depth=2, features=4, input_channels=4, metrics_every=25, snapshots=0, device="cpu")
OWN = tuple(name for name in RULES if name != "budget")
ENDING = (*OWN, "psnr")
LENGTH = 150


@pytest.fixture(scope="module")
def watched(_astronaut) -> Problem:
    return Problem(add_noise(_astronaut, noise_sigma=25, seed=0), reference=_astronaut)


@pytest.fixture(scope="module")
def settings() -> dict:
    """Everything that a rule can look at, and so wild a fit that each of them fires."""
    return {
        "iterations": LENGTH,
        "lr": 0.3,
        "input_jitter": 0.3,
        "ema_decay": 0.8,
        "holdout": 0.1,
        "sure_sigma": 25.0,
        "variance_window": 5,
        "patience": 20,
    }


@pytest.fixture(scope="module")
def whole(watched, settings) -> FitResult:
    """The fit that no rule ends."""
    return fit(watched, TINY.replace(**settings))


def picked_image(result: FitResult, rule: str) -> torch.Tensor:
    return result.images.get(f"pick_{rule}", result.images["ema"])


def test_every_rule_fires_in_this_fit(whole):
    assert whole.outcome == Outcome.BUDGET
    assert set(whole.picks) == set(RULES)
    for rule in OWN:
        pick = whole.picks[rule]
        assert pick.fired is not None and pick.fired < LENGTH, rule
        assert pick.fired % CHECK_EVERY == 0
    budget = whole.picks["budget"]
    assert (budget.iteration, budget.fired) == (LENGTH, LENGTH)


@pytest.mark.parametrize("stop", ENDING)
def test_a_rule_ends_the_fit_where_it_fires(watched, settings, whole, stop):
    ended = fit(watched, TINY.replace(**settings, stop=stop))
    assert ended.outcome == Outcome.STOPPED
    length = len(ended.trace["iteration"])
    assert length < LENGTH and length % CHECK_EVERY == 0
    for name in set(COLUMN_NAMES) - {"seconds"}:
        costly_end = whole.trace[name][:length]
        assert np.array_equal(ended.trace[name], costly_end, equal_nan=True), name
    if stop != "psnr":
        assert ended.picks[stop] == whole.picks[stop]
        assert length == whole.picks[stop].fired
        assert torch.equal(picked_image(ended, stop), picked_image(whole, stop))
    for rule, pick in ended.picks.items():
        if pick.fired is not None:
            assert pick == whole.picks[rule], rule
            assert torch.equal(picked_image(ended, rule), picked_image(whole, rule)), rule
    assert ended.summary["iterations_run"] == length


def test_a_rule_picks_the_best_of_its_column_up_to_where_it_fires(whole):
    for rule, (column, sign) in CRITERIA.items():
        pick = whole.picks[rule]
        seen = sign * whole.trace[column][: pick.fired]
        assert pick.iteration == int(np.nanargmax(seen)) + 1, rule
        assert pick.fired - pick.iteration >= 20
        assert pick.fired - CHECK_EVERY - pick.iteration < 20  # at the first look
    assert whole.picks["loss"].iteration == whole.picks["loss"].fired


def test_what_is_picked_has_the_psnr_that_is_said(watched, whole):
    for rule, pick in whole.picks.items():
        at = pick.iteration - 1
        assert pick.psnr == whole.trace["psnr"][at], rule
        assert pick.psnr_ema == whole.trace["psnr_ema"][at], rule
        found = float(psnr(picked_image(whole, rule), watched.reference))
        assert found == pytest.approx(pick.psnr_ema, abs=1e-4), rule
    assert len({pick.iteration for pick in whole.picks.values()}) > 2


@pytest.mark.parametrize("peak", PEAKS)
def test_the_picture_at_a_peak_has_the_psnr_that_is_said(watched, whole, peak):
    column, name = peak.scored or (peak.column, peak.value)
    found = float(psnr(whole.images[peak.picture], watched.reference))
    assert found == pytest.approx(whole.summary[name], abs=1e-4)
    best = int(np.argmax(whole.trace[peak.column]))
    assert whole.summary[peak.value] == whole.trace[peak.column][best]
    assert whole.summary[peak.iteration] == best + 1
    assert whole.summary[name] == whole.trace[column][best]


def test_pictures_are_those_that_are_named(whole):
    assert set(whole.images) == set(PICTURES)
    assert set(KEPT) == set(PICTURES) - {"final", "ema", "pick_loss"}


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_blocks_of_any_size_give_the_same_picks_and_pictures(watched, settings, size):
    config = TINY.replace(**{**settings, "iterations": 90, "patience": 10})
    alone = fit(watched, config)
    run = Fit(watched, config)
    rows = concatenate([block.rows for block in run.blocks(size)])
    assert any(pick.fired and pick.fired < 90 for pick in run.picks.values())
    assert run.picks == alone.picks
    for name in set(COLUMN_NAMES) - {"seconds"}:
        assert np.array_equal(rows[name], alone.trace[name], equal_nan=True), name
    images = run.keeper.images()
    assert images.keys() == alone.images.keys()
    for name, image in images.items():
        assert torch.equal(image, alone.images[name]), name


def test_snapshots_change_no_pick(watched, settings):
    config = TINY.replace(**{**settings, "iterations": 90, "patience": 10})
    one, other = fit(watched, config), fit(watched, config.replace(snapshots=12))
    assert one.picks == other.picks
    for name, image in one.images.items():
        assert torch.equal(image, other.images[name]), name


def test_without_an_average_the_output_is_picked(watched, settings):
    config = TINY.replace(**{**settings, "iterations": 90, "patience": 10, "ema_decay": 0.0})
    result = fit(watched, config)
    for name in ("psnr", "val_psnr", "sure"):
        assert np.array_equal(result.trace[name], result.trace[f"{name}_ema"]), name
    for rule, pick in result.picks.items():
        assert pick.psnr == pick.psnr_ema, rule
    assert torch.equal(result.images["peak_val"], result.images["peak_val_ema"])
    if result.picks["val"].fired is None:
        assert torch.equal(result.images["pick_val"], result.images["peak_val"])


def test_a_rule_that_does_not_fire_picks_the_best_of_all(watched, settings):
    config = TINY.replace(**{**settings, "iterations": 60, "patience": 500})
    result = fit(watched, config)
    for rule, (column, sign) in CRITERIA.items():
        pick, values = result.picks[rule], sign * result.trace[column]
        if rule == "emv":  # it has not seen enough
            assert (pick.iteration, pick.psnr) == (0, None)
            assert "pick_emv" not in result.images
            continue
        assert (pick.iteration, pick.fired) == (int(np.nanargmax(values)) + 1, None), rule
    assert torch.equal(result.images["pick_val"], result.images["peak_val_ema"])
    loss = result.picks["loss"]
    assert (loss.iteration, loss.fired) == (60, None)
    assert "pick_loss" not in result.images  # it is the last average


def test_a_rule_that_fires_at_the_last_iteration_ends_nothing(watched):
    still = {"lr": 1e-12, "input_jitter": 0.0, "patience": 1, "iterations": 50, "stop": "loss"}
    result = fit(watched, TINY.replace(**still))
    assert result.outcome == Outcome.BUDGET
    assert (result.picks["loss"].iteration, result.picks["loss"].fired) == (50, 50)
    assert "pick_loss" not in result.images


@pytest.mark.parametrize(
    ("changes", "has_reference", "names"),
    [
        ({}, True, {"peak", "peak_ema", "pick_wmv", "pick_emv"}),
        ({"variance_window": 0}, True, {"peak", "peak_ema"}),
        ({"variance_window": 0}, False, set()),
        (
            {"variance_window": 0, "holdout": 0.1},
            False,
            {"peak_val", "peak_val_ema", "pick_val"},
        ),
        ({"variance_window": 0, "sure_sigma": 25.0}, False, {"pick_sure"}),
    ],
)
def test_pictures_are_kept_of_columns_that_there_are(changes, has_reference, names):
    assert set(kept_by(TINY.replace(**changes), has_reference=has_reference)) == names
