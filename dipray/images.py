"""Pictures between files and tensors; with `codec` the only module that knows file formats.

A picture is a float32 tensor (1, C, H, W) in [0, 1], C = 1 (gray) or 3 (RGB).
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

from dipray import codec
from dipray.errors import ImageError

MAX_PIXELS = 100_000_000  # above this a file is refused as a decompression bomb
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


def read_picture(path: str | Path) -> Picture:
    """Read gray, RGB, RGBA, palette or CMYK pictures of 8 or 16 bit, turned upright by EXIF.

    Raises ImageError, with the path, for whatever is not a whole still picture.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from None
    if not data:
        raise ImageError(f"{path}: the file is empty")
    try:
        with warnings.catch_warnings():
            # MAX_PIXELS decides
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return _decode(data)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: too large; at most {MAX_PIXELS:,} pixels are read") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not a picture that can be read (PNG, JPEG, TIFF...)") from None
    except Exception as error:  # decoders raise SyntaxError, struct.error, zlib.error, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path}: broken picture ({reason})") from None


def _decode(data: bytes) -> Picture:
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(
                f"{image.width}x{image.height} pixels; at most {MAX_PIXELS:,} pixels are read"
            )
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise ImageError(f"holds {frames} frames; give one still picture")
        deep_png = codec.is_deep_png(data)
        deep_tiff = isinstance(image, TiffImageFile) and max(image.tag_v2.get(258, (8,))) > 8
        if deep_tiff and len(image.getbands()) > 1:  # Pillow would cut it to 8 bit
            raise ImageError("TIFF of 16-bit colour; save it as a 16-bit PNG")
        values = _values_of_deep_png(image, data) if deep_png else _values(image)
    bits: Literal[8, 16] = 16 if values.dtype == np.uint16 else 8
    scaled = np.ascontiguousarray(values, np.float32) / (65535 if bits == 16 else 255)
    planes = torch.from_numpy(scaled).permute(2, 0, 1)[None].contiguous()
    has_alpha = planes.shape[1] in (2, 4)
    pixels = planes[:, :-1].contiguous() if has_alpha else planes
    return Picture(pixels, planes[:, -1:].contiguous() if has_alpha else None, bits)


def _values_of_deep_png(image: Image.Image, data: bytes) -> NDArray[np.uint16]:
    """Pillow reads 16-bit colour PNGs at 8 bit, so these go through pypng."""
    values = codec.decode_deep_png(data)
    turns, mirrored = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1), (0, False))
    turned = np.rot90(values, turns)
    return turned[:, ::-1] if mirrored else turned


def _values(image: Image.Image) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """(H, W, 1 to 4) integers, the last plane alpha where there are 2 or 4."""
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


def read_mask(path: str | Path) -> Tensor:
    """Read a binary mask as (1, 1, H, W) with 1 where the picture is known (white) and 0 else.

    Raises ImageError if it holds more than two values, or anything but black and white.
    """
    picture = read_picture(path)
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
