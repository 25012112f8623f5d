"""Pictures inside the page: lossless while they fit its budget, else WebP, else smaller too."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from analysis.report.squeeze import THREADS, data_uri, in_threads, squeezed
from dipray.errors import FolderError

_MAIN_SHARE = 0.5  # of the budget that the main pictures may take without loss


@dataclass(frozen=True)
class Shot:
    """A picture to be shown: its key in the page and how to read its PNG.

    main: one of the few that are kept without loss while they fit.
    """

    key: str
    read: Callable[[], bytes]
    main: bool = False


@dataclass
class Album:
    """Pictures as data URIs by key, and how many are lossy, shrunk, or had to be left out."""

    pictures: dict[str, str] = field(default_factory=dict)
    lossy: int = 0
    shrunk: int = 0
    dropped: int = 0

    @property
    def weight(self) -> int:
        """Characters of all pictures together."""
        return sum(map(len, self.pictures.values()))


def pack(shots: Sequence[Shot], budget: int) -> Album:
    """Read and pack pictures into at most `budget` characters of data URIs, earlier ones first.

    Each is read once. What cannot be read is left out without a word; the folder's own complaints
    tell of it.
    """
    files = _Files(shots)
    lossless = _lossless(files, budget)
    if lossless is not None:
        return Album(lossless)
    album, left = Album(), budget
    for shot in shots:
        data = files.look(shot.key) if shot.main else None
        uri = "" if data is None else data_uri("png", data)
        if uri and budget - left + len(uri) <= budget * _MAIN_SHARE:
            album.pictures[shot.key] = uri
            left -= len(uri)
    others = [shot.key for shot in shots if shot.key not in album.pictures]
    packed = squeezed(others, look=files.look, take=files.take, budget=left)
    for key, picture in packed.items():
        uri = picture.uri
        if len(uri) > left:
            album.dropped += 1
            continue
        left -= len(uri)
        album.pictures[key] = uri
        album.lossy += 1
        album.shrunk += picture.shrunk
    return album


class _Files:
    """The bytes of pictures by key, read once and kept until taken; None: cannot be read."""

    def __init__(self, shots: Sequence[Shot]) -> None:
        self._read = {shot.key: shot.read for shot in shots}
        self._kept: dict[str, bytes | None] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def look(self, key: str) -> bytes | None:
        """A file that is asked for again."""
        if key not in self._kept:
            try:
                self._kept[key] = self._read[key]()
            except (FolderError, OSError):
                self._kept[key] = None
        return self._kept[key]

    def take(self, key: str) -> bytes | None:
        """A file that nobody asks for again."""
        data = self.look(key)
        del self._kept[key]
        return data


def _lossless(files: _Files, budget: int) -> dict[str, str] | None:
    """All pictures as they are, or None as soon as they weigh too much."""
    keys = list(files)
    found: dict[str, str] = {}
    weight = 0
    for start in range(0, len(keys), 4 * THREADS):  # so that little is kept in vain
        some = keys[start : start + 4 * THREADS]
        for key, data in zip(some, in_threads(files.look, some), strict=True):
            if data is not None:
                found[key] = data_uri("png", data)
                weight += len(found[key])
        if weight > budget:
            return None
    return found
