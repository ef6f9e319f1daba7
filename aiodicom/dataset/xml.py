"""The Native DICOM Model (PS3.19 A.1): data sets to XML and back.

What is read may come from anybody: document type declarations are refused, so there are neither external entities nor
any that expand.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from aiodicom.errors import DecodeError
from aiodicom.standard.dictionary import entry_for_tag, keyword_for_tag

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as PydicomDataset

    from aiodicom.dataset import DataElement, Dataset

__all__ = ["NAMESPACE", "from_xml", "to_xml"]

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_FLOAT = frozenset(("FL", "FD"))
_INTEGER = frozenset(("SL", "SS", "SV", "UL", "US", "UV"))
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_HEX_DIGITS = frozenset("0123456789ABCDEFabcdef")
_NOT_FINITE = {"NaN": math.nan, "INF": math.inf, "-INF": -math.inf, "inf": math.inf, "-inf": -math.inf}

#: Sequences nest this deep, each by three XML elements; nothing else may nest deeper either.
_MAX_DEPTH = 64

#: An element's bulk value to the URI under which it is to be found, or None for it to stand in the text.
BulkTo = Callable[["DataElement"], "str | None"]
#: Tag, VR and URI of a bulk value to its bytes.
BulkFrom = Callable[[int, str, str], "bytes | None"]


@cache
def _not_xml() -> re.Pattern[str]:
    """What XML 1.0 2.2 has no place for."""
    return re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(value: str) -> str:
    # Carriage returns would come back as line feeds (XML 1.0 2.11); what XML cannot say is replaced.
    return escape(_not_xml().sub("\ufffd", value), {"\r": "&#13;"})


def _quoted(value: str) -> str:
    return quoteattr(_not_xml().sub("\ufffd", value))


def to_xml(
    data_set: Dataset | PydicomDataset,
    *,
    bulk: str = "inline",
    bulk_uri: BulkTo | None = None,
    bulk_threshold: int = 1024,
) -> str:
    """The data set, ours or pydicom's, as a NativeDicomModel document (PS3.19 A.1.5), to be encoded in UTF-8.

    `bulk` says what becomes of binary values: ``"inline"`` or ``"omit"``. `bulk_uri` is called with each element that
    has more than `bulk_threshold` bytes of one, and gives the URI of its BulkData, or None for it to stand in the text.
    """
    if bulk not in ("inline", "omit"):
        raise ValueError(f"bulk is 'inline' or 'omit', not {bulk!r}")
    from .interop import ours

    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">\n',
    ]
    _Writer(parts, bulk, bulk_uri, bulk_threshold).data_set(ours(data_set))
    parts.append("</NativeDicomModel>\n")
    return "".join(parts)


class _Writer:
    def __init__(self, parts: list[str], bulk: str, bulk_uri: BulkTo | None, bulk_threshold: int) -> None:
        self.parts = parts
        self.bulk, self.bulk_uri, self.bulk_threshold = bulk, bulk_uri, bulk_threshold

    def data_set(self, data_set: Dataset) -> None:
        creators: dict[int, str] = {}
        for element in data_set:
            tag = int(element.tag)
            creator = None
            if tag & 0x10000:
                if 0x10 <= tag & 0xFFFF <= 0xFF and isinstance(element.value, str):
                    creators[tag] = element.value
                elif tag & 0xFF00:
                    creator = creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF)
                    others = [known for known in creators if known >> 16 == tag >> 16 and creators[known] == creator]
                    if creator is not None and len(others) == 1:
                        # PS3.19 A.1.6: the block number is left out, for the creator says which block it is.
                        tag &= 0xFFFF00FF
            self.element(tag, element, creator)

    def element(self, tag: int, element: DataElement, creator: str | None) -> None:
        keyword = keyword_for_tag(tag) if not tag & 0x10000 else ""
        head = f'<DicomAttribute tag="{tag:08X}" vr="{element.vr}"'
        if keyword:
            head += f' keyword="{keyword}"'
        if creator is not None:
            head += f" privateCreator={_quoted(creator)}"
        self.parts.append(head + ">")
        self.contents(element)
        self.parts.append("</DicomAttribute>\n")

    def contents(self, element: DataElement) -> None:
        vr, parts = element.vr, self.parts
        if vr == "SQ":
            for number, item in enumerate(element.value, 1):
                parts.append(f'\n<Item number="{number}">\n')
                self.data_set(item)
                parts.append("</Item>")
            return
        value = element.value
        if value is None or element.is_empty:  # a number of blanks alone is none
            return
        if vr in _BINARY or isinstance(value, (bytes, bytearray, memoryview)):
            uri = self.bulk_uri(element) if self.bulk_uri is not None and len(value) > self.bulk_threshold else None
            if uri is not None:
                parts.append(f"<BulkData uri={_quoted(uri)}/>")
            elif self.bulk == "inline":
                parts.append(f"<InlineBinary>{base64.b64encode(value).decode('ascii')}</InlineBinary>")
            return
        for number, one in enumerate(value if isinstance(value, list) else [value], 1):
            if vr == "PN":
                self.person_name(number, str(one))
            else:
                parts.append(f'<Value number="{number}">{_text(_value_text(vr, one))}</Value>')

    def person_name(self, number: int, name: str) -> None:
        groups = name.split("=")[:3]
        self.parts.append(f'<PersonName number="{number}">')
        for place, (group, text) in enumerate(zip(_GROUPS, groups, strict=False), 1):
            if text or (place == len(groups) > 1):
                self.parts.append(f"<{group}>{_components(text)}</{group}>")
        self.parts.append("</PersonName>")


def _components(group: str) -> str:
    """The components that are not empty; of trailing empty ones the last, for the text to come back as it was."""
    # What is beyond the fifth component stays with the fifth.
    components = group.split("^", 4)
    return "".join(
        f"<{label}>{_text(component)}</{label}>"
        for place, (label, component) in enumerate(zip(_COMPONENTS, components, strict=False), 1)
        if component or (place == len(components) > 1)
    )


def _value_text(vr: str, value: Any) -> str:
    if vr == "AT":
        return f"{value:08X}"
    if vr in _FLOAT and isinstance(value, float):
        if math.isfinite(value):
            return repr(float(value))
        return "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"
    return str(value)


def from_xml(source: str | bytes, *, bulk_reader: BulkFrom | None = None) -> Dataset:
    """The data set of a NativeDicomModel document.

    `bulk_reader` is called with tag, VR and URI of each BulkData and gives the bytes; without it such values are empty.
    Raises DecodeError for what is no such document, and for any that has a document type declaration.
    """
    root = _parse(source)
    if root.name != "NativeDicomModel":
        raise DecodeError(f"the document is a {root.name}, not a NativeDicomModel")
    return _Reader(bulk_reader).data_set(root, "", 0)


class _Node:
    """An XML element: name without namespace, attributes, children, text."""

    __slots__ = ("attributes", "children", "name", "texts")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name.rpartition(" ")[2]
        self.attributes = attributes
        self.children: list[_Node] = []
        self.texts: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def named(self, *names: str) -> Iterator[_Node]:
        return (child for child in self.children if child.name in names)


def _parse(source: str | bytes) -> _Node:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    top = _Node("", {})
    stack = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > 3 * _MAX_DEPTH + 8:
            raise DecodeError("elements are nested too deeply", parser.CurrentByteIndex)
        node = _Node(name, attributes)
        stack[-1].children.append(node)
        stack.append(node)

    def refuse(*_: Any) -> None:
        raise DecodeError("a document type declaration", parser.CurrentByteIndex)

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: stack.pop()
    parser.CharacterDataHandler = lambda text: stack[-1].texts.append(text)
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(source, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # an encoding that nobody knows is a LookupError
        # There is no index where nothing was parsed.
        offset = parser.CurrentByteIndex if parser.CurrentByteIndex >= 0 else None
        raise DecodeError(f"not XML: {error}", offset) from error
    return top.children[0]


class _Reader:
    def __init__(self, bulk_reader: BulkFrom | None) -> None:
        from aiodicom.dataset import DataElement, Dataset, Sequence

        self.bulk_reader = bulk_reader
        self.new_data_set, self.new_element, self.new_sequence = Dataset, DataElement, Sequence

    def data_set(self, parent: _Node, path: str, depth: int) -> Dataset:
        if depth > _MAX_DEPTH:
            raise DecodeError("sequences are nested too deeply", None, path)
        data_set = self.new_data_set()
        blocks: dict[tuple[int, str], int] = {}
        nodes = [(_tag(node, path), node) for node in parent.named("DicomAttribute")]
        for tag, node in nodes:
            if tag & 0x10000 and 0x10 <= tag & 0xFFFF <= 0xFF and "privateCreator" not in node.attributes:
                for value in node.named("Value"):
                    blocks.setdefault((tag >> 16, value.text), tag & 0xFF)
        for tag, node in nodes:
            creator = node.attributes.get("privateCreator")
            if creator is not None and tag & 0x10000 and not tag & 0xFF00:
                block = blocks.get((tag >> 16, creator))
                if block is None:
                    taken = {number for (group, _), number in blocks.items() if group == tag >> 16}
                    block = next((number for number in range(0x10, 0x100) if number not in taken), 0)
                    if not block:
                        raise DecodeError(
                            f"no block is left for a private creator in group {tag >> 16:04X}", None, path
                        )
                    blocks[tag >> 16, creator] = block
                    data_set.add(self.new_element(tag & 0xFFFF0000 | block, "LO", creator))
                tag |= block << 8
            where = f"{path}.{tag:08X}" if path else f"{tag:08X}"
            vr = node.attributes.get("vr") or _dictionary_vr(tag)
            try:
                data_set.add(self.new_element(tag, vr, self.value(tag, vr, node, where, depth)))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise DecodeError(f"no value of VR {vr}: {error}", None, where) from error
        return data_set

    def value(self, tag: int, vr: str, node: _Node, where: str, depth: int) -> Any:
        if vr == "SQ":
            items = enumerate(_numbered(node, "Item"))
            return self.new_sequence(
                self.data_set(item, f"{where}[{number}]", depth + 1) if item else self.new_data_set()
                for number, item in items
            )
        for inline in node.named("InlineBinary"):
            return _base64(inline.text, where)
        for bulk in node.named("BulkData"):
            return self.bulk(tag, vr, bulk)
        values = [_python_value(vr, one) for one in _numbered(node, "PersonName" if vr == "PN" else "Value")]
        if not values:
            return None if vr in _BINARY or vr in _FLOAT or vr in _INTEGER or vr in ("AT", "DS", "IS") else ""
        return values[0] if len(values) == 1 else values

    def bulk(self, tag: int, vr: str, node: _Node) -> bytes | None:
        uri = node.attributes.get("uri") or node.attributes.get("uuid") or ""
        return self.bulk_reader(tag, vr, uri) if self.bulk_reader is not None else None


def _tag(node: _Node, path: str) -> int:
    text = node.attributes.get("tag", "")
    # `int` would take signs, spaces and underscores too.
    if len(text) == 8 and {*text} <= _HEX_DIGITS:
        return int(text, 16)
    raise DecodeError(f"a DicomAttribute without a tag: {text!r}", None, path)


def _base64(text: str, where: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text) or None
    except binascii.Error as error:
        raise DecodeError(f"InlineBinary is not base64: {error}", None, where) from error


def _dictionary_vr(tag: int) -> str:
    entry = entry_for_tag(tag)
    return "UN" if entry is None or entry.vr == "NONE" else entry.vr[-2:]


def _numbered(node: _Node, name: str) -> list[_Node | None]:
    """Children in the order of their ``number``, which counts from 1; None where one is missing (PS3.19 A.1.5)."""
    children = list(node.named(name))
    found: dict[int, _Node] = {}
    for place, child in enumerate(children, 1):
        try:
            number = int(child.attributes.get("number", place))
        except ValueError:
            number = place
        # A number far off would stand for as many empty values.
        found[number if 0 < number <= len(children) + 1024 else place] = child
    return [found.get(number) for number in range(1, max(found, default=0) + 1)]


def _python_value(vr: str, node: _Node | None) -> Any:
    if node is None:
        return ""
    if vr == "PN":
        return _joined("=", _GROUPS, {group.name: _person_group(group) for group in node.named(*_GROUPS)})
    text = node.text
    if vr == "AT":
        return int(text, 16)
    if vr in _FLOAT:
        return _NOT_FINITE[text] if text in _NOT_FINITE else float(text)
    if vr in _INTEGER:
        return int(text)
    return text


def _person_group(node: _Node) -> str:
    return _joined("^", _COMPONENTS, {component.name: component.text for component in node.named(*_COMPONENTS)})


def _joined(delimiter: str, names: tuple[str, ...], found: dict[str, str]) -> str:
    """The parts in their order, up to the last one that is there."""
    count = max((names.index(name) + 1 for name in found), default=0)
    return delimiter.join(found.get(name, "") for name in names[:count])
