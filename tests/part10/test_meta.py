"""File meta information against pydicom, and against files that lie."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.errors import DecodeError
from aiodicom.part10.meta import FileMeta, encode_file_meta, read_file_meta
from aiodicom.standard.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
DATA_SET = b"\x08\0\x05\0CS\x0a\0ISO_IR 100"

Read = Callable[[bytes], FileMeta]


@pytest.fixture(params=["bytes", "bytearray", "memoryview", "descriptor"])
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Read:
    """`read_file_meta` of these bytes, by each way in."""

    def from_descriptor(data: bytes) -> FileMeta:
        (tmp_path / "file").write_bytes(data)
        descriptor = os.open(tmp_path / "file", os.O_RDONLY)
        try:
            os.lseek(descriptor, 5, os.SEEK_SET)
            meta = read_file_meta(descriptor)
            assert os.lseek(descriptor, 0, os.SEEK_CUR) == 5
        finally:
            os.close(descriptor)
        return meta

    if request.param == "descriptor":
        return from_descriptor
    kind = {"bytes": bytes, "bytearray": bytearray, "memoryview": memoryview}[request.param]
    return lambda data: read_file_meta(kind(data))


def element(number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    if vr in (b"OB", b"UN", b"UT"):
        return struct.pack("<HH2sHI", 2, number, vr, 0, size) + value
    return struct.pack("<HH2sH", 2, number, vr, size) + value


def file(*elements: bytes, group_length: int | None = -1, data_set: bytes = DATA_SET) -> bytes:
    """A file of these elements; `group_length`: -1 the right one, None none."""
    group = b"".join(elements)
    if group_length is not None:
        group = element(0, b"UL", struct.pack("<I", len(group) if group_length < 0 else group_length)) + group
    return bytes(128) + b"DICM" + group + data_set


VERSION = element(1, b"OB", b"\0\1")
SOP_CLASS = element(2, b"UI", CT.encode() + b"\0")
SOP_INSTANCE = element(3, b"UI", b"1.2.3\0")
SYNTAX = element(0x10, b"UI", EXPLICIT.encode() + b"\0")
MINIMAL = (VERSION, SOP_CLASS, SOP_INSTANCE, SYNTAX)


# ---------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("source_aet", [None, "A", "EVEN", "SIXTEEN_LETTERS_"])
@pytest.mark.parametrize("instance", ["1.2", "1.2.3", "2.25." + "9" * 38])
def test_pydicom_reads_what_we_write(source_aet: str | None, instance: str) -> None:
    head = encode_file_meta(CT, instance, EXPLICIT, source_aet=source_aet)
    read = pydicom.dcmread(io.BytesIO(head + DATA_SET))
    meta = read.file_meta
    assert meta.FileMetaInformationGroupLength == len(head) - 132 - 12
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == instance
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.get("SourceApplicationEntityTitle") == source_aet
    assert list(meta.keys()) == sorted(meta.keys())
    assert read.SpecificCharacterSet == "ISO_IR 100"
    assert len(head) % 2 == 0
    assert head[:128] == bytes(128)


def test_private_information() -> None:
    head = encode_file_meta(CT, "1.2.3", EXPLICIT, private_creator="2.25.7", private_information=b"odd")
    meta = pydicom.dcmread(io.BytesIO(head + DATA_SET)).file_meta
    assert meta.PrivateInformationCreatorUID == "2.25.7"
    assert meta.PrivateInformation == b"odd\0"
    assert read_file_meta(head + DATA_SET).data_offset == len(head)


@pytest.mark.parametrize(
    "arguments",
    [
        {"sop_class_uid": ""},
        {"sop_instance_uid": "1" * 65},
        {"transfer_syntax": "1.2.é"},
        {"source_aet": "SEVENTEEN_LETTERS"},
        {"source_aet": "É"},
    ],
)
def test_what_the_values_cannot_hold(arguments: dict[str, str]) -> None:
    right = {"sop_class_uid": CT, "sop_instance_uid": "1.2.3", "transfer_syntax": EXPLICIT}
    with pytest.raises(ValueError, match=r"PS3\.5|ascii"):
        encode_file_meta(**(right | arguments))  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_bigendian.dcm", "rtplan.dcm", "image_dfl.dcm", "JPEG2000.dcm"]
)
def test_reads_as_pydicom_does(read: Read, name: str) -> None:
    path = pydicom.data.get_testdata_file(name, download=False)
    assert isinstance(path, str)
    data = Path(path).read_bytes()
    with open(path, "rb") as opened:
        oracle = pydicom.filereader.read_file_meta_info(path)
        pydicom.filereader.read_preamble(opened, force=False)
        pydicom.filereader._read_file_meta_info(opened)
        offset = opened.tell()
    meta = read(data)
    assert meta.sop_class_uid == oracle.MediaStorageSOPClassUID
    assert meta.sop_instance_uid == oracle.MediaStorageSOPInstanceUID
    assert meta.transfer_syntax == oracle.TransferSyntaxUID
    assert meta.data_offset == offset


def test_every_real_file_reads_or_is_refused() -> None:
    found = 0
    for path in (Path(pydicom.__file__).parent / "data" / "test_files").rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        try:
            meta = read_file_meta(data)
        except DecodeError:
            continue
        found += 1
        oracle = pydicom.filereader.read_file_meta_info(path)
        assert meta.transfer_syntax == oracle.TransferSyntaxUID
        assert meta.data_offset <= len(data)
    assert found > 50


@given(
    st.text("0123456789.", min_size=1, max_size=64),
    st.one_of(st.none(), st.text("ABCDEFGH_", min_size=1, max_size=16)),
    st.binary(max_size=2000),
)
def test_round_trip(instance: str, source_aet: str | None, private: bytes) -> None:
    head = encode_file_meta(
        CT, instance, EXPLICIT, source_aet=source_aet, private_creator="1.2", private_information=private
    )
    assert read_file_meta(head + DATA_SET) == (CT, instance, EXPLICIT, len(head))


@pytest.mark.parametrize("group_length", [None, -1, 0, 1, 26, 14, 60, 76, 10_000, 2**32 - 1])
def test_a_wrong_or_missing_group_length(read: Read, group_length: int | None) -> None:
    data = file(*MINIMAL, group_length=group_length)
    assert read(data) == (CT, "1.2.3", EXPLICIT, len(data) - len(DATA_SET))


def test_a_deflated_data_set_that_begins_like_group_0002(read: Read) -> None:
    deflated = element(0x10, b"UI", DEFLATED.encode())
    data = file(VERSION, SOP_CLASS, SOP_INSTANCE, deflated, data_set=b"\2\0\x10\0UI\xff\xff")
    assert read(data).data_offset == len(data) - 8


def test_values_beyond_the_first_read(read: Read) -> None:
    first = element(0x0001, b"OB", bytes(5000))
    middle = element(0x0005, b"UN", bytes(1013))
    data = file(first, SOP_CLASS, middle, SOP_INSTANCE, element(0x0006, b"UT", bytes(70_001)), SYNTAX)
    assert read(data) == (CT, "1.2.3", EXPLICIT, len(data) - len(DATA_SET))


@pytest.mark.parametrize("gap", range(960, 1090))
def test_an_element_across_the_edge_of_a_read(tmp_path: Path, gap: int) -> None:
    data = file(element(1, b"OB", bytes(gap - 132)), *MINIMAL[1:])
    assert read_file_meta(data) == (CT, "1.2.3", EXPLICIT, len(data) - len(DATA_SET))
    (tmp_path / "file").write_bytes(data)
    with open(tmp_path / "file", "rb") as opened:
        assert read_file_meta(opened.fileno()) == read_file_meta(data)


def test_no_data_set(read: Read) -> None:
    data = file(*MINIMAL, data_set=b"")
    assert read(data).data_offset == len(data)


def test_padding_of_uids(read: Read) -> None:
    data = file(VERSION, SOP_CLASS, element(3, b"UI", b"1.2.3 \0\0"), SYNTAX)
    assert read(data).sop_instance_uid == "1.2.3"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a DICOM file"),
        (b"DICM", "not a DICOM file"),
        (bytes(131), "not a DICOM file"),
        (bytes(128) + b"DICX" + bytes(100), "not a DICOM file"),
        (b"<html>" * 1000, "not a DICOM file"),
        (bytes(128) + b"DICM", "does not say its"),
        (bytes(128) + b"DICM" + DATA_SET, "does not say its"),
        (bytes(128) + b"DICM" + b"\2\0\0", "ends within an element"),
        (file(VERSION, SOP_INSTANCE, SYNTAX), r"does not say its.*\(0002,0002\)"),
        (file(VERSION, SOP_CLASS, SYNTAX), r"does not say its.*\(0002,0003\)"),
        (file(VERSION, SOP_CLASS, SOP_INSTANCE), r"does not say its.*\(0002,0010\)"),
        (file(*MINIMAL[:3], element(0x10, b"UI", b"")), r"not a UID.*\(0002,0010\)"),
        (file(*MINIMAL[:3], element(0x10, b"UI", b"\0\0")), "not a UID"),
        (file(*MINIMAL[:3], element(0x10, b"UI", b"1.2.\xe9.")), "not a UID"),
        (file(*MINIMAL[:3], element(0x10, b"UI", b"1." * 34)), "a UID of more than 64"),
        (file(*MINIMAL[:3], element(0x10, b"UI", b"1.2.840.", 60_000)), "beyond the end"),
        (file(element(1, b"OB", b"\0\1", 2**32 - 1), *MINIMAL[1:]), "beyond the end"),
        (file(element(1, b"OB", b"\0\1", 2**31), *MINIMAL[1:]), "beyond the end"),
        (file(*MINIMAL, data_set=b"")[:-1], "beyond the end"),
        (file(*MINIMAL[:3], b"\2\0\x10\0UT\0\0\1\0", data_set=b""), "ends within the length"),
        (file(*MINIMAL[:3], b"\2\0\x10\0\x14\0\0\0" + EXPLICIT.encode() + b"\0"), "not explicit VR"),
    ],
)
def test_what_is_no_dicom_file(read: Read, data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        read(data)


@pytest.mark.parametrize("group_length", [-1, None])
def test_every_truncation(read: Read, group_length: int | None) -> None:
    whole = file(*MINIMAL, group_length=group_length)
    end = len(whole) - len(DATA_SET)
    for size in range(end):
        with pytest.raises(DecodeError):
            read(whole[:size])
    for size in (end, end + 8, len(whole)):
        assert read(whole[:size]).data_offset == end


@given(st.binary(max_size=300))
def test_hostile_bytes(data: bytes) -> None:
    for hostile in (data, bytes(128) + b"DICM" + data, file(*MINIMAL[:2], data)):
        try:
            meta = read_file_meta(hostile)
        except DecodeError:
            continue
        assert meta.data_offset <= len(hostile)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte(position: int, value: int) -> None:
    data = bytearray(file(*MINIMAL, data_set=DATA_SET * 10))
    data[position % len(data)] = value
    try:
        meta = read_file_meta(data)
    except DecodeError:
        return
    assert meta.data_offset <= len(data)


def test_no_memory_by_stated_length(tmp_path: Path) -> None:
    # A sparse file, so that the lie of 1 GiB is within the file.
    path = tmp_path / "huge"
    path.write_bytes(file(element(1, b"OB", b"", 2**30), data_set=b""))
    os.truncate(path, 2**30 + 10_000)
    with open(path, "rb") as opened:
        tracemalloc.start()
        try:
            with pytest.raises(DecodeError):
                read_file_meta(opened.fileno())
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()


def test_a_folder_is_an_os_error(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            read_file_meta(descriptor)
    finally:
        os.close(descriptor)
