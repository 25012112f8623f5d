"""Whatever lies in a folder of results: it is read, or named as left out, and nothing is raised."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import BASE, add_trial, empty_sweep, png_of, trace_rows

from analysis import leaderboard, load_sweep
from dipray.errors import DiprayError, FolderError
from dipray.folder import is_finished, read_outcome
from dipray.store import Store

NUMBERS = (
    st.integers() | st.floats() | st.sampled_from([2**63, -(2**70), 10**400, 1e308, -0.0, 1e-320])
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS
    | st.text(max_size=6)
    | st.sampled_from(["\ud800", "BUDGET"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["self", "name"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A sweep of two trials, a problem and its baselines, that has been read without complaint."""
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    store = empty_sweep(folder)
    picture = png_of(np.full((16, 16, 3), 0.5))
    problem = store.child("problems", "p")
    origin = {"task": "denoise", "clean": "p.png", "noise_sigma": 25.0}
    described = {"name": "p", "shape": [3, 16, 16], "measurement_shape": [3, 16, 16]}
    problem.write_json("problem.json", described | {"has_reference": True, "origin": origin})
    problem.write("reference.png", picture)
    methods = [{"method": "noisy input", "psnr": 20.0, "seconds": 0.1, "picture": "noisy.png"}]
    problem.write_json("baselines.json", methods)
    for seed in (0, 1):
        loss = np.linspace(1, 0.1, 20)
        rows = trace_rows(loss, lr=0.01, psnr=20 - loss, psnr_ema=19 - loss, tv=loss)
        config = BASE.replace(seed=seed, iterations=20)
        add_trial(store, config, rows=rows, images={"final": picture})
    trial = store.child("trials", store.names("trials")[1])
    ended = trial.read_json("outcome.json") | {"outcome": "INTERRUPTED"}
    trial.write_json("outcome.json", ended | {"picks": {"val": {"iteration": 3, "fired": None}}})
    trial.write_json("stopped.json", {"stopped_by": "asha"})
    assert load_sweep(folder).left_out == []
    return folder


SWEEP = "sweep.json"
PROBLEM = "problems/p/problem.json"
METHODS = "problems/p/baselines.json"
CONFIG = "trials/*/config.json"
OUTCOME = "trials/*/outcome.json"
STOPPED = "trials/*/stopped.json"
TRACE = "trials/*/trace.parquet/part-00000.parquet"
FILES = (SWEEP, PROBLEM, METHODS, CONFIG, "trials/*/problem.json", OUTCOME, STOPPED, TRACE)


def look_at_everything(folder: Path) -> list[str]:
    """What `left_out` says, after all else has been asked for."""
    try:
        sweep = load_sweep(folder)
        assert len(sweep.trials.columns) > 50
        assert sweep.traces()["iteration"].dtype == "int64"
        assert sweep.problems["name"].is_unique
        assert "method" in sweep.baselines
        leaderboard(sweep)
        for trial in sweep.trials.index:
            own = Store(folder / "trials" / trial)
            is_finished(own)
            try:
                read_outcome(own)
            except FolderError as error:
                assert "\n" not in str(error)
        said = sweep.left_out
    except DiprayError as error:
        assert "\n" not in str(error)
        return [str(error)]
    assert all("\n" not in line and len(line) < 1000 for line in said)
    return said


@st.composite
def damaged(draw, value):
    """The value with one part of it replaced, removed, or another put in."""
    if isinstance(value, (dict, list)) and value and draw(st.integers(0, 9)):
        steps = list(value) if isinstance(value, dict) else list(range(len(value)))
        step = draw(st.sampled_from(steps))
        changed = value.copy()
        if draw(st.integers(0, 5)):
            changed[step] = draw(damaged(value[step]))
        else:
            del changed[step]
        return changed
    return draw(JSON)


