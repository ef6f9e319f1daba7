"""What a query/retrieve SCP looks its answers up in: the protocol `Index`, and an index in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

from aiodicom.dataset import Dataset
from aiodicom.errors import AiodicomError, DecodeError, LocalError
from aiodicom.net.sources import KnownFile, Storable, SubOperation
from aiodicom.part10.reader import dcmread
from aiodicom.services.characters import sayable
from aiodicom.services.levels import UNIQUE_KEYS, Query, keys_of
from aiodicom.services.scan import Unusable, scan

__all__ = ["Index", "MemoryIndex"]

#: Candidates that are looked at in one go, and files that are read in one.
_GO: Final = 256
#: The longest value that is kept, in bytes.
_LONGEST: Final = 1 << 14
#: Specific Character Set and Timezone Offset From UTC go with every entity.
_CONTEXT: Final = frozenset((0x00080005, 0x00080201))


class Index(Protocol):
    """What an embedder has: entities to find, and instances to send."""

    def supported(self, level: str) -> Collection[int] | None:
        """The tags of the keys that entities of a level can be queried for; None for all."""
        ...

    def find(self, query: Query) -> AsyncIterator[Dataset]:
        """Gives the entities of `query.level` that may match: all that do, and any others of the level besides.

        What is given is matched with `query.keys` and made an answer of afterwards. An entity has the attributes of
        the levels above its own, and in ``InstanceAvailability`` and ``RetrieveAETitle`` what is special about it.
        `query.unique` and the keys of `query.identifier` narrow down what has to be looked at.
        """
        ...

    async def instances(self, query: Query) -> Sequence[Storable | SubOperation]:
        """Gives what is to be sent for `query.unique` at `query.level`: what `Association.c_store` takes, or
        `SubOperation`. One with the UIDs of a file has that fail when it has become another object's.
        """
        ...


class _Node:
    """An entity of a level, with those of the level below."""

    __slots__ = ("attributes", "children", "key", "level", "parent", "record", "source")

    def __init__(
        self, level: str, key: str, parent: _Node | None, attributes: Dataset, source: Storable | None
    ) -> None:
        self.level = level
        self.key = key
        self.parent = parent
        self.children: dict[str, _Node] = {}
        self.attributes = attributes
        #: What is answered from; None when it has to be made anew.
        self.record: Dataset | None = None
        self.source = source

    def below(self, level: str) -> list[_Node]:
        """The entities of `level` that are this one or belong to it."""
        nodes = [self]
        while nodes and nodes[0].level != level:
            nodes = [child for node in nodes for child in node.children.values()]
        return nodes


class MemoryIndex:
    """An index in memory, of data sets that it is given or of files.

    Holds the attributes that PS3.4 C.6 has for each level, each up to 16 KiB, and where the instance is. What can be
    queried for are those attributes, and what follows from all instances of an entity: numbers of related entities,
    Modalities in Study, SOP Classes in Study. `max_instances`: `add` raises `LocalError` beyond. Not for several
    threads.
    """

    def __init__(self, *, max_instances: int = 1_000_000) -> None:
        self.max_instances = max_instances
        self._nodes: dict[str, dict[str, _Node]] = {level: {} for level in UNIQUE_KEYS}

    def __len__(self) -> int:
        """The number of instances."""
        return len(self._nodes["IMAGE"])

    def __contains__(self, sop_instance_uid: object) -> bool:
        """Whether the instance is there."""
        return sop_instance_uid in self._nodes["IMAGE"]

    def add(self, data_set: Dataset, source: Storable | None = None) -> None:
        """Adds an instance, in the place of one with its SOP Instance UID.

        `source` is what is sent for it, the data set itself if None. The attributes of a patient, study and series are
        those of their first instance. Raises `LocalError` for one without a Study, Series or SOP Instance UID, or too
        many.
        """
        keys = {level: str(data_set.get(keyword) or "") for level, keyword in UNIQUE_KEYS.items()}
        missing = [UNIQUE_KEYS[level] for level, key in keys.items() if not key and level != "PATIENT"]
        if missing:
            raise LocalError(f"the data set has no {missing[0]}")
        # Patients without an ID are different ones, as far as anybody can tell, in different studies.
        keys["PATIENT"] = (
            f"{keys['PATIENT']}\\{data_set.get('IssuerOfPatientID') or ''}" if keys["PATIENT"] else keys["STUDY"]
        )
        if keys["IMAGE"] not in self and len(self) >= self.max_instances:
            raise LocalError(f"the index has its {self.max_instances} instances")
        self.remove(keys["IMAGE"])
        everything = _kept(data_set)
        parent: _Node | None = None
        levels = list(UNIQUE_KEYS)
        # A study has one patient, and a series one study: those of its first instance.
        existing = [self._nodes[level].get(keys[level]) for level in levels]
        deepest = max((place for place, node in enumerate(existing) if node is not None), default=-1)
        if deepest >= 0:
            parent = existing[deepest]
        for level in levels[deepest + 1 :]:
            attributes = everything if level == "IMAGE" else _compact(everything.select(keys_of(level) | _CONTEXT))
            node = _Node(level, keys[level], parent, attributes, None)
            self._nodes[level][keys[level]] = node
            if parent is not None:
                parent.children[node.key] = node
            parent = node
        assert parent is not None
        parent.source = data_set if source is None else source
        _forget(parent)

    def remove(self, sop_instance_uid: str) -> bool:
        """Removes an instance, and the series, study and patient that it leaves empty; returns whether it was there."""
        node = self._nodes["IMAGE"].get(sop_instance_uid)
        if node is None:
            return False
        _forget(node)
        while node is not None and not node.children:
            del self._nodes[node.level][node.key]
            if node.parent is not None:
                del node.parent.children[node.key]
            node = node.parent
        return True

    async def add_files(self, paths: Iterable[str]) -> list[Unusable]:
        """Adds the DICOM files that `paths` are or, recursively, hold, and returns what could not be used.

        Files are read in a thread, up to their pixels. Cancelled, it leaves out the rest. Raises `LocalError` for too
        many.
        """
        unusable: list[Unusable] = []
        found = scan(paths)
        while read := await asyncio.to_thread(_read, found):
            for file, data_set in read:
                if isinstance(file, Unusable):
                    unusable.append(file)
                    continue
                assert data_set is not None
                try:
                    self.add(data_set, file)
                except LocalError as error:
                    if len(self) >= self.max_instances:
                        raise
                    unusable.append(Unusable(file.path, str(error), True))
        return unusable

    def supported(self, level: str) -> Collection[int]:
        """See `Index.supported`."""
        return keys_of(level)

    async def find(self, query: Query) -> AsyncIterator[Dataset]:
        """See `Index.find`."""
        for number, node in enumerate(self._candidates(query)):
            yield node.record if node.record is not None else _make_record(node)
            if not (number + 1) % _GO:
                await asyncio.sleep(0)

    async def instances(self, query: Query) -> Sequence[Storable | SubOperation]:
        """See `Index.instances`. A file that has become one of another instance meanwhile cannot be sent."""
        return [
            _sent(image.source, image.key)
            for node in self._candidates(query)
            for image in node.below("IMAGE")
            if image.source is not None
        ]

    def _candidates(self, query: Query) -> list[_Node]:
        """The entities of the level that belong to what the lowest unique key names, and to what those above name."""
        levels = list(UNIQUE_KEYS)
        found: list[_Node] | None = None
        for level in levels[: levels.index(query.level) + 1]:
            values = query.unique.get(UNIQUE_KEYS[level])
            if values is None or any(letter in value for value in values for letter in "*?"):
                continue
            if found is None and level != "PATIENT":
                found = [node for value in dict.fromkeys(values) if (node := self._nodes[level].get(value)) is not None]
                continue
            within = (
                self._nodes[level].values() if found is None else (sub for node in found for sub in node.below(level))
            )
            found = [node for node in within if _unique_value(node) in values]
        if found is None:
            return list(self._nodes[query.level].values())
        return [node for top in found for node in top.below(query.level)]


def _sent(source: Storable, sop_instance_uid: str) -> Storable | SubOperation:
    if isinstance(source, KnownFile):
        return SubOperation(source, source.meta.sop_class_uid, source.meta.sop_instance_uid)
    if isinstance(source, (str, os.PathLike)):
        return SubOperation(source, None, sop_instance_uid)
    return source


def _unique_value(node: _Node) -> str:
    return str(node.attributes.get(UNIQUE_KEYS[node.level]) or "") if node.level == "PATIENT" else node.key


def _forget(node: _Node | None) -> None:
    """Something has changed below: the records have to be made anew."""
    while node is not None:
        node.record = None
        node = node.parent


def _kept(data_set: Dataset) -> Dataset:
    """What is kept of an instance: nothing long, and nothing that a query would fail at."""
    selection = data_set.select(keys_of("IMAGE") | _CONTEXT)
    for element in list(selection):
        if element.length > _LONGEST or (element.vr == "SQ" and not _can_be_decoded(element.value)):
            del selection[element.tag]
    return _compact(selection)


def _can_be_decoded(items: Iterable[Dataset]) -> bool:
    try:
        return not any(item.truncated or any(each.truncated for each in item.iterall()) for item in items)
    except DecodeError:
        return False


def _compact(data_set: Dataset) -> Dataset:
    """The same data set over bytes of its own."""
    return Dataset.from_bytes(sayable(data_set).to_bytes("1.2.840.10008.1.2.1"))


def _make_record(node: _Node) -> Dataset:
    record = node.attributes.copy()
    if node.level == "PATIENT":
        record.NumberOfPatientRelatedStudies = len(node.children)
        record.NumberOfPatientRelatedSeries = sum(1 for _ in node.below("SERIES"))
        record.NumberOfPatientRelatedInstances = sum(1 for _ in node.below("IMAGE"))
    elif node.level == "STUDY":
        record.NumberOfStudyRelatedSeries = len(node.children)
        record.NumberOfStudyRelatedInstances = sum(1 for _ in node.below("IMAGE"))
        record.ModalitiesInStudy = _distinct(node.children.values(), "Modality")
        record.SOPClassesInStudy = _distinct(node.below("IMAGE"), "SOPClassUID")
    elif node.level == "SERIES":
        record.NumberOfSeriesRelatedInstances = len(node.children)
    node.record = _compact(record) if node.level != "IMAGE" else node.attributes
    return node.record


def _distinct(nodes: Iterable[_Node], keyword: str) -> list[str]:
    return sorted({str(value) for node in nodes if (value := node.attributes.get(keyword))})


def _read(found: Iterator[KnownFile | Unusable]) -> list[tuple[KnownFile | Unusable, Dataset | None]]:
    """The next files with their data sets up to the pixels. Runs in a thread."""
    read: list[tuple[KnownFile | Unusable, Dataset | None]] = []
    for file in islice(found, _GO):
        if isinstance(file, Unusable):
            read.append((file, None))
            continue
        try:
            data_set = dcmread(file.path, stop_before_pixels=True)
            read.append((file, _kept(data_set)))
        except (AiodicomError, OSError, ValueError) as error:
            read.append((Unusable(file.path, str(error), True), None))
    return read
