"""Pictures of every format, changed anywhere: a valid picture, or one line with the file's name."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from dipray.codec import encode_png
from dipray.errors import ImageError
from dipray.images import read_mask, read_picture

SIZE = (12, 10)
RANDOM = np.random.default_rng(0)
RGB = Image.fromarray(RANDOM.integers(0, 256, (10, 12, 3), np.uint8))
DEEP = RANDOM.integers(0, 65536, (10, 12, 4), np.uint16)


def file_of(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return exif


WHOLE = {
    "png": file_of(RGB, "PNG"),
    "palette png": file_of(RGB.quantize(8), "PNG", transparency=bytes(range(8))),
    "turned png": file_of(RGB, "PNG", exif=turned()),
    "deep png": encode_png(DEEP),
    "deep gray png": encode_png(DEEP[..., :1]),
    "animated png": file_of(RGB, "PNG", save_all=True, append_images=[RGB.rotate(180)]),
    "jpeg": file_of(RGB, "JPEG", exif=turned()),
    "progressive jpeg": file_of(RGB, "JPEG", progressive=True),
    "cmyk jpeg": file_of(RGB.convert("CMYK"), "JPEG"),
    "tiff": file_of(RGB, "TIFF"),
    "lzw tiff": file_of(RGB, "TIFF", compression="tiff_lzw"),
    "deflate tiff": file_of(RGB, "TIFF", compression="tiff_adobe_deflate"),
    "jpeg tiff": file_of(RGB, "TIFF", compression="jpeg"),
    "deep tiff": file_of(Image.fromarray(DEEP[..., 0]), "TIFF"),
    "float tiff": file_of(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
    "gif": file_of(RGB.quantize(8), "GIF", transparency=1),
    "animated gif": file_of(RGB, "GIF", save_all=True, append_images=[RGB.rotate(180)]),
    "bmp": file_of(RGB, "BMP"),
    "webp": file_of(RGB, "WEBP"),
    "lossless webp": file_of(RGB.convert("RGBA"), "WEBP", lossless=True),
    "ppm": file_of(RGB, "PPM"),
    "tga": file_of(RGB, "TGA", compression="tga_rle"),
    "jpeg 2000": file_of(RGB, "JPEG2000"),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures") / "picture.png"


def read_or_refused(path, data: bytes, reader=read_picture) -> bool:
    """Whether it is read; fails unless it is whole then, and else refused by one line."""
    path.write_bytes(data)
    try:
        read = reader(path, max_pixels=10_000)
    except ImageError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        return False
    planes = [read] if reader is read_mask else [read.pixels]
    planes += [] if reader is read_mask or read.alpha is None else [read.alpha]
    for each in planes:
        assert each.ndim == 4 and each.shape[:1] == (1,) and each.shape[1] in (1, 3)
        assert each.shape[2:] == planes[0].shape[2:] and each.numel() <= 30_000
        assert 0 <= float(each.min()) <= float(each.max()) <= 1
    return True


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_changed_below_is_read_or_refused_for_a_reason(path, kind):
    refused = kind.startswith(("animated", "float"))
    assert read_or_refused(path, WHOLE[kind]) != refused


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "insert", "delete", "cut", "swell"]),
        # headers are at the beginning
        st.integers(0, 200) | st.integers(0, 3000),
        st.integers(0, 255) | st.sampled_from([0, 1, 127, 128, 255]),
    ),
    min_size=1,
    max_size=5,
)


def changed(data: bytes, changes) -> bytes:
    made = bytearray(data)
    for how, place, value in changes:
        at = place % max(len(made), 1)
        match how:
            case "flip" if made:
                made[at] ^= value
            case "set" if made:
                made[at] = value
            case "insert":
                made[at:at] = bytes([value]) * (value % 5 + 1)
            case "delete":
                del made[at : at + value % 9]
            case "cut":
                del made[at:]
            case "swell":  # numbers of 4 bytes that are as large as can be
                made[at : at + 4] = b"\xff" * 4
    return bytes(made)


@settings(max_examples=500)
@given(st.sampled_from(sorted(WHOLE)), CHANGES)
def test_any_changed_picture_is_read_or_refused(path, kind, changes):
    read_or_refused(path, changed(WHOLE[kind], changes))


@settings(max_examples=150)
@given(st.sampled_from(["png", "palette png", "deep gray png", "gif", "tiff"]), CHANGES)
def test_any_changed_mask_is_read_or_refused(path, kind, changes):
    read_or_refused(path, changed(WHOLE[kind], changes), read_mask)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from(sorted(WHOLE)), st.integers(0, 40))
def test_any_bytes_behind_any_beginning(path, rest, kind, length):
    read_or_refused(path, WHOLE[kind][:length] + rest)
