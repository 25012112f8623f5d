import functools
import struct
import zlib
from io import BytesIO

import numpy as np
import png
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from dipray.errors import ImageError
from dipray.images import encode_png, read_mask, read_picture

HEIGHT, WIDTH = 17, 20
RANDOM = np.random.default_rng(0)
GRAY = RANDOM.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
RGB = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
ALPHA = RANDOM.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
MARKED = GRAY > 127


def file_of(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def deep_png(values: np.ndarray, **options) -> bytes:
    """A 16-bit PNG of (H, W, planes)."""
    height, width, planes = values.shape
    stream = BytesIO()
    writer = png.Writer(
        width, height, greyscale=planes < 3, alpha=planes in (2, 4), bitdepth=16, **options
    )
    writer.write(stream, values.reshape(height, -1))
    return stream.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunk(data: bytes, name: bytes, body: bytes) -> bytes:
    """A PNG with a chunk more before its data."""
    at = data.index(b"IDAT") - 4
    return data[:at] + chunk(name, body) + data[at:]


def header_only(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def read(tmp_path, data: bytes, name: str = "picture.png"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_picture(path)


def levels(tensor: torch.Tensor, top: int = 255) -> np.ndarray:
    """(H, W, C) of (1, C, H, W), as integers; fails if a value lies between two."""
    scaled = tensor[0].permute(1, 2, 0).double().numpy() * top
    assert np.abs(scaled - scaled.round()).max() < 0.01
    return scaled.round().astype(int)


def refusal(path, reader=read_picture) -> str:
    with pytest.raises(ImageError) as caught:
        reader(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


PALETTE = Image.fromarray(RGB).quantize(16)
KINDS = {
    # name -> file, expected pixels (H, W, C), expected alpha (H, W) or None
    "gray": (file_of(Image.fromarray(GRAY)), GRAY[..., None], None),
    "rgb": (file_of(Image.fromarray(RGB)), RGB, None),
    "rgba": (file_of(Image.fromarray(np.dstack([RGB, ALPHA]))), RGB, ALPHA),
    "la": (file_of(Image.fromarray(np.dstack([GRAY, ALPHA]), "LA")), GRAY[..., None], ALPHA),
    "1-bit": (file_of(Image.fromarray(MARKED)), MARKED[..., None] * 255, None),
    "1-bit with transparency": (
        file_of(Image.fromarray(MARKED), transparency=0),
        MARKED[..., None] * 255,
        MARKED * 255,
    ),
    "gray with transparency": (
        file_of(Image.fromarray(GRAY), transparency=int(GRAY[0, 0])),
        GRAY[..., None],
        np.not_equal(GRAY, GRAY[0, 0]) * 255,
    ),
    "rgb with transparency": (
        file_of(Image.fromarray(RGB), transparency=tuple(int(v) for v in RGB[0, 0])),
        RGB,
        np.not_equal(RGB, RGB[0, 0]).any(axis=2) * 255,
    ),
    "palette": (file_of(PALETTE), np.asarray(PALETTE.convert("RGB")), None),
    "palette with transparency": (
        file_of(PALETTE, transparency=bytes(range(0, 256, 16))),
        np.asarray(PALETTE.convert("RGB")),
        np.asarray(PALETTE) * 16,
    ),
    "palette with one clear colour": (
        file_of(PALETTE, transparency=3),
        np.asarray(PALETTE.convert("RGB")),
        (np.asarray(PALETTE) != 3) * 255,
    ),
    "tiff": (file_of(Image.fromarray(RGB), "TIFF"), RGB, None),
    "bmp": (file_of(Image.fromarray(RGB), "BMP"), RGB, None),
    "webp": (file_of(Image.fromarray(RGB), "WEBP", lossless=True), RGB, None),
    "gif of one frame": (file_of(Image.fromarray(GRAY), "GIF"), np.dstack([GRAY] * 3), None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_8_bit(tmp_path, kind):
    data, pixels, alpha = KINDS[kind]
    picture = read(tmp_path, data)
    assert picture.bits == 8
    assert picture.pixels.dtype == torch.float32
    assert np.array_equal(levels(picture.pixels), pixels)
    if alpha is None:
        assert picture.alpha is None
    else:
        assert np.array_equal(levels(picture.alpha)[..., 0], alpha)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(tmp_path, kind):
    picture = read(tmp_path, file_of(Image.new("CMYK", (WIDTH, HEIGHT), (255, 0, 0, 0)), kind))
    assert picture.pixels.shape == (1, 3, HEIGHT, WIDTH)
    assert picture.alpha is None
    red, green, blue = picture.pixels.mean(dim=(0, 2, 3)).tolist()
    assert red < 0.02
    assert min(green, blue) > 0.98


@pytest.mark.parametrize("planes", [1, 2, 3, 4])
def test_png_of_16_bit_keeps_its_precision(tmp_path, planes):
    values = RANDOM.integers(0, 65536, (HEIGHT, WIDTH, planes), np.uint16)
    values[0, 0], values[0, 1] = 257, 258
    picture = read(tmp_path, deep_png(values))
    assert picture.bits == 16
    read_planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    assert (picture.alpha is not None) == (planes in (2, 4))
    assert np.array_equal(levels(torch.cat(read_planes, dim=1), 65535), values)
    one, other = picture.pixels[0, 0, 0, :2].tolist()
    assert other - one == pytest.approx(1 / 65535, rel=1e-3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_gray_of_16_bit_written_by_pillow(tmp_path, kind):
    values = RANDOM.integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
    picture = read(tmp_path, file_of(Image.fromarray(values), kind))
    assert picture.bits == 16
    assert np.array_equal(levels(picture.pixels, 65535)[..., 0], values)


def test_transparency_in_16_bit(tmp_path):
    values = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH, 1) * 100
    picture = read(tmp_path, with_chunk(deep_png(values), b"tRNS", struct.pack(">H", 300)))
    assert np.array_equal(levels(picture.pixels, 65535), values)
    assert np.array_equal(levels(picture.alpha), (values != 300) * 255)


def test_significant_bits_do_not_darken_16_bit(tmp_path):
    values = RANDOM.integers(0, 65536, (HEIGHT, WIDTH, 1), np.uint16)
    picture = read(tmp_path, with_chunk(deep_png(values), b"sBIT", bytes([10])))
    assert np.array_equal(levels(picture.pixels, 65535), values)


def test_interlaced_16_bit(tmp_path):
    values = RANDOM.integers(0, 65536, (HEIGHT, WIDTH, 3), np.uint16)
    picture = read(tmp_path, deep_png(values, interlace=True))
    assert np.array_equal(levels(picture.pixels, 65535), values)


UPRIGHT = {
    # EXIF orientation -> what makes the stored array upright
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "deep PNG"])
def test_pictures_are_turned_upright(tmp_path, orientation, kind):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = RGB if kind != "deep PNG" else RGB[..., 0].astype(np.uint16) * 257
    top = 255 if kind != "deep PNG" else 65535
    data = file_of(Image.fromarray(stored), kind.removeprefix("deep "), exif=exif)
    wanted = UPRIGHT[orientation](stored)
    found = levels(read(tmp_path, data).pixels, top)
    assert np.array_equal(found, wanted.reshape(found.shape))


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_written_is_read(tmp_path, bits, channels, alpha):
    top = 2**bits - 1
    generator = torch.Generator().manual_seed(0)
    planes = torch.randint(0, top + 1, (1, channels + 1, 16, 19), generator=generator) / top
    pixels, opacity = planes[:, :channels], planes[:, channels:] if alpha else None
    picture = read(tmp_path, encode_png(pixels, alpha=opacity, bits=bits))
    assert picture.bits == bits
    assert torch.equal(picture.pixels, pixels)
    if alpha:
        assert torch.equal(picture.alpha, opacity)
    else:
        assert picture.alpha is None


def test_writing_clips_and_rounds(tmp_path):
    row = torch.tensor([-0.5, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 1.5])
    picture = read(tmp_path, encode_png(row.repeat(4, 1)[None, None]))
    assert levels(picture.pixels)[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]


def test_a_missing_file(tmp_path):
    assert "No such file" in refusal(tmp_path / "no.png")


def test_a_folder(tmp_path):
    assert "cannot be read" in refusal(tmp_path)


JPEG = file_of(Image.fromarray(RANDOM.integers(0, 256, (64, 64, 3), np.uint8)), "JPEG")
FRAMES = {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}
BROKEN = {
    # name -> file, part of what is said
    "empty": (b"", "empty"),
    "text": (b"this is no picture\n", "not a picture"),
    "truncated PNG": (KINDS["rgb"][0][:500], "broken picture"),
    "truncated PNG header": (KINDS["rgb"][0][:20], "picture"),
    "truncated 16-bit PNG": (deep_png(np.ones((9, 9, 3), np.uint16))[:60], "broken picture"),
    "PNG of a bad checksum": (KINDS["rgb"][0].replace(b"\x08\x02", b"\x08\x03", 1), "picture"),
    "truncated JPEG": (JPEG[: len(JPEG) // 2], "broken picture"),
    "animated GIF": (file_of(Image.fromarray(RGB), "GIF", **FRAMES), "2 frames"),
    "animated PNG": (file_of(Image.fromarray(RGB), **FRAMES), "2 frames"),
    "TIFF of pages": (file_of(Image.fromarray(RGB), "TIFF", **FRAMES), "2 frames"),
    "32-bit integers": (
        file_of(Image.fromarray(RANDOM.integers(0, 9, (9, 9), np.int32)), "TIFF"),
        "no known range",
    ),
    "floats": (file_of(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF"), "no known range"),
    "too many pixels": (header_only(10_001, 10_000), "at most 100,000,000 pixels"),
    "far too many pixels": (header_only(60_001, 60_000), "at most 100,000,000 pixels"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_read(tmp_path, kind):
    data, part = BROKEN[kind]
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    assert part in refusal(path)


def test_only_the_limit_decides_what_is_too_large(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(KINDS["rgb"][0])
    picture = read_picture(path, max_pixels=HEIGHT * WIDTH)
    assert picture.pixels.shape == (1, 3, HEIGHT, WIDTH)
    one_less = functools.partial(read_picture, max_pixels=HEIGHT * WIDTH - 1)
    assert f"{WIDTH}x{HEIGHT}" in refusal(path, one_less)
    assert "write a larger --max-pixels" in refusal(path, one_less)
    path.write_bytes(header_only(9_500, 10_000))
    assert "truncated" in refusal(path)
    path.write_bytes(header_only(14_000, 14_000))  # which Pillow itself would refuse
    assert "truncated" in refusal(path, functools.partial(read_picture, max_pixels=14_000**2))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P"])
def test_masks(tmp_path, mode):
    path = tmp_path / "mask.png"
    Image.fromarray(MARKED).convert(mode).save(path)
    mask = read_mask(path)
    assert mask.shape == (1, 1, HEIGHT, WIDTH)
    assert np.array_equal(mask[0, 0].numpy(), MARKED)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (file_of(Image.fromarray(MARKED * np.uint8(254))), "not binary"),
        (file_of(Image.fromarray(GRAY)), "not binary"),
        (file_of(Image.fromarray(MARKED[..., None] * np.array([255, 0, 0], np.uint8))), "coloured"),
        (b"", "empty"),
    ],
)
def test_what_is_no_mask(tmp_path, data, part):
    path = tmp_path / "mask.png"
    path.write_bytes(data)
    assert part in refusal(path, read_mask)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "picture.png"


def reads_or_refuses(path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        picture = read_picture(path, max_pixels=10_000)
    except ImageError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        return
    channels = picture.pixels.shape[1]
    assert channels in (1, 3)
    assert 0 <= float(picture.pixels.min()) <= float(picture.pixels.max()) <= 1


@settings(max_examples=200)
@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"GIF89a", b"P5 "]),
    st.binary(max_size=120),
)
def test_any_bytes_read_or_are_refused(scratch, start, rest):
    reads_or_refuses(scratch, start + rest)


SEEDS = [
    KINDS["rgb"][0],
    KINDS["palette with transparency"][0],
    deep_png(RANDOM.integers(0, 65536, (5, 6, 4), np.uint16)),
    with_chunk(deep_png(np.ones((5, 6, 1), np.uint16)), b"tRNS", b"\0\1"),
]


@settings(max_examples=300)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
    st.sampled_from(["replace", "insert", "delete", "cut"]),
)
def test_any_changed_png_reads_or_is_refused(scratch, data, changes, how):
    changed = bytearray(data)
    for place, value in changes:
        at = place % len(changed)
        match how:
            case "replace":
                changed[at] = value
            case "insert":
                changed.insert(at, value)
            case "delete" if len(changed) > 1:
                del changed[at]
            case "cut":
                del changed[max(at, 1) :]
    reads_or_refuses(scratch, bytes(changed))


@settings(max_examples=300)
@given(st.sampled_from(SEEDS), st.integers(0, 20), st.integers(0, 2000), st.integers(0, 255))
def test_any_changed_chunk_with_a_good_checksum(scratch, data, which, place, value):
    chunks, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], bytearray(data[at + 8 : at + 8 + length])))
        at += 12 + length
    _, body = chunks[which % len(chunks)]
    if body:
        body[place % len(body)] = value
    parts = (chunk(name, bytes(body)) for name, body in chunks)
    reads_or_refuses(scratch, data[:8] + b"".join(parts))


def test_colour_tiff_of_16_bit_is_not_cut_to_8(tmp_path):
    import tifffile

    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, np.full((16, 16, 3), 257, np.uint16), photometric="rgb")
    with pytest.raises(ImageError, match="TIFF of 16-bit colour; save it as a 16-bit PNG"):
        read_picture(path)


def test_gray_tiff_of_16_bit_keeps_its_depth(tmp_path):
    import tifffile

    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, np.full((16, 16), 257, np.uint16))
    picture = read_picture(path)
    assert picture.bits == 16
    assert float(picture.pixels[0, 0, 0, 0]) == pytest.approx(257 / 65535)
