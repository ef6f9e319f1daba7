"""Palettes of PALETTE COLOR images (PS3.3 C.7.9): `Palette`."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import DecodeError, PixelDataError

from ._pixels import interleave, swap

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["Palette", "table_words"]

_COLOURS: Final = ("Red", "Green", "Blue")


class Palette(NamedTuple):
    """Red, green and blue for each index from ``first`` on.

    ``entries`` has the three of an index together, ``width`` bytes each, in the processor's byte order.
    """

    first: int
    width: int
    entries: bytes

    @property
    def size(self) -> int:
        """How many indexes have colours."""
        return len(self.entries) // (3 * self.width)

    @classmethod
    def of(cls, data_set: Dataset, signed: bool) -> Palette:
        """The palette of a data set, segmented ones too (PS3.3 C.7.9.2); `signed` are the indexes.

        Raises `aiodicom.errors.PixelDataError` where there is none, or its tables are not what their descriptors say.
        """
        planes = []
        described: set[tuple[int, int, int]] = set()
        for colour in _COLOURS:
            count, first, bits = _descriptor(data_set, colour, signed)
            described.add((count, first, bits))
            planes.append(_table(data_set, colour, count, bits))
        if len(described) > 1:
            raise PixelDataError("the palettes of the three colours are described differently (PS3.3 C.7.9.1)")
        count, first, bits = described.pop()
        width = bits // 8
        joined = bytearray(3 * count * width)
        interleave(b"".join(planes), joined, 3, width)
        return cls(first, width, bytes(joined))


def _descriptor(data_set: Dataset, colour: str, signed: bool) -> tuple[int, int, int]:
    """Number of entries, first index, bits of an entry (PS3.3 C.7.6.3.1.5)."""
    keyword = f"{colour}PaletteColorLookupTableDescriptor"
    try:
        value = data_set.get(keyword)
        count, first, bits = (int(each) for each in value)
    except (DecodeError, TypeError, ValueError):
        raise PixelDataError(f"no {keyword} of three numbers") from None
    # Its VR is that of the pixels, but the first number never has a sign, whatever it was read as.
    count = count % 0x10000 or 0x10000
    if first >= 0x8000 and signed:
        first -= 0x10000
    if bits not in (8, 16) or not -0x8000 <= first <= 0xFFFF:
        raise PixelDataError(f"{keyword} is {count}, {first}, {bits}")
    return count, first, bits


def table_words(value: object) -> bytes:
    """A table as bytes in little endian, which some write with a VR of numbers."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, int):
        value = [value]
    if isinstance(value, list) and all(isinstance(each, int) for each in value):
        return struct.pack(f"<{len(value)}H", *(each & 0xFFFF for each in value))
    return b""


def _table(data_set: Dataset, colour: str, count: int, bits: int) -> bytes:
    """The entries of a colour, `bits` each, in the processor's byte order."""
    keyword = f"{colour}PaletteColorLookupTableData"
    try:
        data = table_words(data_set.get(keyword))
        segments = b"" if data else table_words(data_set.get(f"Segmented{keyword}"))
    except DecodeError as error:
        raise PixelDataError(f"{keyword}: {error.reason}") from error
    if segments:
        return _expanded(segments, keyword, count, bits)
    if len(data) < count * bits // 8:
        raise PixelDataError(f"{keyword} has {len(data)} bytes for {count} entries of {bits} bits")
    if bits == 8:
        # One in each word, or two.
        return data[: 2 * count : 2] if len(data) >= 2 * count else data[:count]
    return _native_words(data[: 2 * count])


def _native_words(data: bytes) -> bytes:
    if sys.byteorder == "little":
        return data
    swapped = bytearray(len(data))
    swap(data, swapped, 2)
    return bytes(swapped)


def _expanded(data: bytes, keyword: str, count: int, bits: int) -> bytes:
    """The entries that the segments of a segmented table stand for (PS3.3 C.7.9.2.1 to C.7.9.2.3)."""
    words = list(data) if bits == 8 else memoryview(_native_words(data[: len(data) // 2 * 2])).cast("H").tolist()
    entries: list[int] = []
    at = 0
    while at < len(words) and len(entries) < count:
        at = _segment(words, at, entries, keyword, count, bits, indirect=True)
    if len(entries) < count:
        raise PixelDataError(f"Segmented{keyword} has {len(entries)} entries, not {count}")
    if bits == 8:
        return bytes(entries[:count])
    return struct.pack(f"={count}H", *entries[:count])


def _segment(
    words: list[int], at: int, entries: list[int], keyword: str, count: int, bits: int, *, indirect: bool
) -> int:
    """Adds the entries of the segment at `at`, and returns where the next one is."""

    def malformed(why: str) -> PixelDataError:
        return PixelDataError(f"Segmented{keyword}: {why}")

    if len(words) - at < 2:
        raise malformed("a segment is not whole")
    opcode, length = words[at], words[at + 1]
    at += 2
    if opcode == 0:
        if len(words) - at < length:
            raise malformed("a discrete segment is not whole")
        entries += words[at : at + length]
        return at + length
    if opcode == 1:
        if len(words) == at or not entries or not length:
            raise malformed("a linear segment without its ends")
        start, end = entries[-1], words[at]
        entries += (start + (end - start) * step // length for step in range(1, length + 1))
        return at + 1
    if opcode == 2 and indirect:
        parts = 2 if bits == 16 else 4
        if len(words) - at < parts:
            raise malformed("an indirect segment is not whole")
        digits = words[at : at + parts]
        place = sum(digit << bits * number for number, digit in enumerate(digits)) // (bits // 8)
        for _ in range(length):
            if len(entries) >= count:
                break
            if place >= len(words):
                raise malformed("an indirect segment leads out of the table")
            place = _segment(words, place, entries, keyword, count, bits, indirect=False)
        return at + parts
    raise malformed(f"a segment of type {opcode}")
