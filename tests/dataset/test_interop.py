"""Data sets of pydicom and back."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset as PydicomDataset
from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence as PydicomSequence

from aiodicom.dataset import Dataset
from aiodicom.dataset.interop import from_pydicom, is_pydicom, to_pydicom
from aiodicom.dataset.json import to_json, to_json_dict
from aiodicom.dataset.xml import to_xml
from aiodicom.part10.reader import dcmread

DATA = Path(pydicom.__file__).parent / "data"
FILES = sorted(
    path
    for folder in ("test_files", "charset_files")
    for path in (DATA / folder).rglob("*")
    if path.is_file() and path.read_bytes()[128:132] == b"DICM"
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_both_ways(path: Path, touched: bool) -> None:
    theirs = pydicom.dcmread(path)
    if touched:
        list(theirs.iterall())
    ours = from_pydicom(theirs)
    assert ours.to_json() == dcmread(path).to_json()
    assert ours.file_meta is not None
    assert ours.transfer_syntax == theirs.file_meta.get("TransferSyntaxUID")
    back = to_pydicom(ours)
    assert isinstance(back, FileDataset)
    assert back == pydicom.dcmread(path)
    assert back.file_meta == theirs.file_meta
    assert back.preamble == theirs.preamble
    assert to_pydicom(dcmread(path)) == theirs


def test_data_sets_made_by_programs() -> None:
    theirs = PydicomDataset()
    theirs.SpecificCharacterSet = "ISO_IR 192"
    theirs.PatientName = "Müller^山"
    theirs.PixelRepresentation = 1
    theirs.SmallestImagePixelValue = -5
    theirs.PatientWeight = "72.50"
    item = PydicomDataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    item.add_new(0x00080000, "UL", 10)
    theirs.ReferencedImageSequence = PydicomSequence([item, PydicomDataset()])
    block = theirs.private_block(0x0009, "MAKER", create=True)
    block.add_new(1, "OB", b"\1\2")
    ours = from_pydicom(theirs)
    assert ours.PatientName == "Müller^山"
    assert ours["SmallestImagePixelValue"].vr == "SS"
    assert ours.SmallestImagePixelValue == -5
    assert ours["PatientWeight"].value.text == "72.50"
    assert ours.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"
    assert len(ours.ReferencedImageSequence) == 2
    assert ours.get_private_item(0x0009, 1, "MAKER").value == b"\1\2"
    assert to_pydicom(ours) == theirs
    assert not isinstance(to_pydicom(ours), FileDataset)


def test_changes_go_along() -> None:
    ours = dcmread(DATA / "test_files" / "CT_small.dcm")
    ours.PatientName = "New^Name"
    theirs = to_pydicom(ours)
    assert theirs.PatientName == "New^Name"
    theirs.PatientID = "new"
    again = from_pydicom(theirs)
    assert again.PatientID == "new"
    assert again.PixelData == ours.PixelData
    assert (theirs.pixel_array == pydicom.dcmread(DATA / "test_files" / "CT_small.dcm").pixel_array).all()


def test_big_endian_pixels_keep_their_meaning() -> None:
    path = DATA / "test_files" / "MR_small_bigendian.dcm"
    native = dcmread(DATA / "test_files" / "MR_small.dcm").PixelData
    assert from_pydicom(pydicom.dcmread(path)).PixelData == native == dcmread(path).PixelData


def test_what_is_none() -> None:
    assert not is_pydicom(Dataset())
    assert is_pydicom(PydicomDataset())
    with pytest.raises(TypeError, match="pydicom"):
        from_pydicom({"PatientName": "A"})  # type: ignore[arg-type]


def test_pydicom_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys, aiodicom.dataset.interop, aiodicom.part10.writer, aiodicom.part10.reader, aiodicom.dataset.json\n"
        "print('pydicom' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_values_that_pydicom_warns_of() -> None:
    theirs = PydicomDataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.PatientID = "x" * 100
        assert from_pydicom(theirs).PatientID == "x" * 100


def test_pydicom_data_sets_in_other_forms() -> None:
    path = DATA / "test_files" / "CT_small.dcm"
    assert to_json(pydicom.dcmread(path)) == dcmread(path).to_json()
    assert to_json_dict(pydicom.dcmread(path)) == to_json_dict(dcmread(path))
    assert to_xml(pydicom.dcmread(path)) == to_xml(dcmread(path))


def test_pydicom_data_sets_are_items_and_updates_too() -> None:
    theirs = PydicomDataset()
    theirs.PatientName = "Ä^B"
    theirs.SpecificCharacterSet = "ISO_IR 100"
    made = Dataset(ReferencedPatientSequence=[theirs])
    made.ReferencedPatientSequence.append(theirs)
    made.ReferencedPatientSequence.extend([theirs])
    made.update(theirs)
    assert [item.PatientName for item in (*made.ReferencedPatientSequence, made)] == ["Ä^B"] * 4
    assert Dataset.from_bytes(made.to_bytes()) == made
    with pytest.raises(TypeError, match="put the one into a list"):
        made.ReferencedPatientSequence = Dataset()
