"""Attributes and values as they are written on the command line."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.cli.keys import BadKey, Key, Step, find_values, parse_key, parse_path, path_text, put
from aiodicom.dataset import Dataset

STEP = 0x00400100


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("PatientName=Doe*", Key((Step(0x00100010),), ("Doe*",))),
        ("PatientName", Key((Step(0x00100010),))),
        ("PatientName=", Key((Step(0x00100010),), ())),
        ("0010,0010=Doe", Key((Step(0x00100010),), ("Doe",))),
        ("(0010,0010)=Doe", Key((Step(0x00100010),), ("Doe",))),
        ("00100010=Doe", Key((Step(0x00100010),), ("Doe",))),
        ("PatientName=Yamada^Tarou=山田^太郎", Key((Step(0x00100010),), ("Yamada^Tarou=山田^太郎",))),
        ("ModalitiesInStudy=CT\\MR", Key((Step(0x00080061),), ("CT", "MR"))),
        ("ImageComments=a\\b", Key((Step(0x00204000),), ("a\\b",))),
        ("StudyDate=20240101-20240131", Key((Step(0x00080020),), ("20240101-20240131",))),
        ("StudyDate=-20240131", Key((Step(0x00080020),), ("-20240131",))),
        ("StudyDate=2024-01-31", Key((Step(0x00080020),), ("20240131",))),
        ("StudyDate=2024-01-01-2024-01-31", Key((Step(0x00080020),), ("20240101-20240131",))),
        ("StudyDate=2024-01-31-", Key((Step(0x00080020),), ("20240131-",))),
        ("StudyTime=10:30", Key((Step(0x00080030),), ("1030",))),
        ("StudyTime=-10:30:15.5", Key((Step(0x00080030),), ("-103015.5",))),
        ("StudyTime=0800-", Key((Step(0x00080030),), ("0800-",))),
        ("StudyTime=075959.123456", Key((Step(0x00080030),), ("075959.123456",))),
        (
            "AcquisitionDateTime=20240101120000.5-0500-20240102",
            Key((Step(0x0008002A),), ("20240101120000.5-0500-20240102",)),
        ),
        ("Rows=512", Key((Step(0x00280010),), (512,))),
        ("InstanceNumber=12", Key((Step(0x00200013),), ("12",))),
        ("SliceThickness=2.5", Key((Step(0x00180050),), ("2.5",))),
        ("FrameIncrementPointer=FrameTime\\0018,1065", Key((Step(0x00280009),), (0x00181063, 0x00181065))),
        ("SOPClassUID=CTImageStorage", Key((Step(0x00080016),), ("1.2.840.10008.5.1.4.1.1.2",))),
        ("StudyInstanceUID=1.2.3\\1.2.4", Key((Step(0x0020000D),), ("1.2.3", "1.2.4"))),
        ("ScheduledProcedureStepSequence", Key((Step(STEP),))),
        ("ScheduledProcedureStepSequence[0]", Key((Step(STEP, 0),))),
        ("ScheduledProcedureStepSequence[0].Modality=CT", Key((Step(STEP, 0), Step(0x00080060)), ("CT",))),
        ("ScheduledProcedureStepSequence.Modality=CT", Key((Step(STEP, 0), Step(0x00080060)), ("CT",))),
        ("(0040,0100)[1].(0008,0060)=CT", Key((Step(STEP, 1), Step(0x00080060)), ("CT",))),
        ("0009,1001", Key((Step(0x00091001),))),
    ],
)
def test_what_is_understood(text: str, key: Key) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with a keyword or a tag"),
        ("=x", "begins with a keyword or a tag"),
        ("patientname=x", "patientname is no keyword of PS3.6 (PatientName is)"),
        ("PatientNam=x", "(PatientName is)"),
        ("Xyzzy=x", "Xyzzy is no keyword of PS3.6"),
        ("Patient Name=x", "'Patient Name' is neither a keyword nor a tag"),
        ("PatientName.x=y", "PatientName is no sequence (PN)"),
        ("PatientName[0]", "PatientName is no sequence (PN)"),
        ("ScheduledProcedureStepSequence=CT", "ScheduledProcedureStepSequence[0].KEYWORD=..."),
        ("ScheduledProcedureStepSequence[0]=CT", "ScheduledProcedureStepSequence[0].KEYWORD=..."),
        ("ScheduledProcedureStepSequence[x].Modality=CT", "[x] is no number of an item"),
        ("ScheduledProcedureStepSequence[-1].Modality=CT", "[-1] is no number of an item"),
        ("ScheduledProcedureStepSequence[0]..Modality", "'.Modality' is neither"),
        ("ScheduledProcedureStepSequence[0].", "'' is neither"),
        ("0002,0010=1.2", "(0002,0010) is no attribute of a data set"),
        ("0008,0000", "(0008,0000) is no attribute of a data set"),
        ("FFFE,E000", "(FFFE,E000) is no attribute of a data set"),
        ("TransferSyntaxUID", "(0002,0010) is no attribute of a data set"),
        ("PixelData=x", "PixelData has binary values (OB)"),
        ("0009,1001=x", "(0009,1001) has binary values (UN)"),
        ("Modality=ct", "'ct' is no code of capital letters"),
        ("StudyDate=31.1.2024", "no date, such as 20240131, or a range of them"),
        ("StudyDate=2024-01-32", "'2024-01-32' is no date"),
        ("StudyDate=2024-01", "is no date"),
        ("StudyDate=20240132", "'20240132' is no date"),
        ("StudyDate=-", "'-' is no date"),
        ("StudyDate=20240101-20240132", "is no date"),
        ("StudyTime=25", "no time, such as 1200"),
        ("StudyTime=1:30", "no time, such as 1200"),
        ("PatientAge=45", "no age, such as 045Y"),
        ("Rows=x", "no integer from 0 to 65535"),
        ("Rows=65536", "no integer from 0 to 65535"),
        ("Rows=²", "no integer"),
        ("InstanceNumber=1.5", "no integer"),
        ("SliceThickness=thin", "no number"),
        ("StudyInstanceUID=1.2.x", "no UID, such as"),
        ("StudyInstanceUID=1.2*", "no UID, such as"),
        ("StationAETitle=Ä", "AE title"),
        ("StudyID=12345678901234567", "longer than 16 characters"),
        ("PatientName=a\x1bb", "control characters"),
        ("PatientName=\udc80", "is no text"),
        ("FrameIncrementPointer=12", "neither a keyword nor a tag"),
        (".".join(["ContentSequence"] * 40), "more than 32"),
    ],
)
def test_what_is_not(text: str, said: str) -> None:
    with pytest.raises(BadKey) as error:
        parse_key(text)
    assert said in str(error.value)


def test_no_range_where_nothing_is_matched() -> None:
    with pytest.raises(BadKey, match=r"no date, such as 20240131$"):
        parse_key("StudyDate=20240101-20240131", is_matched=False)


@pytest.mark.parametrize(
    "key",
    ["PatientID={}", "StudyDate={}", "StudyInstanceUID={}", "InstanceNumber={}", "{}", "ROIContourSequence[{}].A"],
)
@pytest.mark.parametrize("letter", ["x", "1", "\x1b"])
def test_what_is_long_is_not_repeated(key: str, letter: str) -> None:
    with pytest.raises(BadKey) as error:
        parse_key(key.format(letter * 70_000))
    assert len(str(error.value)) < 600
    assert "…" in str(error.value)


@given(st.text())
def test_any_text_is_a_key_or_none(text: str) -> None:
    with suppress(BadKey):
        put(Dataset(), parse_key(text))


_SEQUENCES = ("ScheduledProcedureStepSequence", "RequestAttributesSequence", "(0008,1140)")
_VALUES = {
    "PatientName": st.text(
        st.characters(exclude_categories=("C", "Z"), exclude_characters="\\"), min_size=1, max_size=20
    ).filter(lambda name: not name.endswith("=")),  # empty component groups at the end say nothing
    "Modality": st.text("ABC_", min_size=1, max_size=16),
    "Rows": st.integers(0, 65535),
    "SOPInstanceUID": st.integers(1, 10**30).map(lambda number: f"1.2.{number}"),
    "StudyDate": st.dates().map(lambda day: f"{day:%Y%m%d}".zfill(8)),
}


@st.composite
def keys(draw: st.DrawFn) -> tuple[str, list[object]]:
    """A key that can be, and its values."""
    name = draw(st.sampled_from(sorted(_VALUES)))
    values = draw(st.lists(_VALUES[name], min_size=1, max_size=3))
    before = draw(st.lists(st.sampled_from(_SEQUENCES), max_size=4))
    path = ".".join([*(f"{sequence}[0]" for sequence in before), name])
    return f"{path}=" + "\\".join(map(str, values)), values


@given(keys())
def test_what_is_put_is_found(key: tuple[str, list[object]]) -> None:
    text, values = key
    parsed = parse_key(text)
    data_set = Dataset()
    put(data_set, parsed)
    (element,) = find_values(
        Dataset.from_bytes(data_set.to_bytes() if text.isascii() else _utf8(data_set)), parsed.path
    )
    assert list(map(str, element.values)) == list(map(str, values))
    assert parse_path(path_text(parsed.path)) == parsed.path


def _utf8(data_set: Dataset) -> bytes:
    data_set.SpecificCharacterSet = "ISO_IR 192"
    return data_set.to_bytes()


def test_items_follow_one_another() -> None:
    data_set = Dataset()
    for number in (0, 1):
        put(data_set, parse_key(f"ScheduledProcedureStepSequence[{number}].Modality=CT"))
    put(data_set, parse_key("ScheduledProcedureStepSequence[1].Modality=MR"))
    path = parse_path("ScheduledProcedureStepSequence[0].Modality")
    assert [element.value for element in find_values(data_set, path)] == ["CT", "MR"]
    with pytest.raises(BadKey, match=r"item \[5\] without an item \[2\]"):
        put(data_set, parse_key("ScheduledProcedureStepSequence[5].Modality=MR"))


def test_keys_without_values_are_there_and_empty() -> None:
    data_set = Dataset()
    for text in ("PatientName", "Rows", "SliceThickness", "PixelData", "ReferencedStudySequence", "0009,1001"):
        put(data_set, parse_key(text))
    assert [(element.keyword, element.is_empty) for element in data_set] == [
        ("ReferencedStudySequence", True),
        ("", True),
        ("PatientName", True),
        ("SliceThickness", True),
        ("Rows", True),
        ("PixelData", True),
    ]
    put(data_set, parse_key("RequestAttributesSequence[0]"))
    assert len(data_set.RequestAttributesSequence) == 1
    assert len(data_set.RequestAttributesSequence[0]) == 0
