"""Folders of many trials: read one after the other where they are at hand, side by side else."""

import threading
import time

import pytest

from analysis.reading import AT_HAND, read_all

NAMES = [f"trial-{i}" for i in range(40)]


def reader(*, seconds):
    """A function that takes so long, and the threads that it ran in."""
    seen = set()

    def read(name):
        seen.add(threading.get_ident())
        time.sleep(seconds)
        return name.upper()

    return read, seen


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", [0, 2 * AT_HAND])
@pytest.mark.parametrize("count", [0, 1, 8, 9, 40])
def test_every_name_has_its_answer_in_their_order(count, seconds, threads):
    read, _ = reader(seconds=seconds)
    names = NAMES[:count]
    answers = read_all(read, iter(names), threads=threads)
    assert list(answers.items()) == [(name, name.upper()) for name in names]


def test_what_is_far_is_read_side_by_side():
    read, seen = reader(seconds=2 * AT_HAND)
    read_all(read, NAMES)
    assert len(seen) > 4


def test_what_is_at_hand_is_read_here():
    read, seen = reader(seconds=0)
    read_all(read, NAMES)
    assert seen == {threading.get_ident()}


def test_what_a_reader_raises_is_raised():
    def read(name):
        if name == NAMES[-1]:
            raise ValueError("broken")
        return name

    for threads in (1, 2):
        with pytest.raises(ValueError, match="broken"):
            read_all(read, NAMES, threads=threads)
