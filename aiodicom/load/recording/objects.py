"""Keeps the objects that pass, as DICOM files, for who has asked for that."""

from __future__ import annotations

import itertools
from pathlib import Path

from aiodicom.dimse.messages import CStoreRQ
from aiodicom.part10.meta import encode_file_meta
from aiodicom.store.files import Folder, PartialFile

__all__ = ["ObjectFolder"]


class ObjectFolder:
    """A folder of the objects, 000001.dcm and so on, in the order in which they began. Raises OSError.

    A file that cannot be written is given up, and counted: nobody who is recorded is to suffer.
    """

    def __init__(self, directory: Path) -> None:
        self.written = 0
        self.failed = 0
        #: Of the last file that could not be written.
        self.error: Exception | None = None
        self._folder = Folder(directory)
        self._numbers = itertools.count(1)

    def open(self, request: CStoreRQ, transfer_syntax: str) -> _ObjectFile:
        """Returns the file of the next object."""
        name = f"{next(self._numbers):06}.dcm"
        file = _ObjectFile(self, self._folder.create(name), name)
        try:
            file.write(
                memoryview(
                    encode_file_meta(request.affected_sop_class_uid, request.affected_sop_instance_uid, transfer_syntax)
                )
            )
        except ValueError as error:  # such as of a UID that is too long
            file.fail(error)
        return file

    def close(self) -> None:
        """Gives up nothing that is complete."""
        self._folder.close()


class _ObjectFile:
    """A file on its way; after a failure it takes what comes and keeps nothing."""

    __slots__ = ("_file", "_folder", "_name", "name")

    def __init__(self, folder: ObjectFolder, file: PartialFile, name: str) -> None:
        self._folder = folder
        self._file: PartialFile | None = file
        self._name = name
        self.name = ""

    def write(self, view: memoryview) -> None:
        if self._file is not None:
            try:
                self._file.write(view)
            except OSError as error:
                self.fail(error)

    def finish(self) -> None:
        if self._file is not None:
            try:
                self._file.finish()
                self._file.commit()
            except OSError as error:
                self.fail(error)
            else:
                self.name = self._name
                self._folder.written += 1
                self._file = None

    def abandon(self) -> None:
        if self._file is not None:
            self._file.abandon()
            self._file = None

    def fail(self, error: Exception) -> None:
        self._folder.failed += 1
        self._folder.error = error
        self.abandon()
