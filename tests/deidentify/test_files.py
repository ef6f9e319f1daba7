"""Files of de-identified objects."""

from __future__ import annotations

from pathlib import Path

import pytest

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.deidentify import Deidentifier, deidentify_file

DEIDENTIFIER = Deidentifier(key=bytes(range(32)))


def put(path: Path, syntax: str, pixels: bytes = bytes(range(256)) * 1024) -> Path:
    made = Dataset(SOPClassUID="1.2.3.4", SOPInstanceUID="1.2.3", PatientName="Doe^John", PatientID="4711")
    made.add_new("PixelData", "OW", pixels)
    aiodicom.dcmwrite(path, made, transfer_syntax=syntax)
    return path


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
)
def test_long_values_go_from_file_to_file(tmp_path: Path, syntax: str) -> None:
    source = put(tmp_path / "in.dcm", syntax)
    result = deidentify_file(DEIDENTIFIER, source, lambda made: tmp_path / made.PatientID / "out.dcm")
    written = aiodicom.dcmread(tmp_path / result.PatientID / "out.dcm")
    assert written.PixelData == bytes(range(256)) * 1024
    assert written.file_meta.TransferSyntaxUID == syntax
    assert written.file_meta.MediaStorageSOPInstanceUID == written.SOPInstanceUID == result.SOPInstanceUID
    with pytest.raises(FileExistsError):
        deidentify_file(DEIDENTIFIER, source, tmp_path / result.PatientID / "out.dcm", overwrite=False)


def test_a_file_may_take_the_place_of_the_original(tmp_path: Path) -> None:
    source = put(tmp_path / "in.dcm", "1.2.840.10008.1.2.1")
    deidentify_file(DEIDENTIFIER, source, source, fsync=True)
    assert aiodicom.dcmread(source).PixelData == bytes(range(256)) * 1024
    assert b"Doe" not in source.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["in.dcm"]


def test_what_cannot_be_leaves_no_file(tmp_path: Path) -> None:
    source = put(tmp_path / "in.dcm", "1.2.840.10008.1.2.1")
    source.write_bytes(source.read_bytes()[:-7])
    with pytest.raises(aiodicom.errors.DecodeError):
        deidentify_file(DEIDENTIFIER, source, tmp_path / "out.dcm")
    assert [path.name for path in tmp_path.iterdir()] == ["in.dcm"]
