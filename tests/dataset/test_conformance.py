"""What strict reading refuses about values (PS3.5 6.2), and that nothing that the standard allows is among it."""

from __future__ import annotations

import io

import pytest

from aiodicom.dataset import DataElement, Dataset
from aiodicom.errors import DecodeError

KEYWORDS = {
    "AE": "RetrieveAETitle",
    "AS": "PatientAge",
    "CS": "ImageType",
    "DA": "StudyDate",
    "DS": "PixelSpacing",
    "DT": "AcquisitionDateTime",
    "IS": "InstanceNumber",
    "LO": "PatientID",
    "LT": "PatientComments",
    "PN": "PatientName",
    "SH": "AccessionNumber",
    "ST": "InstitutionAddress",
    "TM": "StudyTime",
    "UC": "StrainDescription",
    "UI": "SOPInstanceUID",
    "UR": "RetrieveURL",
    "UT": "TextValue",
}


def encoded(vr: str, value: bytes, charset: str = "") -> bytes:
    """One element, and Specific Character Set; its value as it is here."""
    data_set = Dataset([DataElement("SpecificCharacterSet", "CS", charset)] if charset else [])
    placeholder = b"\x7f" * (len(value) + len(value) % 2)
    data_set.add(DataElement(KEYWORDS[vr], "UN", placeholder))
    padded = value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    data = data_set.to_bytes("1.2.840.10008.1.2")
    return data[: len(data) - len(padded)] + padded


def read(data: bytes, strict: bool) -> Dataset:
    return Dataset.from_bytes(data, "1.2.840.10008.1.2", strict=strict)


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        *[(vr, b"") for vr in KEYWORDS],
        ("AE", b" STORE-SCP 1 "),
        ("AE", b"A" * 16),
        ("AS", b"018M"),
        ("CS", b"ORIGINAL\\PRIMARY\\\\A_1 2"),
        ("CS", b"C*"),
        ("DA", b"20240229"),
        ("DA", b"20240101-20240131"),
        ("DA", b"-20240131"),
        ("DA", b"20240131-"),
        ("DS", b"1.5\\ -.5\\+1.E-3 \\1234567890123456"),
        ("DT", b"2024"),
        ("DT", b"20240229235960.123456+0100"),
        ("DT", b"202402-20240301"),
        ("IS", b"-2147483648\\ +7 "),
        ("LO", b"x" * 64 + b"\\" + b"y" * 64),
        ("LT", b"a\\b\r\n\tc"),
        ("PN", b"A^B^C^D^E=" + b"x" * 64 + b"=z"),
        ("PN", b"*^J?n"),
        ("SH", b"x" * 16),
        ("ST", b"x" * 1024),
        ("TM", b"23"),
        ("TM", b"235960.123456"),
        ("TM", b"1000-1100"),
        ("UC", b"x" * 1000),
        ("UI", b"1.2.0.3\\2." + b"1" * 62),
        ("UR", b"https://example.org/a?b=c "),
        ("UT", b"a\x0cb"),
    ],
)
def test_what_is_allowed(vr: str, value: bytes) -> None:
    data = encoded(vr, value)
    data_set = read(data, True)
    assert data_set == read(data, False)
    assert data_set.to_bytes() == data


@pytest.mark.parametrize(
    ("vr", "value", "reason"),
    [
        ("AE", b"A" * 17, "more than the 16 of AE"),
        ("AE", b"    ", "no AE"),
        ("AE", b"A\tB", "no AE"),
        ("AS", b"18M", "no AS"),
        ("CS", b"lower", "no CS"),
        ("CS", b"A\\" + b"B" * 17, "more than the 16 of CS"),
        ("DA", b"2024.01.01", "no DA"),
        ("DA", b"20230229", "no such day"),
        ("DA", b"20240101-20240132", "no such day"),
        ("DS", b"1,5", "no DS"),
        ("DS", b"1" * 17, "more than the 16 of DS"),
        ("DS", b"NaN", "no DS"),
        ("DT", b"20240230", "no such day"),
        ("DT", b"2024-01-01", "no DT"),
        ("IS", b"1.0", "no IS"),
        ("IS", b"2147483648", "beyond"),
        ("IS", b"1" * 13, "more than the 12 of IS"),
        ("LO", b"x" * 65, "more than the 64 of LO"),
        ("LO", b"a\nb", "control character"),
        ("LO", b"a\0", "control character"),
        ("LT", b"x" * 10241, "more than the 10240 of LT"),
        ("LT", b"a\0b", "control character"),
        ("PN", b"A=" + b"x" * 65, "more than the 64 of PN"),
        ("PN", b"A=B=C=D", "three component groups"),
        ("PN", b"A^B^C^D^E^F", "five components"),
        ("SH", b"x" * 17, "more than the 16 of SH"),
        ("SH", b"\xe4", "default repertoire"),
        ("TM", b"10:11:12", "no TM"),
        ("TM", b"2500", "no such day or time"),
        ("UI", b"1.02", "no UI"),
        ("UI", b"1.2.A", "no UI"),
        ("UI", b"1..2", "no UI"),
        ("UI", b"1." * 32 + b"1", "more than the 64 of UI"),
        ("UI", b"1.2 ", "no UI"),
        ("UR", b"a b", "no UR"),
    ],
)
def test_what_is_refused(vr: str, value: bytes, reason: str) -> None:
    data = encoded(vr, value)
    assert KEYWORDS[vr] in read(data, False)
    with pytest.raises(DecodeError, match=reason) as caught:
        read(data, True)
    assert caught.value.path == str(read(data, False)[KEYWORDS[vr]].tag)
    assert caught.value.offset == 8


@pytest.mark.parametrize(
    ("charset", "value", "reason"),
    [
        ("ISO_IR 100", "Ä".encode("latin_1"), ""),
        ("ISO_IR 192", "Ä^漢".encode(), ""),
        ("ISO_IR 192", b"\xff", "utf_8"),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", ""),
        ("ISO_IR 100", b"\x1b$B;3ED\x1b(B", "does not name"),
        ("ISO-IR 100", b"a", "Incorrect value"),
        ("latin1", b"a", "Incorrect value"),
        ("nonsense", b"a", "Unknown encoding"),
        ("ISO_IR 192\\ISO 2022 IR 87", b"a", "does not allow"),
    ],
)
def test_repertoires(charset: str, value: bytes, reason: str) -> None:
    data = encoded("PN", value, charset)
    if not reason:
        read(data, True)
        return
    with pytest.raises(DecodeError, match=reason):
        read(data, True)


def test_a_film_session_is_little_endian_as_its_label_says() -> None:
    """(2000,0010) begins as (0020,1000) would in big endian."""
    for vr, value in (("IS", "1"), ("IS", None)):
        data_set = Dataset([DataElement(0x20000010, vr, value), DataElement(0x20000020, "CS", "HIGH")])
        data = data_set.to_bytes("1.2.840.10008.1.2.1")
        assert Dataset.from_bytes(data) == data_set
        assert Dataset.from_file(io.BytesIO(data)) == data_set
