"""Data sets encoded in pieces, so that long values are never in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.dataset import Dataset
from aiodicom.standard.transfer_syntaxes import transfer_syntax as transfer_syntax_of

if TYPE_CHECKING:
    from aiodicom.dataset import DataElement

    Buffer = bytes | bytearray | memoryview

__all__ = ["LongValue", "deflated", "encode_pieces", "long_values"]

_STEP: Final = 1 << 20
_UNDEFINED: Final = 0xFFFFFFFF

#: The VRs with a 32-bit length (PS3.5 7.1.2), and those that a space makes even (PS3.5 6.2).
_LONG_VRS: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SV", "UC", "UN", "UR", "UT", "UV"))
_TEXT_VRS: Final = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM"))
_LONG_TEXT_VRS: Final = frozenset(("UC", "UR", "UT"))

#: Of fragments: a Sequence Delimitation Item (PS3.5 table A.4-1).
_DELIMITATION: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"


class LongValue(NamedTuple):
    """A value that comes in pieces, as they stand in the encoded data set; it is made even here.

    ``length`` are their bytes, None of fragments: items, which end with a delimitation item that is added here.
    """

    tag: int
    vr: str
    length: int | None
    pieces: Iterable[Buffer]

    def header(self, implicit: bool, big: bool) -> bytes:
        """The element's tag, VR and length."""
        length = _UNDEFINED if self.length is None else self.length + self.length % 2
        order = ">" if big else "<"
        group, element = self.tag >> 16, self.tag & 0xFFFF
        if implicit:
            return Struct(f"{order}HHI").pack(group, element, length)
        if self.vr in _LONG_VRS or length > 0xFFFF:  # what is too long for its VR is UN (PS3.5 6.2.2)
            vr = self.vr if self.vr in _LONG_VRS else "UN"
            return Struct(f"{order}HH2s2xI").pack(group, element, vr.encode(), length)
        return Struct(f"{order}HH2sH").pack(group, element, self.vr.encode(), length)

    def end(self) -> bytes:
        """What follows the pieces."""
        if self.length is None:
            return _DELIMITATION
        return (b" " if self.vr in _TEXT_VRS | _LONG_TEXT_VRS else b"\0") * (self.length % 2)


def long_values(data_set: Dataset) -> list[LongValue]:
    """The values of a little endian data set that are still in the file that it was read from.

    Reading them raises DecodeError where the file is no longer what it was.
    """
    return [
        LongValue(element.tag, element.vr, None if element.undefined_length else element.length, _parts(element))
        for element in data_set
        if element.deferred
    ]


def _parts(element: DataElement) -> Iterator[Buffer]:
    for start in range(0, element.length, _STEP):
        yield element.raw_part(start, min(_STEP, element.length - start))


def encode_pieces(data_set: Dataset, transfer_syntax: str, values: Sequence[LongValue]) -> Iterator[Buffer]:
    """The data set encoded in a transfer syntax that is not deflated, with `values` in the places of their tags.

    Raises as `Dataset.to_bytes` does, and what reading the values raises.
    """
    syntax = transfer_syntax_of(transfer_syntax)
    implicit, big = not syntax.explicit, not syntax.little_endian
    others = data_set.copy()
    for value in values:
        if value.tag in others:
            del others[value.tag]
    rest = others.to_bytes(transfer_syntax)
    done = 0
    following = iter(Dataset.from_bytes(rest, transfer_syntax))
    element = next(following, None)
    for value in sorted(values, key=lambda value: value.tag):
        while element is not None and element.tag < value.tag:
            element = next(following, None)
        start = len(rest)
        if element is not None and element.offset is not None:
            long_form = element.vr in _LONG_VRS or element.vr == "SQ"
            start = element.offset - (12 if long_form and not implicit else 8)
        yield rest[done:start] + value.header(implicit, big)
        done = start
        yield from value.pieces
        yield value.end()
    yield rest[done:]


def deflated(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """A data set in pieces deflated (PS3.5 A.5), of even length."""
    import zlib

    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for piece in pieces:
        data = compressor.compress(piece)
        size += len(data)
        if data:
            yield data
    data = compressor.flush()
    yield data + b"\0" * ((size + len(data)) % 2)
