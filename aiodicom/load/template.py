"""An encoded object with slots: what is new in each copy of it is put there, and the rest is never encoded again."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from aiodicom.dataset import Dataset
from aiodicom.load.supply import Instance
from aiodicom.net.sources import Buffer
from aiodicom.standard.uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN

__all__ = ["TEXTS", "UID_LENGTH", "Slot", "Template", "Text"]

#: Characters of a UID in a slot: 2.25 and the 39 digits of a UUID. Even, so that every copy is padded alike.
UID_LENGTH: Final = 44

#: What goes into a place: a UID instead of this one, or the value of the attribute with this tag.
Slot: TypeAlias = str | int


class Text(NamedTuple):
    """An attribute that a patient or a study has its own value of."""

    keyword: str
    #: Characters of every value: an even number, so that all are encoded in the same room.
    length: int
    #: Whether it is put where it is missing, or only found where it is; both at the top level and in items.
    is_required: bool = False


#: By tag.
TEXTS: Final = {
    0x00080020: Text("StudyDate", 8),
    0x00080021: Text("SeriesDate", 8),
    0x00080022: Text("AcquisitionDate", 8),
    0x00080023: Text("ContentDate", 8),
    0x0008002A: Text("AcquisitionDateTime", 8),
    0x00080050: Text("AccessionNumber", 16, True),
    0x00100010: Text("PatientName", 14, True),
    0x00100020: Text("PatientID", 16, True),
    0x00189074: Text("FrameAcquisitionDateTime", 8),
    0x00189151: Text("FrameReferenceDateTime", 8),
    0x00200010: Text("StudyID", 10, True),
}

#: Attributes of kinds of things, or of things beyond all studies, whose UIDs stay what they are though the standard
#: may not register them: SOP classes, transfer syntaxes, coding schemes, context groups, templates, devices, creators.
_OF_KINDS: Final = frozenset(
    {
        "SOPClassUID",
        "RelatedGeneralSOPClassUID",
        "OriginalSpecializedSOPClassUID",
        "SOPClassesInStudy",
        "ReferencedSOPClassUID",
        "SOPClassesSupported",
        "ReferencedSOPClassUIDInFile",
        "ReferencedRelatedGeneralSOPClassUIDInFile",
        "PertinentSOPClassesInStudy",
        "PertinentSOPClassesInSeries",
        "StoredInstanceTransferSyntaxUID",
        "AvailableTransferSyntaxUID",
        "ReferencedTransferSyntaxUIDInFile",
        "MACCalculationTransferSyntaxUID",
        "EncryptedContentTransferSyntaxUID",
        "FlowTransferSyntaxUID",
        "CodingSchemeUID",
        "ContextGroupExtensionCreatorUID",
        "ContextUID",
        "MappingResourceUID",
        "TemplateExtensionOrganizationUID",
        "TemplateExtensionCreatorUID",
        "InstanceCreatorUID",
        "CreatorVersionUID",
        "DeviceUID",
        "ManufacturerDeviceClassUID",
        "RetrieveLocationUID",
        "RepositoryUniqueID",
        "HomeCommunityID",
        "PaletteColorLookupTableUID",
        "ReferencedColorPaletteInstanceUID",
        "LargePaletteColorLookupTableUID",
    }
)
#: UIDs that the standard gives, registered or not: of kinds of things, and of well-known frames of reference.
_STANDARD: Final = "1.2.840.10008."

#: Empty blocks of a deflated stream (RFC 1951 3.2): one that makes an odd number of bytes even, and the last one.
_STORED, _FINAL = b"\0\0\0\xff\xff", b"\x03\0"


class Template:
    """An object to be copied, encoded in its transfer syntax, pixels and all.

    Invariants: `_pieces` has the parts that every copy has its own of, in order, with None at each place of `_slots`;
    `_layout` has everything in order: a buffer that all copies share, or a range of `_pieces`.
    """

    __slots__ = (
        "_deflates",
        "_layout",
        "_pieces",
        "_slots",
        "modality",
        "patient_id",
        "series_instance_uid",
        "size",
        "sop_class_uid",
        "sop_instance_uid",
        "study_instance_uid",
        "transfer_syntax",
    )

    def __init__(self, data_set: Dataset, transfer_syntax: str, texts: Collection[int]) -> None:
        """Encodes `data_set`, which is changed, once; `texts` are those of `TEXTS` that each copy has its own value of.

        Long values that stay what they are, pixels above all, are not copied, and must not change. Where study and
        series are missing, the object gets some of its own. Raises ValueError for a data set that cannot be encoded, or
        does not say what instance it is; DecodeError for one that cannot be read.
        """
        self.sop_class_uid = _uid(data_set, "SOPClassUID")
        self.sop_instance_uid = uid = _uid(data_set, "SOPInstanceUID")
        self.study_instance_uid = _uid(data_set, "StudyInstanceUID", f"{uid}.1")
        self.series_instance_uid = _uid(data_set, "SeriesInstanceUID", f"{uid}.2")
        self.modality = str(data_set.get("Modality") or "OT")
        self.patient_id = str(data_set.get("PatientID") or "")
        self.transfer_syntax = transfer_syntax
        for tag in texts:
            if TEXTS[tag].is_required:
                setattr(data_set, TEXTS[tag].keyword, "")
        marks = _Marks({self.sop_instance_uid, self.study_instance_uid, self.series_instance_uid})
        marks.put(data_set, texts)
        self._deflates = transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if self._deflates else transfer_syntax
        parts = data_set.to_parts(syntax)
        #: Bytes of each copy, unless deflated.
        self.size = sum(map(len, parts))
        # In the order of their bytes: what a data set has copied need not have the order of tags.
        self._divide(parts, sorted(marks.places(Dataset.from_bytes(b"".join(parts), syntax), texts)))

    def _divide(self, parts: Iterable[Buffer], places: Iterable[_Place]) -> None:
        self._pieces: list[bytes | None] = []
        self._slots: list[tuple[int, Slot]] = []
        self._layout: list[Buffer | slice] = []
        waiting = deque(places)
        begins = 0
        for part in parts:
            ends = begins + len(part)
            if not waiting or waiting[0][0] >= ends:
                if isinstance(part, memoryview):
                    self._layout.append(_deflated(part) if self._deflates else part)
                else:
                    self._add([bytes(part)])
                begins = ends
                continue
            pieces: list[bytes | None] = []
            offset = begins
            while waiting and waiting[0][0] < ends:
                start, length, slot = waiting.popleft()
                pieces += (bytes(part[offset - begins : start - begins]), None)
                self._slots.append((len(self._pieces) + len(pieces) - 1, slot))
                offset = start + length
            self._add([*pieces, bytes(part[offset - begins :])])
            begins = ends

    def _add(self, pieces: list[bytes | None]) -> None:
        self._layout.append(slice(len(self._pieces), len(self._pieces) + len(pieces)))
        self._pieces += pieces

    def copy(self, values: Mapping[Slot, bytes]) -> Instance:
        """The object with these values in its slots: for each UID another of `UID_LENGTH` characters, for each text one
        of its length.
        """
        pieces: list[Any] = self._pieces.copy()
        for place, slot in self._slots:
            pieces[place] = values[slot]
        if self._deflates:
            buffers = tuple(_deflated(b"".join(pieces[part])) if type(part) is slice else part for part in self._layout)
            buffers += (_FINAL,)
        else:
            buffers = tuple(b"".join(pieces[part]) if type(part) is slice else part for part in self._layout)
        uid = values[self.sop_instance_uid].decode()
        return Instance(self.sop_class_uid, uid, self.transfer_syntax, buffers, sum(map(len, buffers)))


def _uid(data_set: Dataset, keyword: str, instead: str | None = None) -> str:
    uid = data_set.get(keyword)
    if isinstance(uid, str) and uid:
        return str(uid)
    if instead is None:
        raise ValueError(f"no {keyword}")
    setattr(data_set, keyword, instead)
    return instead


class _Place(NamedTuple):
    """Where in an encoded data set there is a slot, and of how many bytes."""

    offset: int
    length: int
    slot: Slot


class _Marks:
    """Values that stand in a data set for those that copies have of their own, and are as long."""

    def __init__(self, own: Collection[str]) -> None:
        """`own`: UIDs that are renewed whatever they are."""
        self._own = own
        self._uids: dict[bytes, str] = {}

    def put(self, data_set: Dataset, texts: Collection[int]) -> None:
        """Puts one into every attribute that copies have a value of their own of, in items too."""
        for element in list(data_set):
            if element.vr == "SQ":
                for item in element.value:
                    self.put(item, texts)
            elif element.vr == "UI":
                uids = [str(uid) for uid in element.values]
                marks = [self._mark(uid) if self._is_renewed(uid) else uid for uid in uids]
                if element.keyword not in _OF_KINDS and marks != uids:
                    data_set.add_new(element.tag, "UI", marks)
            elif element.tag in texts and (TEXTS[element.tag].is_required or element.value):
                data_set.add_new(element.tag, element.vr, "0" * TEXTS[element.tag].length)

    def places(self, data_set: Dataset, texts: Collection[int]) -> Iterator[_Place]:
        """Where they are in the data set, which has been encoded and decoded."""
        for element in data_set.iterall():
            offset = element.offset
            assert offset is not None
            if element.vr == "UI":
                for uid in bytes(element.raw).split(b"\\"):
                    if (original := self._uids.get(uid.rstrip(b"\0"))) is not None:
                        yield _Place(offset, UID_LENGTH, original)
                    offset += len(uid) + 1
            elif element.tag in texts and element.length == TEXTS[element.tag].length:
                yield _Place(offset, element.length, element.tag)

    def _is_renewed(self, uid: str) -> bool:
        return uid in self._own or (uid != "" and not uid.startswith(_STANDARD))

    def _mark(self, uid: str) -> str:
        mark = f"2.25.{10**38 + len(self._uids)}"
        self._uids[mark.encode()] = uid
        return mark


def _deflated(data: Buffer) -> bytes:
    """An even number of bytes that, anywhere in a deflated stream, stand for `data` (RFC 1951 3.2)."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    made = deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)
    return made + _STORED if len(made) % 2 else made
