"""What a JPEG XL codestream promises (ISO/IEC 18181-1), read before a library sees it: its image, and its frames."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import PixelDataError

from .boxes import boxes

if TYPE_CHECKING:
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["Codestream", "begins"]

_CODESTREAM: Final = b"\xff\x0a"
_SIGNATURE: Final = b"\0\0\0\x0cJXL \r\n\x87\n"

#: Columns by rows, by the ratio that SizeHeader names (annex D.2).
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))

#: Types of frames that are not seen (annex F.2): low frequencies of another, and what another takes parts of.
_LOW_FREQUENCY, _REFERENCE = 1, 2
_USES_LOW_FREQUENCY: Final = 32

#: Frames of one image: each costs as much as the image. Encoders make one or two besides.
_MOST_FRAMES: Final = 32

#: Pixels of a frame that is cut to a size of its own, as multiples of the image's, or of a small image at all.
_MOST_OF_IMAGE: Final = 4
_SMALL: Final = 1 << 20

_NUMBER: Final = ((0, 8), (256, 11), (2304, 14), (18688, 30))
_ENUMERATED: Final = ((0, 0), (1, 0), (2, 4), (18, 6))
_COORDINATE: Final = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
_GREY, _XYB = 1, 2
_CUSTOM: Final = 2


class _Header(NamedTuple):
    rows: int
    columns: int
    components: int
    precision: int


def begins(data: Buffer) -> bool:
    """Whether a fragment is the first of a frame."""
    start = bytes(data[:12])
    return start.startswith(_CODESTREAM) or start == _SIGNATURE


class Codestream:
    """A codestream whose image is known: ``header`` has its rows, columns, components and precision."""

    def __init__(self, data: Buffer) -> None:
        """Reads SizeHeader and ImageMetadata (annex D).

        Raises `aiodicom.errors.PixelDataError` for what DICOM has not: more than one image, other channels.
        """
        stream = _codestream(data)
        if stream[:2] != _CODESTREAM:
            raise PixelDataError("no JPEG XL codestream: it has not its signature")
        self._bits = _Bits(stream)
        self.header, self._is_xyb, self._has_profile = _image(self._bits)

    def check_frames(self) -> None:
        """Goes from frame to frame by their tables of contents (annex F).

        Raises `aiodicom.errors.PixelDataError` where they are many, or one is much larger than the image: a library
        would make room for it. Behind an ICC profile nothing is looked at: its end is known to who decodes it.
        """
        if self._has_profile:
            return
        bits = self._bits
        for _ in range(_MOST_FRAMES):
            bits.to_byte()
            sections = _frame(bits, self.header, self._is_xyb)
            if not sections:
                return
            if bits.flag():
                raise PixelDataError("a frame within the JPEG XL codestream has its sections in an order of its own")
            bits.to_byte()
            sizes = [bits.choose((0, 10), (1024, 14), (17408, 22), (4211712, 30)) for _ in range(sections)]
            bits.to_byte()
            bits.skip(8 * sum(sizes))
        raise PixelDataError(f"more than {_MOST_FRAMES} frames within the JPEG XL codestream")


class _Bits:
    """Bits of a codestream behind its signature, the least significant first (annex B)."""

    def __init__(self, data: Buffer) -> None:
        self._data = data
        self._at = 8 * len(_CODESTREAM)

    def take(self, count: int) -> int:
        start, self._at = self._at, self._at + count
        if self._at > 8 * len(self._data):
            raise PixelDataError("the JPEG XL codestream ends within its header")
        value = int.from_bytes(self._data[start // 8 : (self._at + 7) // 8], "little")
        return value >> start % 8 & (1 << count) - 1

    def flag(self) -> bool:
        return bool(self.take(1))

    def skip(self, count: int) -> None:
        self._at += count

    def to_byte(self) -> None:
        self._at += -self._at % 8

    def choose(self, *choices: tuple[int, int]) -> int:
        """U32(): one of four, each an offset and the bits to be added to it."""
        offset, count = choices[self.take(2)]
        return offset + self.take(count)

    def long(self) -> int:
        """U64()."""
        selector = self.take(2)
        if selector == 0:
            return 0
        if selector == 1:
            return 1 + self.take(4)
        if selector == 2:
            return 17 + self.take(8)
        value, shift = self.take(12), 12
        while self.flag():
            if shift == 60:
                return value | self.take(4) << shift
            value |= self.take(8) << shift
            shift += 8
        return value

    def skip_extensions(self) -> None:
        extensions = self.long()
        self.skip(sum(self.long() for _ in range(extensions.bit_count())))


def _codestream(data: Buffer) -> Buffer:
    """The codestream, which may be in one or several boxes (ISO/IEC 18181-2)."""
    if bytes(data[:2]) == _CODESTREAM:
        return data
    if bytes(data[:12]) != _SIGNATURE:
        raise PixelDataError("no JPEG XL codestream")
    parts: list[memoryview] = []
    for kind, contents in boxes(data):
        if kind == b"jxlc":
            return contents
        if kind == b"jxlp":  # with its number in front
            parts.append(contents[4:])
    if not parts:
        raise PixelDataError("no JPEG XL codestream")
    return b"".join(parts)


# --- the image --------------------------------------------------------------------------------------------------------


def _image(bits: _Bits) -> tuple[_Header, bool, bool]:
    """The header, whether colours are XYB, and whether they have an ICC profile."""
    rows, columns = _size(bits)
    if bits.flag():
        _skip_transform(bits, is_xyb=True)
        return _Header(rows, columns, 3, 8), True, False
    has_more = bits.flag()
    if has_more:
        orientation = bits.take(3) + 1
        if bits.flag():
            _size(bits)
        has_preview = bits.flag()
        is_animation = not has_preview and bits.flag()
        if orientation != 1 or has_preview or is_animation:
            raise PixelDataError("the JPEG XL codestream has an orientation, a preview or an animation (PS3.5 8.2.15)")
    if bits.flag():
        raise PixelDataError("the JPEG XL codestream has floating point samples (PS3.5 8.2.15)")
    precision = bits.choose((8, 0), (10, 0), (12, 0), (1, 6))
    bits.skip(1)
    if bits.choose((0, 0), (1, 0), (2, 4), (1, 12)):
        raise PixelDataError("the JPEG XL codestream has extra channels (PS3.5 8.2.15)")
    is_xyb = bits.flag()
    components, has_profile = _colours(bits)
    if has_more and not bits.flag():  # tone mapping
        bits.skip(16 + 16 + 1 + 16)
    bits.skip_extensions()
    _skip_transform(bits, is_xyb)
    return _Header(rows, columns, components, precision), is_xyb, has_profile


def _size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.flag()

    def side() -> int:
        if is_small:
            return (bits.take(5) + 1) * 8
        return bits.choose((1, 9), (1, 13), (1, 18), (1, 30))

    rows = side()
    ratio = bits.take(3)
    if not ratio:
        return rows, side()
    across, down = _RATIOS[ratio - 1]
    return rows, rows * across // down


def _colours(bits: _Bits) -> tuple[int, bool]:
    """How many components ColourEncoding is for, and whether it is an ICC profile."""
    if bits.flag():
        return 3, False
    has_profile = bits.flag()
    space = bits.choose(*_ENUMERATED)
    components = 1 if space == _GREY else 3
    if has_profile:
        return components, True
    if space != _XYB:
        _skip_points(bits, 1)
        if space != _GREY:
            _skip_points(bits, 3)
        if bits.flag():
            bits.skip(24)
        else:
            bits.choose(*_ENUMERATED)
    bits.choose(*_ENUMERATED)
    return components, False


def _skip_points(bits: _Bits, count: int) -> None:
    """The white point, or the primaries."""
    if bits.choose(*_ENUMERATED) == _CUSTOM:
        for _ in range(2 * count):
            bits.choose(*_COORDINATE)


def _skip_transform(bits: _Bits, is_xyb: bool) -> None:
    if bits.flag():
        return
    if is_xyb and not bits.flag():
        bits.skip(16 * (9 + 3 + 4))
    weights = bits.take(3)
    bits.skip(16 * sum(count for bit, count in enumerate((15, 55, 210)) if weights >> bit & 1))


# --- its frames -------------------------------------------------------------------------------------------------------


def _frame(bits: _Bits, image: _Header, is_xyb: bool) -> int:
    """Reads FrameHeader; returns of how many sections the frame is, or 0 of the last one."""
    if bits.flag():
        return 0
    kind = bits.take(2)
    is_modular = bits.flag()
    flags = bits.long()
    uses_low = flags & _USES_LOW_FREQUENCY
    if not is_xyb and bits.flag() and not uses_low:
        bits.skip(3 * 2)
    upsampling = 1 if uses_low else 1 << bits.take(2)
    group = 128 << bits.take(2) if is_modular else 256
    if is_xyb and not is_modular:
        bits.skip(3 + 3)
    passes = 1 if kind == _REFERENCE else _passes(bits)
    reduction = 3 * (1 + bits.take(2)) if kind == _LOW_FREQUENCY else 0
    rows, columns, is_whole = _crop(bits, image, kind)
    is_last = False
    resets = True
    if kind not in (_LOW_FREQUENCY, _REFERENCE):
        mode = bits.choose((0, 0), (1, 0), (2, 0), (3, 2))
        if mode == 4:
            bits.skip(1)
        resets = mode == 0 and is_whole
        if not resets:
            bits.skip(2)
        is_last = bits.flag()
    if is_last:
        return 0
    if kind != _LOW_FREQUENCY:
        bits.skip(2)
    if kind == _REFERENCE or (kind != _LOW_FREQUENCY and resets):
        bits.skip(1)
    bits.skip(8 * bits.choose((0, 0), (0, 4), (16, 5), (48, 10)))
    _skip_restoration(bits, is_modular)
    bits.skip_extensions()
    rows, columns = (ceil(ceil(side / upsampling) / (1 << reduction)) for side in (rows, columns))
    groups, low_groups = (ceil(rows / side) * ceil(columns / side) for side in (group, 8 * group))
    return 1 if groups == passes == 1 else 2 + low_groups + groups * passes


def _passes(bits: _Bits) -> int:
    count = bits.choose((1, 0), (2, 0), (3, 0), (4, 3))
    if count > 1:
        downsampled = bits.choose((0, 0), (1, 0), (2, 0), (3, 1))
        bits.skip(2 * (count - 1) + 2 * downsampled)
        for _ in range(downsampled):
            bits.choose((0, 0), (1, 0), (2, 0), (0, 3))
    return count


def _crop(bits: _Bits, image: _Header, kind: int) -> tuple[int, int, bool]:
    """Rows and columns of a frame, and whether it is for all of the image."""
    if kind == _LOW_FREQUENCY or not bits.flag():
        return image.rows, image.columns, True
    left = top = 0
    if kind != _REFERENCE:
        left, top = (_signed(bits.choose(*_NUMBER)) for _ in range(2))
    columns, rows = bits.choose(*_NUMBER), bits.choose(*_NUMBER)
    if rows * columns > max(_SMALL, _MOST_OF_IMAGE * image.rows * image.columns):
        raise PixelDataError(
            f"a frame of {rows} x {columns} pixels within the JPEG XL codestream of {image.rows} x {image.columns}"
        )
    is_whole = left <= 0 and top <= 0 and left + columns >= image.columns and top + rows >= image.rows
    return rows, columns, is_whole


def _signed(number: int) -> int:
    """UnpackSigned()."""
    return -(number + 1) // 2 if number % 2 else number // 2


def _skip_restoration(bits: _Bits, is_modular: bool) -> None:
    """RestorationFilter (annex J.1)."""
    if bits.flag():
        return
    if bits.flag() and bits.flag():
        bits.skip(16 * 6)
    iterations = bits.take(2)
    if iterations:
        if not is_modular and bits.flag():
            bits.skip(16 * 8)
        if bits.flag():
            bits.skip(16 * 3 + 32)
        if bits.flag():
            bits.skip(16 * (3 if is_modular else 4))
        if is_modular:
            bits.skip(16)
    bits.skip_extensions()
