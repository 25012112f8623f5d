from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import search_spaces
from dipray.config import FitConfig
from dipray.inputs import make_input
from dipray.loop import Fit
from dipray.models import build_network
from dipray.optim import make_optimizer
from dipray.problem import Problem
from dipray.sweep import read_grid
from dipray.sweep.points import expand
from dipray.sweep.space import as_define_by_run, draw
from experiments.cli import main
from search_spaces import SPACES

SIDE = 128  # pixels; deep enough for every depth here
SEARCHES = ("grid", "random", "optuna")
GRIDS = sorted(Path(search_spaces.__file__).parent.glob("grids/*.json"))
OF_THE_NETWORK = (
    "net", "depth", "features", "skip_channels", "norm", "activation", "upsampling",
    "downsampling", "padding",
)  # fmt: skip


@cache
def network_of(fields, inputs):
    """A network that has no memory for its weights."""
    with torch.device("meta"):
        return build_network(FitConfig(**dict(fields)), inputs=inputs, outputs=1)


@cache
def input_of(kind, channels, scale):
    fields = {"input_kind": kind, "input_channels": channels}
    if kind == "fourier":
        fields["fourier_scale"] = scale
    return make_input(FitConfig(**fields), SIDE, SIDE)


def builds(config):
    """Whether all that a fit needs can be made: input, network and optimizer."""
    config.check_size(SIDE, SIDE)
    z = input_of(config.input_kind, config.input_channels, config.fourier_scale)
    fields = tuple((name, getattr(config, name)) for name in OF_THE_NETWORK)
    net = network_of(fields, z.shape[1])
    optimizer = make_optimizer(net.parameters(), config)
    return optimizer.param_groups[0]["lr"] == config.lr


@pytest.mark.parametrize("name", SPACES)
def test_every_point_of_a_grid_builds(name):
    configs = [FitConfig(**point) for point in expand(SPACES[name].grid)]
    assert all(builds(config) for config in configs)
    assert len({config.digest() for config in configs}) == len(configs)
    fewest = 4 if name == "restore" else 12  # each of them is a user's minutes
    assert fewest <= len(configs) <= 100


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("search", ["random", "optuna"])
def test_two_hundred_samples_build(name, search):
    space = SPACES[name].for_search(search)
    configs = [FitConfig(**point) for point in draw(space, 200, seed=0)]
    assert callable(as_define_by_run(space))
    assert all(builds(config) for config in configs)
    assert len({config.digest() for config in configs}) > 10


@pytest.mark.parametrize("name", SPACES)
def test_samples_run(name):
    truth = torch.linspace(0, 1, SIDE * SIDE).reshape(1, 1, SIDE, SIDE)
    problem = Problem(truth, reference=truth)
    points = [*draw(SPACES[name].for_search("random"), 1, seed=1), expand(SPACES[name].grid)[-1]]
    for point in points:
        config = FitConfig(**{"features": 32, **point}, iterations=1, device="cpu")
        (block,) = Fit(problem, config).blocks()
        assert torch.isfinite(torch.tensor(block.rows["loss"])).all()


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("search", SEARCHES)
def test_a_space_serves_every_search(name, search):
    assert SPACES[name].for_search(search) is not None


@pytest.mark.parametrize("name", SPACES)
def test_a_space_asks_a_question(name):
    assert SPACES[name].question.endswith("?")


def test_the_command_line_lists_the_spaces(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["list", "spaces"])
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for name, space in SPACES.items():
        assert name in said
        assert space.question.split()[-1] in said


@pytest.mark.parametrize("name", SPACES)
def test_a_space_lies_in_a_module_of_its_name(name):
    assert getattr(search_spaces, name).SPACE is SPACES[name]


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_every_shipped_grid_builds(path):
    points = expand(read_grid(path))
    assert len(points) > 1
    assert all(builds(FitConfig(**point)) for point in points)


def test_there_are_grids():
    assert GRIDS


def test_the_optimizers_are_all_there():
    points = expand(SPACES["optimizers"].grid)
    kinds = {(p["optimizer"], "momentum" in p, p.get("nesterov", False)) for p in points}
    assert kinds == {
        ("sgd", False, False),
        ("sgd", True, False),
        ("sgd", True, True),
        ("adam", False, False),
        ("adamw", False, False),
        ("rmsprop", False, False),
        ("lbfgs", False, False),
    }
    drawn = draw(SPACES["optimizers"].ranges, 200, seed=0)
    assert {point["optimizer"] for point in drawn} == {kind[0] for kind in kinds}
    for point in points + drawn:
        if point["optimizer"] == "lbfgs":
            assert point["input_jitter"] == 0


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_learning_rates_are_evenly_spaced(optimizer):
    points = expand(SPACES["learning_rate"].grid)
    rates = [point["lr"] for point in points if point["optimizer"] == optimizer]
    steps = [after / before for before, after in pairwise(rates)]
    assert len(rates) == 13
    assert rates[-1] / rates[0] == pytest.approx(100)
    assert all(1.4 < step < 1.55 for step in steps)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("search", ["grid", "random"])
def test_no_space_asks_twice_for_one_function(name, search):
    """With a batch of one, batch norm and instance norm are the same."""
    space = SPACES[name].for_search(search)
    points = expand(space) if search == "grid" else draw(space, 200, seed=0)
    assert not {"batch", "instance"} <= {point.get("norm", "batch") for point in points}
