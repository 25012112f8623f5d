"""Store: a folder of results, on a local disk or on object storage, by path or URI."""

import contextlib
import itertools
import json
import os
import posixpath
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from dipray.errors import FolderError
from dipray.regular_file import check_regular

LEAST_FREE = 2**18  # bytes, below which a disk counts as full


class Store:
    """A folder known by a path or a URI such as s3://bucket/prefix.

    Files appear whole or not at all: a local one is written beside its place and renamed, and
    object storage does the same by nature. Neither a name nor a link leads out of the folder that
    was opened. Pickles as its location. Raises FolderError.
    """

    def __init__(self, location: str | Path) -> None:
        self.location = str(location)
        self.is_local = "://" not in self.location
        try:
            if self.is_local:
                self.location = str(Path(self.location).expanduser().resolve())
            self._files, self._root = pafs.FileSystem.from_uri(self.location)
        except Exception as error:
            raise FolderError(f"{self.location}: cannot be opened ({_reason(error)})") from None
        if isinstance(self._files, pafs.LocalFileSystem):  # a file:// URI is a local path too
            self.location, self.is_local = self._root, True
        self._bounds = os.path.realpath(self._root) if self.is_local else ""

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return (Store, (self.location,))

    def __str__(self) -> str:
        return self.location

    def child(self, *names: str) -> "Store":
        """The folder below this one; it need not exist. Names may not lead out of it."""
        checked_names(names, self.location)
        child = object.__new__(Store)  # one connection serves a whole sweep
        child._files, child.is_local, child._bounds = self._files, self.is_local, self._bounds
        child._root = posixpath.join(self._root, *names)
        base, mark, options = self.location, "", ""
        if not self.is_local:  # s3://bucket/prefix?region=...
            base, mark, options = self.location.partition("?")
        child.location = posixpath.join(base, *names) + mark + options
        return child

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole, making folders on the way."""
        place = self._at(name)
        with _explained(place, "written"):
            if not self.is_local:
                with self._files.open_output_stream(place) as stream:
                    stream.write(data)
                return
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            if Path(place).exists():
                check_regular(place)  # or a device would be replaced by a file
            draft = f"{place}.{os.getpid()}.tmp"
            try:
                Path(draft).write_bytes(data)
                Path(draft).replace(place)
            finally:
                Path(draft).unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        place = self._at(name)
        with _explained(place, "read"):
            self._check(place)
            with self._files.open_input_stream(place) as stream:
                data: bytes = stream.read()
                return data

    def open(self, name: str) -> pa.NativeFile:
        """A file to read parts of; close it."""
        place = self._at(name)
        with _explained(place, "read"):
            self._check(place)
            return self._files.open_input_file(place)

    def write_json(self, name: str, value: Any) -> None:
        """Write plain data as JSON; NaN and infinity raise ValueError, objects TypeError."""
        text = json.dumps(value, indent=1, allow_nan=False)
        self.write(name, (text + "\n").encode())

    def read_json(self, name: str) -> Any:
        """Plain data from a JSON file."""
        data = self.read(name)
        try:
            value = json.loads(data)
            if b"\\u" in data:  # half a character, which no table can hold, is a ValueError too
                json.dumps(value, ensure_ascii=False).encode()
            return value
        except ValueError as error:
            raise FolderError(f"{self._at(name)}: not whole JSON ({error})") from None
        except RecursionError:
            raise FolderError(f"{self._at(name)}: JSON that is nested too deeply") from None

    def exists(self, name: str) -> bool:
        """Whether there is a file or folder of that name."""
        return bool(self._kind(name) != pafs.FileType.NotFound)

    def names(self, folder: str = "") -> list[str]:
        """Sorted names of what lies in a folder of this one; none if it does not exist."""
        place = self._at(folder)
        selector = pafs.FileSelector(place, allow_not_found=True)
        with _explained(place, "listed"), contextlib.suppress(NotADirectoryError):
            return sorted(map(_name, self._files.get_file_info(selector)))
        return []

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all it holds; nothing happens if there is none."""
        kind = self._kind(name)
        with _explained(self._at(name), "removed"):
            if kind == pafs.FileType.File:
                self._files.delete_file(self._at(name))
            elif kind == pafs.FileType.Directory:
                self._files.delete_dir(self._at(name))

    @property
    def is_full(self) -> bool:
        """Whether a local disk has next to no room left; of object storage nobody knows."""
        return self.is_local and shutil.disk_usage(self._root).free < LEAST_FREE

    def _kind(self, name: str) -> pafs.FileType:
        with _explained(self._at(name), "read"):
            return self._files.get_file_info(self._at(name)).type

    def _check(self, place: str) -> None:
        """Raises OSError for a pipe, which one would read for ever."""
        if self.is_local:
            check_regular(place)

    def _at(self, name: str) -> str:
        place = posixpath.join(self._root, name) if name else self._root
        leads_out = name.startswith("/") or ".." in name.split("/") or "\0" in name
        if self.is_local and not leads_out:
            inside = self._bounds.rstrip("/") + "/"
            # without a link on the way it lies where it says, which is quicker to see
            leads_out = _may_be_linked(place, inside) and not (
                os.path.realpath(place) + "/"
            ).startswith(inside)
        if leads_out:
            said = name if name.isprintable() else repr(name)
            raise FolderError(f"{said or place}: leads out of the folder {self._bounds}".rstrip())
        return place


def _may_be_linked(place: str, folder: str) -> bool:
    """Whether anything below the folder is a link, or the place does not begin with the folder."""
    if not place.startswith(folder):
        return True
    steps = itertools.accumulate(place.removeprefix(folder).split("/"), posixpath.join)
    return any(os.path.islink(folder + step) for step in steps)  # noqa: PTH114 # Path is slow


def checked_names(names: Iterable[str], location: str) -> None:
    """Raises FolderError for a name that would lead out of the folder at `location`."""
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\\" in name:
            raise FolderError(f"{name!r} is no name for a folder in {location}")


@contextlib.contextmanager
def _explained(place: str, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderError(f"{place}: cannot be {verb} ({_reason(error)})") from None


def _name(info: pafs.FileInfo) -> str:
    try:
        name: str = info.base_name
    except UnicodeDecodeError as error:  # nothing of ours, so to be shown and not to be read
        name = error.object.decode("utf-8", "backslashreplace")
    return name


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())
