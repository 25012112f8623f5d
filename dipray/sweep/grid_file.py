"""Grids in JSON files, and the line of what is wrong in one."""

import json
from pathlib import Path
from typing import Any

from dipray.errors import ConfigError
from dipray.regular_file import check_regular
from dipray.sweep.grid import GridFile, Place, short
from dipray.sweep.grid_check import faults

MOST_BYTES = 10_000_000  # of a file; 100,000 combinations, the most there are, need less


def read_grid(path: str | Path) -> GridFile:
    """A grid from a JSON file in UTF-8; raises ConfigError with the place of what is wrong."""
    text = _read(Path(path))
    grid = _parse(path, text)
    if not isinstance(grid, dict):
        raise ConfigError(
            f'{path}: a grid is an object of fields, such as {{"depth": [3, 4]}}; this is a '
            f"{type(grid).__name__}"
        )
    if not grid:
        raise ConfigError(f'{path}: no field in it; write at least one, such as {{"lr": [0.01]}}')
    for fault in faults(grid):
        raise ConfigError(f"{path}, line {line_of(text, fault.place)}: {fault}", field=fault.field)
    return GridFile(grid, str(path))


def _read(path: Path) -> str:
    try:
        size = check_regular(path)
        if size > MOST_BYTES:
            raise ConfigError(f"{path}: {size:,} bytes; a grid has at most {MOST_BYTES:,}")
        return path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start + 1}); save it as UTF-8") from None


def _parse(path: str | Path, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{where}: not JSON ({error.msg})") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", field=error.field) from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply to be a grid") from None
    except ValueError as error:  # of Python: an integer of thousands of digits
        raise ConfigError(f"{path}: not JSON ({error})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            said = short(repr(name), 60)
            raise ConfigError(f"{said} is there twice in one object; write one of them", field=name)
        found[name] = value
    return found


def line_of(text: str, place: Place) -> int:
    """The line, counted from 1, where the value at a place begins in a JSON text."""
    decode = json.JSONDecoder().raw_decode

    def skip_space(at: int) -> int:
        while text[at] in " \t\r\n":
            at += 1
        return at

    at = skip_space(0)
    for step in place:
        at, index = skip_space(at + 1), 0  # behind the bracket
        while True:
            key: str | int = index
            if isinstance(step, str):
                key, end = decode(text, at)
                at = skip_space(skip_space(end) + 1)  # behind the colon
            if key == step:
                break
            _, end = decode(text, at)
            at, index = skip_space(skip_space(end) + 1), index + 1  # behind the comma
    return text.count("\n", 0, at) + 1
