from collections import Counter

import optuna
import pytest
from ray import tune

from dipray.errors import ConfigError
from dipray.sweep.points import expand
from dipray.sweep.space import as_define_by_run, draw


def test_random_points_repeat_with_the_seed_and_stay_in_range():
    space = {
        "optimizer": [
            {"optimizer": "adam", "lr": tune.loguniform(1e-4, 1e-2)},
            {"optimizer": "sgd", "lr": tune.quniform(0.5, 2.0, 0.5)},
        ],
        "depth": tune.randint(2, 5),
        "features": tune.qrandint(8, 32, 8),
        "net": tune.choice(["skip", "unet"]),
    }
    points = draw(space, 60, seed=3)
    assert points == draw(space, 60, seed=3)
    assert points != draw(space, 60, seed=4)
    assert {point["depth"] for point in points} == {2, 3, 4}
    assert {point["features"] for point in points} == {8, 16, 24, 32}
    assert set(Counter(point["net"] for point in points)) == {"skip", "unet"}
    for point in points:
        if point["optimizer"] == "adam":
            assert 1e-4 <= point["lr"] <= 1e-2
        else:
            assert point["lr"] in (0.5, 1.0, 1.5, 2.0)


def test_a_function_is_a_space_and_what_it_returns_is_the_point():
    def define(trial: optuna.Trial) -> dict[str, object]:
        return {"lr": trial.suggest_float("lr of adam", 0.1, 0.2)}

    (point,) = draw(define, 1, seed=0)
    assert set(point) == {"lr"}


def test_a_list_of_one_range_is_the_range():
    points = draw({"lr": [tune.uniform(0.1, 0.2)]}, 5, seed=0)
    assert points == draw({"lr": tune.uniform(0.1, 0.2)}, 5, seed=0)


def test_a_choice_among_grids_is_like_a_list_of_them():
    grids = [{"optimizer": "adam", "lr": 0.1}, {"optimizer": "sgd", "lr": 1.0}]
    assert draw({"o": tune.choice(grids)}, 9, seed=1) == draw({"o": grids}, 9, seed=1)
    assert expand({"o": tune.choice(grids)}) == expand({"o": grids})


@pytest.mark.parametrize("bad", [tune.randn(), tune.qloguniform(0.1, 1.0, 0.1)])
def test_ranges_that_optuna_lacks_are_refused(bad):
    with pytest.raises(ConfigError, match="lr: Optuna has no normal"):
        draw({"lr": bad}, 1, seed=0)


@pytest.mark.parametrize("use", [expand, lambda space: draw(space, 2, seed=0)])
def test_a_misspelt_field_is_refused_by_every_search(use):
    with pytest.raises(ConfigError, match="learning_rate: no such setting"):
        use({"learning_rate": [0.1, 0.2]})


@pytest.mark.parametrize("use", [expand, as_define_by_run, lambda space: draw(space, 2, seed=0)])
def test_a_wrong_value_is_refused_by_every_search_with_its_place(use):
    with pytest.raises(ConfigError, match=r"^optimizer\[1\]\.lr\[0\]=-1: allowed is above 0"):
        use({"optimizer": [{"optimizer": "adam"}, {"optimizer": "sgd", "lr": [-1, 1.0]}]})
