"""Checkpoints: a fit's whole state on disk, two at a time, read back without running anything.

A file is a line that says what it is and a checksum, then tensors and plain data as `torch.save`
writes them. One that is cut short, damaged, or of another fit is refused with its path.
"""

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import torch

from dipray.errors import FolderError
from dipray.folder import CHECKPOINTS
from dipray.store import Store

KEPT = 2  # the newest, and the one before in case that is broken
_SUFFIX = ".ckpt"
_MAGIC = b"dipray checkpoint 1 "

State = dict[str, Any]


def encode_state(state: State) -> bytes:
    """Tensors and plain data (dicts, lists, tuples, numbers, texts) as the bytes of a file."""
    stream = io.BytesIO()
    torch.save(state, stream)
    payload = stream.getbuffer()
    return b"".join([_MAGIC, hashlib.sha256(payload).hexdigest().encode(), b"\n", payload])


def decode_state(data: bytes) -> State:
    """What `encode_state` was given, tensors on the CPU; raises ValueError for anything else."""
    head, _, payload = data.partition(b"\n")
    if not head.startswith(_MAGIC):
        raise ValueError("not a checkpoint of this version")
    if head.removeprefix(_MAGIC).decode("ascii", "replace") != hashlib.sha256(payload).hexdigest():
        raise ValueError("cut short or damaged")
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception as error:  # unpicklers raise anything
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"cannot be read ({type(error).__name__}: {reason})") from None
    if not isinstance(state, dict):
        raise ValueError("holds no state")
    return state


class Checkpoints:
    """Those in a fit's folder, named by iteration. Raises FolderError where it says so."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def iterations(self) -> list[int]:
        """Of those that there are, newest first; whether they can be read is not known yet."""
        stems = (name.removesuffix(_SUFFIX) for name in self.store.names(CHECKPOINTS))
        return sorted((int(stem) for stem in stems if stem.isdecimal()), reverse=True)

    def path(self, iteration: int) -> str:
        """Where one lies in the fit's folder."""
        return f"{CHECKPOINTS}/{iteration:08d}{_SUFFIX}"

    def write(self, iteration: int, state: State) -> None:
        """Write one whole or not at all, then let go of old ones; raises FolderError."""
        self.store.write(self.path(iteration), encode_state(state))
        for old in [at for at in self.iterations() if at < iteration][KEPT - 1 :]:
            self.store.remove(self.path(old))

    def newest(self) -> Iterator[tuple[int, State | None, str]]:
        """Newest first: iteration, state, and "", or None and the path with what is wrong."""
        for iteration in self.iterations():
            state, complaint = None, ""
            try:
                state = decode_state(self.store.read(self.path(iteration)))
            except (ValueError, FolderError) as error:
                complaint = f"{self.store}/{self.path(iteration)}: {error}"
            yield iteration, state, complaint

    def remove(self, *, but: int = 0) -> None:
        """Remove them all, or all but that of one iteration; raises FolderError."""
        kept = [at for at in self.iterations() if at == but]
        if not kept:
            self.store.remove(CHECKPOINTS)
            return
        for name in self.store.names(CHECKPOINTS):
            if f"{CHECKPOINTS}/{name}" != self.path(but):
                self.store.remove(f"{CHECKPOINTS}/{name}")
