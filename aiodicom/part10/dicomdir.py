"""DICOMDIR (PS3.10 8.6, PS3.3 F): the directory of a file-set, read and written.

A File ID comes from a medium that anybody may have made. Whatever is made of one here stays inside the file-set: no
component may be a path of its own, and links that lead out are not followed (CVE-2026-32711).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiodicom.errors import DecodeError
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN

from .directory_records import ROOT_TYPES, record_of, record_type_of
from .reader import dcmread
from .writer import dcmwrite, encode_file

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = [
    "MEDIA_STORAGE_DIRECTORY",
    "DirectoryRecord",
    "FileSet",
    "is_file_id",
    "make_file_set",
    "path_of_file_id",
    "read_dicomdir",
]

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

_NAME = "DICOMDIR"
_FILE_ID_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_LINKS = (0x00041400, 0x00041410, 0x00041420)
_LONG_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))

#: Where records have no offsets to go by: how deep each type stands.
_LEVELS = {"PATIENT": 0, "STUDY": 1, "SERIES": 2} | dict.fromkeys(ROOT_TYPES, 0)

_IDENTITY = {
    "PATIENT": ("PatientID", "PatientName"),
    "STUDY": ("StudyInstanceUID",),
    "SERIES": ("SeriesInstanceUID",),
}


def is_file_id(components: Sequence[str]) -> bool:
    """Whether these are a File ID by PS3.10 8.2 and 8.5: up to eight components of up to eight characters."""
    return 0 < len(components) <= 8 and all(0 < len(part) <= 8 and {*part} <= _FILE_ID_LETTERS for part in components)


def path_of_file_id(root: str | os.PathLike[str], components: Sequence[str]) -> str:
    """The path of a File ID below the folder `root`, whether there is a file or not.

    Names that differ by case alone from what is there are found, for media lose case. Raises DecodeError for a File ID
    that leads anywhere else: by ``..``, as an absolute path, or through a link.
    """
    if not components:
        raise DecodeError("a File ID without components")
    for part in components:
        if not part or part in (".", "..") or {*part} & {"/", "\\", "\0", ":"}:
            raise DecodeError(f"a File ID leads out of its file-set: {part!r}", None, "(0004,1500)")
    top = os.path.realpath(root)
    path = top
    for part in components:
        path = _entry(path, part)
    if os.path.commonpath((top, os.path.realpath(path))) != top:
        raise DecodeError(f"a File ID leads out of its file-set: {os.sep.join(components)!r}", None, "(0004,1500)")
    return path


def _entry(folder: str, name: str) -> str:
    path = os.path.join(folder, name)
    if os.path.lexists(path):
        return path
    try:
        found = sorted(entry for entry in os.listdir(folder) if entry.upper() == name.upper())
    except OSError:
        found = []
    return os.path.join(folder, found[0]) if found else path


@dataclass(slots=True, eq=False)
class DirectoryRecord:
    """A directory record: its type, its keys (PS3.3 F.5), the File ID of the object that it stands for, what is below.

    ``keys`` has all elements but those that say where records are.
    """

    record_type: str
    keys: Dataset
    file_id: tuple[str, ...] = ()
    children: list[DirectoryRecord] = field(default_factory=list)
    in_use: bool = True

    def walk(self) -> Iterator[DirectoryRecord]:
        """This record and all below it, in the order of the directory."""
        waiting = [self]
        while waiting:
            record = waiting.pop()
            yield record
            waiting.extend(reversed(record.children))


class FileSet:
    """A file-set: the folder that it stands in, and the records of its directory."""

    def __init__(self, root: str | os.PathLike[str], file_set_id: str = "") -> None:
        self.root = os.fspath(root)
        self.file_set_id = file_set_id
        self.records: list[DirectoryRecord] = []
        self._known: dict[tuple[str, ...], DirectoryRecord] = {}

    def walk(self) -> Iterator[DirectoryRecord]:
        """Every record, each before those below it."""
        for record in self.records:
            yield from record.walk()

    def files(self) -> Iterator[tuple[DirectoryRecord, str]]:
        """The records that stand for a file, with its path, which is inside the file-set."""
        for record in self.walk():
            if record.file_id:
                yield record, path_of_file_id(self.root, record.file_id)

    def add(self, data_set: Dataset, file_id: Iterable[str]) -> DirectoryRecord:
        """Adds an object that stands at `file_id`, below records of its patient, study and series, made as needed.

        Raises DecodeError for a File ID that leads out of the file-set.
        """
        components = tuple(file_id)
        path_of_file_id(self.root, components)
        sop_class = str(data_set.get("SOPClassUID") or "")
        record_type = record_type_of(sop_class)
        keys = record_of(record_type, data_set)
        if record_type == "PRIVATE":
            keys.PrivateRecordUID = sop_class
        meta = data_set.file_meta
        keys.ReferencedSOPClassUIDInFile = sop_class
        keys.ReferencedSOPInstanceUIDInFile = str(data_set.get("SOPInstanceUID") or "")
        keys.ReferencedTransferSyntaxUIDInFile = str(
            (meta.get("TransferSyntaxUID") if meta is not None else None) or data_set.transfer_syntax or ""
        )
        record = DirectoryRecord(record_type, keys, components)
        self._parent(record_type, data_set).append(record)
        return record

    def _remember(self) -> None:
        """Makes objects that are added find the records of their patient, study and series."""
        for patient in self.records:
            self._known.setdefault(_path_of((), "PATIENT", patient.keys), patient)
            for study in patient.children:
                path = _path_of(_path_of((), "PATIENT", patient.keys), "STUDY", study.keys)
                self._known.setdefault(path, study)
                for series in study.children:
                    self._known.setdefault(_path_of(path, "SERIES", series.keys), series)

    def _parent(self, record_type: str, data_set: Dataset) -> list[DirectoryRecord]:
        if record_type in ROOT_TYPES:
            return self.records
        siblings = self.records
        path: tuple[str, ...] = ()
        for level in _IDENTITY:
            path = _path_of(path, level, data_set)
            record = self._known.get(path)
            if record is None:
                record = self._known[path] = DirectoryRecord(level, record_of(level, data_set))
                siblings.append(record)
            siblings = record.children
        return siblings

    def write(self, path: str | os.PathLike[str] | None = None, *, fsync: bool = False) -> None:
        """Writes the directory, by default to DICOMDIR in the folder; whole or not at all."""
        dcmwrite(os.path.join(self.root, _NAME) if path is None else path, self.data_set(), fsync=fsync)

    def data_set(self) -> Dataset:
        """The directory as a data set (PS3.3 F.3), its offsets counted in the file that `dcmwrite` makes of it."""
        from aiodicom.dataset import Dataset
        from aiodicom.dataset import Sequence as Items

        directory = Dataset()
        directory.file_meta = Dataset(
            MediaStorageSOPClassUID=MEDIA_STORAGE_DIRECTORY,
            MediaStorageSOPInstanceUID=f"2.25.{uuid.uuid4().int}",
            TransferSyntaxUID=EXPLICIT_VR_LITTLE_ENDIAN,
        )
        directory.FileSetID = self.file_set_id
        directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
        directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
        directory.FileSetConsistencyFlag = 0
        directory.DirectoryRecordSequence = Items()
        # The records begin where a directory without any ends.
        position = sum(map(len, encode_file(directory)))
        items = {record: _item(record) for record in self.walk()}
        places: dict[DirectoryRecord | None, int] = {None: 0}
        for record, item in items.items():
            places[record] = position
            position += 8 + len(item.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN))
        for siblings in (self.records, *(record.children for record in items)):
            for record, following in zip(siblings, [*siblings[1:], None], strict=False):
                items[record].OffsetOfTheNextDirectoryRecord = places[following]
                items[record].OffsetOfReferencedLowerLevelDirectoryEntity = places[next(iter(record.children), None)]
        directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = places[next(iter(self.records), None)]
        directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = places[[None, *self.records][-1]]
        directory.DirectoryRecordSequence = Items(items.values())
        return directory


def _path_of(above: tuple[str, ...], level: str, data_set: Dataset) -> tuple[str, ...]:
    """What tells a record of that level from its siblings."""
    values = [str(data_set.get(keyword) or "") for keyword in _IDENTITY[level]]
    # A patient is known by ID; where there is none, by name.
    return (*above, level, *(values[:1] if values[0] else values))


def _item(record: DirectoryRecord) -> Dataset:
    from aiodicom.dataset import Dataset

    item = Dataset(element.__copy__() for element in record.keys)
    item.OffsetOfTheNextDirectoryRecord = 0
    item.RecordInUseFlag = 0xFFFF if record.in_use else 0
    item.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    item.DirectoryRecordType = record.record_type
    if record.file_id:
        item.ReferencedFileID = list(record.file_id)
    return item


def read_dicomdir(path: str | os.PathLike[str], *, strict: bool = False) -> FileSet:
    """The file-set whose directory is at `path`, or in the folder `path`.

    Records are followed by their offsets; where these lead nowhere, the order of the records says what is below what.
    `strict` raises instead. Raises DecodeError for what is no DICOMDIR, or one whose offsets go round in circles.
    """
    from aiodicom.dataset import Sequence as Items

    path = os.fspath(path)
    if os.path.isdir(path):
        path = os.path.join(path, _NAME)
    directory = dcmread(path, defer_size=None, strict=strict)
    items = directory.get("DirectoryRecordSequence")
    if not isinstance(items, Items):
        raise DecodeError("not a DICOMDIR: no Directory Record Sequence", None, "(0004,1220)")
    file_set = FileSet(os.path.dirname(path) or os.curdir, str(directory.get("FileSetID") or ""))
    by_place = {_place(item): item for item in items if len(item)}
    first = _offset(directory, "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity")
    if first in by_place:
        _follow(file_set.records, first, by_place)
    elif items and strict:
        raise DecodeError("the first record is not where its offset says", first, "(0004,1200)")
    else:
        _by_order(file_set.records, items)
    file_set._remember()
    return file_set


def make_file_set(root: str | os.PathLike[str], file_set_id: str = "") -> tuple[FileSet, list[tuple[str, str]]]:
    """A file-set of the DICOM files in a folder and those below it; and the files that are none, each with the reason.

    Links are not followed. Raises OSError where the folder cannot be read.
    """
    file_set = FileSet(root, file_set_id)
    refused: list[tuple[str, str]] = []
    top = os.fspath(root)
    os.scandir(top).close()  # `os.walk` passes over a folder that cannot be read
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            if (folder == top and name.upper() == _NAME) or name.startswith(".") or os.path.islink(path):
                continue
            try:
                data_set = dcmread(path, stop_before_pixels=True)
                if not data_set.get("SOPInstanceUID"):
                    raise DecodeError("no SOP Instance UID")
                file_set.add(data_set, os.path.relpath(path, top).split(os.sep))
            except (DecodeError, OSError, ValueError) as error:
                refused.append((path, str(error)))
    return file_set, refused


def _place(item: Dataset) -> int:
    """Where the item begins in the file: before the header of its first element."""
    first = next(iter(item))
    assert first.offset is not None
    header = 12 if not item.is_implicit_VR and first.vr in _LONG_VRS else 8
    return first.offset - header - 8


def _offset(data_set: Dataset, keyword: str) -> int:
    """An offset, 0 where there is none, or something else instead."""
    value = data_set.get(keyword)
    return value if isinstance(value, int) else 0


def _record(item: Dataset) -> DirectoryRecord:
    from aiodicom.dataset import Dataset

    skipped = (*_LINKS, 0x00041430, 0x00041500)
    keys = Dataset(element.__copy__() for element in item if element.tag not in skipped)
    file_id = item.get("ReferencedFileID") or ()
    components = (file_id,) if isinstance(file_id, str) else tuple(map(str, file_id))
    stated = item.data_element("DirectoryRecordType")
    record_type = (stated.text or "") if stated is not None else ""
    # 0 says that a record is not in use; the flag is often wrong otherwise (PS3.3 F.3.2.2).
    return DirectoryRecord(record_type, keys, components, in_use=item.get("RecordInUseFlag") != 0)


def _follow(roots: list[DirectoryRecord], first: int, by_place: dict[int, Dataset]) -> None:
    seen: set[int] = set()
    waiting = [(roots, first)]
    while waiting:
        siblings, place = waiting.pop()
        while place in by_place:
            if place in seen:
                raise DecodeError("directory records refer to one another in a circle", place, "(0004,1220)")
            seen.add(place)
            item = by_place[place]
            record = _record(item)
            if record.in_use:
                siblings.append(record)
                lower = _offset(item, "OffsetOfReferencedLowerLevelDirectoryEntity")
                if lower:
                    waiting.append((record.children, lower))
            place = _offset(item, "OffsetOfTheNextDirectoryRecord")


def _by_order(roots: list[DirectoryRecord], items: Iterable[Dataset]) -> None:
    above: list[DirectoryRecord] = []
    for item in items:
        record = _record(item)
        if not record.in_use:
            continue
        level = _LEVELS.get(record.record_type, 3)
        del above[level:]
        (above[-1].children if above else roots).append(record)
        above.append(record)
