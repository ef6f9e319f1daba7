"""The attribute dictionary against pydicom's, and what PS3.5 says of repeating groups and private blocks."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydicom import datadict

from aiodicom.standard import dictionary
from aiodicom.standard._dictionary import ATTRIBUTES
from aiodicom.standard._private import CREATORS

RENAMED = {0x003A0320, 0x003A0325}


def test_every_attribute_of_pydicom_is_there() -> None:
    for tag, (vr, vm, name, retired, keyword) in datadict.DicomDictionary.items():
        entry = dictionary.entry_for_tag(tag)
        assert entry is not None
        if tag not in RENAMED:
            assert entry == (tag, vr, vm, name, keyword, retired != "")


def test_at_least_the_attributes_of_2026b() -> None:
    current = [line for line in ATTRIBUTES.splitlines() if line[10] == "-"]
    assert len(current) >= 4818
    assert len({line[:8] for line in ATTRIBUTES.splitlines()}) == len(ATTRIBUTES.splitlines())


def test_the_additions_win() -> None:
    assert dictionary.tag_for_keyword("SummarizedFilterLookupTableSequence") == 0x003A0320
    assert dictionary.tag_for_keyword("CurrentFrameFunctionalGroupsSequence") == 0x00060001
    assert dictionary.keyword_for_tag(0x0008114C) == "ReferencedSegmentationSequence"


@pytest.mark.parametrize(
    ("tag", "keyword", "name", "vr"),
    [
        (0x00000100, "CommandField", "Command Field", "US"),
        (0x00020010, "TransferSyntaxUID", "Transfer Syntax UID", "UI"),
        (0x00100010, "PatientName", "Patient's Name", "PN"),
        (0x00280106, "SmallestImagePixelValue", "Smallest Image Pixel Value", "US or SS"),
        (0x7FE00010, "PixelData", "Pixel Data", "OB or OW"),
        (0x60003000, "OverlayData", "Overlay Data", "OB or OW"),
    ],
)
def test_both_ways(tag: int, keyword: str, name: str, vr: str) -> None:
    entry = dictionary.entry_for_tag(tag)
    assert entry is not None
    assert (entry.keyword, entry.name, entry.vr) == (keyword, name, vr)
    assert dictionary.tag_for_keyword(keyword) == tag
    assert dictionary.tag_for_name(name) == tag
    assert dictionary.keyword_for_tag(tag) == keyword
    assert dictionary.name_for_tag(tag) == name


def test_every_keyword_leads_back_to_its_tag() -> None:
    for line in ATTRIBUTES.splitlines():
        entry = dictionary.entry_for_tag(int(line[:8], 16))
        assert entry is not None
        if entry.keyword:
            assert dictionary.tag_for_keyword(entry.keyword) == entry.tag
            assert dictionary.entry_for_keyword(entry.keyword) == entry


def test_every_repeating_attribute_of_pydicom_is_there() -> None:
    for mask, (vr, vm, name, retired, keyword) in datadict.RepeatersDictionary.items():
        tag = int(mask.replace("x", "2"), 16)
        entry = dictionary.entry_for_tag(tag)
        assert entry == (tag, vr, vm, name, keyword, retired != "")


@pytest.mark.parametrize("tag", [0x60011010, 0x60FF3000, 0x00091001, 0x0009AAAA, 0x00110001])
def test_odd_groups_are_private(tag: int) -> None:
    assert dictionary.entry_for_tag(tag) is None


def test_group_lengths_and_private_creators() -> None:
    assert dictionary.entry_for_tag(0x00080000) == (
        0x00080000, "UL", "1", "Generic Group Length", "GenericGroupLength", True,
    )  # fmt: skip
    creator = dictionary.entry_for_tag(0x00090010)
    assert creator is not None
    assert creator.vr == "LO"


def test_what_is_unknown() -> None:
    assert dictionary.entry_for_tag(0x00081199 + 0x3000) is None
    assert dictionary.tag_for_keyword("NoSuchKeyword") is None
    assert dictionary.tag_for_keyword("-") is None
    assert dictionary.tag_for_name("") is None
    assert dictionary.entry_for_keyword("") is None
    assert dictionary.keyword_for_tag(0x00090001) == ""
    assert dictionary.private_entry(0x00091001, "NOBODY 1.0") is None


def test_every_private_attribute_of_pydicom_is_there() -> None:
    assert set(CREATORS) == set(datadict.private_dictionaries)
    for creator, attributes in datadict.private_dictionaries.items():
        for key, (vr, vm, name, _) in attributes.items():
            tag = int(key.replace("x", "1").replace("X", "1"), 16)
            if not tag & 0x10000:
                continue
            entry = dictionary.private_entry(tag, creator)
            assert entry is not None, (creator, key)
            if key[4:6] == "xx" and f"{key[:4]}11{key[6:]}" not in attributes:
                assert (entry.vr, entry.vm, entry.name) == (vr.replace("_", " or "), vm, name.rstrip())


def test_private_blocks_move() -> None:
    for block in (0x10, 0x11, 0xFE):
        entry = dictionary.private_entry(0x00290010 | block << 8, "SIEMENS CSA HEADER")
        assert entry is not None
        assert entry.vr == "OB"
        assert entry.tag == 0x00290010 | block << 8


def test_vr_table_is_sorted_and_complete() -> None:
    tags, vrs = dictionary.vr_table()
    assert tags.itemsize == 4
    assert list(tags) == sorted(tags)
    assert len(vrs) == 2 * len(tags)
    assert len(tags) == len(ATTRIBUTES.splitlines())
    place = list(tags).index(0x00280106)
    assert dictionary.AMBIGUOUS_VRS[vrs[2 * place : 2 * place + 2].decode()] == "US or SS"


def test_importing_the_package_loads_no_table() -> None:
    code = (
        "import sys, aiodicom, aiodicom.standard.dictionary\n"
        "print([name for name in sys.modules if name.startswith('aiodicom.standard._')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
