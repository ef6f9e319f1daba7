"""Paths and arguments from what comes over the network."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import DecodeError
from aiodicom.part10.meta import encode_file_meta
from aiodicom.services.naming import EMPTY, FileTemplate, InvalidUID, harmless, parse, read_header, values_of
from aiodicom.services.studies import StudyCommand
from aiodicom.store.files import check_names

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
FULL = "in/{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm"


@pytest.mark.parametrize(
    ("template", "root", "path"),
    [
        (FULL, "in", ("1.2", "1.3", "1.4.dcm")),
        ("/{SOPInstanceUID}", "/", ("1.4",)),
        ("{SOPInstanceUID}", ".", ("1.4",)),
        ("../a//b/{StudyInstanceUID}-{Modality}/x/{SOPInstanceUID}{{}}", "../a//b", ("1.2-CT", "x", "1.4{}")),
        ("./{PatientName}/{SOPInstanceUID}.dcm", ".", ("A^B", "1.4.dcm")),
        ("{{x}}/{PatientID}/{SOPInstanceUID}", "{x}", (EMPTY, "1.4")),
    ],
)
def test_a_template(template: str, root: str, path: tuple[str, ...]) -> None:
    made = FileTemplate(template)
    data_set = aiodicom.Dataset(
        SOPInstanceUID="1.4", StudyInstanceUID="1.2", SeriesInstanceUID="1.3", Modality="CT", PatientName="A^B"
    )
    assert made.root == root
    assert made.path(values_of(data_set, made.keywords)) == path


@pytest.mark.parametrize(
    "template",
    [
        "plain",
        "{StudyInstanceUID}",
        "{}/{SOPInstanceUID}",
        "{0}/{SOPInstanceUID}",
        "{SOPInstanceUID",
        "SOPInstanceUID}",
        "{SOPInstanceUID!r}",
        "{SOPInstanceUID:>90}",
        "{SOPInstanceUID.__class__}",
        "{Nonsense}/{SOPInstanceUID}",
        "{PixelData}/{SOPInstanceUID}",
        "{Rows}/{SOPInstanceUID}",
        "{ReferencedStudySequence}/{SOPInstanceUID}",
        "{StudyInstanceUID}//{SOPInstanceUID}",
        "{StudyInstanceUID}/../{SOPInstanceUID}",
        "{StudyInstanceUID}/./{SOPInstanceUID}",
        "{StudyInstanceUID}/{SOPInstanceUID}/",
        "{StudyInstanceUID}/.{SOPInstanceUID}",
        "{StudyInstanceUID}/\n{SOPInstanceUID}",
        "{StudyInstanceUID}\0/{SOPInstanceUID}",
        "{PatientName}{PatientID}{StudyDescription}/{SOPInstanceUID}" + "x" * 192,
        "{PatientName}{PatientID}{StudyDescription}{SeriesDescription}/{SOPInstanceUID}",
    ],
)
def test_a_template_that_is_none(template: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        FileTemplate(template)


HOSTILE = [
    "",
    " ",
    ".",
    "..",
    "...",
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows",
    "C:evil",
    "a/b",
    "a\nb",
    "a\x1b]0;evil\x07",
    "\0",
    "a\0b",
    "-rf",
    "--delete",
    ".aiodicom-x.part",
    "x" * 5000,
    "ä" * 5000,
    "\U0001f600" * 100,
    "$(reboot)",
    "`reboot`",
    "; reboot",
    "a b  c",
    "\u202etxt.exe",
    "\ud800",
    "~root",
    "*",
    "\u2025/\u2024",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_stays_one_name(value: str, tmp_path: Path) -> None:
    template = FileTemplate("{PatientID}/x{PatientName}{StudyDescription}/{SOPInstanceUID}.dcm")
    name = harmless(value, 64) or EMPTY
    path = template.path(dict.fromkeys(template.keywords, name) | {"SOPInstanceUID": "1.2"})
    check_names(path)
    assert not path[0].startswith((".", "-"))
    assert all(part.isprintable() and len(os.fsencode(part)) <= 255 for part in path)
    place = tmp_path.joinpath(*path)
    place.parent.mkdir(parents=True)
    place.touch()
    assert place.resolve().is_relative_to(tmp_path.resolve())
    assert len(list(tmp_path.rglob("*"))) == 3


@pytest.mark.parametrize("value", [value for value in HOSTILE if "\ud800" not in value and "\0" not in value])
def test_a_hostile_value_in_a_data_set(value: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoded = aiodicom.Dataset(SpecificCharacterSet="ISO_IR 192", PatientID=value).to_bytes()
    made = values_of(aiodicom.Dataset.from_bytes(encoded), ["PatientID"])["PatientID"]
    check_names((made,))
    assert not made.startswith((".", "-"))
    assert made != ""


@pytest.mark.parametrize("value", ["../1.2", "1.2/../3", "1..2", "1.02", "a", "1.2.", "1." * 40, ".", "1.2\x01"])
def test_a_uid_that_is_none(value: str) -> None:
    element = b"\x20\0\x0d\0UI" + len(value).to_bytes(2, "little") + value.encode()
    with pytest.raises(InvalidUID, match="StudyInstanceUID"):
        values_of(aiodicom.Dataset.from_bytes(element), ["StudyInstanceUID"])


def test_what_stands_for_values() -> None:
    data_set = aiodicom.Dataset(
        StudyDate="20261123", SeriesNumber="007", SliceThickness="1.50", OtherPatientIDs=["a", "b"], Modality=""
    )
    data_set.add_new("StudyID", "OB", b"bytes")
    data_set.add_new("PatientName", "SQ", [aiodicom.Dataset(Rows=1)])
    data_set = aiodicom.Dataset.from_bytes(data_set.to_bytes())
    wanted = {
        "StudyDate": "20261123",
        "SeriesNumber": "007",
        "SliceThickness": "1.50",
        "OtherPatientIDs": "a",
        "Modality": EMPTY,
        "StudyID": EMPTY,
        "PatientName": EMPTY,
        "SeriesInstanceUID": EMPTY,
    }
    assert values_of(data_set, wanted) == wanted


def file_with(path: Path, data: bytes, syntax: str) -> Any:
    path.write_bytes(encode_file_meta(CT, "1.2", syntax) + data)
    return path.open("rb", buffering=0)


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", DEFLATED])
def test_a_header(tmp_path: Path, syntax: str) -> None:
    data_set = aiodicom.Dataset(PatientID="x", StudyInstanceUID="1.2", PixelData=bytes(20 << 20))
    with file_with(tmp_path / "file", data_set.to_bytes(syntax), syntax) as file:
        read = read_header(file, ["PatientID", "StudyInstanceUID"])
    assert read.StudyInstanceUID == "1.2"
    assert "PixelData" not in read


def test_a_header_that_was_never_deflated(tmp_path: Path) -> None:
    data_set = aiodicom.Dataset(PatientID="x", StudyInstanceUID="1.2", PixelData=bytes(100_000))
    with file_with(tmp_path / "file", data_set.to_bytes(EXPLICIT), DEFLATED) as file:
        assert read_header(file, ["StudyInstanceUID"]).StudyInstanceUID == "1.2"


def test_a_header_that_is_none(tmp_path: Path) -> None:
    with file_with(tmp_path / "file", b"\xff" * 100, DEFLATED) as file, pytest.raises(DecodeError):
        read_header(file, ["PatientID"])


def test_a_header_that_is_cut(tmp_path: Path) -> None:
    data = aiodicom.Dataset(PatientID="x" * 60, StudyInstanceUID="1.2").to_bytes()
    with file_with(tmp_path / "file", data[:30], EXPLICIT) as file, pytest.raises(DecodeError):
        read_header(file, ["StudyInstanceUID"])


# --- commands


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_stays_one_argument(value: str) -> None:
    command = StudyCommand("program --name={PatientName} '{PatientID}' {StudyInstanceUID} '{path}/x y' '{{}}'")
    values = dict.fromkeys(command.keywords, harmless(value, 64) or EMPTY) | {"StudyInstanceUID": "1.2"}
    arguments = command.arguments(values, "in/1.2")
    assert arguments[0] == "program"
    assert len(arguments) == 6
    assert arguments[1].startswith("--name=")
    assert not arguments[2].startswith("-")
    assert arguments[3:] == ["1.2", f"{Path.cwd()}/in/1.2/x y", "{}"]


@pytest.mark.parametrize(
    "command", ["", "  ", "'' x", "{path}", "{PatientName} x", "x {nothing}", "x 'y", "x {PixelData}"]
)
def test_a_command_that_is_none(command: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        StudyCommand(command)


def test_the_parts_of_a_template() -> None:
    assert parse("a{{{PatientID}b", ()) == [("a{", ""), ("", "PatientID"), ("b", "")]
