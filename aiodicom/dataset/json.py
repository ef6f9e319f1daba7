"""The DICOM JSON model (PS3.18 F): data sets to JSON and back.

`to_json` gives text, and is fast because compiled code writes it from the encoded elements; `to_json_dict` gives what
``json.loads`` of it would. Bulk values (PS3.18 F.2.7) stand in the text (InlineBinary), are left out, or are handed to
the caller, who says under which URI they are to be found (BulkDataURI).
"""

from __future__ import annotations

import binascii
import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiodicom.errors import DecodeError
from aiodicom.standard.dictionary import entry_for_tag, tag_for_keyword

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as PydicomDataset

    from aiodicom.dataset import DataElement, Dataset

__all__ = ["from_json", "to_json", "to_json_dict"]

#: Says where a bulk value is to be found: a URI, or None for it to stand in the text.
BulkTo = Callable[["DataElement"], "str | None"]
#: Fetches what stands under a URI.
BulkFrom = Callable[[int, str, str], "bytes | None"]

_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_FLOAT = frozenset(("FL", "FD"))
_INTEGER = frozenset(("SL", "SS", "SV", "UL", "US", "UV"))
_HEX_DIGITS = frozenset("0123456789ABCDEFabcdef")
_PERSON_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NOT_FINITE = {"NaN": math.nan, "inf": math.inf, "-inf": -math.inf, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(
    data_set: Dataset | PydicomDataset,
    *,
    bulk: str = "inline",
    bulk_uri: BulkTo | None = None,
    bulk_threshold: int = 1024,
    indent: int | None = None,
) -> str:
    """The data set, ours or pydicom's, as a DICOM JSON Model object (PS3.18 F.2), text in Unicode.

    `bulk` says what becomes of binary values: ``"inline"`` or ``"omit"`` (the element remains, without a value).
    `bulk_uri` is called with each element that has more than `bulk_threshold` bytes of one, and gives the URI that
    stands in its place (PS3.18 F.2.7), or None for it to stay. Decimal strings are numbers, written as they are in the
    data set where JSON allows; what is no number there is a string.
    """
    if bulk not in ("inline", "omit"):
        raise ValueError(f"bulk is 'inline' or 'omit', not {bulk!r}")
    if bulk_uri is None and indent is None:
        from ._dataset import json_text

        return json_text(_ours(data_set), bulk == "inline")
    model = to_json_dict(data_set, bulk=bulk, bulk_uri=bulk_uri, bulk_threshold=bulk_threshold)
    return json.dumps(model, indent=indent, ensure_ascii=False)


def _ours(data_set: Dataset | PydicomDataset) -> Dataset:
    from .interop import ours

    return ours(data_set)


def to_json_dict(
    data_set: Dataset | PydicomDataset,
    *,
    bulk: str = "inline",
    bulk_uri: BulkTo | None = None,
    bulk_threshold: int = 1024,
) -> dict[str, Any]:
    """`to_json` as dictionaries and lists."""
    return {
        f"{element.tag:08X}": _member(element, bulk, bulk_uri, bulk_threshold) for element in _ours(data_set)
    }  # in tag order, which PS3.18 F.2.2 asks for


def _member(element: DataElement, bulk: str, bulk_uri: BulkTo | None, bulk_threshold: int) -> dict[str, Any]:
    vr = element.vr
    member: dict[str, Any] = {"vr": vr}
    if vr == "SQ":
        items = [
            to_json_dict(item, bulk=bulk, bulk_uri=bulk_uri, bulk_threshold=bulk_threshold) for item in element.value
        ]
        if items:
            member["Value"] = items
        return member
    value = element.value
    if value is None or element.is_empty:  # a number of blanks alone is none
        return member
    if vr in _BINARY or isinstance(value, (bytes, bytearray, memoryview)):
        uri = bulk_uri(element) if bulk_uri is not None and len(value) > bulk_threshold else None
        if uri is not None:
            member["BulkDataURI"] = uri
        elif bulk == "inline":
            member["InlineBinary"] = binascii.b2a_base64(value, newline=False).decode("ascii")
        return member
    values = [_json_value(vr, one) for one in (value if isinstance(value, list) else [value])]
    if values != [None]:
        member["Value"] = values
    return member


def _json_value(vr: str, value: Any) -> Any:
    """One value as PS3.18 table F.2.3-1 has it; None where there is none."""
    if vr == "PN":
        groups = {name: group for name, group in zip(_PERSON_GROUPS, str(value).split("="), strict=False) if group}
        return groups or None
    if vr == "AT":
        return f"{value:08X}"
    if vr in _FLOAT:
        if isinstance(value, (int, float)) and not math.isfinite(value):
            return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
        return value
    if vr == "DS" and isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return int(value)
    return str(value) or None


def from_json(source: str | bytes | Mapping[str, Any], *, bulk_reader: BulkFrom | None = None) -> Dataset:
    """The data set of a DICOM JSON Model object: text, or what ``json.loads`` made of it.

    `bulk_reader` is called with tag, VR and URI of each BulkDataURI and gives the bytes; without it such values are
    empty, and a warning (`UserWarning`) says so. Raises DecodeError for what is no such object.
    """
    if isinstance(source, (str, bytes, bytearray)):
        from ._dataset import DS

        try:
            # DS keeps the digits as they are written.
            source = json.loads(source, parse_float=DS)
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"not JSON: {error}") from error
    if not isinstance(source, Mapping):
        raise DecodeError("a DICOM JSON Model object is a JSON object")
    return _Reader(bulk_reader).data_set(source, "", 0)


