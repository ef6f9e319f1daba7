"""`aiodicom generate`."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

import aiodicom
from aiodicom.part10.dicomdir import read_dicomdir
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES
from tests.cli.conftest import Invoke, Start
from tests.cli.objects import put_many

SMALL = ("--rows", 16, "--columns", 16)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_studies(invoke: Invoke, tmp_path: Path) -> None:
    arguments = ("--modality", "ct,SR", "--modality", "mr", "--studies", 2, "--series", 2, "--images", 3, "--seed", 7)
    outcome = invoke("generate", tmp_path, *arguments, *SMALL)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{tmp_path}: 2 studies, 12 series, 36 files, ")
    assert outcome.out.endswith(" s (--seed 7)\n")
    made = files(tmp_path)
    assert len(made) == 36
    folders = {path.relative_to(tmp_path).parts[1] for path in made}
    assert folders == {"1-CT", "2-CT", "3-SR", "4-SR", "5-MR", "6-MR"}
    read = [aiodicom.dcmread(path) for path in made]
    assert len({data_set.SOPInstanceUID for data_set in read}) == 36
    assert {data_set.AccessionNumber for data_set in read} == {path.relative_to(tmp_path).parts[0] for path in made}
    before = [path.read_bytes() for path in made]
    assert invoke("generate", tmp_path, *arguments, *SMALL).code == 0
    assert [path.read_bytes() for path in files(tmp_path)] == before


def test_the_options_of_objects(invoke: Invoke, tmp_path: Path) -> None:
    arguments = ("--modality", "US", "--images", 1, "--frames", 3, "--distinct", 1, "--transfer-syntax", "jpeg-ls")
    whose = ("--patient-id", "ME", "--patient-name", "Doe^Jane", "--date", "20260131-20260201", "--studies", 3)
    outcome = invoke("generate", tmp_path / "new" / "folder", *arguments, *whose, *SMALL, "--json")
    assert outcome.code == 0
    said = json.loads(outcome.out)
    made = files(tmp_path)
    assert list(said) == ["studies", "series", "instances", "bytes", "seconds", "seed"]
    assert (said["studies"], said["series"], said["instances"]) == (3, 3, 3)
    assert said["bytes"] == sum(path.stat().st_size for path in made)
    read = [aiodicom.dcmread(path) for path in made]
    assert [data_set.StudyDate for data_set in read] == ["20260131", "20260201", "20260131"]
    for data_set in read:
        assert (data_set.PatientID, str(data_set.PatientName)) == ("ME", "Doe^Jane")
        assert (data_set.Rows, data_set.Columns, data_set.NumberOfFrames) == (16, 16, 3)
        assert data_set.file_meta is not None
        assert data_set.file_meta.TransferSyntaxUID == SHORT_NAMES["jpeg-ls-lossless"]


def test_a_medium(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("generate", tmp_path / "cd", "--dicomdir", "--studies", 2, "--images", 2, *SMALL)
    assert outcome.code == 0
    file_set = read_dicomdir(tmp_path / "cd" / "DICOMDIR")
    assert len([record for record in file_set.walk() if record.file_id]) == 4
    assert ("ST000002", "SE000001", "IM000002") in {tuple(record.file_id) for record in file_set.walk()}
    outcome = invoke("generate", tmp_path / "cd", "--dicomdir")
    assert outcome.code == 1
    assert outcome.errors == [
        f"aiodicom generate: {tmp_path / 'cd'}: not empty (a medium with a DICOMDIR begins in a new folder)"
    ]


def test_copies_of_files(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path / "in", 2)
    (tmp_path / "in" / "note.txt").write_text("none")
    outcome = invoke("generate", tmp_path / "out", "--input", tmp_path / "in", "--studies", 5)
    assert outcome.code == 0
    assert outcome.errors[0].startswith(f"aiodicom generate: {tmp_path / 'in' / 'note.txt'}: skipped: not a DICOM file")
    assert len({aiodicom.dcmread(path).SOPInstanceUID for path in files(tmp_path / "out")}) == 5
    outcome = invoke("generate", tmp_path / "out", "--input", tmp_path / "in" / "note.txt")
    assert outcome.code == 1
    assert outcome.errors[-1] == f"aiodicom generate: {tmp_path / 'in' / 'note.txt'}: no DICOM files to send"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--modality", "XA"], 2, "no synthetic objects of 'XA': CT, MR, US, MG, CR, DX, SC, SR, enhanced-CT"),
        (["--frames", 2], 2, "one frame is all that CT objects have; several: US, enhanced-CT"),
        (["--images", 100_001], 2, "100,001 objects in a study are more than the 100,000 that can be made"),
        (["--transfer-syntax", "zip"], 2, "'zip' is no transfer syntax"),
        (["--date", "20260230"], 2, "'20260230' is no date, such as 20260131, nor a range of two in order"),
        (["--date", "20260202-20260201"], 2, "is no date, such as 20260131, nor a range of two in order"),
        (["--patient-id", "a\\b"], 2, "is not up to 64 letters, digits and signs of ASCII without a backslash"),
        (["--patient-name", "Łukasz"], 2, "is not up to 64 letters, digits and signs of ASCII without a backslash"),
        (["--transfer-syntax", "jpeg-baseline"], 1, "12 bits stored of 16 allocated do not fit JPEG with 8 bits"),
    ],
)
def test_bad_arguments(invoke: Invoke, tmp_path: Path, arguments: list[object], code: int, message: str) -> None:
    outcome = invoke("generate", tmp_path, *arguments)
    assert outcome.code == code
    [line] = outcome.errors
    assert message in line
    assert files(tmp_path) == []


def test_where_it_cannot_be_written(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = invoke("generate", tmp_path / "file" / "folder", *SMALL)
    assert outcome.code == 1
    [line] = outcome.errors
    assert "Not a directory" in line


def test_interrupted(start: Start, tmp_path: Path) -> None:
    command = start("generate", tmp_path, "--studies", 1_000_000, *SMALL, "--json")
    while not files(tmp_path):
        pass
    command.send_signal(signal.SIGINT)
    outcome = command.wait()
    assert outcome.code == 1
    assert outcome.errors == ["aiodicom generate: stopping; what has begun is being finished (again: abort)"]
    assert json.loads(outcome.out)["instances"] == len(files(tmp_path)) > 0
    assert all(path.suffix == ".dcm" for path in files(tmp_path))