@pytest.fixture(scope="module")
def copy(whole, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("damaged") / "sweep"
    shutil.copytree(whole, folder)
    return folder


@contextlib.contextmanager
def changed(folder: Path, pattern: str, which: int):
    """A file of the folder, which is put back as it was."""
    found = sorted(folder.glob(pattern))
    path = found[which % len(found)]
    data = path.read_bytes()
    try:
        yield path, data
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(data)


HARD = {
    # name -> file, what is put in it, whether the file as a whole can still be used
    "a setting called self": (CONFIG, {"self": 1}),
    "a number that no float holds": (OUTCOME, {"psnr_peak": 10**400}),
    "an iteration that no int64 holds": (OUTCOME, {"iteration_peak": 2**70}),
    "a pick that no int64 holds": (OUTCOME, {"picks": {"val": {"iteration": 2**70}}}),
    "an outcome that is a list": (OUTCOME, {"outcome": ["BUDGET"]}),
    "a reason that is an object": (OUTCOME, {"reason": {"a": [1]}}),
    "a decision that is a number": (STOPPED, {"stopped_by": 3}),
    "half a character": (OUTCOME, {"reason": "\ud800"}),
    "a name that is a list": (PROBLEM, {"name": [1]}),
    "origins of all kinds": (PROBLEM, {"origin": {"a": 2**70, "b": "x", "c": True, "task": 3}}),
    "an origin with names of ours": (PROBLEM, {"origin": {"name": "q", "shape": 3, "task": [1]}}),
    "shapes that nest": (PROBLEM, {"shape": [[1, 2], {"a": 3}]}),
    "a fingerprint that is a list": (PROBLEM, {"fingerprint": [1, {"a": 2}]}),
    "a task that is an object": (PROBLEM, {"origin": {"task": {"a": 1}}}),
    "a method's number that no float holds": (METHODS, [{"method": "m", "psnr": 10**400}]),
    "a method's number that is text": (METHODS, [{"method": "m", "psnr": "12 dB"}]),
    "a method that is an object": (METHODS, [{"method": {"a": 1}, "picture": {"b": [2]}}]),
    "methods that are text": (METHODS, "abc"),
    "a metric that is a list": (SWEEP, {"metric": ["psnr_peak"]}),
}


@pytest.mark.parametrize("name", HARD)
def test_what_json_can_hold_and_a_table_cannot(copy, name):
    pattern, put = HARD[name]
    with changed(copy, pattern, 1) as (path, data):
        value = {**json.loads(data), **put} if isinstance(put, dict) else put
        path.write_text(json.dumps(value))
        look_at_everything(copy)


@pytest.mark.parametrize("pattern", FILES)
@pytest.mark.parametrize("instead", ["folder", "nothing", "pipe", "dangling link", "deep", "empty"])
def test_something_else_in_place_of_a_file(copy, pattern, instead):
    with changed(copy, pattern, 0) as (path, _):
        path.unlink()
        match instead:
            case "folder":
                (path / "inside").mkdir(parents=True)
            case "pipe":
                os.mkfifo(path)
            case "dangling link":
                path.symlink_to("nowhere")
            case "deep":
                path.write_bytes(b"[" * 200_000)
            case "empty":
                path.touch()
        said = look_at_everything(copy)
        if instead in ("folder", "pipe", "deep", "empty"):
            assert any(str(path.relative_to(copy)) in line for line in said), said


def test_names_that_no_text_can_hold(copy):
    strange = copy / "trials" / os.fsdecode(b"\xff")
    strange.mkdir()
    (copy / "trials" / "file").touch()
    (copy / "problems" / "file").touch()
    try:
        look_at_everything(copy)
    finally:
        strange.rmdir()
        (copy / "trials" / "file").unlink()
        (copy / "problems" / "file").unlink()


@settings(max_examples=60)
@given(st.data(), st.sampled_from(FILES[:-1]), st.integers(0, 1))
def test_any_json_in_place_of_what_was_there(copy, data, pattern, which):
    with changed(copy, pattern, which) as (path, before):
        value = data.draw(damaged(json.loads(before)))
        path.write_text(json.dumps(value))
        look_at_everything(copy)


@settings(max_examples=60)
@given(
    st.sampled_from(FILES),
    st.integers(0, 1),
    st.sampled_from(["cut", "flip", "replace", "insert"]),
    st.integers(0, 10_000),
    st.binary(min_size=1, max_size=8),
)
def test_any_bytes_changed(copy, pattern, which, how, place, put):
    with changed(copy, pattern, which) as (path, data):
        at = place % len(data)
        match how:
            case "cut":
                path.write_bytes(data[:at])
            case "flip":
                path.write_bytes(data[:at] + bytes([data[at] ^ (put[0] or 1)]) + data[at + 1 :])
            case "replace":
                path.write_bytes(put)
            case "insert":
                path.write_bytes(data[:at] + put + data[at:])
        said = look_at_everything(copy)
        if how == "cut" and at < len(data) - 2:  # that is, more than the line's end
            assert any(str(path.relative_to(copy)) in line for line in said), said
