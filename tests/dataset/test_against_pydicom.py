"""Every file of pydicom's, value by value, with pydicom as the oracle."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import pydicom
import pydicom.multival
import pydicom.valuerep
import pytest
from pydicom_files import names, sample

from aiodicom.dataset import Dataset
from aiodicom.standard.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)

pytestmark = pytest.mark.filterwarnings("ignore")

NATIVE = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
TRUNCATED = {
    "test_files/MR_truncated.dcm": "(7FE0,0010)",
    "test_files/rtplan_truncated.dcm": "(300A,00B0)",
    # Its last item is longer than the sequence and the file.
    "test_files/dicomdirtests/DICOMDIR-nooffset": "(0004,1220)",
}
SWAPPED = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

#: An unknown VR; UIDs with leading zeros.
NOT_STRICT = {"test_files/badVR.dcm", "test_files/ExplVR_BigEnd.dcm"} | {
    f"test_files/rtdose{rest}.dcm" for rest in ("", "_1frame", "_expb", "_expb_1frame")
}


def plain(value: Any) -> Any:
    """A value of either side without what the two only say in different ways: padding, emptiness, types of text."""
    if isinstance(value, (list, pydicom.multival.MultiValue)):
        return [plain(one) for one in value] or None
    if isinstance(value, pydicom.valuerep.PersonName):
        value = str(value)
    if isinstance(value, str):
        return value.strip(" \0") or None
    return None if value == b"" else value


def differences(ours: Dataset, theirs: pydicom.Dataset, path: str = "") -> Iterator[str]:
    if [int(tag) for tag in ours.keys()] != sorted(int(tag) for tag in theirs.keys()):  # noqa: SIM118
        yield f"{path}: other tags"
        return
    for element in ours:
        where = f"{path}{element.tag}"
        oracle = theirs[int(element.tag)]
        if element.vr != oracle.VR:
            yield f"{where}: {element.vr}, not {oracle.VR}"
        elif element.vr == "SQ":
            if len(element.value) != len(oracle.value):
                yield f"{where}: {len(element.value)} items, not {len(oracle.value)}"
            for number, (mine, other) in enumerate(zip(element.value, oracle.value, strict=True)):
                yield from differences(mine, other, f"{where}[{number}].")
        else:
            value = bytes(element.raw) if element.vr in SWAPPED and not ours.is_little_endian else element.value
            if plain(value) != plain(oracle.value):
                yield f"{where} {element.vr}: {value!r}, not {oracle.value!r}"


@pytest.mark.parametrize("name", names())
def test_every_value(name: str) -> None:
    one = sample(name)
    data_set = Dataset.from_bytes(one.data, one.transfer_syntax)
    assert not list(differences(data_set, one.oracle()))
    assert (data_set.truncated is not None) == (name in TRUNCATED)
    if data_set.truncated is not None:
        assert data_set.truncated.path == TRUNCATED[name]


@pytest.mark.parametrize("name", names())
def test_untouched_is_byte_identical(name: str) -> None:
    one = sample(name)
    data_set = Dataset.from_bytes(one.data, one.transfer_syntax)
    assert data_set.to_bytes() == one.data
    for element in data_set.iterall():
        assert element.value is element.value or element.vr not in ("SQ",)
    assert data_set.to_bytes() == one.data
    assert data_set.copy().to_bytes() == one.data


def without_group_lengths(data_set: Dataset) -> Dataset:
    for element in list(data_set):
        if element.tag.element == 0:
            del data_set[element.tag]
        elif element.vr == "SQ":
            for item in element.value:
                without_group_lengths(item)
    return data_set


def expected(data_set: Dataset, syntax: str) -> Dataset:
    """What must come back: implicit VR turns what is private and unknown to UN, and pixels to OW (PS3.5 A.1)."""
    without_group_lengths(data_set)
    for element in list(data_set):
        if element.vr == "SQ":
            for item in element.value:
                expected(item, syntax)
        elif syntax == IMPLICIT_VR_LITTLE_ENDIAN:
            if element.vr == "OB" and element.tag == 0x7FE00010:
                element.vr = "OW"
            elif element.tag.is_private and not element.tag.is_private_creator:
                del data_set[element.tag]
        elif element.vr == "UN" and element.length & 1:
            element.value = element.value + b"\0"
    return data_set


def without_private(data_set: Dataset) -> Dataset:
    for element in list(data_set):
        if element.vr == "SQ" and not element.is_private:
            for item in element.value:
                without_private(item)
        elif element.is_private and not element.tag.is_private_creator:
            del data_set[element.tag]
    return data_set


@pytest.mark.parametrize("lengths", ["kept", "explicit", "undefined"])
@pytest.mark.parametrize("name", names())
def test_transcoded(name: str, lengths: str) -> None:
    one = sample(name)
    if transfer_syntax(one.transfer_syntax).encapsulated or name in TRUNCATED or "nested_priv" in name:
        return
    if "meta_missing" in name:
        return
    for syntax in NATIVE:
        data_set = Dataset.from_bytes(one.data, one.transfer_syntax)
        encoded = data_set.to_bytes(syntax, lengths=lengths)
        again = without_group_lengths(Dataset.from_bytes(encoded, syntax, strict=name not in NOT_STRICT))
        wanted = expected(data_set, syntax)
        if syntax == IMPLICIT_VR_LITTLE_ENDIAN:
            without_private(again)
            without_private(wanted)
        assert again == wanted


@pytest.mark.parametrize("name", names())
def test_pydicom_reads_what_was_changed(name: str) -> None:
    one = sample(name)
    syntax = one.transfer_syntax
    if transfer_syntax(syntax).deflated or name in TRUNCATED:
        return
    data_set = Dataset.from_bytes(one.data, syntax)
    data_set.SOPInstanceUID = "1.2.3.4.5"
    data_set.PatientComments = "changed"
    encoding = transfer_syntax(syntax)
    theirs = pydicom.dcmread(_file(data_set.to_bytes(), syntax), force=True)
    assert theirs.SOPInstanceUID == "1.2.3.4.5"
    assert theirs.PatientComments == "changed"
    assert (theirs.is_implicit_VR, theirs.is_little_endian) == (not encoding.explicit, encoding.little_endian)
    assert not list(differences(without_group_lengths(data_set), theirs))


def _file(data: bytes, syntax: str) -> io.BytesIO:
    meta = Dataset()
    meta.TransferSyntaxUID = syntax
    return io.BytesIO(b"\0" * 128 + b"DICM" + meta.to_bytes() + data)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "rtplan.dcm", "693_J2KI.dcm", "MR_small_RLE.dcm", "ExplVR_BigEnd.dcm"]
)
@pytest.mark.parametrize("defer_size", [0, 100, 1000])
def test_from_a_file_long_values_left_there(name: str, defer_size: int) -> None:
    one = sample(f"test_files/{name}")
    whole = Dataset.from_bytes(one.data, one.transfer_syntax, offset=one.offset)
    data_set = Dataset.from_file(one.path, one.transfer_syntax, offset=one.offset, defer_size=defer_size)
    assert any(element.deferred for element in data_set) == any(
        element.length > max(defer_size, 512) and element.vr != "SQ" for element in whole
    )
    assert [element.offset for element in data_set] == [element.offset for element in whole]
    assert data_set == whole
    assert data_set.to_bytes() == one.data
    for each in (whole, data_set):
        each.PatientName = "A^B"
    assert data_set.to_bytes() == whole.to_bytes()


def test_warnings_are_not_hidden_by_reading() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = sample("test_files/CT_small.dcm")
        assert Dataset.from_bytes(one.data, one.transfer_syntax).PatientID == "1CT1"


@pytest.mark.parametrize("name", [f"test_files/{name}.dcm" for name in ("CT_small", "rtplan", "test-SR", "MR_small")])
@pytest.mark.parametrize("syntax", [syntax for syntax in NATIVE if syntax != DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN])
def test_a_wrong_label(name: str, syntax: str) -> None:
    one = sample(name)
    data_set = Dataset.from_bytes(one.data, one.transfer_syntax)
    encoded = data_set.to_bytes(syntax)
    for label in (*NATIVE, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = (Dataset.from_bytes(encoded, label), Dataset.from_file(io.BytesIO(encoded), label))
        for again in read:
            assert again.is_implicit_VR == (syntax == IMPLICIT_VR_LITTLE_ENDIAN)
            assert again.is_little_endian == (syntax != EXPLICIT_VR_BIG_ENDIAN)
            assert again.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN) == Dataset.from_bytes(encoded, syntax).to_bytes(
                EXPLICIT_VR_LITTLE_ENDIAN
            )
