"""`aiodicom.pixels._pixels` against numpy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy
import pytest

from aiodicom.pixels import _pixels as kernels

GENERATOR = numpy.random.default_rng(1)

#: Around the widths of the loops, and none.
COUNTS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1000]


def random(count: int, type_: str = "u1") -> Any:
    return GENERATOR.integers(0, 256, count * numpy.dtype(type_).itemsize, "u1").view(type_)


@pytest.mark.parametrize("width", [2, 4, 8])
def test_swap(width: int) -> None:
    for count in COUNTS:
        words = random(count, f"u{width}")
        target = numpy.zeros_like(words)
        kernels.swap(words.view("u1"), target.view("u1"), width)
        assert numpy.array_equal(target, words.byteswap())


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_planes(width: int) -> None:
    for samples, count in product((1, 2, 3, 4), COUNTS):
        check_planes(samples, width, count)


def check_planes(samples: int, width: int, count: int) -> None:
    pixels = random(count * samples, f"u{width}").reshape(count, samples)
    planes = numpy.ascontiguousarray(pixels.T)
    target = numpy.zeros_like(planes)
    kernels.deinterleave(pixels.reshape(-1).view("u1"), target.reshape(-1).view("u1"), samples, width)
    assert numpy.array_equal(target, planes)
    back = numpy.zeros_like(pixels)
    kernels.interleave(planes.reshape(-1).view("u1"), back.reshape(-1).view("u1"), samples, width)
    assert numpy.array_equal(back, pixels)


def test_bits() -> None:
    for first, count in product(range(9), COUNTS):
        check_bits(first, count)


def check_bits(first: int, count: int) -> None:
    packed = random((first + count + 7) // 8 + 1)
    target = numpy.full(count, 9, "u1")
    kernels.unpack_bits(packed, first, target)
    expected = numpy.unpackbits(packed, bitorder="little")[first : first + count]
    assert numpy.array_equal(target, expected)
    again = numpy.full((count + 7) // 8, 9, "u1")
    kernels.pack_bits(target * 7, again)
    assert numpy.array_equal(again, numpy.packbits(expected, bitorder="little"))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("width", "shift", "bits"),
    [
        (1, 0, 8),
        (1, 2, 5),
        (1, 7, 1),
        (2, 0, 12),
        (2, 4, 12),
        (2, 0, 1),
        (2, 15, 1),
        (4, 3, 20),
        (8, 1, 60),
        (8, 0, 64),
    ],
)
def test_stored_bits(width: int, shift: int, bits: int, signed: bool) -> None:
    cells = random(100, f"u{width}")
    expected = []
    for cell in cells.tolist():
        value = cell >> shift & (1 << bits) - 1
        expected.append(value - (1 << bits) if signed and value >> bits - 1 else value)
    kernels.keep_stored(cells.view("u1"), width, shift, bits, signed)
    assert cells.view(f"{'i' if signed else 'u'}{width}").tolist() == expected


def ybr_to_rgb(ybr: Any, bits: int, partial: bool) -> Any:
    """PS3.3 C.7.6.3.1.2 in floating point."""
    y, b, r = (ybr[..., place].astype(float) for place in range(3))
    middle, scale = 1 << bits - 1, 1 << bits - 8
    b, r = b - middle, r - middle
    if partial:
        y = 1.1644 * (y - 16 * scale)
        rgb = [y + 1.5960 * r, y - 0.3917 * b - 0.8130 * r, y + 2.0173 * b]
    else:
        rgb = [y + 1.402 * r, y - 0.344136 * b - 0.714136 * r, y + 1.772 * b]
    return numpy.clip(numpy.stack(rgb, -1), 0, (1 << bits) - 1)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize(("width", "bits"), [(1, 8), (2, 8), (2, 12), (2, 16)])
def test_ybr_to_rgb(width: int, bits: int, partial: bool) -> None:
    ybr = GENERATOR.integers(0, 1 << bits, (5000, 3)).astype(f"u{width}")
    expected = ybr_to_rgb(ybr, bits, partial)
    kernels.ybr_to_rgb(ybr.reshape(-1).view("u1"), width, bits, partial)
    # Coefficients of 16 bits, and rounding.
    assert numpy.abs(ybr - expected).max() <= 0.52 + (1 << bits) / (1 << 14)


def test_colour_is_what_libjpeg_makes_of_it() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    rgb = GENERATOR.integers(0, 256, (64, 64, 3)).astype("u1")
    stream = imagecodecs.jpeg8_encode(rgb, 90)
    ours = imagecodecs.jpeg8_decode(stream, colorspace="YCbCr", outcolorspace="YCbCr")
    kernels.ybr_to_rgb(ours.reshape(-1), 1, 8, False)
    assert numpy.array_equal(ours, imagecodecs.jpeg8_decode(stream))


def test_rgb_to_ybr() -> None:
    rgb = GENERATOR.integers(0, 256, (5000, 3)).astype("u1")
    r, g, b = (rgb[..., place].astype(float) for place in range(3))
    expected = numpy.stack(
        [
            0.299 * r + 0.587 * g + 0.114 * b,
            -0.168736 * r - 0.331264 * g + 0.5 * b + 128,
            0.5 * r - 0.418688 * g - 0.081312 * b + 128,
        ],
        -1,
    )
    kernels.rgb_to_ybr(rgb.reshape(-1))
    assert numpy.abs(rgb - numpy.clip(expected, 0, 255)).max() <= 0.52


def test_expand_422() -> None:
    for pixels in COUNTS:
        source = random((pixels + 1) // 2 * 4).reshape(-1, 4)
        expected = numpy.stack([source[:, [0, 2, 3]], source[:, [1, 2, 3]]], 1).reshape(-1, 3)[:pixels]
        target = numpy.zeros(3 * pixels, "u1")
        kernels.expand_422(source.reshape(-1), target)
        assert numpy.array_equal(target.reshape(-1, 3), expected)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("entry_width", [1, 2])
def test_look_up(width: int, signed: bool, entry_width: int) -> None:
    letter = "i" if signed else "u"
    first = -20 if signed else 5
    table = random(40 * 3, f"u{entry_width}").reshape(40, 3)
    indexes = numpy.arange(first, first + 40).astype(f"{letter}{width}")
    target = numpy.zeros((40, 3), f"u{entry_width}")
    arguments = (width, signed, first, table.reshape(-1).view("u1"), entry_width, target.reshape(-1).view("u1"))
    assert kernels.look_up(indexes.view("u1"), *arguments) == -1
    assert numpy.array_equal(target, table)
    indexes[[7, 9]] = first - 1, first + 40
    assert kernels.look_up(indexes.view("u1"), *arguments) == 7
    assert numpy.array_equal(target[[7, 9]], table[[0, -1]])


def _bytes(count: int) -> bytearray:
    return bytearray(count)


CALLS: list[Callable[[], object]] = [
    lambda: kernels.swap(bytes(4), _bytes(6), 2),
    lambda: kernels.swap(bytes(3), _bytes(3), 2),
    lambda: kernels.swap(bytes(3), _bytes(3), 3),
    lambda: kernels.interleave(bytes(7), _bytes(7), 3, 1),
    lambda: kernels.interleave(bytes(6), _bytes(9), 3, 1),
    lambda: kernels.interleave(bytes(6), _bytes(6), 0, 1),
    lambda: kernels.deinterleave(bytes(6), _bytes(6), 3, 3),
    lambda: kernels.deinterleave(bytes(6), _bytes(6), 1 << 63, 2),
    lambda: kernels.unpack_bits(bytes(2), 9, _bytes(8)),
    lambda: kernels.unpack_bits(bytes(2), (1 << 64) - 1, _bytes(8)),
    lambda: kernels.pack_bits(bytes(9), _bytes(1)),
    lambda: kernels.keep_stored(_bytes(4), 2, 5, 12, False),
    lambda: kernels.keep_stored(_bytes(4), 2, 0, 0, False),
    lambda: kernels.keep_stored(_bytes(4), 2, -1, 8, False),
    lambda: kernels.keep_stored(_bytes(3), 2, 0, 8, False),
    lambda: kernels.ybr_to_rgb(_bytes(4), 1, 8, False),
    lambda: kernels.ybr_to_rgb(_bytes(12), 4, 8, False),
    lambda: kernels.ybr_to_rgb(_bytes(3), 1, 9, False),
    lambda: kernels.rgb_to_ybr(_bytes(4)),
    lambda: kernels.expand_422(bytes(4), _bytes(9)),
    lambda: kernels.expand_422(bytes(4), _bytes(4)),
    lambda: kernels.look_up(bytes(4), 1, False, 0, b"", 1, _bytes(12)),
    lambda: kernels.look_up(bytes(4), 1, False, 0, bytes(4), 1, _bytes(12)),
    lambda: kernels.look_up(bytes(4), 1, False, 0, bytes(3), 1, _bytes(11)),
    lambda: kernels.look_up(bytes(3), 2, False, 0, bytes(3), 1, _bytes(3)),
    lambda: kernels.look_up(bytes(4), 4, False, 0, bytes(3), 1, _bytes(3)),
    lambda: kernels.look_up(bytes(4), 1, False, 1 << 40, bytes(3), 1, _bytes(12)),
]


def test_buffers_that_do_not_fit() -> None:
    for call in CALLS:
        with pytest.raises(ValueError, match=r"buffer|sample|word|bit|pixel|table|target|index|colour"):
            call()


def test_what_is_read_only_is_not_written_to() -> None:
    with pytest.raises((BufferError, ValueError, TypeError)):
        kernels.swap(bytes(2), bytes(2), 2)
