"""File meta information (PS3.10 7.1): what stands before the data set in a file.

Reading looks at the head of the file alone: group 0002 is walked element by element (it is always explicit VR little
endian), because its group length is wrong or missing in files that are otherwise in order. Every length is checked
against the file before it is used, and no value is read that is not asked for.
"""

from __future__ import annotations

import os
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from aiodicom.errors import DecodeError
from aiodicom.standard.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

__all__ = ["FileMeta", "encode_file_meta", "read_file_meta"]

#: PS3.10 7.1: 128 bytes that this implementation leaves zero, and the prefix.
_PREAMBLE = bytes(128) + b"DICM"
_PREAMBLE_SIZE = len(_PREAMBLE)

_element = Struct("<HH2sH")  # an element of PS3.5 table 7.1-2; the first half of one of table 7.1-1
_uint32 = Struct("<I")
_group_length = Struct("<HH2sHI")

#: The VRs with two reserved bytes and a 32-bit length (PS3.5 table 7.1-1).
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))

_DEFLATED = "1.2.840.10008.1.2.1.99"

# The elements that are read, of group 0002.
_GROUP_LENGTH, _SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX = 0x0000, 0x0002, 0x0003, 0x0010
#: What a reader calls what those say.
_NAMES = {_SOP_CLASS: "SOP class", _SOP_INSTANCE: "SOP instance", _TRANSFER_SYNTAX: "transfer syntax"}

#: What one read takes: the usual file meta information has about 200 bytes after the preamble.
_HEAD = 1024


class FileMeta(NamedTuple):
    """What the head of a file says of the data set behind it."""

    #: Media Storage SOP Class UID (0002,0002)
    sop_class_uid: str
    #: Media Storage SOP Instance UID (0002,0003)
    sop_instance_uid: str
    #: Transfer Syntax UID (0002,0010)
    transfer_syntax: str
    #: where the data set begins, in bytes from the beginning of the file
    data_offset: int


def encode_file_meta(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax: str,
    *,
    source_aet: str | None = None,
    private_creator: str | None = None,
    private_information: bytes = b"",
) -> bytes:
    """The preamble, the prefix and group 0002 of PS3.10 table 7.1-1, ready to be followed by the data set.

    The UIDs are without padding. `source_aet`: the AE title that the object came from, for Source Application Entity
    Title (0002,0016). `private_creator` is the UID of whoever defines the contents of `private_information`. Raises
    ValueError for what the values' VRs cannot hold.
    """
    before, after = _around(sop_class_uid, transfer_syntax, source_aet, private_creator, private_information)
    instance = _uid(_SOP_INSTANCE, sop_instance_uid)
    length = len(before) + len(instance) + len(after)
    return b"".join((_PREAMBLE, _group_length.pack(2, 0, b"UL", 4, length), before, instance, after))


@lru_cache(maxsize=256)
def _around(
    sop_class_uid: str,
    transfer_syntax: str,
    source_aet: str | None,
    private_creator: str | None,
    private_information: bytes,
) -> tuple[bytes, bytes]:
    """The elements before and after the instance UID, which many objects have in common."""
    before = _element.pack(2, 0x0001, b"OB", 0) + _uint32.pack(2) + b"\0\1" + _uid(_SOP_CLASS, sop_class_uid)
    after = _uid(_TRANSFER_SYNTAX, transfer_syntax) + _uid(0x0012, IMPLEMENTATION_CLASS_UID)
    after += _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME)
    if source_aet is not None:
        after += _text(0x0016, b"AE", source_aet)
    if private_creator is not None:
        after += _uid(0x0100, private_creator)
        padded = private_information + b"\0" * (len(private_information) % 2)
        after += _element.pack(2, 0x0102, b"OB", 0) + _uint32.pack(len(padded)) + padded
    return before, after


def _uid(element: int, uid: str) -> bytes:
    if not 0 < len(uid) <= 64:
        raise ValueError(f"not a UID (PS3.5 9.1): {uid!r}")
    value = uid.encode("ascii")
    if len(value) % 2:
        value += b"\0"
    return _element.pack(2, element, b"UI", len(value)) + value


def _text(element: int, vr: bytes, text: str) -> bytes:
    if len(text) > 16:
        raise ValueError(f"longer than the 16 characters of {vr.decode()} (PS3.5 6.2): {text!r}")
    value = text.encode("ascii")
    if len(value) % 2:
        value += b" "
    return _element.pack(2, element, vr, len(value)) + value


