"""What a bad PACS finds: matches made up from the query."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

from aiodicom.dataset import DataElement, Dataset

__all__ = ["match"]

_CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
#: Values for keys that were asked for without one, by keyword and by VR; the others stay empty.
_BY_KEYWORD = {
    "Modality": "CT",
    "ModalitiesInStudy": "CT",
    "PatientSex": "O",
    "SOPClassUID": _CT_IMAGE_STORAGE,
    "SOPClassesInStudy": _CT_IMAGE_STORAGE,
}
_BY_VR = {"DA": "20260101", "TM": "120000", "DT": "20260101120000", "IS": "1", "AS": "040Y"}
_TEXTS = frozenset(("LO", "SH", "PN", "AE"))
_TIMES = frozenset(("DA", "TM", "DT"))


def match(query: Dataset, number: int) -> Dataset:
    """Returns the match of this number: the keys of the query, with values where it asks for any (PS3.4 C.2.2.2)."""
    found = Dataset()
    for element in query:
        value = element.value
        if element.VR == "SQ":
            value = [match(item, number) for item in value or ()]
        elif not _is_single(element.VR, value):
            value = _value(element, number)
        found.add_new(element.tag, element.VR, value)
    return found


def _value(element: DataElement, number: int) -> str:
    if element.keyword in _BY_KEYWORD:
        return _BY_KEYWORD[element.keyword]
    if element.VR == "UI":
        # The same for the same question (PS3.5 B.2).
        return f"2.25.{uuid5(NAMESPACE_OID, f'{element.keyword}.{number}').int}"
    return f"MATCH{number}" if element.VR in _TEXTS else _BY_VR.get(element.VR, "")


def _is_single(vr: str, value: object) -> bool:
    """Whether a key asks for this one value, not for all or for those in a range or list or of a pattern."""
    if not value or not isinstance(value, str):
        return bool(value) and not isinstance(value, (list, tuple))
    return not ("*" in value or "?" in value or (vr in _TIMES and "-" in value))
