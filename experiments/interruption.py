"""Ctrl-C or SIGTERM in a single fit: once to stop where it can go on, twice to stop at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interruption:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.is_asked = False


@contextmanager
def first_ctrl_c(then: Callable[[], None]) -> Iterator[Interruption]:
    """Instead of raising, the first Ctrl-C or SIGTERM calls `then`; the second does what it did.

    Where Ctrl-C is ignored, as in what a shell put in the background, it stays so.
    """
    asked = Interruption()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(*_: object) -> None:
        asked.is_asked = True
        restore()
        then()

    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals arrive in the main thread alone
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # None is what somebody installed in C, and cannot be put back
    before = {n: was for n, was in handlers.items() if was not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        restore()
