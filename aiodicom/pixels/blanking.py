"""Parts of frames blanked: `blank`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, overload

import numpy

from aiodicom.dataset import DataElement, Dataset
from aiodicom.errors import LocalError
from aiodicom.standard.transfer_syntaxes import transfer_syntax as transfer_syntax_of

from .codecs.codec import Decoded
from .derivation import keep_history, tell_of_loss
from .frames import Frame, Frames
from .recoding import EncodedFrames, Recoding
from .transcode import describe

if TYPE_CHECKING:
    from .codecs.codec import Array
    from .rectangle import Rectangle

__all__ = ["blank"]


def blank(data_set: Dataset, rectangles: Iterable[Rectangle], *, bits: Iterable[int] = ()) -> Dataset:
    """The data set with rectangles of all frames blanked, and of all pixels the `bits` of overlays in them.

    Samples become 0, or chrominance without colour. The frames are encoded anew in the transfer syntax that they were
    in, with loss where that has loss, which the data set says then; its SOP Instance UID stays. The other data set
    stays as it is; the pixel data of this one are in memory.

    Raises `aiodicom.errors.LocalError` where that cannot be, `aiodicom.errors.CodecMissing` which is one, and
    `aiodicom.errors.PixelDataError` for frames that are corrupt.
    """
    frames = _Blanked(data_set, list(rectangles), list(bits))
    own = frames.transfer_syntax
    syntax = transfer_syntax_of(own)
    recoding = Recoding(frames, own)
    if recoding.is_recompressed or not syntax.little_endian:
        raise LocalError(f"frames in {syntax.name} are not blanked: transcode the object first")
    header = data_set.copy()
    if data_set.file_meta is not None:
        header.file_meta = data_set.file_meta.copy()
    before = frames.description
    if not syntax.encapsulated:
        native = recoding.native(1)
        element = DataElement(before.kind, data_set[before.kind].vr, b"".join(native.pieces))
        describe(header, before, native.described)
    else:
        made = recoding.encoded("extended" if data_set.get("ExtendedOffsetTable") else "basic")
        element = DataElement(before.kind, "OB", b"".join(made.pieces))
        element.is_undefined_length = True
        describe(header, before, made.described)
        for keyword, table in (("ExtendedOffsetTable", made.offsets), ("ExtendedOffsetTableLengths", made.lengths)):
            if table is not None:
                setattr(header, keyword, table)
        if recoding.is_lossy:
            _tell_of_loss(header, frames, made)
    header.add(element)
    return header


def _tell_of_loss(header: Dataset, frames: Frames, made: EncodedFrames) -> None:
    """As `tell_of_loss`, of an image that takes the place of the other: it keeps the UID, and has no other source."""
    uid, sources = header.get("SOPInstanceUID"), header.data_element("SourceImageSequence")
    keep_history(header, frames.transfer_syntax, frames)
    header.SOPInstanceUID = None
    tell_of_loss(header, transfer_syntax_of(frames.transfer_syntax), None, made.ratio)
    if uid is not None:
        header.SOPInstanceUID = uid
    else:
        del header.SOPInstanceUID
    if sources is None and "SourceImageSequence" in header:
        del header.SourceImageSequence


class _Blanked(Frames):
    """Frames that are blanked when they are decoded."""

    def __init__(self, data_set: Dataset, rectangles: list[Rectangle], bits: list[int]) -> None:
        super().__init__(data_set)
        self.rectangles = rectangles
        self.bits = bits

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        found = super().__getitem__(index)
        if isinstance(found, list):
            return [_BlankedFrame(self, frame.number) for frame in found]
        return _BlankedFrame(self, found.number)

    def overlays(self) -> dict[int, int]:
        """Those overlays in bits of the pixel data that stay."""
        return {group: bit for group, bit in super().overlays().items() if bit not in self.bits}


class _BlankedFrame(Frame):
    frames: _Blanked

    def decode(self) -> Decoded:
        cells, interpretation = super().decode()
        cells = numpy.array(cells)
        for rectangle in self.frames.rectangles:
            self._blank(cells, interpretation, rectangle)
        for bit in self.frames.bits:
            cells &= numpy.array(~(1 << bit) & ((1 << 8 * cells.itemsize) - 1), f"u{cells.itemsize}").view(cells.dtype)
        return Decoded(cells, interpretation)

    def _blank(self, cells: Array, interpretation: str, rectangle: Rectangle) -> None:
        top, left = max(rectangle.row, 0), max(rectangle.column, 0)
        bottom, right = rectangle.row + rectangle.height, rectangle.column + rectangle.width
        if bottom <= top or right <= left:
            return
        part = cells[top:bottom, left:right]
        part[...] = 0
        if interpretation.startswith("YBR"):
            part[..., 1:] = 1 << (self.description.bits_stored - 1)
