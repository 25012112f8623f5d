import json
import os
import pickle
from pathlib import Path

import pytest

from dipray.errors import FolderError
from dipray.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def files(store: Store) -> list[str]:
    root = Path(store.location)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_what_is_written_is_read(store):
    store.write("a.bin", b"\x00\xff")
    store.write("deep/down/b.bin", b"b")
    store.write("deep/down/b.bin", b"again")
    assert store.read("a.bin") == b"\x00\xff"
    assert store.read("deep/down/b.bin") == b"again"
    assert files(store) == ["a.bin", "deep/down/b.bin"]


def test_names(store):
    assert store.names() == []
    assert store.names("nothing") == []
    for name in ("b", "a", "sub/c"):
        store.write(name, b"")
    assert store.names() == ["a", "b", "sub"]
    assert store.names("sub") == ["c"]
    assert store.names("a") == []


def test_exists(store):
    assert not store.exists("a")
    store.write("sub/a", b"")
    assert store.exists("sub")
    assert store.exists("sub/a")
    assert not store.exists("sub/a/b")


def test_remove(store):
    store.remove("nothing")
    store.write("a", b"")
    store.write("sub/deep/b", b"")
    store.remove("a")
    store.remove("sub")
    store.remove("sub")
    assert store.names() == []


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, "é"]}, [], "text", 3, None])
def test_json(store, value):
    store.write_json("a.json", value)
    assert store.read_json("a.json") == value
    assert json.loads(store.read("a.json")) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_it_cannot_hold(store, value):
    with pytest.raises(ValueError, match="JSON"):
        store.write_json("a.json", {"a": value})
    assert store.names() == []


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"a": 1} x'])
def test_json_that_is_not_whole(store, data):
    store.write("a.json", data)
    with pytest.raises(FolderError, match=r"a\.json: not whole JSON"):
        store.read_json("a.json")


@pytest.mark.parametrize("method", ["write_bytes", "replace"])
def test_a_write_that_fails_leaves_what_was(store, monkeypatch, method):
    store.write("a", b"old")

    def fail(path, *args):
        if method == "write_bytes":
            path.touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, method, fail)
        with pytest.raises(FolderError, match=r"a: cannot be written \(No space left on device\)"):
            store.write("a", b"new")
    assert files(store) == ["a"]
    assert store.read("a") == b"old"


def test_a_file_appears_whole(store, monkeypatch):
    seen = []
    replace = Path.replace

    def watch(path, target):
        seen.append((Path(target).exists(), Path(path).read_bytes(), Path(path).parent))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", watch)
    store.write("sub/a", b"whole")
    assert seen == [(False, b"whole", Path(store.location) / "sub")]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/etc", "a\\b"])
def test_a_child_cannot_leave(store, name):
    with pytest.raises(FolderError, match="is no name for a folder"):
        store.child(name)
    with pytest.raises(FolderError):
        store.child("fine", name)


@pytest.mark.parametrize("name", ["a", "a b", "50%20", "x#y", "q?z", "a:b", "~", "ünï", "..a"])
def test_children_by_any_other_name(store, name):
    child = store.child(name, "deeper")
    child.write("k", b"1")
    assert Path(child.location) == Path(store.location) / name / "deeper"
    assert store.names() == [name]
    assert store.read(f"{name}/deeper/k") == b"1"


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    store = Store(tmp_path / "file")
    with pytest.raises(FolderError, match="cannot be written"):
        store.write("a", b"")
    with pytest.raises(FolderError, match="cannot be written"):
        store.child("sub").write_json("a", {})
    with pytest.raises(FolderError, match="cannot be read"):
        store.read("a")
    assert not store.exists("a")
    assert store.names() == []
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_in_place_of_the_file(store):
    store.write("a/b", b"")
    with pytest.raises(FolderError, match="cannot be written"):
        store.write("a", b"")
    with pytest.raises(FolderError, match="cannot be read"):
        store.read("a")
    assert files(store) == ["a/b"]


def test_a_missing_file(store):
    with pytest.raises(FolderError, match=r"nothing\.json: cannot be read"):
        store.read_json("nothing.json")


@pytest.mark.parametrize("uri", ["nope://somewhere", "://", "s3://?what=this"])
def test_a_uri_of_no_known_kind(uri):
    with pytest.raises(FolderError, match="cannot be opened"):
        Store(uri)


def test_a_store_pickles_as_its_place(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = pickle.loads(pickle.dumps(Store("results")))
    assert str(relative) == str(store) == store.location
    os.chdir("/")
    relative.write("a", b"1")
    assert store.read("a") == b"1"


def test_a_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/results").location == str(tmp_path / "results")


def test_a_file_uri_is_a_local_folder(tmp_path):
    store = Store(f"file://{tmp_path}/results")
    store.write("deep/a", b"1")
    store.child("sub").write_json("b.json", [1])
    assert files(Store(tmp_path / "results")) == ["deep/a", "sub/b.json"]
    assert pickle.loads(pickle.dumps(store)).read("deep/a") == b"1"


def test_storage_that_is_not_local():
    store = Store("mock://")
    assert not store.is_local
    store.write("a.json", b"[1]")
    assert store.read_json("a.json") == [1]
    assert store.names() == ["a.json"]
    assert store.exists("a.json")
    store.remove("a.json")
    assert store.names() == store.names("sub") == []


def test_children_keep_the_options_of_a_uri():
    child = Store("mock:///bucket/prefix?region=here").child("a", "b")
    assert child.location == "mock:///bucket/prefix/a/b?region=here"
    assert Store("mock:///bucket").child("a").location == "mock:///bucket/a"
