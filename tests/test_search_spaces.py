from pathlib import Path

import pytest

import search_spaces
from dipray.config import FitConfig
from dipray.sweep import SweepConfig
from dipray.sweep.space import as_define_by_run, draw, expand, read_grid
from search_spaces import SPACES

GRIDS = sorted(Path(search_spaces.__file__).parent.glob("grids/*.json"))


@pytest.mark.parametrize("name", SPACES)
def test_every_point_of_a_grid_builds(name):
    grid = SPACES[name].grid
    if grid is None:
        assert SPACES[name].for_search("grid") is None
        return
    configs = [FitConfig(**point) for point in expand(grid)]
    assert len({config.digest() for config in configs}) == len(configs) >= 12


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("search", ["random", "optuna"])
def test_two_hundred_samples_build(name, search):
    space = SPACES[name].for_search(search)
    points = draw(space, 200, seed=0)
    assert callable(as_define_by_run(space))
    for point in points:
        FitConfig(**point)
    assert len({FitConfig(**point).digest() for point in points}) > 10


@pytest.mark.parametrize("name", SPACES)
def test_a_space_asks_a_question(name):
    assert SPACES[name].question.endswith("?")


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_every_shipped_grid_builds(path):
    points = expand(read_grid(path))
    assert len(points) > 1
    for point in points:
        FitConfig(**point)


def test_there_are_grids():
    assert GRIDS


def test_the_demo_has_twelve_configurations():
    assert len(expand(SPACES["demo"].grid)) >= 12
    assert SweepConfig().scheduler == "asha"
