"""What is fuzzed: functions that take any bytes, and raise only where something is wrong.

Each decodes, asks for everything, encodes, decodes again, and demands the same. A DecodeError says no and is an outcome
like any other; so is the ValueError that encoding documents, where a program could have set such a value.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import shutil
import struct
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from aiodicom.dataset import DataElement, Dataset
from aiodicom.dataset.json import from_json, to_json_dict
from aiodicom.dataset.xml import from_xml, to_xml
from aiodicom.errors import DecodeError
from aiodicom.part10.dicomdir import DirectoryRecord, read_dicomdir
from aiodicom.part10.reader import dcmread
from aiodicom.part10.writer import dcmwrite
from aiodicom.standard.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from tests.fuzz.pixel_targets import encapsulated, palette, pixel_seeds, rle, stream_head

__all__ = ["SYNTAXES", "TARGETS"]

#: JPEG Baseline stands for all that are encapsulated.
SYNTAXES = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.4.50",
)
#: What is longer is cut, for time's sake.
SEED_SIZE = 1500

_LIMITS = {"max_depth": 16, "max_elements": 4096}


def read_everything(data_set: Dataset) -> None:
    """Asks for all that an element says of itself."""
    for each in data_set.iterall():
        _ = (each.vr, each.value, each.values, each.VM, each.keyword, each.name, each.text, str(each))
        _ = (each.is_empty, each.offset, each.truncated, each.undefined_length)
        # A value that was set may turn out to be none when it is encoded.
        with suppress(*(ValueError, OverflowError) if each.offset is None else ()):
            _ = (bytes(each.raw), each.length)
            if each.vr in ("US", "OW", "FD", "AT"):
                each.to_numpy()
        if each.undefined_length and each.vr != "SQ":
            with suppress(DecodeError):
                _ = each.fragments
        for parsed in ("date", "time", "datetime", "components", "decimal"):
            for value in each.values if each.vr in ("DA", "TM", "DT", "PN", "DS") else ():
                getattr(value, parsed, None)


def _elements(data_set: Dataset) -> list[DataElement]:
    """Without group lengths, which are not encoded anew (PS3.5 7.2), and (0000,0000): zeros are an element in front of
    others, padding where nothing follows.
    """
    return [element for element in data_set if element.tag & 0xFFFF or 0 < element.tag >> 16 <= 2]


def differs(a: Dataset, b: Dataset, path: str = "") -> str:
    """Where the two say something else, padding to an even length apart; empty where they do not."""
    if [element.tag for element in _elements(a)] != [element.tag for element in _elements(b)]:
        return f"{path} has other elements: {a.keys()}, {b.keys()}"
    for mine, other in zip(_elements(a), _elements(b), strict=True):
        where = f"{path}.{mine.tag}"
        if mine.vr != other.vr:
            return f"{where} is {mine.vr}, {other.vr}"
        if mine.vr == "SQ":
            if len(mine.value) != len(other.value):
                return f"{where} has {len(mine.value)}, {len(other.value)} items"
            for number, (one, two) in enumerate(zip(mine.value, other.value, strict=True)):
                found = differs(one, two, f"{where}[{number}]")
                if found:
                    return found
        elif not mine.truncated and repr(mine.value) != repr(other.value):
            raw = bytes(mine.raw)
            if len(raw) % 2 == 0 or bytes(other.raw)[: len(raw)] != raw:
                return f"{where} {mine.vr} is {mine.value!r}, {other.value!r}"
    return ""


def data_set(data: bytes) -> None:
    """A data set: the first byte chooses transfer syntax and strictness, the second what is done with it."""
    if len(data) < 2:
        return
    syntax, strict, purpose, data = SYNTAXES[(data[0] & 7) % 5], bool(data[0] & 8), data[1], data[2:]
    try:
        decoded = Dataset.from_bytes(data, syntax, strict=strict, max_inflated=1 << 20, **_LIMITS)
        read_everything(decoded)
    except DecodeError as error:
        _documented(error, len(data))
        return
    if syntax != DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        _same(decoded.to_bytes() == data == b"".join(decoded.to_parts()), "an untouched data set is encoded otherwise")
    # In what it is in, though its label may be wrong.
    actual = syntax
    if SYNTAXES.index(syntax) < 3:
        actual = SYNTAXES[0 if decoded.is_implicit_VR else 1 if decoded.is_little_endian else 2]
    kind = purpose % 6
    if kind < 3:
        _again(decoded, actual, ("kept", "explicit", "undefined")[kind])
    elif kind == 3:
        _in_another(decoded, SYNTAXES[(purpose // 6) % 5])
    elif kind == 4:
        _as_json(decoded)
    else:
        _as_xml(decoded)


def _same(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _documented(error: DecodeError, size: int) -> None:
    """An error says why, and where."""
    _same(bool(error.reason), "an error without a reason")
    _same(error.offset is None or 0 <= error.offset <= max(size, 1 << 20), f"an offset beyond the data: {error}")


def _again(decoded: Dataset, syntax: str, lengths: str) -> None:
    """Encodes everything anew, for something has changed."""
    decoded.SOPInstanceUID = "1.2.3"
    try:
        encoded = decoded.to_bytes(syntax, lengths=lengths)
    except ValueError as error:
        _same("encapsulated" in str(error), f"not encoded: {error}")
        return
    again = Dataset.from_bytes(encoded, syntax, **_LIMITS)
    read_everything(again)
    found = differs(decoded, again)
    _same(not found, found)
    _same(again.to_bytes(syntax) == encoded, "encoded a second time it is something else")


def _in_another(decoded: Dataset, syntax: str) -> None:
    try:
        encoded = decoded.to_bytes(syntax)
    except ValueError:
        return
    again = Dataset.from_bytes(encoded, syntax, **_LIMITS)
    # Implicit VR does not keep that something was no sequence.
    with suppress(*(DecodeError,) if syntax == IMPLICIT_VR_LITTLE_ENDIAN else ()):
        read_everything(again)
    _same(_tags(again) == _tags(decoded), "it has other elements")


def _tags(data_set: Dataset) -> list[int]:
    return [element.tag for element in _elements(data_set)]


def _as_json(decoded: Dataset) -> None:
    text = decoded.to_json()
    _same(_parsed(text) == _parsed(_written(decoded)), "compiled JSON is not what Python's is")
    # Padding in front of what should be a number does not come back.
    once = from_json(text).to_json()
    _same(from_json(once).to_json() == once, "JSON does not come back as it was")


def _written(decoded: Dataset) -> str:
    """What Python writes; halves of surrogate pairs, which JSON may have and UTF-8 has not, as they are encoded."""
    return json.dumps(to_json_dict(decoded), ensure_ascii=False).encode("utf-8", "replace").decode()


def _parsed(text: str) -> object:
    """JSON with each number as what a double has of it: a decimal string may have more digits."""
    return json.loads(text, parse_int=float)


def _as_xml(decoded: Dataset) -> None:
    try:
        once = to_xml(from_xml(to_xml(decoded)))
    except DecodeError:
        return  # numbers that are none may have characters that XML has not
    _same(to_xml(from_xml(once)) == once, "XML does not come back as it was")


def file(data: bytes) -> None:
    """A file, whole and with what is long left behind."""
    try:
        decoded = dcmread(io.BytesIO(data), max_depth=16, max_inflated=1 << 20, force=data[:1] == b"F")
        read_everything(decoded)
        if decoded.file_meta is not None:
            read_everything(decoded.file_meta)
    except DecodeError:
        return
    target = io.BytesIO()
    try:
        dcmwrite(target, decoded)
    except ValueError:
        return
    again = dcmread(io.BytesIO(target.getvalue()), max_depth=16, max_inflated=1 << 20)
    read_everything(again)
    # A label that the data belie is put right by encoding as it says; implicit VR does not keep VRs.
    if decoded.truncated is None and decoded.is_implicit_VR == again.is_implicit_VR:
        found = differs(decoded, again)
        assert not found, found


@cache
def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="aiodicom-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with open(os.path.join(folder, "IMAGE"), "wb"):
        pass
    return folder


def dicomdir(data: bytes) -> None:
    """A DICOMDIR: nothing that it says may lead out of its folder."""
    folder = _folder()
    with open(os.path.join(folder, "DICOMDIR"), "wb") as target:
        target.write(data)
    try:
        strict = data[:1] == b"S"
        file_set = read_dicomdir(folder, strict=strict)
        records = list(file_set.walk())
        for record in records:
            read_everything(record.keys)
    except DecodeError:
        return
    try:
        for _, path in file_set.files():
            _same(os.path.realpath(path).startswith(folder + os.sep), path)
    except DecodeError:
        pass
    try:
        file_set.write()
    except ValueError:
        return
    # Records are written with whatever else they had, which strict reading may have refused from the beginning.
    again = list(read_dicomdir(folder, strict=strict).walk())
    _same([_named(one) for one in again] == [_named(one) for one in records], "other records were written")


def _named(record: DirectoryRecord) -> tuple[str, tuple[str, ...]]:
    # Padding around values does not come back, nor do control characters in its place.
    kind, *components = ("".join(filter(str.isalnum, part)) for part in (record.record_type, *record.file_id))
    return kind, tuple(components)


def json_text(data: bytes) -> None:
    """A DICOM JSON Model object."""
    try:
        decoded = from_json(data)
    except DecodeError:
        return
    text = decoded.to_json()
    _same(_parsed(text) == _parsed(_written(decoded)), "compiled JSON is not what Python's is")
    _same(from_json(text).to_json() == text, "JSON does not come back as it was")
    _encode(decoded)


def xml_text(data: bytes) -> None:
    """A NativeDicomModel document."""
    try:
        decoded = from_xml(data)
    except DecodeError:
        return
    text = to_xml(decoded)
    _same(to_xml(from_xml(text)) == text, "XML does not come back as it was")
    _encode(decoded)


def _encode(decoded: Dataset) -> None:
    """What a program has made may not be encodable; if it is, it can be read."""
    read_everything(decoded)
    for syntax in SYNTAXES:
        try:
            encoded = decoded.to_bytes(syntax)
        except ValueError:
            continue
        again = Dataset.from_bytes(encoded, syntax)
        read_everything(again)
        _same(_tags(again) == _tags(decoded), "it has other elements")


def _quiet(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target(data)

    return run


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: _quiet(target)
    for target in (data_set, file, dicomdir, json_text, xml_text, rle, encapsulated, stream_head, palette)
}


def seeds() -> dict[str, list[bytes]]:
    """To begin with: small files of pydicom's, and their other forms."""
    import pydicom

    found: dict[str, list[bytes]] = {name: [] for name in TARGETS} | pixel_seeds()
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*")):
        if not (path.suffix == ".dcm" or path.name.startswith("DICOMDIR")) or path.stat().st_size > 1 << 20:
            continue
        content = path.read_bytes()
        name = "dicomdir" if path.name.startswith("DICOMDIR") else "file"
        found[name].append(content[:SEED_SIZE])
        try:
            decoded = dcmread(path, stop_before_pixels=True, force=True)
            for place, syntax in enumerate(SYNTAXES):
                encoded = decoded.to_bytes(syntax)
                if len(encoded) < SEED_SIZE:
                    found["data_set"].append(bytes((place, len(found["data_set"]) % 36)) + encoded)
            if len(content) < SEED_SIZE:
                found["json_text"].append(decoded.to_json().encode())
                found["xml_text"].append(to_xml(decoded).encode())
        except (DecodeError, ValueError):
            continue
    fragments = struct.pack("<HHIHHI4sHHI", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, 4, b"\1\2\3\4", 0xFFFE, 0xE0DD, 0)
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    found["data_set"].append(b"\4\0" + head + fragments)
    return found
