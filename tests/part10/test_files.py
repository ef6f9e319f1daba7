"""`dcmread` and `dcmwrite`: pydicom's test files, with pydicom and DCMTK as oracles, and files that are not right."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import subprocess
import warnings
from pathlib import Path

import pydicom
import pytest

from aiodicom.dataset import DataElement, Dataset
from aiodicom.errors import DecodeError
from aiodicom.part10.reader import dcmread
from aiodicom.part10.writer import dcmwrite
from aiodicom.standard.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLEMENTATION_CLASS_UID,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

DATA = Path(pydicom.__file__).parent / "data"
NOT_DICOM = {"no_meta.dcm"}
FILES = sorted(
    path
    for folder in ("test_files", "charset_files")
    for path in (DATA / folder).rglob("*")
    if path.is_file()
    and path.name not in NOT_DICOM
    and (path.suffix == ".dcm" or path.read_bytes()[128:132] == b"DICM")
)
CT = DATA / "test_files" / "CT_small.dcm"


def dcmtk(name: str) -> str:
    """The path of a DCMTK program, not of one of the same name that came with a Python package."""
    found = shutil.which(name, path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        if os.environ.get("AIODICOM_REQUIRE_PEERS") == "1":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def written(data_set: Dataset, **options: object) -> bytes:
    target = io.BytesIO()
    dcmwrite(target, data_set, **options)  # type: ignore[arg-type]
    return target.getvalue()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_way_to_read_a_file_gives_the_same(path: Path) -> None:
    data_set = dcmread(path)
    expected = data_set.to_json()
    assert dcmread(str(path), mmap=True).to_json() == expected
    assert dcmread(path, defer_size=None).to_json() == expected
    assert dcmread(path, defer_size=16).to_json() == expected
    assert dcmread(io.BytesIO(path.read_bytes())).to_json() == expected
    with path.open("rb") as file:
        assert dcmread(file).to_json() == expected
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(path, force=True)
    assert [element.tag for element in data_set] == list(theirs.keys()) or sorted(theirs.keys()) == data_set.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_written_reads_as_before(path: Path) -> None:
    data_set = dcmread(path)
    data = written(data_set)
    again = dcmread(io.BytesIO(data))
    assert again.to_json() == data_set.to_json()
    assert written(again) == data
    assert again.file_meta is not None
    meta = again.file_meta
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.TransferSyntaxUID == again.transfer_syntax
    assert meta.get("MediaStorageSOPInstanceUID") == (
        data_set.get("SOPInstanceUID") or (data_set.file_meta or Dataset()).get("MediaStorageSOPInstanceUID")
    )
    assert meta.ImplementationClassUID
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert pydicom.dcmread(io.BytesIO(data)) == pydicom.dcmread(path, force=True)


def test_an_untouched_file_is_written_byte_for_byte() -> None:
    assert written(dcmread(CT)) == CT.read_bytes()


def test_dcmtk_agrees_on_what_we_write(tmp_path: Path) -> None:
    names = ["CT_small.dcm", "MR_small_implicit.dcm", "rtplan.dcm", "test-SR.dcm", "JPEG2000.dcm", "image_dfl.dcm"]
    dcmftest, dcmdump = dcmtk("dcmftest"), dcmtk("dcmdump")
    for name in names:
        data_set = dcmread(DATA / "test_files" / name)
        data_set.PatientComments = "changed"
        dcmwrite(tmp_path / name, data_set)
        assert subprocess.run([dcmftest, tmp_path / name], capture_output=True).stdout.startswith(b"yes")
        dumped = subprocess.run([dcmdump, "-q", "+P", "0010,4000", tmp_path / name], capture_output=True, check=True)
        assert b"[changed]" in dumped.stdout


@pytest.mark.parametrize(
    "syntax",
    [
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ],
)
def test_transfer_syntaxes(syntax: str) -> None:
    data_set = dcmread(CT)
    data = written(data_set, transfer_syntax=syntax)
    again = dcmread(io.BytesIO(data))
    assert again.file_meta is not None
    assert again.file_meta.TransferSyntaxUID == syntax
    assert again.PixelData == data_set.PixelData
    assert again.PatientName == data_set.PatientName
    assert pydicom.dcmread(io.BytesIO(data)).PatientID == data_set.PatientID


def test_pixels_that_do_not_fit_the_transfer_syntax() -> None:
    with pytest.raises(ValueError, match="ransfer syntax"):
        written(dcmread(CT), transfer_syntax="1.2.840.10008.1.2.4.90")
    with pytest.raises(ValueError, match="ransfer syntax"):
        written(dcmread(DATA / "test_files" / "JPEG2000.dcm"), transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN)


def test_encapsulated_pixels_that_a_program_made() -> None:
    made = Dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SOPInstanceUID="1.2.3.4")
    fragments = b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\4\0\0\0abcd"
    made.PixelData = fragments
    data = written(made, transfer_syntax="1.2.840.10008.1.2.4.90")
    assert dcmread(io.BytesIO(data))["PixelData"].undefined_length
    assert pydicom.dcmread(io.BytesIO(data)).PixelData == fragments
    made.PixelData = b"abcd"
    with pytest.raises(ValueError, match="ransfer syntax"):
        written(made, transfer_syntax="1.2.840.10008.1.2.4.90")


# Files that are not as they should be


def head(*elements: bytes, length: int | None = None, preamble: bytes = bytes(128)) -> bytes:
    meta = b"".join(elements)
    size = len(meta) if length is None else length
    return preamble + b"DICM" + b"\2\0\0\0UL\4\0" + size.to_bytes(4, "little") + meta


SYNTAX = b"\2\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
NAME = b"\x10\0\x10\0PN\x04\0A^B "


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(head(SYNTAX) + NAME, id="right"),
        pytest.param(head(SYNTAX, length=4) + NAME, id="group length too small"),
        pytest.param(head(SYNTAX, length=400) + NAME, id="group length too large"),
        pytest.param((head(SYNTAX) + NAME)[128:], id="no preamble"),
        pytest.param(bytes(128) + b"DICM" + SYNTAX + NAME, id="no group length"),
        pytest.param((head(SYNTAX) + NAME)[132:], id="neither preamble nor prefix"),
        pytest.param(bytes(128) + b"DICM" + NAME, id="no file meta information"),
        pytest.param(head() + NAME, id="no transfer syntax"),
        pytest.param(NAME, id="nothing but a data set"),
        pytest.param(b"\x10\0\x10\0\4\0\0\0A^B ", id="nothing but an implicit data set"),
        pytest.param(b"\0\x10\0\x10PN\0\4A^B ", id="nothing but a big endian data set"),
        pytest.param(head(SYNTAX) + b"\x10\0\x10\0\4\0\0\0A^B ", id="implicit under an explicit label"),
        pytest.param(head(SYNTAX.replace(b"1.2.1\0", b"1.2\0\0\0")) + NAME, id="explicit under an implicit label"),
        pytest.param(head(SYNTAX) + NAME + bytes(100), id="zeros behind the end"),
        pytest.param(head(SYNTAX) + NAME + b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0\0\0\0\0", id="trailing padding"),
        pytest.param(
            bytes(128) + b"DICM\2\0\x10\0\x14\0\0\x001.2.840.10008.1.2.1\0" + NAME, id="implicit file meta information"
        ),
    ],
)
def test_files_of_this_world(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    for data_set in (dcmread(io.BytesIO(data)), dcmread(tmp_path / "file"), dcmread(tmp_path / "file", mmap=True)):
        assert data_set.PatientName == "A^B"
        assert dcmread(io.BytesIO(written(data_set))).PatientName == "A^B"


@pytest.mark.parametrize(
    "data",
    [
        (head(SYNTAX) + NAME)[128:],
        head(SYNTAX, length=4) + NAME,
        bytes(128) + b"DICM" + SYNTAX + NAME,
        NAME,
        head() + NAME,
    ],
)
def test_strict_refuses_them(data: bytes) -> None:
    with pytest.raises(DecodeError):
        dcmread(io.BytesIO(data), strict=True)


@pytest.mark.parametrize("data", [b"", b"GIF89a" * 50, b"\0" * 200, b"#!/bin/sh\n" * 30, b"\xff" * 300])
def test_what_is_no_dicom_file(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    for source in (io.BytesIO(data), tmp_path / "file"):
        with pytest.raises(DecodeError, match="not a DICOM file"):
            dcmread(source)


def test_every_truncation_gives_what_is_there_or_says_where_it_ended() -> None:
    data = (DATA / "test_files" / "rtplan.dcm").read_bytes()
    for end in range(132, len(data), 37):
        try:
            data_set = dcmread(io.BytesIO(data[:end]))
        except DecodeError as error:
            assert error.offset is None or error.offset <= end  # noqa: PT017
            continue
        assert data_set.truncated is None or (data_set.truncated.offset or 0) <= end


@pytest.mark.parametrize("end", [150, 158, 200, 250, 335])
@pytest.mark.parametrize("size", [0, 1 << 17], ids=["small", "large"])
def test_a_file_that_ends_within_its_file_meta_information_says_so(end: int, size: int, tmp_path: Path) -> None:
    data = CT.read_bytes()[:end]
    if size:
        # An element of that size which is not all there, in a file that is too large to be read as a whole.
        data = CT.read_bytes()[:144] + b"\2\0\2\1OB\0\0\xff\xff\xff\0" + bytes(size + end)
    path = tmp_path / "cut.dcm"
    path.write_bytes(data)
    for source in (path, io.BytesIO(data)):
        data_set = dcmread(source)
        assert len(data_set) == 0
        assert data_set.truncated is not None
        assert data_set.truncated.offset is not None
        assert data_set.file_meta is not None
        with pytest.raises(DecodeError, match=re.escape(data_set.truncated.reason)):
            dcmread(path, strict=True)


def test_an_error_in_writing_names_the_file_that_was_to_be(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "file.dcm"
    with pytest.raises(FileNotFoundError) as error:
        dcmwrite(path, dcmread(CT))
    assert error.value.filename == str(path)


def test_stopping_early(tmp_path: Path) -> None:
    for source in (CT, io.BytesIO(CT.read_bytes())):
        data_set = dcmread(source, stop_before_pixels=True)
        assert "PixelData" not in data_set
        assert "Rows" in data_set
    data_set = dcmread(CT, stop_before="PatientName")
    assert "PatientName" not in data_set
    assert "Modality" in data_set
    assert "SliceThickness" not in dcmread(CT, stop_before="PatientName", stop_before_pixels=True)


# Values that stay on disk


def large(path: Path) -> Dataset:
    data_set = dcmread(CT)
    data_set.Rows = data_set.Columns = 512
    data_set.PixelData = bytes(range(256)) * 2048
    dcmwrite(path, data_set)
    return data_set


def test_bulk_values_stay_on_disk_until_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    expected = large(path)
    data_set = dcmread(path)
    assert data_set["PixelData"].deferred
    assert data_set["PixelData"].length == 512 * 1024
    assert data_set.PixelData == expected.PixelData
    assert written(data_set) == path.read_bytes()
    assert not dcmread(path, defer_size=None)["PixelData"].deferred


def test_a_file_that_changed_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    large(path)
    data_set = dcmread(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DecodeError, match="changed"):
        data_set["PixelData"].value  # noqa: B018


def test_a_data_set_outlives_the_file_that_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    expected = large(path)
    data_set = dcmread(path)
    data_set.PatientName = "Other^Name"
    dcmwrite(path, data_set)
    assert data_set.PixelData == expected.PixelData
    assert dcmread(path).PatientName == "Other^Name"
    assert dcmread(path).PixelData == expected.PixelData


# Writing


def test_file_meta_information_is_made_and_put_right() -> None:
    data_set = dcmread(CT)
    data_set.SOPInstanceUID = "1.2.3"
    assert data_set.file_meta is not None
    data_set.file_meta.SourceApplicationEntityTitle = "HERE"
    meta = dcmread(io.BytesIO(written(data_set))).file_meta
    assert meta is not None
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.SourceApplicationEntityTitle == "HERE"
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert dcmread(CT).file_meta.ImplementationClassUID != IMPLEMENTATION_CLASS_UID  # type: ignore[union-attr]

    made = Dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SOPInstanceUID="1.2.3.4", PatientName="A^B")
    data = written(made, strict=True)
    assert made.file_meta is None
    theirs = pydicom.dcmread(io.BytesIO(data))
    assert theirs.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert theirs.file_meta.FileMetaInformationGroupLength == data.index(b"\x08\0\x16\0") - 144


def test_strict_writing_wants_the_uids() -> None:
    with pytest.raises(ValueError, match="MediaStorageSOPClassUID"):
        written(Dataset(PatientName="A^B"), strict=True)


@pytest.mark.parametrize("program", [b"MZ\x90\0", b"\x7fELF", b"#!/bin/sh\n"])
def test_no_program_hides_in_the_preamble(program: bytes) -> None:
    data_set = dcmread(io.BytesIO(program.ljust(128, b"\0") + CT.read_bytes()[128:]))
    assert written(data_set)[:128] == bytes(128)


def test_other_preambles_are_kept() -> None:
    data = b"II*\0".ljust(128, b"\1") + CT.read_bytes()[128:]
    assert written(dcmread(io.BytesIO(data))) == data


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(b"before")
    data_set = dcmread(CT)
    with pytest.raises(ValueError, match="ransfer syntax"):
        dcmwrite(path, data_set, transfer_syntax="1.2.840.10008.1.2.4.90")
    with pytest.raises(FileExistsError):
        dcmwrite(path, data_set, overwrite=False)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file.dcm"]
    with pytest.raises(OSError, match="No such file"):
        dcmwrite(tmp_path / "missing" / "file.dcm", data_set)


def test_replacing_keeps_mode_and_link(tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(b"before")
    path.chmod(0o640)
    (tmp_path / "link").symlink_to(path)
    dcmwrite(tmp_path / "link", dcmread(CT), fsync=True)
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_bytes() == CT.read_bytes()
    dcmwrite(tmp_path / "new.dcm", dcmread(CT), overwrite=False)
    assert sorted(os.listdir(tmp_path)) == ["file.dcm", "link", "new.dcm"]


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    """A FIFO, or /dev/null, which root could take away from everybody."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    try:
        dcmwrite(pipe, Dataset(SOPClassUID="1.2", SOPInstanceUID="1.3"), fsync=True)
        assert os.read(reader, 1 << 16)[128:132] == b"DICM"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(FileExistsError):
        dcmwrite(pipe, dcmread(CT), overwrite=False)
    with pytest.raises(IsADirectoryError):
        dcmwrite(tmp_path, dcmread(CT))
    assert os.listdir(tmp_path) == ["pipe"]


