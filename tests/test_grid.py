import itertools
import json
import math

import hypothesis
import pytest
from hypothesis import strategies as st
from ray import cloudpickle, tune

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep
from dipray.sweep.grid_check import check_fields
from dipray.sweep.grid_file import line_of, read_grid
from dipray.sweep.points import count_points, expand

CONDITIONAL = {
    "depth": [2, 3],
    "optimizer": [
        {"optimizer": "adam", "lr": [0.001, 0.01]},
        {"optimizer": "sgd", "momentum": 0.9, "lr": 0.1},
    ],
}


def complaint_of(grid):
    with pytest.raises(ConfigError) as caught:
        check_fields(grid)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def complaint_of_file(path):
    """What is said of a grid file, without its folder."""
    with pytest.raises(ConfigError) as caught:
        read_grid(path)
    said = str(caught.value)
    assert "\n" not in said and said.startswith(str(path))
    return said.removeprefix(f"{path.parent}/")


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


def test_an_alternative_may_set_nothing():
    assert expand({"recipe": [{}, {"tv_weight": 0.01}]}) == [{}, {"tv_weight": 0.01}]
    assert expand({}) == [{}]


@pytest.mark.parametrize(
    "grid",
    [
        {"lr": 1},  # a whole number where a fraction may stand
        {"skip_channels": [None, 0, 4], "weight_decay": None},
        {"betas": (0.9, 0.99)},
        {"betas": [[0.9, 0.99], (0.5, 0.9)]},
        {"momentum": [0.9]},  # right for some optimizer
        {"nesterov": [True, False], "fourier_scale": 3.0, "patience": 20, "input_channels": 3},
        {"lr": tune.loguniform(1e-6, 1e6), "momentum": tune.uniform(0, 1)},
        {"tv_weight": tune.uniform(0, 1000), "depth": tune.randint(1, 11)},
        {"depth": tune.qrandint(2, 10, 2), "net": tune.choice(["skip", "unet"])},
        {"lr": tune.uniform(0, 1), "weight_decay": tune.quniform(0, 1, 0.1)},
        {"o": tune.choice([{"lr": tune.uniform(0.1, 1)}, {"lr": 2.0}])},
        {"lr": tune.randn()},  # refused where it is drawn
    ],
)
def test_what_a_fit_may_have_passes(grid):
    check_fields(grid)


