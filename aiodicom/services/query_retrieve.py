"""The Query/Retrieve service class as SCP (PS3.4 annexes C, Y and Z), over any index.

index = MemoryIndex()
await index.add_files(["archive"])
archive = QueryRetrieve(index)
server = Server(ae_title="ARCHIVE", destinations=..., extended_negotiation=archive.extended_negotiation)
archive.attach(server)
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from aiodicom.dataset import DataElement, Dataset, Sequence
from aiodicom.dataset.interop import is_pydicom, ours
from aiodicom.net.sources import KnownFile, Storable, SubOperation
from aiodicom.part10.reader import dcmread
from aiodicom.services.decoding import identifier_of
from aiodicom.services.dispatch import attach
from aiodicom.services.levels import LEVELS, find_query, retrieve_query
from aiodicom.standard.models import CompositeInstanceRetrieveWithoutBulkData, InformationModel
from aiodicom.standard.status import Status
from aiodicom.standard.transfer_syntaxes import transfer_syntax
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN
from aiodicom.ul.extended import QueryRetrieveExtended, RetrieveExtended

if TYPE_CHECKING:
    from aiodicom.net.handlers import Handlers
    from aiodicom.net.requests import FindRequest, GetRequest, MoveRequest, RetrieveRequest
    from aiodicom.services.index import Index

__all__ = ["QueryRetrieve"]

_LEVEL: Final = 0x00080052
_RETRIEVE_AE_TITLE: Final = 0x00080054
_INSTANCE_AVAILABILITY: Final = 0x00080056
#: What is in every answer, whether it was asked for or not, and no key (PS3.4 C.4.1.1.3.2).
_ADDED: Final = (_RETRIEVE_AE_TITLE, _INSTANCE_AVAILABILITY)

#: PS3.4 table Z.1-1, without the repeating groups, and within the items of Waveform Sequence.
_BULK_DATA: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010, 0x00287FE0, 0x56000020, 0x00420011))
_OVERLAY_DATA: Final = 0x60003000
_CURVE_DATA: Final = 0x50003000
_AUDIO_SAMPLE_DATA: Final = 0x5000200C
_WAVEFORM_SEQUENCE: Final = 0x54000100
_WAVEFORM_DATA: Final = 0x54001010


class QueryRetrieve:
    """Answers C-FIND, C-GET and C-MOVE of every query/retrieve information model from an index.

    `retrieve_ae_title`: whom the instances can be retrieved from; by default the called AE title of the association.
    `instance_availability`: what is answered for entities that say nothing of it (PS3.4 C.4.1.1.3.2), None for nothing.
    `relational`: whether an identifier may leave out the unique keys of the levels above its own: None where that was
    negotiated, True always, False never. One that may not is answered A900H.

    At the level of frames (PS3.4 Y.3.3) nothing is retrieved: A900H.
    """

    def __init__(
        self,
        index: Index,
        *,
        retrieve_ae_title: str | None = None,
        instance_availability: str | None = "ONLINE",
        relational: bool | None = None,
    ) -> None:
        self.index = index
        self.retrieve_ae_title = retrieve_ae_title
        self.instance_availability = instance_availability
        self.relational = relational
        self._find = {model.find: model for model in LEVELS if model.find is not None}
        self._get = {model.get: model for model in LEVELS if model.get is not None}
        self._move = {model.move: model for model in LEVELS if model.move is not None}

    @property
    def extended_negotiation(self) -> Mapping[str, QueryRetrieveExtended | RetrieveExtended]:
        """What a `Server` is to answer in extended negotiation, by SOP class (PS3.4 C.5)."""
        is_relational = self.relational is not False
        found = QueryRetrieveExtended(
            relational_queries=is_relational,
            date_time_matching=True,
            empty_value_matching=True,
            multiple_value_matching=True,
        )
        retrieved = RetrieveExtended(relational_retrieval=is_relational)
        return {**dict.fromkeys(self._find, found), **dict.fromkeys((*self._get, *self._move), retrieved)}

    def attach(self, handlers: Handlers) -> None:
        """Has this answer the C-FIND, C-GET and C-MOVE of a server in the contexts of the query/retrieve models."""
        attach(handlers, self._find, on_c_find=self.find)
        attach(handlers, self._get, on_c_get=self.get)
        attach(handlers, self._move, on_c_move=self.move)

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset | tuple[Status, Dataset]]:
        """Yields the answers to a C-FIND (PS3.4 C.4.1.3), for a handler of your own.

        Raises `OperationRefused`.
        """
        model = self._find[request.context.abstract_syntax]
        extended = QueryRetrieveExtended.decode(_negotiated(request))
        identifier = identifier_of(request).copy()
        for tag in _ADDED:
            if tag in identifier:
                del identifier[tag]
        query = find_query(
            model,
            identifier,
            supported=self.index.supported(request.level) if request.level in LEVELS[model] else None,
            is_relational=self._is_relational(extended.relational_queries),
            combined=extended.date_time_matching,
        )
        assert query.keys is not None
        keys = query.keys
        title = self.retrieve_ae_title or request.association.called_aet
        keys.include([DataElement(_LEVEL, "CS", query.level), DataElement(_RETRIEVE_AE_TITLE, "AE", title)])
        if self.instance_availability is not None:
            keys.include([DataElement(_INSTANCE_AVAILABILITY, "CS", self.instance_availability)])
        async for entity in self.index.find(query):
            if keys.match(entity):
                answer = keys.answer(entity)
                yield (Status.PENDING_WARNING, answer) if keys.unsupported else answer

    async def get(self, request: GetRequest) -> AsyncIterator[Storable | SubOperation]:
        """Yields what to send for a C-GET (PS3.4 C.4.3.3), for a handler of your own. Raises `OperationRefused`."""
        model = self._get[request.context.abstract_syntax]
        without_bulk_data = model is CompositeInstanceRetrieveWithoutBulkData
        for instance in await self._instances(model, request):
            yield await asyncio.to_thread(_without_bulk_data, instance) if without_bulk_data else instance

    async def move(self, request: MoveRequest) -> AsyncIterator[Storable | SubOperation]:
        """Yields what to send for a C-MOVE (PS3.4 C.4.2.3), for a handler of your own. Raises `OperationRefused`."""
        for instance in await self._instances(self._move[request.context.abstract_syntax], request):
            yield instance

    async def _instances(self, model: InformationModel, request: RetrieveRequest) -> Any:
        extended = RetrieveExtended.decode(_negotiated(request))
        query = retrieve_query(
            model, identifier_of(request), is_relational=self._is_relational(extended.relational_retrieval)
        )
        instances = await self.index.instances(query)
        request.total = len(instances)
        return instances

    def _is_relational(self, negotiated: bool) -> bool:
        return negotiated if self.relational is None else self.relational


def _negotiated(request: FindRequest | RetrieveRequest) -> bytes:
    return request.association.extended_negotiation.get(request.context.abstract_syntax, b"")


def _without_bulk_data(instance: Storable | SubOperation) -> SubOperation:
    """An instance without what PS3.4 Z.1.3 leaves out. Runs in a thread.

    What was encapsulated has no pixels any more, and may be sent in any native transfer syntax.
    """
    whole = instance if isinstance(instance, SubOperation) else SubOperation(instance)
    data_set = _decoded(whole)
    if _is_replaced(whole, data_set):
        return whole  # to send it fails
    sop_class_uid = whole.sop_class_uid or str(data_set.get("SOPClassUID") or "")
    sop_instance_uid = whole.sop_instance_uid or str(data_set.get("SOPInstanceUID") or "")
    for tag in [element.tag for element in data_set]:
        if tag in _BULK_DATA or (tag & 0xFF01FFFF) in (_OVERLAY_DATA, _CURVE_DATA, _AUDIO_SAMPLE_DATA):
            del data_set[tag]
    waveforms = data_set.get(_WAVEFORM_SEQUENCE)
    if waveforms is not None and isinstance(waveforms.value, Sequence):
        for item in waveforms.value:
            if _WAVEFORM_DATA in item:
                del item[_WAVEFORM_DATA]
    syntax = data_set.transfer_syntax or EXPLICIT_VR_LITTLE_ENDIAN
    if transfer_syntax(syntax).encapsulated:
        syntax = EXPLICIT_VR_LITTLE_ENDIAN
    return SubOperation(data_set, sop_class_uid, sop_instance_uid, syntax)


def _is_replaced(whole: SubOperation, data_set: Dataset) -> bool:
    """Whether the data set is what another object has left in the place of a file's."""
    meta = data_set.file_meta
    if whole.sop_instance_uid is None or meta is None or not isinstance(whole.source, (KnownFile, str, os.PathLike)):
        return False
    return bool(meta.get("MediaStorageSOPInstanceUID") != whole.sop_instance_uid)


def _decoded(whole: SubOperation) -> Dataset:
    """A data set that may be changed."""
    source: Any = whole.source
    if isinstance(source, KnownFile):
        return dcmread(source.path)
    if isinstance(source, (str, os.PathLike)):
        return dcmread(source)
    if isinstance(source, Dataset) or is_pydicom(source):
        return deepcopy(ours(source))
    data = source if isinstance(source, (bytes, bytearray, memoryview)) else source.tobytes()
    if whole.transfer_syntax is not None:
        return Dataset.from_bytes(data, whole.transfer_syntax)
    return dcmread(io.BytesIO(data))
