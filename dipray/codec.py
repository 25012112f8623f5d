"""PNG between bytes and integer arrays, 8 or 16 bit; without torch, for the engine and readers."""

import io

import numpy as np
import png
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

Values = NDArray[np.uint8] | NDArray[np.uint16]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH_OFFSET = 24  # of the bit depth, in the IHDR chunk that always comes first


def is_deep_png(data: bytes) -> bool:
    """Whether these are bytes of a PNG with 16 bit a channel."""
    return data.startswith(PNG_SIGNATURE) and data[_DEPTH_OFFSET : _DEPTH_OFFSET + 1] == b"\x10"


def decode_deep_png(data: bytes) -> NDArray[np.uint16]:
    """(H, W, 1 to 4) of a 16-bit PNG; Pillow would read its colours at 8 bit."""
    reader = png.Reader(bytes=data)
    reader.preamble()
    reader.sbit = None  # or pypng shifts the values down to the significant bits
    width, height, rows, info = reader.asDirect()
    flat = np.vstack([np.asarray(row, np.uint16) for row in rows])
    return flat.reshape(height, width, info["planes"])


def decode_png(data: bytes) -> Values:
    """(H, W, 1 to 4) of a PNG that `encode_png` wrote; raises ValueError for others."""
    try:
        if is_deep_png(data):
            return decode_deep_png(data)
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
