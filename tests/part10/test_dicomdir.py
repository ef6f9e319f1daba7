"""DICOMDIR read and written; File IDs that want to lead out of the file-set."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileInstance
from pydicom.fileset import FileSet as PydicomFileSet

from aiodicom.errors import DecodeError
from aiodicom.part10.dicomdir import (
    FileSet,
    is_file_id,
    make_file_set,
    path_of_file_id,
    read_dicomdir,
)
from aiodicom.part10.directory_records import record_type_of
from aiodicom.part10.reader import dcmread
from aiodicom.part10.writer import dcmwrite

DATA = Path(pydicom.__file__).parent / "data" / "test_files"
MEDIA = DATA / "dicomdirtests"


@pytest.mark.parametrize(
    "name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-nooffset", "DICOMDIR-reordered"]
)
def test_every_encoding_of_a_directory_reads_the_same(name: str) -> None:
    file_set = read_dicomdir(MEDIA / name)
    found = [
        (record.record_type, record.keys.get("ReferencedSOPInstanceUIDInFile"), record.file_id)
        for record in file_set.walk()
    ]
    expected = [
        (record.record_type, record.keys.get("ReferencedSOPInstanceUIDInFile"), record.file_id)
        for record in read_dicomdir(MEDIA).walk()
    ]
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert len(found) == 52
    assert [record.record_type for record in file_set.records] == ["PATIENT", "PATIENT"]
    assert all(Path(path).is_file() for _, path in file_set.files())
    for record, path in file_set.files():
        assert dcmread(path).SOPInstanceUID == record.keys.ReferencedSOPInstanceUIDInFile


def instances(path: Path) -> list[FileInstance]:
    """The instances of a file-set as pydicom sees it."""
    file_set = PydicomFileSet(path)
    file_set._stage["t"].cleanup()
    return list(file_set)


def test_pydicom_sees_the_same_instances() -> None:
    ours = {record.keys.ReferencedSOPInstanceUIDInFile for record, _ in read_dicomdir(MEDIA).files()}
    assert ours == {instance.SOPInstanceUID for instance in instances(MEDIA / "DICOMDIR")}


def test_odd_directories() -> None:
    assert [record.record_type for record in read_dicomdir(MEDIA / "DICOMDIR-nopatient").walk()] == ["IMAGE"]
    assert list(read_dicomdir(MEDIA / "DICOMDIR-empty.dcm").walk()) == []
    with pytest.raises(DecodeError, match="not a DICOMDIR"):
        read_dicomdir(DATA / "CT_small.dcm")


def test_offsets_that_lead_nowhere(tmp_path: Path) -> None:
    directory = dcmread(MEDIA / "DICOMDIR")
    # The file meta information grows, and the offsets with it should.
    directory.FileSetID = "OTHER"
    dcmwrite(tmp_path / "DICOMDIR", directory)
    file_set = read_dicomdir(tmp_path)
    assert [r.record_type for r in file_set.walk()] == [r.record_type for r in read_dicomdir(MEDIA).walk()]
    with pytest.raises(DecodeError, match="not where its offset says"):
        read_dicomdir(tmp_path, strict=True)


def test_a_directory_that_we_write(tmp_path: Path) -> None:
    media = tmp_path / "media"
    shutil.copytree(MEDIA / "77654033", media / "77654033")
    for name in ("rtplan.dcm", "rtdose.dcm", "rtstruct.dcm", "test-SR.dcm", "waveform_ecg.dcm"):
        shutil.copy(DATA / name, media / name.partition(".")[0].upper().replace("-", "_")[:8])
    file_set, refused = make_file_set(media, "MEDIA")
    assert refused == []
    file_set.write(fsync=True)
    again = read_dicomdir(media, strict=True)
    assert again.file_set_id == "MEDIA"
    assert [(r.record_type, r.file_id) for r in again.walk()] == [(r.record_type, r.file_id) for r in file_set.walk()]
    types = {record.record_type for record in again.walk()}
    assert types >= {"RT PLAN", "RT DOSE", "RT STRUCTURE SET", "SR DOCUMENT", "WAVEFORM", "IMAGE"}

    theirs = instances(media / "DICOMDIR")
    assert len(theirs) == len(list(file_set.files()))
    for instance in theirs:
        assert pydicom.dcmread(instance.path, force=True).SOPInstanceUID == instance.SOPInstanceUID
    dcmftest = shutil.which("dcmftest", path="/usr/bin:/usr/local/bin")
    if dcmftest is not None or os.environ.get("AIODICOM_REQUIRE_PEERS") == "1":
        assert dcmftest is not None
        assert subprocess.run([dcmftest, media / "DICOMDIR"], capture_output=True).stdout.startswith(b"yes")


def test_objects_join_the_records_that_are_there(tmp_path: Path) -> None:
    shutil.copytree(MEDIA / "77654033", tmp_path / "77654033")
    make_file_set(tmp_path)[0].write()
    file_set = read_dicomdir(tmp_path)
    before = len(list(file_set.walk()))
    source = tmp_path / "77654033" / "CR1" / "6154"
    data_set = dcmread(source)
    data_set.SOPInstanceUID = "1.2.3"
    dcmwrite(tmp_path / "77654033" / "CR1" / "NEW", data_set)
    record = file_set.add(data_set, ["77654033", "CR1", "NEW"])
    assert record.record_type == "IMAGE"
    assert len(list(file_set.walk())) == before + 1
    file_set.write()
    assert len(instances(tmp_path / "DICOMDIR")) == len(list(file_set.files()))


@pytest.mark.parametrize(
    "components",
    [
        [],
        [""],
        [".."],
        ["A", "..", "..", "B"],
        ["/etc", "passwd"],
        ["/"],
        ["A/B"],
        ["..\\B"],
        ["C:"],
        ["C:\\WINDOWS"],
        ["A\0B"],
        ["."],
        ["OUT", "SECRET"],
        ["LINK"],
        ["INNER", "BACK", "SECRET"],
    ],
)
def test_no_file_id_leads_out_of_the_file_set(components: list[str], tmp_path: Path) -> None:
    (tmp_path / "SECRET").write_bytes(b"secret")
    root = tmp_path / "media"
    (root / "INNER").mkdir(parents=True)
    (root / "OUT").symlink_to(tmp_path)
    (root / "LINK").symlink_to(tmp_path / "SECRET")
    (root / "INNER" / "BACK").symlink_to("../..")
    with pytest.raises(DecodeError, match="File ID"):
        path_of_file_id(root, components)
    file_set = FileSet(root)
    with pytest.raises(DecodeError, match="File ID"):
        file_set.add(dcmread(DATA / "CT_small.dcm"), components)


def test_file_ids_inside(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "image").write_bytes(b"")
    (tmp_path / "INSIDE").symlink_to("dir")
    assert path_of_file_id(tmp_path, ["DIR", "IMAGE"]) == str(tmp_path.resolve() / "dir" / "image")
    assert path_of_file_id(tmp_path, ["INSIDE", "image"])
    assert path_of_file_id(tmp_path, ["NOT", "THERE"]).endswith("THERE")


def test_a_hostile_directory_opens_nothing(tmp_path: Path) -> None:
    directory = dcmread(MEDIA / "DICOMDIR")
    for item in directory.DirectoryRecordSequence:
        if "ReferencedFileID" in item:
            item.ReferencedFileID = ["..", "..", "X"]
    dcmwrite(tmp_path / "DICOMDIR", directory)
    file_set = read_dicomdir(tmp_path)
    assert len(list(file_set.walk())) == 52
    with pytest.raises(DecodeError, match="leads out"):
        list(file_set.files())


def test_records_in_a_circle(tmp_path: Path) -> None:
    data = (MEDIA / "DICOMDIR").read_bytes()
    first, lower = (b"\4\0" + element + b"UL\4\0" for element in (b"\0\x12", b"\x20\x14"))
    offset = data.index(first) + 8
    place = data.index(lower) + 8
    (tmp_path / "DICOMDIR").write_bytes(data[:place] + data[offset : offset + 4] + data[place + 4 :])
    with pytest.raises(DecodeError, match="circle"):
        read_dicomdir(tmp_path)


def test_a_record_type_of_two_values_comes_back(tmp_path: Path) -> None:
    directory = dcmread(MEDIA / "DICOMDIR")
    directory.DirectoryRecordSequence[0].DirectoryRecordType = ["PATIENT", "STUDY"]
    dcmwrite(tmp_path / "DICOMDIR", directory)
    file_set = read_dicomdir(tmp_path)
    types = [record.record_type for record in file_set.walk()]
    file_set.write()
    assert [record.record_type for record in read_dicomdir(tmp_path).walk()] == types
    assert "PATIENT\\STUDY" in types


def test_a_directory_whose_sequence_is_none(tmp_path: Path) -> None:
    data = (MEDIA / "DICOMDIR").read_bytes()
    (tmp_path / "DICOMDIR").write_bytes(data.replace(b"\4\0\x20\x12SQ", b"\4\0\x20\x12OB"))
    with pytest.raises(DecodeError, match="not a DICOMDIR"):
        read_dicomdir(tmp_path)


def test_names() -> None:
    assert is_file_id(["A", "IMG_0001"])
    assert not is_file_id([])
    assert not is_file_id(["slice.dcm"])
    assert not is_file_id(["TOOLONGNAME"])
    assert not is_file_id(["A"] * 9)


@pytest.mark.parametrize(
    ("uid", "record_type"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.88.33", "SR DOCUMENT"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "KEY OBJECT DOC"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "WAVEFORM"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "ENCAP DOC"),
        ("1.2.840.10008.5.1.4.38.1", "HANGING PROTOCOL"),
        ("1.2.3.4", "PRIVATE"),
    ],
)
def test_record_types(uid: str, record_type: str) -> None:
    assert record_type_of(uid) == record_type