def read_file_meta(source: int | bytes | bytearray | memoryview) -> FileMeta:
    """Reads the head of a file: `source` is a descriptor open for reading (its position is neither used nor moved) or
    the file's bytes.

    Raises DecodeError for what is no DICOM file, or says less than the three UIDs; OSError from reading.
    """
    if isinstance(source, int):
        head = os.pread(source, _HEAD, 0)
        # A file that fits into the first read has told its size.
        size = len(head) if len(head) < _HEAD else os.fstat(source).st_size
    else:
        with memoryview(source) as view:
            size = len(view)
            head = bytes(view[:_HEAD])
    if head[128:132] != b"DICM":
        raise DecodeError("not a DICOM file: no letters DICM", _PREAMBLE_SIZE - 4)
    return _Walk(source, head, size).result()


class _Walk:
    """One walk over group 0002. `head` holds the file's bytes from `base` on."""

    __slots__ = ("base", "head", "size", "source")

    def __init__(self, source: int | bytes | bytearray | memoryview, head: bytes, size: int) -> None:
        self.source = source
        self.head = head
        self.base = 0
        self.size = size

    def at(self, offset: int, count: int) -> int:
        """Where in `head` the `count` bytes (few) at `offset` of the file are, which are within the file."""
        if offset + count > self.base + len(self.head) or offset < self.base:
            if isinstance(self.source, int):
                self.head = os.pread(self.source, _HEAD, offset)
                if len(self.head) < count:  # it has been truncated since its size was asked for
                    raise DecodeError("the file ends within its file meta information", offset)
            else:
                with memoryview(self.source) as view:
                    self.head = bytes(view[offset : offset + _HEAD])
            self.base = offset
        return offset - self.base

    def result(self) -> FileMeta:
        uids: dict[int, str] = {}
        offset = _PREAMBLE_SIZE
        size = self.size
        stated_end = -1
        while offset != stated_end or not self._ends_here(offset, uids):
            if offset + 8 > size:
                if offset == size:
                    break  # no data set: for whoever reads it to judge
                raise DecodeError("the file ends within an element of its file meta information", offset)
            at = self.at(offset, 8)
            group, element, vr, length = _element.unpack_from(self.head, at)
            if group != 2:
                break
            start = offset + 8
            if vr in _LONG_VRS:
                if start + 4 > size:
                    raise DecodeError("the file ends within the length of an element", start, f"(0002,{element:04X})")
                (length,) = _uint32.unpack_from(self.head, self.at(start, 4))
                start += 4
            elif not (vr.isalpha() and vr.isupper()):
                raise DecodeError("file meta information is not explicit VR (PS3.10 7.1)", offset, _path(element))
            if start + length > size:
                raise DecodeError(f"a length of {length} reaches beyond the end of the file", offset, _path(element))
            if element in (_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX):
                uids[element] = self._uid_value(element, start, length)
            elif element == _GROUP_LENGTH and length == 4:
                (group_length,) = _uint32.unpack_from(self.head, self.at(start, 4))
                stated_end = start + 4 + group_length
            offset = start + length
        try:
            return FileMeta(uids[_SOP_CLASS], uids[_SOP_INSTANCE], uids[_TRANSFER_SYNTAX], offset)
        except KeyError as missing:
            element = missing.args[0]
            reason = f"not a DICOM file: it does not say its {_NAMES[element]}, expected"
            raise DecodeError(reason, None, _path(element)) from None

    def _ends_here(self, offset: int, uids: dict[int, str]) -> bool:
        """Whether the group length, which says so, is right.

        A deflated data set may begin with any bytes; any other that seems to begin with group 0002 is the rest of file
        meta information whose group length is wrong.
        """
        if uids.get(_TRANSFER_SYNTAX) == _DEFLATED or offset + 2 > self.size:
            return True
        at = self.at(offset, 2)
        return self.head[at : at + 2] != b"\2\0"

    def _uid_value(self, element: int, start: int, length: int) -> str:
        if length > 66:  # 64 and, from some, two of padding
            raise DecodeError(f"a UID of {length} bytes", start, _path(element))
        at = self.at(start, length)
        try:
            uid = self.head[at : at + length].decode("ascii").rstrip("\0 ")
        except UnicodeDecodeError:
            uid = ""
        if not uid:
            raise DecodeError("not a UID", start, _path(element))
        return uid


def _path(element: int) -> str:
    return f"(0002,{element:04X})"
