"""A data set on its way through that is too large for memory: a file without a name."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import BinaryIO, cast

__all__ = ["SpoolFile"]


class SpoolFile:
    """A sink that writes to a file which nobody else can open and which is gone when it is closed.

    Raises `OSError` where the file can't be made or written; the file is closed then.
    """

    __slots__ = ("file", "size")

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        #: Open for reading from its start once the data set is complete.
        self.file = cast(BinaryIO, tempfile.TemporaryFile(dir=directory, buffering=0))  # noqa: SIM115
        #: Bytes written.
        self.size = 0

    def write(self, view: bytes | bytearray | memoryview) -> None:
        """Appends to the file."""
        rest = memoryview(view)
        while rest:
            written = self.file.write(rest)
            self.size += written
            rest = rest[written:]

    def finish(self) -> None:
        """The data set is complete."""
        self.file.seek(0)

    def abandon(self) -> None:
        """The data set will not be completed."""
        self.file.close()

    def map(self) -> memoryview:
        """Returns all of it as one read-only view. The file has no name: nobody can cut it short beneath the view."""
        if self.size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(self.file.fileno(), self.size, access=mmap.ACCESS_READ))
