"""Reading data sets from files so that long values stay there until somebody asks for them."""

from __future__ import annotations

import os
from typing import BinaryIO

from aiodicom.errors import DecodeError

__all__ = ["StoredFile"]


class StoredFile:
    """Ranges of a file, by path (opened for each range once `close` was called) or of an open seekable file object."""

    def __init__(self, file: str | os.PathLike[str] | BinaryIO) -> None:
        self._path: str | None = None
        if isinstance(file, (str, os.PathLike)):
            self._path = os.fspath(file)
            self._file: BinaryIO | None = open(self._path, "rb", buffering=0)  # noqa: SIM115
            status = os.fstat(self._file.fileno())
            self.size = status.st_size
            self._state = (status.st_ino, status.st_mtime_ns, status.st_size)
        else:
            self._file = file
            place = file.tell()
            self.size = file.seek(0, os.SEEK_END)
            file.seek(place)

    def close(self) -> None:
        """Closes what a path opened; a file object stays as it is."""
        if self._path is not None and self._file is not None:
            self._file.close()
            self._file = None

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file. Raises DecodeError where it is no longer what it was."""
        if self._file is not None:
            return _read(self._file, offset, length)
        assert self._path is not None
        with open(self._path, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if (status.st_ino, status.st_mtime_ns, status.st_size) != self._state:
                raise DecodeError(f"{self._path} has changed since the data set was read from it", offset)
            return _read(file, offset, length)


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    data = file.read(length)
    if len(data) == length:
        return data
    parts = [data]
    missing = length - len(data)
    while missing:
        data = file.read(missing)
        if not data:
            raise DecodeError("the file ended while a value was read", offset)
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
