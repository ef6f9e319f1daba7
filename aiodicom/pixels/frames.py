"""The frames of a data set's pixel data: `Frames`, which nothing is read or decoded of before it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, overload

from aiodicom.errors import CodecMissing, PixelDataError
from aiodicom.standard.transfer_syntaxes import GE_PRIVATE
from aiodicom.standard.transfer_syntaxes import transfer_syntax as transfer_syntax_of
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN

from ._pixels import pack_bits, swap, unpack_bits
from .codecs import codec_for
from .description import MAX_FRAME, Description, kind_of
from .encapsulation import Buffer, FragmentTable, Read, lone_fragment
from .palette import Palette

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

    from .codecs.codec import Array, Decoded

__all__ = ["OVERLAY_GROUPS", "Frame", "Frames"]

_EXTENDED_OFFSET_TABLE: Final = 0x7FE00001
_EXTENDED_OFFSET_TABLE_LENGTHS: Final = 0x7FE00002

#: The groups of overlays (PS3.5 7.6).
OVERLAY_GROUPS: Final = range(0x6000, 0x6020, 2)


class Frames(Sequence["Frame"]):
    """The frames of pixel data, in whichever transfer syntax, as a sequence that is read when it is indexed.

    Frames of a data set that was read from a file are read from there one by one. What the data set says is taken over
    when this is made; what it changes afterwards is not noticed. Threads may share it.
    """

    def __init__(self, data_set: Dataset, *, transfer_syntax: str | None = None, max_frame: int = MAX_FRAME) -> None:
        """The frames of `data_set`.

        `transfer_syntax` is the UID of the one that its pixel data are in; by default that of ``file_meta``, else the
        one that it was decoded from, else explicit VR little endian. A frame takes at most `max_frame` bytes when it is
        decoded.

        Raises `aiodicom.errors.PixelDataError` where there is no pixel data, or the data set says of them what cannot
        be.
        """
        kind = kind_of(data_set)
        if kind is None:
            raise PixelDataError("the data set has no pixel data")
        self.description = Description.of(data_set, kind, max_frame=max_frame)
        element = data_set[kind]
        meta = data_set.file_meta
        self.transfer_syntax = str(
            transfer_syntax
            or (meta is not None and meta.get("TransferSyntaxUID"))
            or data_set.transfer_syntax
            or EXPLICIT_VR_LITTLE_ENDIAN
        )
        self._data_set = data_set
        value = None if element.deferred else memoryview(element.raw)
        self._read: Read = element.raw_part if value is None else _parts_of(value)
        self._size = element.length if value is None else len(value)
        self._table: FragmentTable | None = None
        self._lone: tuple[int, int] | None = None
        self._swapped = 1
        self._palette: Palette | None = None
        syntax = transfer_syntax_of(self.transfer_syntax)
        self._is_video = syntax.video
        if element.undefined_length:
            if not syntax.encapsulated:
                raise PixelDataError(f"encapsulated pixel data, in {self.transfer_syntax} (PS3.5 A.4)")
            if value is not None and self.description.number_of_frames == 1:
                self._lone = lone_fragment(value)
            if self._lone is None:
                self._table = self._fragment_table()
        elif syntax.encapsulated:
            raise PixelDataError(f"pixel data that are not encapsulated, in {self.transfer_syntax} (PS3.5 A.4)")
        elif self.transfer_syntax == GE_PRIVATE or (element.offset is not None and not data_set.is_little_endian):
            # Words of OW have 16 bits, unless the cells have more.
            self._swapped = max(self.description.width, 2 if element.vr != "OB" else 1)

    def _fragment_table(self) -> FragmentTable:
        count = self.description.number_of_frames
        if count == 1 or self._is_video:
            # All fragments are its own, whatever tables there are.
            return FragmentTable(self._read, self._size, 1)
        try:
            begins = codec_for(self.transfer_syntax).begins
        except CodecMissing:
            begins = None
        return FragmentTable(
            self._read,
            self._size,
            count,
            offsets=self._data_set._value(_EXTENDED_OFFSET_TABLE, None),
            lengths=self._data_set._value(_EXTENDED_OFFSET_TABLE_LENGTHS, None),
            begins=begins,
        )

    def __len__(self) -> int:
        """Number of Frames, as the data set has it."""
        return self.description.number_of_frames

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        count = len(self)
        if isinstance(index, slice):
            return [Frame(self, number) for number in range(*index.indices(count))]
        number = index + count if index < 0 else index
        if not 0 <= number < count:
            raise IndexError(f"frame {index} of {count}")
        return Frame(self, number)

    def __iter__(self) -> Iterator[Frame]:
        return (Frame(self, number) for number in range(len(self)))

    def to_numpy(self, *, rgb: bool = False, clamp: bool = False, max_bytes: int = 1 << 32) -> Array:
        """All frames in one array: (frames, rows, columns[, samples]), each as `Frame.to_numpy` gives it.

        Raises `aiodicom.errors.PixelDataError` as that does, and where they take more than `max_bytes`.
        """
        import numpy

        count = len(self)
        first = self[0].to_numpy(rgb=rgb, clamp=clamp)
        if count * first.nbytes > max_bytes:
            raise PixelDataError(f"{count} frames of {first.nbytes} bytes are more than the {max_bytes} allowed")
        # The last frame is there before there is room for all: their number may be a lie.
        self[count - 1].locate()
        frames = numpy.empty((count, *first.shape), first.dtype)
        frames[0] = first
        for number in range(1, count):
            frames[number] = self[number].to_numpy(rgb=rgb, clamp=clamp)
        return frames

    def palette(self) -> Palette:
        """The colours of PALETTE COLOR. Raises `aiodicom.errors.PixelDataError` where there are none."""
        if self._palette is None:
            self._palette = Palette.of(self._data_set, self.description.signed)
        return self._palette

    def overlays(self) -> dict[int, int]:
        """The overlays that are in bits of the pixel data, by group, each with its bit (PS3.3 C.9.2, retired there)."""
        found = {}
        for group in OVERLAY_GROUPS:
            allocated = self._data_set.get((group, 0x0100))
            position = self._data_set.get((group, 0x0102))
            if allocated is None or position is None or self._data_set.get((group, 0x3000)) is not None:
                continue
            if allocated.value == self.description.bits_allocated and isinstance(position.value, int):
                found[group] = position.value
        return found

    def _ranges(self, number: int) -> list[tuple[int, int]]:
        """Where a frame's bytes are in the value, each range as (start, length)."""
        if self._lone is not None:
            return [self._lone]
        if self._table is not None:
            return self._table.fragments(number)
        bits = self.description.native_bits
        start = number * bits // 8
        end = ((number + 1) * bits + 7) // 8
        if end > self._size:
            raise PixelDataError(f"the pixel data have {self._size} bytes, and {end} with this frame", number)
        return [(start, end - start)]

    def _encoded(self, number: int) -> Buffer:
        if self._lone is not None:
            return self._read(*self._lone)
        ranges = self._ranges(number)
        if self._table is not None:
            if len(ranges) == 1:
                return self._whole(*ranges[0], number)
            return b"".join([self._whole(start, length, number) for start, length in ranges])
        start, length = ranges[0]
        if self._swapped > 1:
            return self._turned(start, length, number)
        data = self._whole(start, length, number)
        first_bit = number * self.description.native_bits % 8
        return self._aligned(data, first_bit) if first_bit else data

    def _whole(self, start: int, length: int, number: int) -> Buffer:
        data = self._read(start, length)
        if len(data) != length:
            raise PixelDataError("the pixel data end within the frame", number)
        return data

    def _turned(self, start: int, length: int, number: int) -> Buffer:
        """Bytes of words in big endian as they are in little endian; a frame may begin within a word."""
        word = self._swapped
        before = start % word
        words = self._whole(start - before, -(-(before + length) // word) * word, number)
        turned = bytearray(len(words))
        swap(words, turned, word)
        first_bit = number * self.description.native_bits % 8
        data = memoryview(turned)[before : before + length]
        return self._aligned(data, first_bit) if first_bit else data

    def _aligned(self, data: Buffer, first_bit: int) -> Buffer:
        """Single bits that begin within a byte, from the beginning of one on."""
        bits = bytearray(self.description.native_bits)
        unpack_bits(data, first_bit, bits)
        packed = bytearray(self.description.native_size)
        pack_bits(bits, packed)
        return packed


class Frame:
    """One frame: encoded, as its cells, or as an array of its stored values or colours.

    Nothing is kept: each call reads and decodes anew.
    """

    __slots__ = ("frames", "number")

    def __init__(self, frames: Frames, number: int) -> None:
        self.frames = frames
        self.number = number

    def __repr__(self) -> str:
        described = self.frames.description
        return f"<frame {self.number} of {described.number_of_frames}, {described.rows} x {described.columns}>"

    @property
    def description(self) -> Description:
        """What the data set says of it, as of all frames."""
        return self.frames.description

    def locate(self) -> list[tuple[int, int]]:
        """The ranges of the pixel data's value that have this frame's bytes, as (start, length): its fragments.

        Raises `aiodicom.errors.PixelDataError` where it is not there.
        """
        return self.frames._ranges(self.number)

    @property
    def encoded(self) -> Buffer:
        """The frame as it is encoded: its fragments joined; of native pixel data its bytes, in little endian.

        Raises `aiodicom.errors.PixelDataError` where it is not there as a whole.
        """
        self._refuse_video()
        return self.frames._encoded(self.number)

    def decode(self) -> Decoded:
        """The cells of Bits Allocated as they are stored, with bits that are not of the pixel, and their colour.

        The array may be a read-only view of the data set's bytes. Raises as `to_numpy` does.
        """
        self._refuse_video()
        description = self.frames.description
        codec = codec_for(self.frames.transfer_syntax)
        if description.kind != "PixelData" and not codec.floats:
            raise PixelDataError(f"{description.kind} is not compressed (PS3.5 8.2)", self.number)
        data = self.frames._encoded(self.number)
        try:
            return codec.decode(data, description)
        except PixelDataError as error:
            raise PixelDataError(error.reason, self.number) from error

    def to_numpy(self, *, rgb: bool = False, clamp: bool = False) -> Array:
        """The stored values: (rows, columns), or (rows, columns, samples) where a pixel has several.

        Unsigned or signed integers of the bits allocated, of a single bit 0 or 1, or floating point numbers; an array
        of the caller's own, whatever the planar configuration was. Bits that are not stored are not in it. Colour is
        what the data set says, but for what a codec does away with: chrominance is at each pixel, and JPEG 2000 and
        JPEG XL give RGB where they had transformed it.

        With `rgb`, YBR_FULL, YBR_PARTIAL and PALETTE COLOR become RGB; monochrome stays as it is. An index that the
        palette lacks is an error, or with `clamp` has the colour of the nearest index (PS3.3 C.7.6.3.1.5).

        Raises `aiodicom.errors.PixelDataError` for what is corrupt, and `aiodicom.errors.CodecMissing` where nothing
        decodes the transfer syntax.
        """
        decoded = self.decode()
        values = decoded.stored_values(self.frames.description)
        if not rgb:
            return values
        from aiodicom.pixels.arrays import to_rgb

        try:
            interpretation = decoded.photometric_interpretation
            palette = self.frames.palette() if interpretation == "PALETTE COLOR" else None
            return to_rgb(values, self.description, interpretation, palette, clamp)
        except PixelDataError as error:
            raise PixelDataError(error.reason, self.number) from error

    def overlays(self) -> dict[int, Array]:
        """The overlays that are in unused bits of the pixel data, by group (0x6000 ...): 0 or 1 for each pixel.

        Raises as `to_numpy` does, and for an overlay in bits that are the pixel's.
        """
        places = self.frames.overlays()
        if not places:
            return {}
        from aiodicom.pixels.arrays import bit_plane

        decoded = self.decode()
        try:
            return {group: bit_plane(decoded, self.description, place) for group, place in places.items()}
        except PixelDataError as error:
            raise PixelDataError(error.reason, self.number) from error

    def _refuse_video(self) -> None:
        if self.frames._is_video:
            syntax = transfer_syntax_of(self.frames.transfer_syntax)
            raise CodecMissing(syntax.uid, f"frames of {syntax.name} cannot be told apart: they are one stream")


def _parts_of(value: memoryview) -> Read:
    """What gives parts of a value that is in memory, which are not copied."""
    return lambda start, length: value[start : start + length]