@pytest.mark.parametrize(
    ("grid", "complaint"),
    [
        ({"nett": ["skip"]}, "nett: no such setting; did you mean net?"),
        ({"o": [{"optimizr": "sgd"}]}, "o[0].optimizr: no such setting; did you mean optimizer?"),
        ({"my\nlabel": 3}, "'my\\nlabel': no such setting"),
        ({3: 3}, "[3]: no such setting"),
        ({"lr": []}, "lr: an empty list; give at least one value"),
        ({"o": [{"lr": []}]}, "o[0].lr: an empty list"),
        ({"o": [{"optimizer": "sgd"}, 3]}, "o: mixes values and grids; write grids only"),
        ({"lr": [0.01, -1]}, "lr[1]=-1: allowed is above 0 and at most 1,000,000"),
        ({"lr": -1}, "lr=-1: allowed is above 0"),
        ({"lr": tune.choice([1.0, -1])}, "lr[1]=-1: allowed is above 0"),
        ({"net": ["skip", "unett"]}, "net[1]='unett': allowed is 'skip', 'unet', 'encdec'"),
        ({"depth": "five"}, "depth='five': allowed is a valid integer"),
        ({"depth": [3.0]}, "depth[0]=3.0: allowed is a valid integer"),
        ({"depth": True}, "depth=True: allowed is a valid integer"),
        ({"lr": ["0.1"]}, "lr[0]='0.1': allowed is a valid number"),
        ({"lr": [True]}, "lr[0]=True: allowed is a valid number"),
        ({"lr": None}, "lr=None: allowed is a valid number"),
        ({"lr": (0.1, 0.2)}, "lr=(0.1, 0.2): allowed is a valid number"),
        ({"lr": math.nan}, "lr=nan: allowed is above 0"),
        ({"lr": [0.1, math.inf]}, "lr[1]=inf: allowed is above 0"),
        ({"betas": [0.9, 0.99]}, "betas[0]=0.9: allowed is two numbers; in a grid, a list of pai"),
        ({"betas": [[0.9, 1.5]]}, "betas[0]=(0.9, 1.5): both must be at least 0 and below 1"),
        ({"betas": [[math.nan, 0.9]]}, "betas[0]=(nan, 0.9): both must be"),
        ({"betas": [[0.9, 0.9, 0.9]]}, "betas[0]=(0.9, 0.9, 0.9): allowed is two numbers"),
        ({"depth": [[1, 2]]}, "depth[0]=[1, 2]: allowed is a valid integer; lists of values do "),
        ({"depth": [[3] * 900]}, "depth[0]=[3, 3, 3, 3, "),
        ({"optimizer": {"optimizer": "adm"}}, "optimizer.optimizer='adm': allowed is 'sgd'"),
        ({"lr": tune.uniform(-1, 1)}, "lr: the range reaches lr=-1: allowed is above 0"),
        ({"o": [{"lr": tune.uniform(1, 1e7)}]}, "o[0].lr: the range reaches lr=10000000.0: allow"),
        ({"depth": tune.randint(1, 12)}, "depth: the range reaches depth=12: allowed is at least"),
        ({"depth": tune.uniform(1.5, 3)}, "depth: the range reaches depth=1.5: allowed is a valid"),
        ({"net": tune.randint(0, 2)}, "net: the range reaches net=0: allowed is 'skip'"),
        ({"lr": [tune.uniform(1, 2), 3.0]}, "lr: a range among other values"),
        ([{"lr": 1}], "a grid is an object of fields; this is a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(grid, complaint):
    said = complaint_of(grid)
    assert said.startswith(complaint)
    assert len(said) < 600


@pytest.mark.parametrize(
    ("grid", "complaint"),
    [
        (
            {"lr": [0.1], "optimizer": [{"optimizer": "adam", "lr": 0.2}]},
            "optimizer[0].lr: set twice in one combination, also at lr[0]; drop one",
        ),
        (
            {"a": [{"lr": 1}, {"depth": 2}], "b": [{"net": "skip"}, {"c": {"lr": [2]}}]},
            "b[1].c.lr[0]: set twice in one combination, also at a[0].lr; drop one",
        ),
    ],
)
def test_a_field_set_twice_is_refused(grid, complaint):
    assert complaint_of(grid) == complaint


def test_a_field_may_be_set_by_each_of_several_alternatives():
    check_fields({"o": [{"lr": 1.0}, {"lr": 2.0}, {"a": [{"lr": 3.0}, {"lr": 4.0}]}]})


def test_a_grid_that_holds_itself_is_refused():
    grid = {"lr": 0.1}
    grid["o"] = [grid]
    assert "write at most 20 grids within each other" in complaint_of(grid)


def test_a_range_has_no_grid():
    with pytest.raises(ConfigError, match=r"o\[0\]\.lr: a range cannot be a grid; write a list"):
        expand({"o": [{"lr": tune.loguniform(1e-3, 1e-1)}]})


@pytest.mark.parametrize("grid", [CONDITIONAL, {}, {"a": [{}, {"b": CONDITIONAL}], "lr_": [{}]}])
def test_combinations_are_counted(grid):
    assert count_points(grid) == len(expand(grid))


def test_a_huge_grid_is_refused_before_it_is_made(tmp_path):
    values = {"seed": list(range(10_000)), "depth": [2, 3, 4], "net": ["skip", "unet", "encdec"]}
    grid = {**values, "o": [{"lr": [0.1, 0.2]}, {"lr": 0.3}]}
    with pytest.raises(ConfigError, match=r"^270,000 combinations; allowed are 100,000; write few"):
        expand(grid)
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(grid))
    with pytest.raises(ConfigError, match=r"grid\.json: 270,000 combinations"):
        expand(read_grid(path))


def test_a_grid_file_is_read(tmp_path):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(CONDITIONAL))
    grid = read_grid(path)
    assert grid == CONDITIONAL
    assert expand(grid) == expand(CONDITIONAL)
    assert cloudpickle.loads(cloudpickle.dumps(grid)).path == str(path)


def test_a_mark_at_the_beginning_of_a_file_is_no_fault(tmp_path):
    path = tmp_path / "grid.json"
    path.write_bytes(json.dumps(CONDITIONAL).encode("utf-8-sig"))
    assert read_grid(path) == CONDITIONAL


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "line 1, column 2: not JSON (Expecting property name"),
        ('{"lr":\n [0.1}', "line 2, column 6: not JSON (Expecting ',' delimiter)"),
        ("", "line 1, column 1: not JSON (Expecting value)"),
        ('{"lr": [1e400]}', "line 1: lr[0]=inf: allowed is above 0"),
        ('{"lr": [0.1,\n NaN]}', "line 2: lr[1]=nan: allowed is above 0"),
        ('{"lr": -Infinity}', "line 1: lr=-inf: allowed is above 0"),
        ('{"betas": [[NaN, 0.9]]}', "line 1: betas[0]=(nan, 0.9): both must be"),
        ('{"nett": [1]}', "line 1: nett: no such setting; did you mean net?"),
        (
            '{"depth": [3, 4],\n "optimizer": [\n  {"optimizer": "adam"},\n'
            '  {"optimizer": "sgd",\n   "lr": [-1]}\n ]}',
            "line 5: optimizer[1].lr[0]=-1: allowed is above 0 and at most 1,000,000",
        ),
        (
            '{"lr": 1,\n "o": {\n  "lr": 2}}',
            "line 3: o.lr: set twice in one combination, also at lr; drop one",
        ),
    ],
)
def test_a_wrong_grid_file_is_one_line_with_its_path_and_place(tmp_path, text, complaint):
    path = tmp_path / "grid.json"
    path.write_text(text)
    assert complaint_of_file(path).startswith(f"grid.json, {complaint}")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"lr": [1], "lr": [2]}', "'lr' is there twice in one object; write one of them"),
        (b"[1]", "a grid is an object of fields"),
        (b"{}", "no field in it; write at least one"),
        ('{"lr": [0.1]}'.encode("utf-16"), "not UTF-8 (byte 1); save it as UTF-8"),
        ('{"é": 1}'.encode("latin1"), "not UTF-8 (byte 3)"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "not JSON (Exceeds the limit"),
        (None, "cannot be read (Is a directory)"),
    ],
)
def test_a_file_that_is_no_grid_is_one_line_with_its_path(tmp_path, content, complaint):
    path = tmp_path / "grid.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert complaint_of_file(path).startswith(f"grid.json: {complaint}")


