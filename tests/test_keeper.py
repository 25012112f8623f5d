import pytest
import torch

from dipray.keeper import Keeper

BLANK = torch.zeros(1, 1, 2, 2)


def image(value: float) -> torch.Tensor:
    return torch.full((1, 1, 2, 2), float(value))


def keeper(decay: float = 0.9) -> Keeper:
    return Keeper(BLANK, ema_decay=decay, signs={"peak": 1, "peak_ema": 1, "calm": -1})


@pytest.mark.parametrize("best", range(6))
def test_the_image_of_the_best_iteration_is_kept(best):
    kept = keeper()
    values = [1.0, 2.0, 0.0, -1.0, 1.5, 2.0]
    values[best] = 3.0
    for at, value in enumerate(values):
        kept.offer("peak", image(float(at)), torch.tensor(value))
    assert torch.equal(kept.images()["peak"], image(best))


def test_the_first_of_equals_is_kept():
    kept = keeper()
    for at in range(3):
        kept.offer("peak", image(float(at)), torch.tensor(7.0))
    assert torch.equal(kept.best["peak"], image(0))


@pytest.mark.parametrize("at", range(3))
def test_nan_is_never_best(at):
    kept = keeper()
    values = [1.0, 2.0, 3.0]
    values[at] = torch.nan
    for index, value in enumerate(values):
        kept.offer("peak", image(float(index)), torch.tensor(value))
    assert torch.equal(kept.best["peak"], image(1 if at == 2 else 2))


@pytest.mark.parametrize("best", range(6))
def test_of_a_negative_sign_the_least_is_kept(best):
    kept = keeper()
    values = [-1.0, 0.5, 1.0, 4.0, torch.nan, 0.0]
    values[best] = -2.0
    for at, value in enumerate(values):
        kept.offer("calm", image(float(at)), torch.tensor(value))
    assert torch.equal(kept.images()["calm"], image(best))


def test_what_is_frozen_stays():
    kept = keeper()
    for name in ("peak", "calm"):
        kept.offer(name, image(1), torch.tensor(0.0))
        kept.freeze(name)
    kept.offer("peak", image(2), torch.tensor(9.0))
    kept.offer("calm", image(2), torch.tensor(-9.0))
    kept.offer("peak_ema", image(3), torch.tensor(9.0))
    images = kept.images()
    assert torch.equal(images["peak"], image(1))
    assert torch.equal(images["calm"], image(1))
    assert torch.equal(images["peak_ema"], image(3))


def test_freezing_may_bring_an_image_of_its_own():
    kept, shown = keeper(), image(7)
    kept.offer("calm", image(1), torch.tensor(-5.0))
    kept.freeze("calm", shown)
    kept.freeze("pick_loss", shown)  # which was never offered anything
    shown.fill_(0)
    kept.offer("calm", image(2), torch.tensor(-9.0))
    images = kept.images()
    assert torch.equal(images["calm"], image(7))
    assert torch.equal(images["pick_loss"], image(7))


def test_what_is_frozen_without_a_value_is_no_image():
    kept = keeper()
    kept.freeze("peak")
    kept.offer("peak", image(1), torch.tensor(1.0))
    assert kept.images() == {}


def test_names_are_kept_apart():
    kept = keeper()
    kept.offer("peak", image(1), torch.tensor(1.0))
    kept.offer("peak_ema", image(2), torch.tensor(0.5))
    kept.offer("peak", image(3), torch.tensor(0.7))
    images = kept.images()
    assert torch.equal(images["peak"], image(1))
    assert torch.equal(images["peak_ema"], image(2))


def test_there_is_no_peak_without_a_value():
    kept = keeper()
    kept.follow(image(1))
    assert set(kept.images()) == {"final", "ema"}


def test_what_is_kept_is_a_copy():
    kept, shown = keeper(), image(1)
    kept.follow(shown)
    kept.offer("peak", shown, torch.tensor(1.0))
    before = kept.images()
    shown.fill_(9)
    for name, value in kept.images().items():
        assert torch.equal(value, image(1)), name
    kept.follow(image(2))
    assert torch.equal(before["final"], image(1))
    assert torch.equal(BLANK, image(0))


def test_the_average_is_the_exponential_one():
    kept, average = keeper(0.9), 4.0
    kept.follow(image(4))
    assert torch.equal(kept.ema, image(4))
    for value in (1.0, 3.0, 2.0):
        kept.follow(image(value))
        average = 0.9 * average + 0.1 * value
        assert torch.equal(kept.final, image(value))
        assert torch.allclose(kept.ema, image(average))


def test_no_decay_is_no_average():
    kept = keeper(0.0)
    for value in (0.3, 0.1, 0.7):
        kept.follow(image(value))
        assert torch.equal(kept.ema, kept.final)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("at", range(3))
def test_an_output_that_is_not_finite_leaves_no_trace(bad, at):
    kept, without = keeper(), keeper()
    for index, value in enumerate((1.0, 2.0)):
        if index == at:
            broken = image(5)
            broken[0, 0, 0, 0] = bad
            kept.follow(broken)
        kept.follow(image(value))
        without.follow(image(value))
    if at == 2:
        kept.follow(image(bad))
    assert torch.equal(kept.final, without.final)
    assert torch.equal(kept.ema, without.ema)
