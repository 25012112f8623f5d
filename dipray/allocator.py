"""How the process keeps the memory that tensors free: for the next iteration, not for the system.

An iteration frees and takes hundreds of large tensors. The C library gives each back to the system
and asks for it anew, page by page, which can take a third of a fit's time on the CPU.
"""

import ctypes
import functools
import sys

# of glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


@functools.cache
def keep_freed_memory() -> bool:
    """From now on this process keeps what it frees; True if its C library (glibc) can.

    Its greatest memory stays about the same, and is held until it ends.
    """
    if sys.platform != "linux":
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # another C library
    wanted = {_M_ARENA_MAX: 1, _M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1}
    return all([set_option(option, value) == 1 for option, value in wanted.items()])