def test_a_missing_grid_file_is_one_line(tmp_path):
    assert complaint_of_file(tmp_path / "none.json").startswith("none.json: cannot be read")


_SHAPES = st.recursive(
    st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def numbered(shape, count):
    """The shape with a number of its own in each place for one."""
    if isinstance(shape, dict):
        return {name: numbered(below, count) for name, below in shape.items()}
    return [numbered(below, count) for below in shape] if shape is not None else next(count)


def leaves(value, place=()):
    """Every number and its place."""
    if isinstance(value, int):
        yield place, value
        return
    for step, below in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(below, (*place, step))


@hypothesis.given(_SHAPES, st.sampled_from([None, 0, 2]), st.booleans())
def test_the_line_of_any_value_in_any_file_is_found(shape, indent, ascii_only):
    value = numbered(shape, itertools.count(987_650_000))
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    for place, number in leaves(value):
        (line,) = [at for at, line in enumerate(text.split("\n"), 1) if str(number) in line]
        assert line_of(text, place) == line


@pytest.fixture
def refused(problem, tmp_path):
    """What a sweep says of a space, having left nothing behind."""

    def said(space, base=None, **config):
        folder = tmp_path / "none"
        with pytest.raises(ConfigError) as caught:
            run_sweep([problem], space, Store(folder), base=base, config=SweepConfig(**config))
        assert not folder.exists()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return said


def test_fields_that_contradict_each_other_are_told_with_file_and_advice(refused, tmp_path):
    path = tmp_path / "grid.json"
    path.write_text('{"optimizer": ["sgd", "adam"], "momentum": [0.9], "depth": 2}')
    assert refused(read_grid(path)) == (
        f"{path}: momentum=0.9: has no effect here; it is used with optimizer sgd or rmsprop; in "
        "the combination optimizer=adam, momentum=0.9, depth=2; write fields that belong together "
        'as alternatives, such as "optimizer": [{"optimizer": "adam"}, {"optimizer": "sgd", '
        '"momentum": 0.9}]'
    )


def test_what_is_advised_is_a_grid():
    advice = {"optimizer": [{"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.9}]}
    assert [FitConfig(**point).momentum for point in expand(advice)] == [0.0, 0.9]


def test_random_draws_that_contradict_themselves_are_told_alike(refused):
    space = {"optimizer": ["sgd", "adam"], "momentum": tune.uniform(0.5, 0.9), "depth": 2}
    said = refused(space, search="random", num_samples=8)
    assert said.startswith("momentum=0.") and "in the combination optimizer=adam, mom" in said
    assert "write fields that belong together as alternatives" in said


def test_a_contradiction_with_what_the_sweep_has_is_told(refused):
    base = FitConfig(depth=2, optimizer="sgd", momentum=0.9)
    said = refused({"optimizer": ["sgd", "adam"]}, base)
    assert "momentum=0.9: has no effect here" in said
    assert "momentum is set outside of the space" in said


def test_a_picture_that_is_too_small_needs_no_advice_on_grids(refused):
    said = refused({"depth": [2, 9], "lr": 0.1})
    assert said.startswith("depth=9: too deep for a picture of 32x32 pixels")
    assert said.endswith("; in the combination depth=9, lr=0.1")


def test_a_function_is_not_told_to_write_alternatives(refused):
    def space(trial):
        return {"momentum": 0.9}

    assert refused(space, search="random").endswith("used with optimizer sgd or rmsprop")


@pytest.mark.parametrize("search", ["grid", "random", "optuna"])
def test_a_wrong_value_is_refused_before_anything_is_written(refused, search):
    space = {"depth": 2, "lr": [0.1, -1]}
    assert refused(space, search=search).startswith("lr[1]=-1: allowed is above 0")
