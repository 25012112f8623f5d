"""One sweep at a time in a folder: two would run the same trials twice."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from dipray.errors import FolderError
from dipray.store import Store

FILE = ".lock"


@contextlib.contextmanager
def held(store: Store) -> Iterator[None]:
    """Hold the folder of a sweep; raises FolderError if a process holds it already.

    The system lets go of it when the process ends, however that happens. On object storage, and on
    disks that know no locks, nothing is held.
    """
    if not store.is_local:
        yield
        return
    import fcntl  # noqa: PLC0415 # not there on Windows

    place = Path(str(store)) / FILE
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        file = place.open("a+")
    except OSError as error:
        raise FolderError(f"{store}: cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                file.seek(0)
                raise FolderError(
                    f"{store}: process {file.read(20).strip() or 'unknown'} is running a sweep "
                    "there; wait for it, or give another folder"
                ) from None
        else:
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        yield