def test_pydicom_data_sets_are_written_too(tmp_path: Path) -> None:
    dcmwrite(tmp_path / "file.dcm", pydicom.dcmread(CT))
    assert (tmp_path / "file.dcm").read_bytes() == CT.read_bytes()
    with pytest.raises(TypeError, match="pydicom"):
        dcmwrite(tmp_path / "file.dcm", {"PatientName": "A"})


@pytest.mark.parametrize("tag", [0x00000900, 0x00020010, 0x00020016])
def test_elements_of_other_groups_are_refused(tag: int) -> None:
    """They would be read as file meta information."""
    data_set = Dataset(PatientName="A^B")
    data_set.add(DataElement(0x00010010, "LO", "odd, but a data set's"))
    written(data_set)
    data_set.add(DataElement(tag, "UI", "1.2.840.10008.1.2"))
    with pytest.raises(ValueError, match=f"{tag & 0xFFFF:04X}"):
        written(data_set)


def test_a_transfer_syntax_is_one_that_can_be_written() -> None:
    data_set = Dataset(PatientName="A^B", SOPClassUID="1.2", SOPInstanceUID="1.3")
    for wrong in ("nonsense", "1.2.03", "1.2.3.4.5"):
        with pytest.raises(ValueError, match="transfer syntax"):
            written(data_set, transfer_syntax=wrong)
        data_set.file_meta = Dataset(TransferSyntaxUID=wrong)
        with pytest.raises(ValueError, match="transfer syntax"):
            written(data_set)
        data_set.file_meta = None
    private = written(data_set).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.9.10008.1.20")
    assert written(dcmread(io.BytesIO(private))).endswith(private[-20:])
