"""Data sets as tables."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from aiodicom.cli.keys import parse_path
from aiodicom.cli.table import Column, Table, columns_for, text_of
from aiodicom.dataset import DataElement, Dataset

NAME, DATE, UID = (
    Column("Name", "PatientName"),
    Column("Date", "Date", is_elastic=False),
    Column("UID", "UID", is_uid=True),
)
NUMBER = Column("Instances", "NumberOfInstances", is_right=True, is_elastic=False)


def shown(columns: list[Column], rows: list[list[str]], **options: object) -> tuple[list[str], Table]:
    lines: list[str] = []
    table = Table(columns, write=lines.append, **({"width": None} | options))  # type: ignore[arg-type]
    for row in rows:
        table.add(row)
    table.flush()
    return lines, table


def test_in_full() -> None:
    lines, table = shown([NAME, NUMBER, UID], [["Doe, Jane", "7", "1.2.3"], ["山田, 太郎", "1234", "1.2.840.10008"]])
    assert lines == [
        "Name        Instances  UID",
        "Doe, Jane           7  1.2.3",
        "山田, 太郎       1234  1.2.840.10008",
    ]
    assert not table.is_cut


def test_as_wide_as_the_terminal() -> None:
    row = ["Wolfeschlegelsteinhausenbergerdorff, Hubert", "2024-01-31", "1", "1.2.840.113619.2.55.3.604688119.868.1.23"]
    lines, table = shown([NAME, DATE, NUMBER, UID], [row], width=50)
    assert [cell_len(line) for line in lines] == [38, 50]
    assert lines[1] == "Wolfeschlegels…  2024-01-31     1  …88119.868.1.23"
    assert table.is_cut


def test_headings_are_cut_before_values() -> None:
    lines, table = shown([NAME, NUMBER], [["Doe, Jane Mary", "12"]], width=20)
    assert lines == ["Name            Ins…", "Doe, Jane Mary    12"]
    assert not table.is_cut


def test_without_room_for_all_each_row_is_a_block() -> None:
    lines, table = shown([NAME, DATE, UID], [["Doe, Jane", "2024-01-31", "1.2.840.10008"], ["", "", ""]], width=25)
    assert lines == [
        "PatientName  Doe, Jane",
        "Date         2024-01-31",
        "UID          1.2.840.10008",
        "",
        "PatientName",
        "Date",
        "UID",
        "",
    ]
    assert not table.is_cut


def test_a_list_when_asked_for() -> None:
    lines, _ = shown([NAME], [["Doe, Jane"]], is_list=True)
    assert lines == ["PatientName  Doe, Jane", ""]


def test_rows_come_once_it_is_known_how_wide_the_columns_are() -> None:
    lines: list[str] = []
    table = Table([NAME], width=None, write=lines.append)
    for _ in range(99):
        table.add(["x"])
    assert lines == []
    table.add(["x"])
    assert len(lines) == 101
    table.add(["longer than the others"])
    assert lines[-1] == "longer than the others"
    table.flush()
    assert len(lines) == 102


def test_colours() -> None:
    lines, _ = shown([NAME], [["x"]], is_coloured=True)
    assert lines == ["\x1b[1mName\x1b[0m", "x"]


def test_columns() -> None:
    paths = map(parse_path, ["PatientName", "ScheduledProcedureStepSequence[0].Modality", "Modality", "InstanceNumber"])
    name, scheduled, modality, number = columns_for(list(paths))
    assert name.name == "PatientName"
    assert (scheduled.heading, scheduled.name) == ("Modality", "ScheduledProcedureStepSequence[0].Modality")
    assert modality.name == "Modality"
    assert (number.heading, number.is_right, number.is_elastic) == ("Number", True, False)


@pytest.mark.parametrize(
    ("keyword", "value", "text"),
    [
        ("StudyDate", "20240131", "2024-01-31"),
        ("StudyDate", "31.1.2024", "31.1.2024"),
        ("StudyTime", "101530.123", "10:15:30"),
        ("AcquisitionDateTime", "20240131101530", "2024-01-31 10:15:30"),
        ("PatientName", "Doe^Jane^Mary^Dr.^MD", "Doe, Dr. Jane Mary, MD"),
        ("PatientName", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou = 山田, 太郎"),
        ("PatientName", "Doe", "Doe"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2", "CT Image Storage"),
        ("SOPInstanceUID", "1.2.3", "1.2.3"),
        ("ModalitiesInStudy", ["CT", "MR"], "CT\\MR"),
        ("Rows", 512, "512"),
        ("FrameIncrementPointer", 0x00181063, "(0018,1063)"),
        ("StudyDescription", "\x1b[31mred", "\\x1b[31mred"),
        ("StudyDescription", None, ""),
        ("ReferencedStudySequence", [Dataset(), Dataset()], "2 items"),
    ],
)
def test_values(keyword: str, value: object, text: str) -> None:
    assert text_of(Dataset(**{keyword: value}), parse_path(keyword)) == text


def test_values_that_are_none_for_their_vr() -> None:
    data_set = Dataset([DataElement(0x00080020, "DA", "x" * 5000), DataElement(0x00091001, "UN", b"\0\1")])
    assert len(text_of(data_set, parse_path("StudyDate"))) == 1024
    assert text_of(data_set, parse_path("0009,1001")) == "2 bytes"
    assert text_of(data_set, parse_path("PatientID")) == ""


def test_values_of_several_items() -> None:
    path = parse_path("ScheduledProcedureStepSequence[0].Modality")
    items = [Dataset(Modality="CT"), Dataset(), Dataset(Modality="MR"), Dataset(Modality="CT")]
    assert text_of(Dataset(ScheduledProcedureStepSequence=items), path) == "CT\\MR"
    wrong = Dataset([DataElement(0x00400100, "LO", "no sequence")])
    assert text_of(wrong, path) == ""
