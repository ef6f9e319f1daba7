"""File meta information (PS3.10 7.1): what stands before the data set in a file.

Reading looks at the head of the file alone.
"""

from __future__ import annotations

import os
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from aiodicom.errors import DecodeError
from aiodicom.standard.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

from .group2 import TRANSFER_SYNTAX, Read, elements_of, path_of, reading

__all__ = ["FileMeta", "encode_file_meta", "read_file_meta"]

#: PS3.10 7.1: 128 bytes that this implementation leaves zero, and the prefix.
_PREAMBLE = bytes(128) + b"DICM"
_PREAMBLE_SIZE = len(_PREAMBLE)

_element = Struct("<HH2sH")  # an element of PS3.5 table 7.1-2; the first half of one of table 7.1-1
_uint32 = Struct("<I")
_group_length = Struct("<HH2sHI")

# The elements that are read, of group 0002, and what a reader calls what those say.
_SOP_CLASS, _SOP_INSTANCE = 0x0002, 0x0003
_NAMES = {_SOP_CLASS: "SOP class", _SOP_INSTANCE: "SOP instance", TRANSFER_SYNTAX: "transfer syntax"}


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
    after = _uid(TRANSFER_SYNTAX, transfer_syntax) + _uid(0x0012, IMPLEMENTATION_CLASS_UID)
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
        return _read(reading(source), os.fstat(source).st_size)
    with memoryview(source) as view:
        return _read(lambda offset, count: bytes(view[offset : offset + count]), len(view))


def _read(read: Read, size: int) -> FileMeta:
    if read(_PREAMBLE_SIZE - 4, 4) != b"DICM":
        raise DecodeError("not a DICOM file: no letters DICM", _PREAMBLE_SIZE - 4)
    uids: dict[int, str] = {}
    offset = _PREAMBLE_SIZE
    for element, start, end, is_implicit in elements_of(read, size, offset):
        if is_implicit:
            raise DecodeError("file meta information is not explicit VR (PS3.10 7.1)", offset, path_of(element))
        if element in _NAMES:
            uids[element] = _uid_value(element, start, read(start, min(end - start, 67)))
        offset = end
    if offset < size < offset + 8:
        raise DecodeError("the file ends within an element of its file meta information", offset)
    try:
        return FileMeta(uids[_SOP_CLASS], uids[_SOP_INSTANCE], uids[TRANSFER_SYNTAX], offset)
    except KeyError as missing:
        element = missing.args[0]
        reason = f"not a DICOM file: it does not say its {_NAMES[element]}, expected"
        raise DecodeError(reason, None, path_of(element)) from None


def _uid_value(element: int, start: int, value: bytes) -> str:
    if len(value) > 66:  # 64 and, from some, two of padding
        raise DecodeError("a UID of more than 64 characters", start, path_of(element))
    try:
        uid = value.decode("ascii").rstrip("\0 ")
    except UnicodeDecodeError:
        uid = ""
    if not uid:
        raise DecodeError("not a UID", start, path_of(element))
    return uid
