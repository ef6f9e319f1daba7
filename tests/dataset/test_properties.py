"""Any data set encodes and decodes to itself, in every transfer syntax, with lengths of either kind."""

from __future__ import annotations

import copy
import pickle
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiodicom.dataset import DS, IS, DataElement, Dataset
from aiodicom.standard.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

SYNTAXES = [
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
]

CHARACTERS = "".join(sorted(set(string.printable) - set("\\\r\n\t\f\v ^="))) + "äÖéßЖלαあ漢字한"


def text(size: int, characters: str = CHARACTERS) -> st.SearchStrategy[str]:
    return st.text(characters, min_size=1, max_size=size)


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, st.lists(values, min_size=2, max_size=5), st.none())


def integers(low: int, high: int) -> st.SearchStrategy[Any]:
    return several(st.integers(low, high))


def buffers(word: int) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.binary(min_size=1, max_size=6).map(lambda data: data * (word if word > 1 else 2)))


def floats(width: Any) -> st.SearchStrategy[Any]:
    return several(st.floats(width=width, allow_nan=False))


UIDS = st.lists(st.integers(0, 99999), min_size=1, max_size=8).map(lambda parts: ".".join(map(str, parts)))
NAMES = st.lists(text(8), min_size=1, max_size=5).map("^".join)

#: A keyword of each VR, with values.
VALUES: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "AE": ("RetrieveAETitle", several(text(16, string.ascii_uppercase))),
    "AS": ("PatientAge", st.integers(0, 999).map(lambda years: f"{years:03}Y")),
    "AT": ("FrameIncrementPointer", several(st.integers(0, 0xFFFFFFFF))),
    "CS": ("ImageType", several(text(16, string.ascii_uppercase + "_"))),
    "DA": ("StudyDate", st.dates().map(lambda date: date.strftime("%Y%m%d").zfill(8))),
    "DS": ("PixelSpacing", several(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.just(DS("1.50"))))),
    "DT": ("AcquisitionDateTime", st.just("20260102030405.123456+0100")),
    "FD": ("EventTimeOffset", floats(64)),
    "FL": ("TableOfParameterValues", floats(32)),
    "IS": ("InstanceNumber", several(st.one_of(st.integers(-(2**31), 2**31 - 1), st.just(IS("+07"))))),
    "LO": ("PatientID", several(text(64))),
    "LT": ("PatientComments", text(200, CHARACTERS + "\\")),
    "OB": ("ICCProfile", buffers(1)),
    "OD": ("DoubleFloatPixelData", buffers(8)),
    "OF": ("FloatPixelData", buffers(4)),
    "OL": ("LongPrimitivePointIndexList", buffers(4)),
    "OV": ("ExtendedOffsetTable", buffers(8)),
    "OW": ("RedPaletteColorLookupTableData", buffers(2)),
    "PN": ("PatientName", several(NAMES)),
    "SH": ("AccessionNumber", several(text(16))),
    "SL": ("ReferencePixelX0", integers(-(2**31), 2**31 - 1)),
    "SS": ("TagAngleSecondAxis", integers(-(2**15), 2**15 - 1)),
    "ST": ("InstitutionAddress", text(100, CHARACTERS + "\\")),
    "SV": ("SelectorSVValue", integers(-(2**63), 2**63 - 1)),
    "TM": ("StudyTime", st.times().map(lambda time: time.strftime("%H%M%S.%f"))),
    "UC": ("StrainDescription", several(text(100))),
    "UI": ("SOPInstanceUID", several(UIDS)),
    "UL": ("SimpleFrameList", integers(0, 2**32 - 1)),
    "UR": ("RetrieveURL", text(40, string.ascii_letters)),
    "US": ("Rows", integers(0, 2**16 - 1)),
    "UT": ("TextValue", text(300, CHARACTERS + "\\")),
    "UV": ("SelectorUVValue", integers(0, 2**64 - 1)),
}


def data_sets(items: st.SearchStrategy[Dataset] | None) -> st.SearchStrategy[Dataset]:
    parts: dict[str, st.SearchStrategy[Any]] = dict(VALUES.values())
    if items is not None:
        parts["ReferencedSeriesSequence"] = st.lists(items, max_size=3)
        parts["ContentSequence"] = st.lists(items, max_size=2)
    return st.fixed_dictionaries({}, optional=parts).map(lambda values: Dataset(**values))


NESTED = data_sets(data_sets(data_sets(None)))


@st.composite
def whole(draw: st.DrawFn) -> Dataset:
    data_set = draw(NESTED)
    data_set.SpecificCharacterSet = "ISO_IR 192"
    if draw(st.booleans()):
        block = data_set.private_block(0x0099, "AIODICOM TEST", create=True)
        block.add_new(1, "UN", draw(st.binary(min_size=1, max_size=4).map(lambda data: data * 2)))
    return data_set


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(whole(), st.sampled_from(["kept", "explicit", "undefined"]))
def test_there_and_back(data_set: Dataset, lengths: str) -> None:
    for syntax in SYNTAXES:
        encoded = data_set.to_bytes(syntax, lengths=lengths)
        decoded = Dataset.from_bytes(encoded, syntax, strict=True)
        assert decoded == data_set
        assert decoded.to_bytes() == encoded
        for other in SYNTAXES:
            assert Dataset.from_bytes(decoded.to_bytes(other), other, strict=True) == data_set


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(whole(), whole())
def test_changes_take_the_place_of_what_was_decoded(first: Dataset, second: Dataset) -> None:
    wanted = Dataset()
    for element in [*first, *second]:
        wanted.add(copy.copy(element))
    for syntax in SYNTAXES:
        decoded = Dataset.from_bytes(first.to_bytes(syntax), syntax)
        decoded.update(second)
        assert decoded == wanted
        assert list(decoded.keys()) == sorted(decoded.keys())
        assert Dataset.from_bytes(decoded.to_bytes(syntax), syntax, strict=True) == wanted
        for element in second:
            del decoded[element.tag]
        assert not any(element.tag in decoded for element in second)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(whole())
def test_copies_are_equal_and_apart(data_set: Dataset) -> None:
    decoded = Dataset.from_bytes(data_set.to_bytes())
    for one in (data_set, decoded):
        for twin in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
            assert twin == one
            twin.PatientBirthName = "changed"
            assert "PatientBirthName" not in one
    deep = copy.deepcopy(decoded)
    for element in deep.iterall():
        if element.vr == "LO" and element.tag == 0x00100020:
            element.value = "changed"
    assert decoded == data_set


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("vr", ["DS", "LO", "US", "FD", "AT", "PN"])
def test_more_than_64_kib_becomes_un_and_comes_back(vr: str, syntax: str) -> None:
    """PS3.5 6.2.2: a length that the short form cannot say is written under VR UN, in little endian."""
    keyword = VALUES[vr][0]
    value = {"DS": [DS(1.5)] * 30_000, "LO": ["häß"] * 20_000, "PN": ["Ä^B"] * 20_000}.get(vr, [3] * 40_000)
    data_set = Dataset([DataElement("SpecificCharacterSet", "CS", "ISO_IR 192"), DataElement(keyword, vr, value)])
    encoded = data_set.to_bytes(syntax)
    decoded = Dataset.from_bytes(encoded, syntax, strict=True)
    assert decoded[keyword].vr == vr
    assert decoded == data_set
    assert Dataset.from_bytes(decoded.to_bytes(EXPLICIT_VR_BIG_ENDIAN), EXPLICIT_VR_BIG_ENDIAN) == data_set
