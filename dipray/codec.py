"""PNG between bytes and integer arrays, 8 or 16 bit; without torch, for the engine and readers."""

import io
import itertools
import warnings
import zlib

import numpy as np
import png
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

Values = NDArray[np.uint8] | NDArray[np.uint16]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH_OFFSET = 24  # of the bit depth, in the IHDR chunk that always comes first
HEADER_BYTES = _DEPTH_OFFSET + 1  # that `is_deep_png` looks at
MOST_PIXELS = 2 * 89_478_485  # of a picture in a results folder; as Pillow has it
_BLOCK = 2**16  # bytes that are inflated at once


def is_deep_png(data: bytes) -> bool:
    """Whether these are bytes of a PNG with 16 bit a channel."""
    return data.startswith(PNG_SIGNATURE) and data[_DEPTH_OFFSET : _DEPTH_OFFSET + 1] == b"\x10"


class _Reader(png.Reader):
    """pypng's reader, which itself would inflate whatever image data there is."""

    def __init__(self, data: bytes) -> None:
        super().__init__(bytes=data)
        self._inflated = zlib.decompressobj()
        self._count = 0

    def chunk(self, lenient: bool = False) -> tuple[bytes, bytes]:
        """The next chunk; raises png.FormatError if its rows are more than were declared."""
        kind, data = super().chunk(lenient)
        if kind == b"IDAT":
            self._look_through(data)
        return kind, data

    def _look_through(self, data: bytes) -> None:
        # a filter byte a row, and interlaced rows come in up to 7 parts
        most = self.height * (self.row_bytes + 7)
        while data and not self._inflated.eof:
            self._count += len(self._inflated.decompress(data, _BLOCK))
            data = self._inflated.unconsumed_tail
            if self._count > most:
                raise png.FormatError("more image data than the header declares")


def decode_deep_png(data: bytes, *, most_pixels: int = MOST_PIXELS) -> NDArray[np.uint16]:
    """(H, W, 1 to 4) of a 16-bit PNG; Pillow would read its colours at 8 bit.

    Raises png.Error and others for what is broken, ValueError for more than `most_pixels`; takes
    no more memory than the rows that the header declares.
    """
    reader = _Reader(data)
    reader.preamble()
    if reader.width * reader.height > most_pixels:
        raise ValueError(f"{reader.width}x{reader.height} pixels; at most {most_pixels:,} are read")
    reader.sbit = None  # or pypng shifts the values down to the significant bits
    width, height, rows, info = reader.asDirect()
    declared = itertools.islice(rows, height + 1)  # one row too many does not fit below
    flat = np.vstack([np.asarray(row, np.uint16) for row in declared])
    return flat.reshape(height, width, info["planes"])


def decode_png(data: bytes) -> Values:
    """(H, W, 1 to 4) of a PNG that `encode_png` wrote; raises ValueError for others."""
    try:
        if is_deep_png(data):
            return decode_deep_png(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of half of the pixels that are too many
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                mode, values = image.mode, np.asarray(image)
    except UnidentifiedImageError:
        raise ValueError("broken PNG, or none") from None
    except Exception as error:  # decoders raise png.Error, OSError, SyntaxError, zlib.error, ...
        raise ValueError(f"broken PNG ({' '.join(str(error).split())})") from None
    if mode not in ("L", "LA", "RGB", "RGBA"):
        raise ValueError(f"pixel format {mode} is not gray or colour")
    return values[..., None] if values.ndim == 2 else values


def encode_png(values: Values) -> bytes:
    """PNG bytes of (H, W, 1 to 4): gray, gray and alpha, RGB or RGBA, of the array's depth."""
    height, width, channels = values.shape
    stream = io.BytesIO()
    bits = 8 * values.dtype.itemsize
    writer = png.Writer(
        width, height, greyscale=channels < 3, alpha=channels in (2, 4), bitdepth=bits
    )
    writer.write(stream, values.reshape(height, width * channels))
    return stream.getvalue()
