"""PNG bytes and arrays: exact, of every kind, and one kind of error."""

import io

import numpy as np
import png
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from analysis.pictures import Picture, decibels, decode, encode, psnr
from dipray.codec import PNG_SIGNATURE, decode_deep_png, decode_png, encode_png, is_deep_png

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 4))


@given(
    npst.arrays(np.uint8, SHAPES) | npst.arrays(np.uint16, SHAPES),
)
def test_arrays_come_back_as_they_were(values):
    data = encode_png(values)
    back = decode_png(data)
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)
    assert is_deep_png(data) == (values.dtype == np.uint16)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_other_readers_see_the_same_picture(channels, mode):
    values = np.random.default_rng(0).integers(0, 256, (5, 3, channels)).astype(np.uint8)
    with Image.open(io.BytesIO(encode_png(values))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", mode, (3, 5))
        np.testing.assert_array_equal(np.asarray(image).reshape(values.shape), values)
    deep = values.astype(np.uint16) * 251 + 3
    width, height, rows, info = png.Reader(bytes=encode_png(deep)).asDirect()
    assert (width, height, info["planes"], info["bitdepth"]) == (3, 5, channels, 16)
    np.testing.assert_array_equal(np.vstack(list(map(np.asarray, rows))), deep.reshape(5, -1))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_made_elsewhere_is_read_alike(channels, dtype):
    """Interlaced files are not what `encode_png` writes, and no less PNG."""
    top = np.iinfo(dtype).max
    values = np.random.default_rng(1).integers(0, top + 1, (9, 6, channels)).astype(dtype)
    stream = io.BytesIO()
    png.Writer(
        6,
        9,
        greyscale=channels < 3,
        alpha=channels in (2, 4),
        bitdepth=8 * values.dtype.itemsize,
        interlace=True,
    ).write(stream, values.reshape(9, -1).tolist())
    np.testing.assert_array_equal(decode_png(stream.getvalue()), values)


def test_significant_bits_do_not_shift_the_values():
    values = np.arange(0, 60000, 5000, dtype=np.uint16).reshape(3, 4, 1)
    stream = io.BytesIO()
    png.Writer(4, 3, greyscale=True, bitdepth=16).write(stream, values[..., 0].tolist())
    chunks = list(png.Reader(bytes=stream.getvalue()).chunks())
    marked = io.BytesIO()
    png.write_chunks(marked, [chunks[0], (b"sBIT", b"\x0c"), *chunks[1:]])
    np.testing.assert_array_equal(decode_deep_png(marked.getvalue()), values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_broken_is_a_value_error_of_one_line(dtype):
    whole = encode_png(np.random.default_rng(2).integers(0, 256, (20, 20, 3)).astype(dtype))
    half = len(whole) // 2
    flipped = bytearray(whole)
    flipped[half] ^= 255
    cuts = [0, 4, 8, 16, 24, 25, 33, 60, half]
    for data in (*(whole[:cut] for cut in cuts), bytes(flipped), b"GIF89a" + whole):
        with pytest.raises(ValueError, match="broken PNG") as caught:
            decode_png(data)
        assert "\n" not in str(caught.value) and " at 0x" not in str(caught.value)


@pytest.mark.parametrize("mode", ["P", "1"])
def test_palettes_and_bits_are_refused(mode):
    stream = io.BytesIO()
    Image.new(mode, (4, 4)).save(stream, "PNG")
    with pytest.raises(ValueError, match=f"pixel format {mode} is not gray or colour"):
        decode_png(stream.getvalue())


def test_other_formats_are_refused():
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "BMP")
    with pytest.raises(ValueError, match="broken PNG"):
        decode_png(stream.getvalue())
    assert not is_deep_png(PNG_SIGNATURE)
    assert not is_deep_png(stream.getvalue())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_pictures_keep_depth_and_alpha(bits, channels, has_alpha):
    random = np.random.default_rng(3)
    top = 2**bits - 1
    pixels = random.integers(0, top + 1, (6, 5, channels)) / top
    alpha = random.integers(0, top + 1, (6, 5, 1)) / top if has_alpha else None
    back = decode(encode(Picture(pixels, alpha, bits)))
    assert back.bits == bits
    np.testing.assert_array_equal(back.pixels, pixels)
    if alpha is None:
        assert back.alpha is None
    else:
        np.testing.assert_array_equal(back.alpha, alpha)
    other = decode(encode(back.with_pixels(1 - pixels)))
    np.testing.assert_allclose(other.pixels, 1 - pixels, atol=1e-12)
    assert (other.alpha is None) == (alpha is None)


def test_pixels_are_clipped_and_rounded():
    pixels = np.array([-0.5, 0.4 / 255, 0.6 / 255, 1.5]).reshape(1, 4, 1)
    np.testing.assert_array_equal(
        decode(encode(Picture(pixels))).pixels.ravel(), [0, 0, 1 / 255, 1]
    )


def test_psnr_is_of_clipped_pixels_and_bounded():
    truth = np.full((4, 4, 3), 0.5)
    assert psnr(truth + 0.1, truth) == pytest.approx(20)
    assert psnr(truth + 10, truth) == pytest.approx(-10 * np.log10(0.25))
    assert psnr(truth, truth) == decibels(0.0) == 150
