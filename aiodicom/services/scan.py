"""Finding what there is to send: DICOM files in folders, by their heads alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from aiodicom.errors import DecodeError
from aiodicom.net.sources import KnownFile, stamp_of
from aiodicom.part10.meta import read_file_meta
from aiodicom.store.files import TEMPORARY_PREFIX

__all__ = ["Unusable", "scan"]

#: Media Storage Directory Storage: a DICOMDIR stands beside the instances of a medium and is itself never sent (PS3.4
#: has no storage SOP class for it).
_DICOMDIR = "1.2.840.10008.1.3.10"


class Unusable(NamedTuple):
    """A file that cannot be sent."""

    path: str
    reason: str
    #: whether it is, or may be, a DICOM file all the same: it could not be read, or its file meta information is broken
    broken: bool


def scan(paths: Iterable[str]) -> Iterator[KnownFile | Unusable]:
    """Reads the head of each file that `paths` are or, recursively, hold; names of a folder in sorted order.

    Links to files are followed, links to folders below the given ones are not (they can form rings). What is neither a
    file nor a folder is passed over, and so is, in a folder, what an SCP is still receiving there. Blocks for the
    reading; holds the names of one folder at each depth.
    """
    for path in paths:
        if os.path.isdir(path):
            yield from _scan_folder(path)
        else:
            yield _look(path)


def _scan_folder(folder: str) -> Iterator[KnownFile | Unusable]:
    # A stack in place of recursion: the depth of folders is the user's affair, not the interpreter's.
    stack = [_entries(folder)]
    while stack:
        for path, is_folder in stack[-1]:
            if is_folder is None:
                yield Unusable(path, "the folder cannot be read", True)
            elif is_folder:
                stack.append(_entries(path))
                break
            else:
                yield _look(path)
        else:
            stack.pop()


def _entries(folder: str) -> Iterator[tuple[str, bool | None]]:
    """The files and folders of `folder`, sorted; the folder itself with None when it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                (entry.name, is_folder)
                for entry in entries
                if not entry.name.startswith(TEMPORARY_PREFIX)
                and ((is_folder := entry.is_dir(follow_symlinks=False)) or entry.is_file())
            )
    except OSError:
        return iter([(folder, None)])
    return ((os.path.join(folder, name), is_folder) for name, is_folder in found)


def _look(path: str) -> KnownFile | Unusable:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            meta = read_file_meta(descriptor)
            stamp = stamp_of(descriptor)
        except DecodeError as error:
            return Unusable(path, str(error), os.pread(descriptor, 4, 128) == b"DICM")
        finally:
            os.close(descriptor)
    except OSError as error:
        return Unusable(path, error.strerror or str(error), True)
    if meta.sop_class_uid == _DICOMDIR:
        return Unusable(path, "a DICOMDIR is no object to store", False)
    return KnownFile(path, meta, stamp)
