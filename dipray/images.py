"""Pictures between files and tensors; with `codec` the only module that knows file formats.

A picture is a float32 tensor (1, C, H, W) in [0, 1], C = 1 (gray) or 3 (RGB).
"""

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

from dipray import codec
from dipray.config import MAX_PIXELS
from dipray.errors import ImageError
from dipray.regular_file import check_regular

# those that hold pixels: Pillow would also run Ghostscript for what begins like PostScript
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "JPEG2000", "GIF", "BMP", "PPM", "TGA")
_BYTES_A_PIXEL = 8  # of 16-bit RGBA without compression
_BYTES_BESIDE = 64 * 2**20  # for profiles, previews and text
_PILLOW = threading.RLock()  # its limit of pixels and Python's warnings belong to all threads

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what is wrong is said in our error

_UPRIGHT: dict[int, tuple[int, bool]] = {
    # EXIF orientation -> quarter turns to the left, and whether to mirror left to right after
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


@dataclass(frozen=True)
class Picture:
    """A picture as read: `pixels` (1, C, H, W), `alpha` (1, 1, H, W) or None, all in [0, 1].

    `bits` a channel, 8 or 16, is what the file had, so that a restored picture can have the same.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    bits: Literal[8, 16] = 8


def read_picture(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read gray, RGB, RGBA, palette or CMYK pictures of 8 or 16 bit, turned upright by EXIF.

    Raises ImageError, with the path, for whatever is not a whole still picture, and for one of
    more than `max_pixels`, which it does not decode.
    """
    path = Path(path)
    try:
        size = check_regular(path)
        stream = path.open("rb")
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from None
    with stream:
        try:
            return _read(stream, size, max_pixels)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from None


def _read(stream: BinaryIO, size: int, max_pixels: int) -> Picture:
    """Raises ImageError without the path."""
    if not size:
        raise ImageError("the file is empty")
    most = _BYTES_A_PIXEL * max_pixels + _BYTES_BESIDE
    if size > most:
        raise ImageError(
            f"{size:,} bytes; a picture of at most {max_pixels:,} pixels, which are read, has at "
            f"most {most:,}"
        )
    try:
        with _limited_to(max_pixels):
            return _decode(stream, max_pixels)
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(
            f"more than {2 * max_pixels:,} pixels; at most {max_pixels:,} pixels are read; "
            f"{_HOW_TO_READ}"
        ) from None
    except MemoryError:
        raise ImageError("there is not enough memory to read it") from None
    except UnidentifiedImageError:
        raise ImageError("not a picture that can be read (PNG, JPEG, TIFF...)") from None
    except Exception as error:  # decoders raise SyntaxError, struct.error, zlib.error, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"broken picture ({reason})") from None


_HOW_TO_READ = "if you trust it, write a larger --max-pixels (max_pixels in Python)"


@contextlib.contextmanager
def _limited_to(max_pixels: int) -> Iterator[None]:
    """Pillow with this limit, which some decoders ask for ahead of us, and without warnings."""
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = own


@contextlib.contextmanager
def _libtiff_silent() -> Iterator[None]:
    """Without the lines that libtiff writes past Python, beside our error."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _decode(stream: BinaryIO, max_pixels: int) -> Picture:
    Image.init()
    known = [name for name in _FORMATS if name in Image.OPEN]  # AVIF depends on the build
    with Image.open(stream, formats=known) as image:
        if image.width * image.height > max_pixels:
            raise ImageError(
                f"{image.width}x{image.height} pixels; at most {max_pixels:,} pixels are read; "
                f"{_HOW_TO_READ}"
            )
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise ImageError(f"holds {frames} frames; give one still picture")
        deep_tiff = isinstance(image, TiffImageFile) and max(image.tag_v2.get(258, (8,))) > 8
        if deep_tiff and len(image.getbands()) > 1:  # Pillow would cut it to 8 bit
            raise ImageError("TIFF of 16-bit colour; save it as a 16-bit PNG")
        is_deep_png = codec.is_deep_png(_from_start(stream, codec.HEADER_BYTES))
        values = _values_of_deep_png(image, stream) if is_deep_png else _values(image)
    bits: Literal[8, 16] = 16 if values.dtype == np.uint16 else 8
    scaled = np.ascontiguousarray(values, np.float32) / (65535 if bits == 16 else 255)
    planes = torch.from_numpy(scaled).permute(2, 0, 1)[None].contiguous()
    has_alpha = planes.shape[1] in (2, 4)
    pixels = planes[:, :-1].contiguous() if has_alpha else planes
    return Picture(pixels, planes[:, -1:].contiguous() if has_alpha else None, bits)


def _from_start(stream: BinaryIO, count: int = -1) -> bytes:
    at = stream.tell()
    stream.seek(0)
    data = stream.read(count)
    stream.seek(at)  # where Pillow goes on
    return data


def _values_of_deep_png(image: Image.Image, stream: BinaryIO) -> NDArray[np.uint16]:
    """Pillow reads 16-bit colour PNGs at 8 bit, so these go through pypng."""
    pixels = image.width * image.height
    values = codec.decode_deep_png(_from_start(stream), most_pixels=pixels)
    turns, mirrored = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1), (0, False))
    turned = np.rot90(values, turns)
    return turned[:, ::-1] if mirrored else turned


def _values(image: Image.Image) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """(H, W, 1 to 4) integers, the last plane alpha where there are 2 or 4."""
    with _libtiff_silent() if image.format == "TIFF" else contextlib.nullcontext():
        image.load()
    image = ImageOps.exif_transpose(image) or image
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode == "I" and image.format == "PPM":  # Pillow brings any depth above 8 to 16 bit
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode in ("I", "F"):
        raise ImageError(f"pixel format {image.mode} has no known range; save it as 8 or 16 bit")
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    if image.mode in ("1", "L", "LA", "La"):
        image = image.convert("LA" if has_alpha else "L")
    else:
        image = image.convert("RGBA" if has_alpha else "RGB")
    values = np.asarray(image)
    return values[..., None] if values.ndim == 2 else values


def read_mask(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Read a binary mask as (1, 1, H, W) with 1 where the picture is known (white) and 0 else.

    Raises ImageError if it holds more than two values, or anything but black and white.
    """
    picture = read_picture(path, max_pixels=max_pixels)
    planes = picture.pixels
    if not bool((planes == planes[:, :1]).all()):
        raise ImageError(f"{path}: the mask is coloured; write white for known, black for missing")
    mask = planes[:, :1]
    strange = mask[(mask != 0) & (mask != 1)]
    if strange.numel():
        raise ImageError(
            f"{path}: the mask is not binary ({strange.numel()} pixels are neither black nor "
            "white); write white for known, black for missing"
        )
    return mask.contiguous()


def encode_png(pixels: Tensor, *, alpha: Tensor | None = None, bits: int = 8) -> bytes:
    """PNG bytes of a picture (1, C, H, W), clipped to [0, 1] and rounded to 8 or 16 bit."""
    planes = pixels if alpha is None else torch.cat([pixels, alpha.to(pixels)], dim=1)
    top = 65535 if bits == 16 else 255
    array = planes[0].detach().to("cpu", torch.float64).clamp(0, 1).mul(top).round()
    levels = array.permute(1, 2, 0).numpy()
    return codec.encode_png(levels.astype(np.uint16) if bits == 16 else levels.astype(np.uint8))
