"""The Basic Profile beside dicom-anonymizer's, on pydicom's test files: what is there after it, and what is not."""

from __future__ import annotations

import runpy
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.deidentify import Deidentifier, Options
from aiodicom.deidentify.actions import _profile

NAMES = [
    "CT_small.dcm",
    "MR_small.dcm",
    "rtplan.dcm",
    "rtdose.dcm",
    "reportsi.dcm",
    "examples_ybr_color.dcm",
    "SC_rgb.dcm",
    "JPEG2000.dcm",
    "color-pl.dcm",
    "waveform_ecg.dcm",
    "test-SR.dcm",
]
#: Both leave it out where it says nothing; ours are of other kinds than empty.
_PSEUDONYMS = {0x00080050, 0x00100010, 0x00100020}


def newest() -> Path:
    """Its newest edition of the table."""
    folder = Path(str(distribution("dicom-anonymizer").locate_file("dicomanonymizer/dicom_anonymization_databases")))
    return max(folder.glob("dicomfields_*.py"))


def theirs(path: str) -> pydicom.Dataset:
    from dicomanonymizer.simpledicomanonymizer import anonymize_dataset, initialize_actions

    data_set = pydicom.dcmread(path, force=True)
    anonymize_dataset(data_set, base_rules_gen=lambda: initialize_actions(newest().stem))
    return data_set


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_attributes_of_the_table(name: str) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    source = aiodicom.dcmread(path, force=True)
    ours = Deidentifier(Options(), key=bytes(range(32))).apply(source)
    others = theirs(path)
    for tag in (int(digits, 16) for digits, (basic, _) in _profile().items() if "x" not in digits and basic == "X"):
        if tag in source and tag >> 16 > 2:
            assert tag not in ours, f"{tag:08X}"
            assert tag not in others or others[tag].VR == "DA", f"{tag:08X}"  # theirs get a dummy date
    for element in source:
        basic = _profile().get(f"{element.tag:08X}", ("K", {}))[0]
        if basic == "K" or element.vr == "SQ" or element.is_empty:
            continue
        if basic == "Z":
            assert element.tag in ours
            assert element.tag in others
            assert ours[element.tag].is_empty or element.tag in _PSEUDONYMS
        elif basic in ("D", "U"):
            assert ours[element.tag].value != element.value or element.tag == 0x00080016
            assert others[element.tag].value != element.value
    assert not [element.tag for element in ours if element.is_private]


def test_the_newest_edition_is_the_table() -> None:
    """Each list of theirs, code by code."""
    from aiodicom.deidentify.generate import ACTION_LISTS

    lists = runpy.run_path(str(newest()))
    codes = {tag: code for name, code in ACTION_LISTS.items() for tag in lists[name] if len(tag) == 2}
    assert len(codes) > 640
    for (group, element), code in codes.items():
        assert _profile()[f"{group:04X}{element:04X}"][0] == code


def test_ours_are_read_by_pydicom() -> None:
    path = get_testdata_file("CT_small.dcm")
    result = Deidentifier(key=bytes(range(32))).apply(aiodicom.dcmread(str(path)))
    assert isinstance(result, Dataset)
    file = BytesIO()
    aiodicom.dcmwrite(file, result)
    read = pydicom.dcmread(BytesIO(file.getvalue()))
    assert read.PatientIdentityRemoved == "YES"
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
