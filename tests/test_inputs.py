import math

import pytest
import torch

from dipray.config import FitConfig
from dipray.inputs import JitteredInput, coordinates, make_input

CPU = torch.device("cpu")
KINDS = {
    # input kind -> channels asked for, channels made
    "noise": [(None, 32), (1, 1), (7, 7)],
    "gaussian": [(None, 32), (1, 1), (7, 7)],
    "meshgrid": [(None, 2), (2, 2)],
    "fourier": [(None, 32), (8, 8)],
}


def test_there_are_channels_for_each_kind():
    assert set(KINDS) == set(FitConfig.model_fields["input_kind"].annotation.__args__)


@pytest.mark.parametrize("size", [(16, 16), (17, 23)])
@pytest.mark.parametrize("kind", KINDS)
def test_shape_and_type(kind, size):
    for asked, made in KINDS[kind]:
        z = make_input(FitConfig(input_kind=kind, input_channels=asked), *size)
        assert z.shape == (1, made, *size)
        assert z.dtype == torch.float32


def test_noise_is_uniform_up_to_a_tenth():
    z = make_input(FitConfig(), 64, 64)
    assert 0 <= float(z.min()) < 1e-4
    assert 0.0999 < float(z.max()) < 0.1
    assert float(z.mean()) == pytest.approx(0.05, abs=1e-3)


def test_gaussian_noise_is_standard_normal():
    z = make_input(FitConfig(input_kind="gaussian"), 64, 64)
    assert float(z.mean()) == pytest.approx(0, abs=0.01)
    assert float(z.std()) == pytest.approx(1, abs=0.01)


def test_coordinates_run_from_corner_to_corner():
    columns, rows = coordinates(3, 5)[0]
    assert columns[0].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert torch.equal(columns[0], columns[2])
    assert rows[:, 4].tolist() == [0, 0.5, 1]
    assert torch.equal(make_input(FitConfig(input_kind="meshgrid"), 3, 5), coordinates(3, 5))


def test_fourier_features_are_pairs_of_waves():
    cosines, sines = make_input(FitConfig(input_kind="fourier"), 17, 23)[0].split(16)
    assert torch.allclose(cosines.square() + sines.square(), torch.tensor(1.0), atol=1e-5)
    assert torch.allclose(cosines[:, 0, 0], torch.tensor(1.0))
    turn = torch.atan2(sines, cosines)
    steps = (turn[:, 0, 1:] - turn[:, 0, :-1]).remainder(2 * math.pi)
    assert torch.allclose(steps, steps[:, :1].expand_as(steps), atol=1e-3)


def test_the_fourier_scale_is_the_spread_of_the_frequencies():
    def cycles(scale):
        config = FitConfig(input_kind="fourier", input_channels=1024, fourier_scale=scale)
        cosines, sines = make_input(config, 2, 10_001)[0].split(512)
        step = torch.atan2(sines[:, 0, 1], cosines[:, 0, 1]) / (2 * math.pi) * 10_000
        return float(step.std())

    assert cycles(10.0) == pytest.approx(10, rel=0.1)
    assert cycles(20.0) == pytest.approx(2 * cycles(10.0), rel=1e-3)


@pytest.mark.parametrize("kind", ["noise", "fourier"])
def test_the_input_follows_its_seed_alone(kind):
    def z(**seeds):
        return make_input(FitConfig(input_kind=kind, **seeds), 16, 16)

    before = torch.get_rng_state()
    first = z()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(z(), first)
    assert torch.equal(z(seed_weights=3, seed_jitter=4), first)
    assert not torch.equal(z(seed=1), first)
    assert not torch.equal(z(seed_input=1), first)
    assert torch.equal(z(seed=1, seed_input=1), z(seed=2, seed_input=1))


def test_jitter_is_fresh_and_of_its_size():
    z = JitteredInput(FitConfig(input_jitter=0.25), 32, 32, CPU)
    clean = z.clean.clone()
    noise = [z() - clean for _ in range(3)]
    for one in noise:
        assert float(one.std()) == pytest.approx(0.25, rel=0.02)
        assert abs(float(one.mean())) < 0.01
    assert not torch.equal(noise[0], noise[1])
    assert torch.equal(z.clean, clean)


def test_no_jitter_is_the_clean_input():
    z = JitteredInput(FitConfig(input_jitter=0.0), 16, 16, CPU)
    assert torch.equal(z(), make_input(FitConfig(), 16, 16))
    assert torch.equal(z(), z())


def test_the_jitter_follows_its_seed_alone():
    def draws(**seeds):
        z = JitteredInput(FitConfig(**seeds), 16, 16, CPU)
        return z.clean, torch.stack([z(), z()])

    clean, first = draws()
    torch.rand(3)
    assert torch.equal(draws()[1], first)
    assert torch.equal(draws(seed_weights=5)[1], first)
    other_clean, other = draws(seed_jitter=5)
    assert torch.equal(other_clean, clean)
    assert not torch.equal(other, first)
