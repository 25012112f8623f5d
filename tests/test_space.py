import json
from collections import Counter

import optuna
import pytest
from ray import tune

from dipray.errors import ConfigError
from dipray.sweep.space import check_fields, draw, expand, read_grid

CONDITIONAL = {
    "depth": [2, 3],
    "optimizer": [
        {"optimizer": "adam", "lr": [0.001, 0.01]},
        {"optimizer": "sgd", "momentum": 0.9, "lr": 0.1},
    ],
}


def test_a_grid_is_every_combination_in_order():
    assert expand({"net": ["skip", "unet"], "lr": [0.1, 0.2], "depth": 3}) == [
        {"net": "skip", "lr": 0.1, "depth": 3},
        {"net": "skip", "lr": 0.2, "depth": 3},
        {"net": "unet", "lr": 0.1, "depth": 3},
        {"net": "unet", "lr": 0.2, "depth": 3},
    ]


def test_alternatives_are_taken_together():
    points = expand(CONDITIONAL)
    assert len(points) == 2 * 3
    assert {"depth": 2, "optimizer": "sgd", "momentum": 0.9, "lr": 0.1} in points
    assert all("momentum" not in point for point in points if point["optimizer"] == "adam")


def test_an_alternative_may_hold_lists_under_any_label():
    points = expand({"recipe": [{"net": ["skip", "unet"]}, {"net": "encdec", "lr": 0.1}]})
    assert points == [{"net": "skip"}, {"net": "unet"}, {"net": "encdec", "lr": 0.1}]


def test_a_field_set_twice_is_refused():
    with pytest.raises(ConfigError, match="lr: set twice"):
        expand({"lr": [0.1], "optimizer": [{"optimizer": "adam", "lr": 0.2}]})


def test_a_range_has_no_grid():
    with pytest.raises(ConfigError, match="lr: a range cannot be a grid"):
        expand({"lr": tune.loguniform(1e-3, 1e-1)})


@pytest.mark.parametrize(
    ("grid", "complaint"),
    [
        ({"nett": ["skip"]}, "did you mean net"),
        ({"lr": []}, "lr: an empty list"),
        ({"o": [{"optimizr": "sgd"}]}, "optimizr: no such setting"),
        ({"o": [{"optimizer": "sgd"}, 3]}, "o: mixes values and grids"),
    ],
)
def test_wrong_fields_are_named(grid, complaint):
    with pytest.raises(ConfigError, match=complaint):
        check_fields(grid)


def test_a_grid_file_is_read(tmp_path):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(CONDITIONAL))
    assert expand(read_grid(path)) == expand(CONDITIONAL)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ('{"lr": [1], "lr": [2]}', "'lr' is there twice"),
        ("[1]", "a grid is an object"),
        ('{"nett": [1]}', "did you mean net"),
    ],
)
def test_a_wrong_grid_file_is_one_line_with_its_path(tmp_path, text, complaint):
    path = tmp_path / "grid.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        read_grid(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_grid_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_grid(tmp_path / "none.json")


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
