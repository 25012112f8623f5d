"""Names that a caller asks for, held against those that there are."""

import difflib
from collections.abc import Iterable

from dipray.errors import FolderError

_SHOWN = 25  # names that fit in a message


class UnknownNameError(FolderError, ValueError):
    """A trial, column, problem or metric that the sweep does not have."""


def known_names(kind: str, asked: Iterable[str] | str, known: Iterable[str]) -> list[str]:
    """The names asked for, each once, in their order; one text counts as one name.

    Raises UnknownNameError, naming what exists, for one that is not known.
    """
    names = [asked] if isinstance(asked, str) else list(dict.fromkeys(asked))
    there = list(known)
    allowed = set(there)
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(str(name), there, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UnknownNameError(f"no {kind} {name!r}; {hint}there are {_listing(there)}")
    return names


def _listing(names: list[str]) -> str:
    if not names:
        return "none"
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
