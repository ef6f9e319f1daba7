"""Encapsulated Pixel Data (PS3.5 A.4): fragments, offset tables, and which fragments are a frame."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from aiodicom.errors import PixelDataError

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = [
    "Buffer",
    "Encapsulated",
    "FragmentTable",
    "Read",
    "Table",
    "encapsulate",
    "fragments_of",
    "lone_fragment",
    "offset_tables",
]

Buffer: TypeAlias = bytes | bytearray | memoryview

#: Bytes of a value, `length` from `start` on, or fewer where it ends.
Read: TypeAlias = Callable[[int, int], Buffer]

#: Fragments of a frame, or of all frames where no table says which are whose: as many as a data set has elements.
MAX_FRAGMENTS: Final = 1 << 20

_HEADER: Final = struct.Struct("<HHI")
_ITEM: Final = (0xFFFE, 0xE000)
_OFFSET: Final = struct.Struct("<I")
_LONG_OFFSET: Final = struct.Struct("<Q")

#: Lengths of items are even, and have 32 bits; all ones would be an undefined one.
LONGEST_FRAGMENT: Final = 0xFFFFFFFE

#: An offset table: basic, extended, or a basic one that is empty.
Table: TypeAlias = Literal["basic", "extended", "empty"]


def lone_fragment(value: memoryview) -> tuple[int, int] | None:
    """Where the fragment is, as (start, length), in a value of encapsulated Pixel Data that has one alone; None for any
    other, of which `FragmentTable` says more.
    """
    if len(value) < 2 * _HEADER.size:
        return None
    group, element, length = _HEADER.unpack_from(value)
    start = length + 2 * _HEADER.size
    if (group, element) != _ITEM or start > len(value):
        return None
    group, element, length = _HEADER.unpack_from(value, start - _HEADER.size)
    return (start, length) if (group, element) == _ITEM and start + length == len(value) else None


class FragmentTable:
    """Where the fragments of each frame are in a value of encapsulated Pixel Data, without the delimitation item.

    Frames are told apart by the extended offset table (PS3.3 C.7.6.3.1.8) where there is one, else by the basic one,
    else by their number (a fragment each, or one frame alone), else by where a stream of the codec begins. With a
    table, a frame is found without looking at those before it.
    """

    def __init__(
        self,
        read: Read,
        size: int,
        number_of_frames: int,
        *,
        offsets: Buffer | None = None,
        lengths: Buffer | None = None,
        begins: Callable[[Buffer], bool] | None = None,
    ) -> None:
        """The table of a value of `size` bytes that `read` gives.

        `offsets` and `lengths` are the values of Extended Offset Table and Extended Offset Table Lengths. `begins`
        tells whether a fragment is the first of a frame.

        Raises `aiodicom.errors.PixelDataError` where the basic offset table is not whole, or a table is not one of so
        many frames.
        """
        self._read = read
        self._size = size
        self._begins = begins
        self._frames = number_of_frames
        header = read(0, _HEADER.size)
        group, element, length = _HEADER.unpack(header) if len(header) == _HEADER.size else (0, 0, 0)
        if (group, element) != _ITEM:
            raise PixelDataError("encapsulated Pixel Data without a basic offset table (PS3.5 A.4)")
        if length > size - _HEADER.size:
            raise PixelDataError(f"the basic offset table has {length} bytes of {size - _HEADER.size}")
        #: Where the first fragment's item is, which offsets count from.
        self._start = _HEADER.size + length
        self._table: bytes | None = None
        self._lengths: bytes | None = None
        self._by_frame: list[list[tuple[int, int]]] | None = None
        self._offset = _OFFSET
        if number_of_frames == 1:
            return
        if offsets:
            self._offset = _LONG_OFFSET
            self._table, self._lengths = bytes(offsets), bytes(lengths or b"")
            if len(self._lengths) != len(self._table):
                raise PixelDataError("the extended offset table has not a length for each offset (PS3.3 C.7.6.3.1.8)")
        elif length:
            self._table = bytes(read(_HEADER.size, length))
        if self._table is not None and len(self._table) != number_of_frames * self._offset.size:
            name = "extended" if offsets else "basic"
            found = len(self._table) / self._offset.size
            raise PixelDataError(f"the {name} offset table has {found:g} offsets for {number_of_frames} frames")

    def fragments(self, frame: int) -> list[tuple[int, int]]:
        """The fragments of a frame, each as (start, length) within the value.

        Raises `aiodicom.errors.PixelDataError` where an offset does not lead to a fragment, a fragment is not whole,
        or fragments cannot be told apart by frame.
        """
        if not 0 <= frame < self._frames:
            raise IndexError("there are not so many frames")
        if self._frames == 1:
            return self._walk(self._start, self._size, 0)
        if self._table is not None:
            return self._by_table(self._table, frame)
        if self._by_frame is None:
            self._by_frame = self._grouped()
        return self._by_frame[frame]

    def _by_table(self, table: bytes, frame: int) -> list[tuple[int, int]]:
        start = self._start + self._offset.unpack_from(table, frame * self._offset.size)[0]
        end = self._size
        if frame + 1 < self._frames:
            end = self._start + self._offset.unpack_from(table, (frame + 1) * self._offset.size)[0]
        if not self._start <= start < end <= self._size or (frame == 0 and start != self._start):
            raise PixelDataError("the offset table does not lead to the frame's fragments", frame)
        found = self._walk(start, end, frame)
        if self._lengths is not None:
            length = _LONG_OFFSET.unpack_from(self._lengths, frame * 8)[0]
            if len(found) != 1 or not found[0][1] - 1 <= length <= found[0][1]:
                raise PixelDataError(f"a frame of {length} bytes by the extended offset table is not so long", frame)
            found = [(found[0][0], length)]
        return found

    def _walk(self, at: int, end: int, frame: int | None) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        while at < end:
            header = self._read(at, _HEADER.size)
            if len(header) < _HEADER.size:
                raise PixelDataError("the data end within a fragment's header", frame)
            group, element, length = _HEADER.unpack(header)
            if (group, element) != _ITEM:
                raise PixelDataError(f"({group:04X},{element:04X}) where a fragment must begin", frame)
            at += _HEADER.size
            if length > end - at:
                raise PixelDataError(f"a fragment of {length} bytes, of which there are {end - at}", frame)
            if len(found) == MAX_FRAGMENTS:
                raise PixelDataError(f"more than {MAX_FRAGMENTS} fragments", frame)
            found.append((at, length))
            at += length
        if not found:
            raise PixelDataError("no fragments", frame)
        return found

    def _grouped(self) -> list[list[tuple[int, int]]]:
        """Fragments by frame, where no table says which are whose."""
        found = self._walk(self._start, self._size, None)
        if len(found) == self._frames:
            return [[one] for one in found]
        if len(found) < self._frames:
            raise PixelDataError(f"{self._frames} frames cannot be in {len(found)} fragments")
        groups: list[list[tuple[int, int]]] = []
        for start, length in found:
            if not groups or (self._begins is not None and self._begins(self._read(start, min(length, 64)))):
                groups.append([])
            groups[-1].append((start, length))
        if len(groups) != self._frames:
            raise PixelDataError(
                f"{len(found)} fragments, {len(groups)} of which begin a frame, for {self._frames} frames and without "
                "an offset table"
            )
        return groups


class Encapsulated(NamedTuple):
    """Frames as encapsulated Pixel Data: its ``value`` without the delimitation item, and the values of Extended Offset
    Table and Extended Offset Table Lengths, or None.
    """

    value: bytes
    offsets: bytes | None = None
    lengths: bytes | None = None

    def put_into(self, data_set: Dataset) -> None:
        """Makes this the Pixel Data of `data_set`, with its offset tables; nothing else is changed."""
        for keyword, table in (("ExtendedOffsetTable", self.offsets), ("ExtendedOffsetTableLengths", self.lengths)):
            if table is not None:
                setattr(data_set, keyword, table)
            elif keyword in data_set:
                delattr(data_set, keyword)
        data_set.add_new("PixelData", "OB", self.value)
        data_set["PixelData"].is_undefined_length = True


def offset_tables(
    lengths: Sequence[int], *, table: Table = "basic", longest: int = LONGEST_FRAGMENT
) -> tuple[bytes, bytes | None, bytes | None]:
    """The basic offset table for frames of these lengths, and the values of Extended Offset Table and its lengths.

    Raises as `encapsulate` does.
    """
    offsets: list[int] = []
    position = 0
    for length in lengths:
        if not length:
            raise ValueError("an empty frame cannot be encapsulated")
        if table == "extended" and length > longest:
            raise ValueError("an extended offset table is for frames of one fragment each (PS3.3 C.7.6.3.1.8)")
        offsets.append(position)
        position += length + length % 2 + _HEADER.size * -(-length // longest)
    if table == "extended":
        return b"", struct.pack(f"<{len(offsets)}Q", *offsets), struct.pack(f"<{len(offsets)}Q", *lengths)
    if table == "empty":
        return b"", None, None
    if offsets and offsets[-1] > 0xFFFFFFFF:
        raise ValueError("the frames need an extended offset table: they have more than 4 GiB (PS3.5 A.4)")
    return struct.pack(f"<{len(offsets)}I", *offsets), None, None


def fragments_of(frame: Buffer, longest: int = LONGEST_FRAGMENT) -> Iterator[Buffer]:
    """A frame, or the basic offset table, as fragments of at most `longest` bytes, in pieces."""
    view = memoryview(frame)
    # What is empty is an item too.
    for start in range(0, len(view) or 1, longest):
        fragment = view[start : start + longest]
        padding = len(fragment) % 2
        yield _HEADER.pack(*_ITEM, len(fragment) + padding)
        yield fragment
        if padding:
            yield b"\0"


def encapsulate(
    frames: Iterable[Buffer],
    *,
    table: Table = "basic",
    max_fragment: int | None = None,
) -> Encapsulated:
    """Frames as a value of encapsulated Pixel Data (PS3.5 A.4).

    `table` is the offset table: ``"basic"``, ``"extended"`` (PS3.3 C.7.6.3.1.8, for more than 4 GiB) or ``"empty"``.
    Each frame is one fragment, or several of at most `max_fragment` bytes, which is even.

    Raises ValueError for what cannot be: an empty frame, an extended offset table with frames of several fragments,
    frames behind the first 4 GiB in a basic one.
    """
    if max_fragment is not None and (max_fragment < 2 or max_fragment % 2):
        raise ValueError("fragments have an even length (PS3.5 A.4)")
    longest = min(max_fragment or LONGEST_FRAGMENT, LONGEST_FRAGMENT)
    kept = list(frames)
    basic, offsets, lengths = offset_tables([len(frame) for frame in kept], table=table, longest=longest)
    parts = [*fragments_of(basic)]
    for frame in kept:
        parts += fragments_of(frame, longest)
    return Encapsulated(b"".join(parts), offsets, lengths)
