"""Reading files (PS3.10): `dcmread`."""

from __future__ import annotations

import mmap as memory_map
import os
from typing import TYPE_CHECKING, BinaryIO

from aiodicom.errors import DecodeError
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

from .head import Head, find_head, guess_transfer_syntax

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.dataset.dataset import Key

__all__ = ["dcmread"]

#: Values of a path that are longer stay on disk, and so do whole files not.
DEFER_SIZE = 1 << 16

#: What is read of a file to find its parts.
_WINDOW = 4096

_PIXELS = 0x7FE00008

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
        stop_before = _PIXELS if stop_before is None else min(_PIXELS, _to_tag(stop_before))
    limits = {"max_depth": max_depth, "max_inflated": max_inflated}
    if not isinstance(source, (str, os.PathLike)):
        return _from_buffer(source.read(), None, stop_before, strict, force, limits)
    path = os.fspath(source)
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if mmap and size:
            mapped = memory_map.mmap(file.fileno(), 0, access=memory_map.ACCESS_READ)
            return _from_buffer(mapped, path, stop_before, strict, force, limits)
        if defer_size is None or size <= DEFER_SIZE:
            return _from_buffer(file.readall(), path, stop_before, strict, force, limits)
        head = find_head(_Window(file).read, size, force=force)
        transfer_syntax = _transfer_syntax(head, _Window(file).read(head.data_offset, 16), strict)
    from aiodicom.dataset import Dataset

    data_set = Dataset.from_file(
        path,
        transfer_syntax,
        offset=head.data_offset,
        defer_size=defer_size,
        stop_before=stop_before,
        strict=strict,
        **limits,
    )
    return _dressed(data_set, head, path)


class _Window:
    """Reads a file a page at a time, for the many small reads of its head."""

    def __init__(self, file: BinaryIO | memory_map.mmap) -> None:
        self._file = file
        self._start = 0
        self._held = b""

    def read(self, offset: int, count: int) -> bytes:
        at = offset - self._start
        if at < 0 or at + count > len(self._held):
            self._file.seek(offset)
            self._held = self._file.read(max(count, _WINDOW))
            self._start, at = offset, 0
        return self._held[at : at + count]


def _from_buffer(
    data: bytes | memory_map.mmap,
    path: str | None,
    stop_before: Key | None,
    strict: bool,
    force: bool,
    limits: dict[str, int],
) -> Dataset:
    from aiodicom.dataset import Dataset
    from aiodicom.dataset._dataset import plain_head

    head = None
    plain = plain_head(data)
    if plain is not None:
        offset, transfer_syntax = plain
    else:
        head = find_head(lambda offset, count: data[offset : offset + count], len(data), force=force)
        offset = head.data_offset
        transfer_syntax = _transfer_syntax(head, data[offset : offset + 16], strict)
    data_set = Dataset.from_bytes(
        memoryview(data)[offset:], transfer_syntax, stop_before=stop_before, strict=strict, offset=offset, **limits
    )
    if head is not None:
        return _dressed(data_set, head, path)
    data_set.__dict__.update(_meta=data[_PREFIX_END:offset], preamble=data[:128], filename=path)
    return data_set


def _transfer_syntax(head: Head, start: bytes, strict: bool) -> str:
    if strict and head.fault:
        raise DecodeError(head.fault, 0)
    if head.transfer_syntax is None:
        if strict:
            raise DecodeError("no Transfer Syntax UID", None, "(0002,0010)")
        return guess_transfer_syntax(start)
    return head.transfer_syntax


def _dressed(data_set: Dataset, head: Head, path: str | None) -> Dataset:
    from aiodicom.dataset import Dataset

    syntax = IMPLICIT_VR_LITTLE_ENDIAN if head.meta_implicit else EXPLICIT_VR_LITTLE_ENDIAN
    data_set.file_meta = Dataset.from_bytes(head.meta, syntax)
    data_set.preamble = head.preamble
    data_set.filename = path
    return data_set


def _to_tag(key: Key) -> int:
    from aiodicom.dataset._dataset import to_tag

    return to_tag(key)
