"""The command line as it was given, to say how a sweep goes on."""

import shlex
from collections.abc import Sequence
from contextvars import ContextVar

_GIVEN: ContextVar[tuple[str, ...]] = ContextVar("given", default=())


def remember(arguments: Sequence[str]) -> None:
    """Keep the arguments of the program."""
    _GIVEN.set(tuple(arguments))


def command_line() -> str:
    """The command as one types it in a shell; empty where the program was not started by one."""
    return shlex.join(["dipray", *_GIVEN.get()]) if _GIVEN.get() else ""
