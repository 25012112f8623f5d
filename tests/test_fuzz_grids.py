"""Any JSON, and any change of a grid that is right: a grid, or one line with the file's name."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.sweep import read_grid
from dipray.sweep.points import count_points, expand

GRID = {
    "net": ["skip", "unet"],
    "depth": [3, 4],
    "betas": [[0.9, 0.99]],
    "optimizer": [
        {"optimizer": "adam", "lr": [0.001, 0.01]},
        {"optimizer": "sgd", "momentum": 0.9, "o": [{"lr": 0.1}, {"lr": 1.0, "nesterov": True}]},
    ],
}
TEXT = json.dumps(GRID, indent=1).encode()

NAMES = st.text(max_size=4) | st.sampled_from([*FitConfig.model_fields, "self", "\ud800", "a\nb"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([2**63, 10**4000, "adam", "skip", "\ud800", "x" * 5000])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("grids") / "grid.json"


def read_or_refused(path, data: bytes) -> bool:
    """Whether it is a grid; fails unless what is said else is one line about the file."""
    path.write_bytes(data)
    try:
        grid = read_grid(path)
    except ConfigError as error:
        said = str(error)
        assert said.startswith(str(path))
        assert "\n" not in said and len(said) < len(str(path)) + 1200
        said.encode()
        return False
    try:
        points = expand(grid) if count_points(grid) < 1000 else []
    except ConfigError as error:
        assert "\n" not in str(error)
        return True
    for point in points[:5]:
        try:
            FitConfig(**point)
        except ConfigError as error:
            assert "\n" not in str(error)
    return True


@settings(max_examples=200)
@given(JSON)
def test_any_json_is_a_grid_or_refused(path, value):
    read_or_refused(path, json.dumps(value).encode())


@settings(max_examples=200)
@given(st.dictionaries(NAMES, JSON, min_size=1, max_size=3))
def test_any_object_is_a_grid_or_refused(path, value):
    read_or_refused(path, json.dumps(value).encode())


@settings(max_examples=300)
@given(
    st.integers(0, len(TEXT) - 1),
    st.integers(0, 40),
    st.binary(max_size=3)
    | st.sampled_from(
        [b'"', b"{", b"]", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"\xef\xbb\xbf"]
    ),
)
def test_any_change_of_a_grid_is_a_grid_or_refused(path, at, length, put):
    read_or_refused(path, TEXT[:at] + put + TEXT[at + length :])


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_read(path, data):
    read_or_refused(path, data)


def test_the_grid_that_is_changed_is_right(path):
    assert read_or_refused(path, TEXT)


@pytest.mark.parametrize("depth", [20, 100, 300, 900, 5000, 100_000])
@pytest.mark.parametrize("field", ["depth", "betas", "no_field"])
@pytest.mark.parametrize("kind", ["list", "object"])
def test_depth_is_told(path, depth, field, kind):
    opening, closing = ("[", "]") if kind == "list" else ('{"a": ', "}")
    text = f'{{"{field}": ' + opening * depth + "3" + closing * depth + "}"
    assert not read_or_refused(path, text.encode())


def test_many_fields_and_values_take_no_time(path):
    values = ", ".join(["-1"] * 1_000_000)
    assert not read_or_refused(path, f'{{"lr": [{values}]}}'.encode())
    fields = ", ".join(f'"f{at}": 1' for at in range(300_000))
    assert not read_or_refused(path, f"{{{fields}}}".encode())


def test_files_that_are_no_grid_for_their_size_or_kind(path, tmp_path):
    import os

    with (tmp_path / "large.json").open("wb") as stream:
        stream.truncate(20_000_000_000)  # which takes no room
    os.mkfifo(tmp_path / "pipe.json")
    for name, said in (
        (tmp_path / "large.json", "20,000,000,000 bytes; a grid has at most 10,000,000"),
        (tmp_path / "pipe.json", "cannot be read (Is a pipe, device or socket)"),
        ("/dev/zero", "cannot be read (Is a pipe, device or socket)"),
        (tmp_path / "no\0name", "cannot be read (embedded null byte)"),
    ):
        with pytest.raises(ConfigError) as caught:
            read_grid(name)
        assert str(caught.value) == f"{name}: {said}"
