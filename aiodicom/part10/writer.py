"""Writing files (PS3.10): `dcmwrite`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from typing import Any, BinaryIO, Final

from aiodicom.dataset import DataElement, Dataset
from aiodicom.dataset.interop import ours
from aiodicom.standard.transfer_syntaxes import TRANSFER_SYNTAXES
from aiodicom.standard.transfer_syntaxes import transfer_syntax as transfer_syntax_of
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

__all__ = ["dcmwrite", "encode_file", "encode_head", "replacing"]

_PREFIX = b"DICM"

#: Bytes of the element (0002,0000), which are not counted in its value.
_GROUP_LENGTH_SIZE: Final = 12

#: What a program or a script begins with. A file that is both it and an image deceives whoever opens it
#: (CVE-2019-11687); PS3.10 7.1 lets the preamble help other image formats, and wants zeros otherwise.
_EXECUTABLE = (
    b"MZ",
    b"\x7fELF",
    b"#!",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
)


def dcmwrite(
    target: str | os.PathLike[str] | BinaryIO,
    data_set: Dataset | Any,
    *,
    transfer_syntax: str | None = None,
    strict: bool = False,
    fsync: bool = False,
    overwrite: bool = True,
) -> None:
    """Writes a data set, ours or pydicom's, as a DICOM file.

    `transfer_syntax` is the UID of the one to write in; by default that of ``file_meta``, else the one that the data
    set was read from, else explicit VR little endian. Its ``preamble`` is kept unless a program could hide there.

    ``data_set.file_meta`` need not be there or complete, and stays as it is. What follows from the data set is right
    in the file: group length, version, Media Storage SOP Class and Instance UID, Transfer Syntax UID. Implementation
    Class UID and Version Name stay where they stand for a data set that is written as it was read, and name this
    implementation otherwise. Everything else is kept.

    A path gets the file whole or not at all: it is written under a temporary name in the same folder and renamed; with
    `fsync`, bytes and name are on the disk on return. A pipe or a device is written to. Without `overwrite`, what
    exists raises FileExistsError. `strict` raises ValueError where the data set lacks what PS3.10 7.1 wants in every
    file.

    Raises OSError; ValueError for what cannot be encoded, or not in the transfer syntax.
    """
    data_set = ours(data_set)
    parts = encode_file(data_set, transfer_syntax=transfer_syntax, strict=strict)
    if not isinstance(target, (str, os.PathLike)):
        for part in parts:
            target.write(part)
        return
    _detach(data_set, os.path.realpath(target))
    with replacing(target, fsync=fsync, overwrite=overwrite) as file:
        for part in parts:
            file.write(part)


def encode_file(
    data_set: Dataset, *, transfer_syntax: str | None = None, strict: bool = False
) -> list[bytes | memoryview]:
    """The bytes of a file, in pieces: preamble to file meta information, and those of the data set."""
    given = data_set.file_meta or Dataset()
    syntax = str(
        transfer_syntax or given.get("TransferSyntaxUID") or data_set.transfer_syntax or EXPLICIT_VR_LITTLE_ENDIAN
    )
    _refuse_transfer_syntax(syntax, data_set)
    pixels = data_set.data_element("PixelData")
    if pixels is not None and pixels.offset is not None and not pixels.is_empty:
        encapsulated = transfer_syntax_of(syntax).encapsulated
        if pixels.undefined_length != encapsulated:
            state = "not encapsulated" if encapsulated else "encapsulated"
            raise ValueError(f"Pixel Data is {state}, which does not fit the transfer syntax (PS3.5 A.4): {syntax}")
    return [encode_head(data_set, syntax, strict=strict), *data_set.to_parts(syntax)]


def encode_head(data_set: Dataset, transfer_syntax: str, *, strict: bool = False) -> bytes:
    """What a file with `data_set` in `transfer_syntax` begins with: preamble, prefix, file meta information."""
    _refuse_groups(data_set)
    meta = _file_meta(data_set, transfer_syntax)
    if strict:
        for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"):
            if not meta.get(keyword):
                raise ValueError(f"a file needs a {keyword} (PS3.10 7.1)")
    preamble = data_set.preamble or bytes(128)
    if len(preamble) != 128 or preamble.startswith(_EXECUTABLE):
        preamble = bytes(128)
    encoded = meta.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
    length = len(encoded) - _GROUP_LENGTH_SIZE
    return b"".join((preamble, _PREFIX, encoded[:8], length.to_bytes(4, "little"), encoded[_GROUP_LENGTH_SIZE:]))


def _refuse_transfer_syntax(syntax: str, data_set: Dataset) -> None:
    """What nobody knows how to encode, unless the data set came in it."""
    if syntax not in TRANSFER_SYNTAXES and syntax != data_set.transfer_syntax:
        raise ValueError(f"the data set cannot be encoded in an unknown transfer syntax: {syntax}")


def _refuse_groups(data_set: Dataset) -> None:
    """Command and file meta elements, which would be read as something else than elements of the data set."""
    for element in data_set:
        group = element.tag >> 16
        if group > 2:
            return
        if group != 1:
            kind = "file meta information, which belongs into file_meta" if group else "part of a command set"
            raise ValueError(f"{element.tag} is {kind}, not of a data set (PS3.7 6.3, PS3.10 7.1)")


def _file_meta(data_set: Dataset, transfer_syntax: str) -> Dataset:
    """The file meta information (PS3.10 table 7.1-1) of `data_set` in `transfer_syntax`, with a group length of 0."""
    given = data_set.file_meta or Dataset()
    meta = given.copy()
    for element in given:
        if element.tag >> 16 != 2:
            del meta[element.tag]
    meta.FileMetaInformationGroupLength = 0
    meta.FileMetaInformationVersion = b"\0\1"
    for keyword, of_data_set in (
        ("MediaStorageSOPClassUID", "SOPClassUID"),
        ("MediaStorageSOPInstanceUID", "SOPInstanceUID"),
    ):
        uid = data_set.get(of_data_set)
        # Broken data may have anything there.
        if uid and isinstance(uid, str):
            meta.add(DataElement(keyword, "UI", uid))
    untouched = given.get("TransferSyntaxUID") == transfer_syntax and not data_set._modified()
    meta.TransferSyntaxUID = transfer_syntax
    if not untouched or not meta.get("ImplementationClassUID"):
        meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
        meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta


def _detach(data_set: Dataset, path: str) -> None:
    """Takes values out of the file that is about to be replaced, for the data set to outlive it."""
    source = data_set.filename
    if source is None:
        return
    with suppress(OSError):
        if os.path.samefile(source, path):
            for element in data_set:
                if element.deferred:
                    element.value = bytes(element.value)


@contextmanager
def replacing(
    target: str | os.PathLike[str], *, fsync: bool = False, overwrite: bool = True
) -> Iterator[BufferedWriter]:
    """A file to be written in the place of `target`, which it takes when the block is left, and not if by an exception.

    It is written under a temporary name in the same folder; with `fsync`, bytes and name are on the disk then. Without
    `overwrite`, a file that exists raises FileExistsError. What is there and no regular file, as a pipe or a device, is
    written to instead: it is not ours to take away.
    """
    if overwrite and os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            yield file
        return
    path = os.path.realpath(target)
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".aiodicom-{os.urandom(8).hex()}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:  # which names a file that nobody asked for
        raise OSError(error.errno, error.strerror, path) from None
    try:
        with open(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
            yield file
            file.flush()
            if fsync:
                os.fsync(descriptor)
        if overwrite:
            os.replace(temporary, path)
        else:
            # A hard link is the one rename that does not replace.
            os.link(temporary, path)
            os.unlink(temporary)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if fsync:
        _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