class _Reader:
    """One pass over a model; `depth` is that of sequences."""

    MAX_DEPTH = 64

    def __init__(self, bulk_reader: BulkFrom | None) -> None:
        from aiodicom.dataset import DataElement, Dataset, Sequence

        self.bulk_reader = bulk_reader
        self.new_data_set, self.new_element, self.new_sequence = Dataset, DataElement, Sequence

    def data_set(self, model: Mapping[str, Any], path: str, depth: int) -> Dataset:
        if depth > self.MAX_DEPTH:
            raise DecodeError("sequences are nested too deeply", None, path)
        data_set = self.new_data_set()
        for key, member in model.items():
            tag = _tag(key)
            where = f"{path}.{key}" if path else key
            if tag is None or not isinstance(member, Mapping):
                raise DecodeError("no attribute of a DICOM JSON Model object", None, where)
            vr = member.get("vr")
            if not isinstance(vr, str):
                entry = entry_for_tag(tag)
                vr = entry.vr[-2:] if entry is not None and entry.vr != "NONE" else "UN"
            try:
                data_set.add(self.new_element(tag, vr, self.value(tag, vr, member, where, depth)))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise DecodeError(f"no value of VR {vr}: {error}", None, where) from error
        return data_set

    def value(self, tag: int, vr: str, member: Mapping[str, Any], where: str, depth: int) -> Any:
        if "InlineBinary" in member:
            text = member["InlineBinary"]
            # Some write a list of one string.
            text = text[0] if isinstance(text, list) and len(text) == 1 else text
            return binascii.a2b_base64(text) if text else None
        if "BulkDataURI" in member:
            return self.bulk(tag, vr, member["BulkDataURI"])
        values = member.get("Value")
        if values is None:
            values = []
        if not isinstance(values, list):
            raise DecodeError("Value is an array (PS3.18 F.2.2)", None, where)
        if vr == "SQ":
            return self.new_sequence(self.items(values, where, depth))
        if not values:
            return None if vr in _BINARY or vr in _FLOAT or vr in _INTEGER or vr in ("AT", "DS", "IS") else ""
        decoded = [_python_value(vr, one) for one in values]
        return decoded[0] if len(decoded) == 1 else decoded

    def items(self, values: Iterable[Any], where: str, depth: int) -> Iterator[Dataset]:
        for number, item in enumerate(values):
            if item is not None and not isinstance(item, Mapping):
                raise DecodeError("an item is a JSON object", None, f"{where}[{number}]")
            yield self.data_set(item or {}, f"{where}[{number}]", depth + 1)

    def bulk(self, tag: int, vr: str, uri: Any) -> bytes | None:
        if not isinstance(uri, str):
            raise TypeError("BulkDataURI is a string")
        if self.bulk_reader is None:
            warnings.warn(f"no reader of bulk data: the value under {uri!r} is left empty", stacklevel=5)
            return None
        return self.bulk_reader(tag, vr, uri)


def _tag(key: Any) -> int | None:
    if not isinstance(key, str):
        return None
    # `int` would take signs, spaces and underscores too.
    return int(key, 16) if len(key) == 8 and {*key} <= _HEX_DIGITS else tag_for_keyword(key)


def _python_value(vr: str, value: Any) -> Any:
    if value is None:
        return ""
    if vr == "PN":
        if isinstance(value, Mapping):
            groups = [value.get(name) or "" for name in _PERSON_GROUPS]
            return "=".join(groups).rstrip("=")
        return str(value)
    if vr == "AT":
        return int(value, 16) if isinstance(value, str) else int(value)
    if vr in _FLOAT:
        return _NOT_FINITE[value] if isinstance(value, str) and value in _NOT_FINITE else float(value)
    if vr in _INTEGER:
        return int(value)
    if vr in ("DS", "IS"):
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise TypeError(f"{value!r} is neither number nor string")
        return value
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value
