"""Reading files (PS3.10): `dcmread`."""

from __future__ import annotations

import mmap as memory_map
import os
from typing import BinaryIO

from aiodicom.dataset import Dataset
from aiodicom.dataset._dataset import decode, plain_head, to_tag
from aiodicom.dataset.dataset import Key
from aiodicom.dataset.transfer import BEGINNING
from aiodicom.errors import DecodeError
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

from .group2 import reading
from .head import Head, find_head, guess_transfer_syntax

__all__ = ["dcmread"]

#: Values of a path that are longer stay on disk, and so do whole files not.
DEFER_SIZE = 1 << 16

_PIXELS = 0x7FE00008

#: The elements of file meta information that every file has (PS3.10 table 7.1-1).
_REQUIRED = (
    "FileMetaInformationVersion",
    "MediaStorageSOPClassUID",
    "MediaStorageSOPInstanceUID",
    "TransferSyntaxUID",
    "ImplementationClassUID",
)

#: Preamble and prefix (PS3.10 7.1).
_PREFIX_END = 132


def dcmread(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    stop_before: Key | None = None,
    stop_before_pixels: bool = False,
    defer_size: int | None = DEFER_SIZE,
    mmap: bool = False,
    strict: bool = False,
    force: bool = False,
    max_depth: int = 64,
    max_inflated: int = 1 << 30,
) -> Dataset:
    """The data set of a DICOM file, with its file meta information as ``file_meta``.

    `source` is a path, or a binary file that is read from where it stands to its end. The values of a path that have
    more than `defer_size` bytes stay on disk until they are asked for (None: everything is read); the file must not
    change until then, which is found out. With `mmap` the file is mapped instead, and nothing is read before it is
    asked for; a mapped file that is truncated kills the process, so map only what is yours. Reading stops before the
    first element whose tag is `stop_before` or greater, with `stop_before_pixels` before Pixel Data of any form.

    What people's files do against the standard is understood: no preamble, no prefix, no file meta information, a
    missing Transfer Syntax UID, a wrong group length; ``truncated`` says where a file that ends too early did. `strict`
    refuses all that. `force` tries what does not look like a DICOM file at all.

    The data set also has ``preamble`` (128 bytes, or none) and ``filename`` (of a path, else None).

    Raises OSError, and `aiodicom.errors.DecodeError` with offsets from the beginning of the file.
    """
    if stop_before_pixels:
        stop_before = _PIXELS if stop_before is None else min(_PIXELS, to_tag(stop_before))
    if not isinstance(source, (str, os.PathLike)):
        if not hasattr(source, "read"):
            raise TypeError(f"a path or a binary file is read, not {type(source).__name__} (of bytes: io.BytesIO)")
        return _from_buffer(source.read(), None, stop_before, strict, force, max_depth, max_inflated)
    path = os.fspath(source)
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if mmap and size:
            mapped = memory_map.mmap(file.fileno(), 0, access=memory_map.ACCESS_READ)
            return _from_buffer(mapped, path, stop_before, strict, force, max_depth, max_inflated)
        if defer_size is None or size <= DEFER_SIZE:
            return _from_buffer(file.readall(), path, stop_before, strict, force, max_depth, max_inflated)
        read = reading(file.fileno())
        head = find_head(read, size, force=force)
        start = read(head.data_offset, min(BEGINNING, size - head.data_offset))
        transfer_syntax = _transfer_syntax(head, start, size, strict)
    if head.truncated is not None:
        return _dressed(_nothing(head.truncated), head, path, strict)
    data_set = Dataset.from_file(
        path,
        transfer_syntax,
        offset=head.data_offset,
        defer_size=defer_size,
        stop_before=stop_before,
        strict=strict,
        max_depth=max_depth,
        max_inflated=max_inflated,
    )
    return _dressed(data_set, head, path, strict)


def _from_buffer(
    data: bytes | memory_map.mmap,
    path: str | None,
    stop_before: Key | None,
    strict: bool,
    force: bool,
    max_depth: int,
    max_inflated: int,
) -> Dataset:
    head = None
    plain = plain_head(data)
    if plain is not None and not strict:
        offset, transfer_syntax = plain
    else:
        head = find_head(lambda offset, count: data[offset : offset + count], len(data), force=force)
        offset = head.data_offset
        transfer_syntax = _transfer_syntax(head, data[offset : offset + BEGINNING], len(data), strict)
        if head.truncated is not None:
            return _dressed(_nothing(head.truncated), head, path, strict)
    data_set = Dataset.from_bytes(
        memoryview(data)[offset:],
        transfer_syntax,
        stop_before=stop_before,
        strict=strict,
        offset=offset,
        max_depth=max_depth,
        max_inflated=max_inflated,
    )
    if head is not None:
        return _dressed(data_set, head, path, strict)
    data_set._meta = data[_PREFIX_END:offset]
    data_set.preamble = data[:128]
    if path is not None:
        data_set.filename = path
    return data_set


def _transfer_syntax(head: Head, start: bytes, size: int, strict: bool) -> str:
    """The transfer syntax of a file of `size` bytes whose data set begins with `start`."""
    if strict and head.truncated is not None:
        raise head.truncated
    if strict and head.fault:
        raise DecodeError(head.fault, 0)
    if head.transfer_syntax is None:
        if strict:
            raise DecodeError("no Transfer Syntax UID", None, "(0002,0010)")
        return guess_transfer_syntax(start, size - head.data_offset)
    return head.transfer_syntax


def _nothing(truncated: DecodeError) -> Dataset:
    """The data set of a file that ends before it."""
    data_set = Dataset()
    decode(data_set, b"", False, False, _PIXELS, False, 1, 1, 0, None, truncated)
    return data_set


def _dressed(data_set: Dataset, head: Head, path: str | None, strict: bool) -> Dataset:
    syntax = IMPLICIT_VR_LITTLE_ENDIAN if head.meta_implicit else EXPLICIT_VR_LITTLE_ENDIAN
    data_set.file_meta = meta = Dataset.from_bytes(head.meta, syntax)
    data_set.preamble = head.preamble
    data_set.filename = path
    if strict:
        _refuse_file_meta(meta)
    return data_set


def _refuse_file_meta(meta: Dataset) -> None:
    """What PS3.10 7.1 wants of every file, and PS3.5 6.2 of every value."""
    from aiodicom.dataset.conformance import forbidden_value

    for keyword in _REQUIRED:
        if meta.get(keyword) in (None, ""):
            raise DecodeError(f"no {keyword} (PS3.10 7.1)", None, str(to_tag(keyword)))
    for element in meta:
        if element.vr in ("AE", "SH", "UI"):
            reason = forbidden_value(element.vr, bytes(element.raw), ("ascii",))
            if reason is not None:
                raise DecodeError(reason, None, str(element.tag))
