"""Ctrl-C in a single fit: once to stop where it can go on, twice to stop at once."""

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
    """Instead of raising, the first Ctrl-C calls `then`; the second raises KeyboardInterrupt."""
    asked = Interruption()

    def note(*_: object) -> None:
        asked.is_asked = True
        signal.signal(signal.SIGINT, before)
        then()

    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals arrive in the main thread alone
        return
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
