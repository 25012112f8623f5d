"""Pictures inside the page: lossless while they fit its budget, else WebP, else smaller too."""

import base64
import io
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, UnidentifiedImageError

from dipray.errors import FolderError

_THREADS = 8
_QUALITY = 82
_SAMPLE = 12  # pictures that tell what all will weigh
_SMALLEST = 48  # pixels of the longer side
_ROUNDS = 6
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

    What cannot be read is left out without a word; the folder's own complaints tell of it.
    """
    lossless = _lossless(shots, budget)
    if lossless is not None:
        return Album(lossless)
    album = Album()
    for shot in shots:
        uri = _png_uri(shot) if shot.main else None
        if uri is not None and album.weight + len(uri) <= budget * _MAIN_SHARE:
            album.pictures[shot.key] = uri
    others = [shot for shot in shots if shot.key not in album.pictures]
    left = budget - album.weight
    scale = 1.0
    packed: dict[str, tuple[str, bool]] = {}
    for attempt in range(_ROUNDS):
        if attempt == 0:
            scale = min(1.0, math.sqrt(left / max(1.0, _guessed_weight(others))))
        packed = _encoded(others, scale)
        weight = sum(len(uri) for uri, _ in packed.values())
        if weight <= left:
            break
        scale *= 0.95 * math.sqrt(left / weight)
    for key, (uri, was_shrunk) in packed.items():
        if len(uri) > left:
            album.dropped += 1
            continue
        left -= len(uri)
        album.pictures[key] = uri
        album.lossy += 1
        album.shrunk += was_shrunk
    return album


def _lossless(shots: Sequence[Shot], budget: int) -> dict[str, str] | None:
    """All pictures as they are, or None as soon as they weigh too much."""
    found: dict[str, str] = {}
    weight = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(shots), 4 * _THREADS):  # so that little is read in vain
            some = shots[start : start + 4 * _THREADS]
            for shot, uri in zip(some, pool.map(_png_uri, some), strict=True):
                if uri is not None:
                    found[shot.key] = uri
                    weight += len(uri)
            if weight > budget:
                return None
    return found


def _guessed_weight(shots: Sequence[Shot]) -> float:
    """Characters of all shots as WebP of full size, by some of them."""
    some = shots[:: max(1, len(shots) // _SAMPLE)]
    packed = _encoded(some, 1.0)
    weight = sum(len(uri) for uri, _ in packed.values())
    return weight / max(1, len(packed)) * len(shots)


def _encoded(shots: Sequence[Shot], scale: float) -> dict[str, tuple[str, bool]]:
    """Key -> WebP at `scale` as data URI, and whether it lost pixels."""
    with ThreadPoolExecutor(_THREADS) as pool:
        answers = pool.map(lambda shot: _webp_uri(shot, scale), shots)
        pairs = zip(shots, answers, strict=True)
        return {shot.key: answer for shot, answer in pairs if answer is not None}


def _webp_uri(shot: Shot, scale: float) -> tuple[str, bool] | None:
    image = _opened(shot)
    if image is None:
        return None
    longer = max(image.size)
    scale = min(1.0, max(scale, _SMALLEST / longer))
    small = image
    if scale < 1.0:
        width, height = (max(1, round(side * scale)) for side in image.size)
        small = image.resize((width, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=_QUALITY, method=3)
    return _uri("webp", stream.getvalue()), small.size != image.size


def _opened(shot: Shot) -> Image.Image | None:
    """The picture as 8-bit RGB or RGBA, or None if it cannot be read."""
    try:
        image: Image.Image = Image.open(io.BytesIO(shot.read()))
        image.load()
    except (FolderError, OSError, SyntaxError, ValueError, UnidentifiedImageError):
        return None
    if image.mode.startswith("I"):  # 16-bit gray, which Pillow would clip at 255
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _png_uri(shot: Shot) -> str | None:
    try:
        return _uri("png", shot.read())
    except (FolderError, OSError):
        return None


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
