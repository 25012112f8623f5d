"""How a program ends: exit codes, and one line for what the user can mend."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable

from dipray.errors import ConfigError, DiprayError, SizeError
from experiments.printable import printable

FAILED, USAGE, INTERRUPTED = 1, 2, 130
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def exit_code(name: str, run: Callable[[], int], *, debug: bool = False) -> int:
    """What `run` returns, or the code of the error that it raises, said in one line.

    debug: with its traceback. SIGTERM, which a batch system sends, ends it like Ctrl-C, with
    results written.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = run()
        if sys.stdout is not None:
            sys.stdout.flush()  # what cannot be written must be known now
        return code
    except DiprayError as error:
        if debug:
            traceback.print_exc()
        _say(f"{name}: {error}")
        is_usage = isinstance(error, ConfigError) and not isinstance(error, SizeError)
        return USAGE if is_usage else FAILED
    except BrokenPipeError:
        _drop_output()  # whoever read it has closed it
        return FAILED
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        if debug:
            traceback.print_exc()
        _drop_output()
        _say(f"{name}: {error.filename or 'output'}: cannot be written ({error.strerror})")
        return FAILED
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _drop_output() -> None:
    """Keep Python from trying to flush it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str) -> None:
    print(printable(line.replace("\n", "\\n")), file=sys.stderr)  # a file may be named anything


def _interrupt(*_: object) -> None:
    """Like Ctrl-C, also where a shell that put us in the background made us ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
