"""Pictures as WebP, all shrunk by one scale so that together they fit a budget."""

import base64
import io
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

THREADS = 8
_QUALITY = 82
_SAMPLE = 16  # pictures that tell what all will weigh
_SMALLEST = 48  # pixels of the longer side
_ROUNDS = 3  # after the first, which mostly fits
_CAUTION = 0.96  # of the budget that a guess may fill

Given = TypeVar("Given")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Packed:
    """A picture as WebP, and whether it has fewer pixels than it was given."""

    data: bytes
    shrunk: bool

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return data_uri("webp", self.data)


def squeezed(
    names: Sequence[str],
    *,
    look: Callable[[str], bytes | None],
    take: Callable[[str], bytes | None],
    budget: int,
) -> dict[str, Packed]:
    """Name -> picture, in their order; about `budget` characters of data URIs together.

    More where pictures of 48 pixels are too much. look: the file of a name, which is asked for
    again; take: for the last time. What is no picture is left out.
    """
    scale = _fitting_scale([look(name) for name in _some(names)], len(names), budget)
    answers = in_threads(lambda name: _webp(take(name), scale), names)
    packed = {name: one for name, one in zip(names, answers, strict=True) if one is not None}
    for _ in range(_ROUNDS):
        weight = sum(_characters(one.data) for one in packed.values())
        if weight <= budget:
            break
        packed = _shrunk(packed, 0.95 * math.sqrt(budget / weight))
    return packed


def _shrunk(packed: dict[str, Packed], scale: float) -> dict[str, Packed]:
    answers = in_threads(lambda one: _webp(one.data, scale), packed.values())
    return {
        name: Packed(new.data, old.shrunk or new.shrunk)
        for (name, old), new in zip(packed.items(), answers, strict=True)
        if new is not None
    }


def data_uri(kind: str, data: bytes) -> str:
    """A picture of a MIME subtype as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def in_threads(work: Callable[[Given], Answer], given: Iterable[Given]) -> list[Answer]:
    """Answers in the order of what was given."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, given))


def _some(names: Sequence[str]) -> Sequence[str]:
    return names[:: max(1, len(names) // _SAMPLE)]


def _fitting_scale(files: Sequence[bytes | None], count: int, budget: int) -> float:
    """The scale at which `count` pictures like these weigh the budget, by a power law."""

    def weight(scale: float) -> float:
        packed = [one for one in in_threads(lambda data: _webp(data, scale), files) if one]
        return sum(_characters(one.data) for one in packed) / max(1, len(packed)) * count

    whole, wanted = weight(1.0), _CAUTION * budget
    if whole <= wanted:
        return 1.0
    scale = math.sqrt(wanted / whole)
    there = weight(scale)
    power = math.log(there / whole) / math.log(scale)
    return float(min(1.0, scale * (wanted / there) ** (1 / max(power, 1.0))))


def _webp(data: bytes | None, scale: float) -> Packed | None:
    image = None if data is None else _decoded(data)
    if image is None:
        return None
    scale = min(1.0, max(scale, _SMALLEST / max(image.size)))
    small = image
    if scale < 1.0:
        width, height = (max(1, round(side * scale)) for side in image.size)
        small = image.resize((width, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=_QUALITY, method=2)
    return Packed(stream.getvalue(), small.size != image.size)


def _decoded(data: bytes) -> Image.Image | None:
    """The picture as 8-bit RGB or RGBA, or None if it is none."""
    try:
        image: Image.Image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError):
        return None
    if image.mode.startswith("I"):  # 16-bit gray, which Pillow would clip at 255
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _characters(data: bytes) -> int:
    """Of the data URI."""
    return len("data:image/webp;base64,") + 4 * math.ceil(len(data) / 3)
