"""Files that somebody names: regular ones only, since a pipe or a device may never end."""

import errno
import os
import stat
from pathlib import Path


def check_regular(path: str | Path) -> int:
    """The size in bytes of a regular file; raises OSError, its reason in `strerror`."""
    try:
        found = Path(path).stat()
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error)) from None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "Is a pipe, device or socket")
    return found.st_size
