"""Reading the folders of many trials: in turn, or side by side where that is quicker."""

import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")

AT_HAND = 0.006  # seconds that a trial takes at most where files do not have to be waited for
_TRIED = 8  # trials by which that is seen
_FAR = 16  # threads where they do, as on object storage and network disks


def read_all(
    read: Callable[[str], Answer], names: Iterable[str], *, threads: int = 1
) -> dict[str, Answer]:
    """`read` of each name, by name.

    threads: how many help where files are at hand: one where it is Python that takes the time,
    since of such threads each only waits for the others.
    """
    names = list(names)
    tried, rest = names[:_TRIED], names[_TRIED:]
    answers, seconds = {}, []
    for name in tried:
        started = time.perf_counter()
        answers[name] = read(name)
        seconds.append(time.perf_counter() - started)
    if not rest:
        return answers
    is_far = statistics.median(seconds) > AT_HAND  # the first may have waited for something else
    workers = _FAR if is_far else threads
    if workers == 1:
        return answers | {name: read(name) for name in rest}
    with ThreadPoolExecutor(workers) as pool:
        return answers | dict(zip(rest, pool.map(read, rest), strict=True))
