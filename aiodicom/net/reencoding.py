"""Data sets encoded anew, in the transfer syntax that a peer has accepted. Everything here blocks: it runs in threads.

Only native data sets: what is encapsulated (PS3.5 A.4) has to be decompressed first, which nothing here does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import LocalError
from aiodicom.standard.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    uid_name,
)
from aiodicom.store.spool import SpoolFile

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["NATIVE", "encode_data_set", "encode_file", "encode_memory"]

#: The transfer syntaxes between which a data set is encoded anew, those first that cost either side the least.
NATIVE: Final = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)

#: Files with larger data sets are not read into memory, and what they become goes to a file without a name.
IN_MEMORY: Final = 8 << 20
_STEP: Final = 1 << 20

_header = Struct("<HHI")
_short_header = Struct("<HH2sH")
_long_header = Struct("<HH2s2xI")

#: The VRs with a 32-bit length (PS3.5 7.1.2), and those that a space makes even (PS3.5 6.2).
_LONG_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SV", "UC", "UN", "UR", "UT", "UV"))
_TEXT_VRS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"))


def encode_data_set(data_set: Dataset, transfer_syntax: str) -> bytes:
    """The encoded data set. Raises `DecodeError` for one that was cut off, `LocalError` for what cannot be encoded."""
    if data_set.truncated is not None:
        raise data_set.truncated
    try:
        return data_set.to_bytes(transfer_syntax)
    except (TypeError, ValueError) as error:
        raise LocalError(f"cannot be encoded in {uid_name(transfer_syntax)}: {error}") from error


def encode_memory(data: memoryview, transfer_syntax: str, target: str) -> bytes:
    """What `data` encodes in `transfer_syntax`, in the `target` one. Raises as `encode_data_set` does."""
    from aiodicom.dataset import Dataset

    return encode_data_set(Dataset.from_bytes(data, transfer_syntax), target)


def encode_file(descriptor: int, offset: int, transfer_syntax: str, target: str) -> bytes | SpoolFile:
    """The data set that stands in a file from `offset` on, in the `target` transfer syntax. Closes the descriptor.

    Of a large one, long values are copied from file to file and are never in memory as a whole, unless their byte order
    changes or it was deflated. Raises as `encode_data_set` does, and OSError.
    """
    from aiodicom.dataset import Dataset

    with os.fdopen(descriptor, "rb", buffering=0) as file:
        deflated = transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        if deflated or os.fstat(descriptor).st_size - offset <= IN_MEMORY:
            file.seek(offset)
            data_set = Dataset.from_bytes(file.readall(), transfer_syntax, offset=offset)
            return encode_data_set(data_set, target)
        data_set = Dataset.from_file(file, transfer_syntax, offset=offset)
        spool = SpoolFile()
        try:
            sink: SpoolFile | _Deflater = spool
            if target == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
                sink, target = _Deflater(spool), EXPLICIT_VR_LITTLE_ENDIAN
            copied = target != EXPLICIT_VR_BIG_ENDIAN and data_set.is_little_endian
            for piece in _pieces(data_set, descriptor, target) if copied else [encode_data_set(data_set, target)]:
                sink.write(piece)
            sink.finish()
        except BaseException:
            spool.abandon()
            raise
        return spool


class _Deflater:
    """Deflates what it is given (PS3.5 A.5) into another sink."""

    def __init__(self, sink: SpoolFile) -> None:
        import zlib

        self._sink = sink
        self._compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    def write(self, data: bytes) -> None:
        self._sink.write(self._compressor.compress(data))

    def finish(self) -> None:
        self._sink.write(self._compressor.flush())
        self._sink.write(b"\0" * (self._sink.size % 2))
        self._sink.finish()


class _Value(NamedTuple):
    """A value that has been left in the file."""

    tag: int
    vr: str
    offset: int
    length: int

    def header(self, implicit: bool) -> bytes:
        length = self.length + self.length % 2
        group, element = self.tag >> 16, self.tag & 0xFFFF
        if implicit:
            return _header.pack(group, element, length)
        if self.vr in _LONG_VRS or length > 0xFFFF:  # what is too long for its VR is UN (PS3.5 6.2.2)
            vr = self.vr if self.vr in _LONG_VRS else "UN"
            return _long_header.pack(group, element, vr.encode(), length)
        return _short_header.pack(group, element, self.vr.encode(), length)


def _pieces(data_set: Dataset, descriptor: int, target: str) -> Iterator[bytes]:
    """A little endian data set with values left in its file, in implicit or explicit VR little endian, in pieces."""
    from aiodicom.dataset import Dataset

    implicit = target == IMPLICIT_VR_LITTLE_ENDIAN
    values = [
        _Value(element.tag, element.vr, element.offset, element.length)
        for element in data_set
        # Of undefined length are fragments alone, which are refused below.
        if element.deferred and element.offset is not None and not element.undefined_length
    ]
    for value in values:
        del data_set[value.tag]
    rest = encode_data_set(data_set, target)
    done = 0
    others = iter(Dataset.from_bytes(rest, target))
    following = next(others, None)
    for value in values:
        while following is not None and following.tag < value.tag:
            following = next(others, None)
        start = len(rest)
        if following is not None and following.offset is not None:
            long_form = following.vr in _LONG_VRS or following.vr == "SQ"
            start = following.offset - (12 if long_form and not implicit else 8)
        yield rest[done:start] + value.header(implicit)
        done = start
        yield from _file_range(descriptor, value)
    yield rest[done:]


def _file_range(descriptor: int, value: _Value) -> Iterator[bytes]:
    """The value as it stands in the file, padded to an even length."""
    offset, end = value.offset, value.offset + value.length
    while offset < end:
        piece = os.pread(descriptor, min(_STEP, end - offset), offset)
        if not piece:
            raise LocalError(f"the file was cut short to {offset} bytes while it was encoded")
        offset += len(piece)
        yield piece
    if value.length % 2:
        yield b" " if value.vr in _TEXT_VRS else b"\0"
