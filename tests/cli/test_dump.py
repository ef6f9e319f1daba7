"""`aiodicom dump`."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pydicom
import pytest
import typer
from typer.testing import CliRunner

from aiodicom.cli.dump import dump
from aiodicom.dataset.json import to_json_dict
from aiodicom.dataset.xml import from_xml
from aiodicom.part10.reader import dcmread

DATA = Path(pydicom.__file__).parent / "data" / "test_files"
CT = str(DATA / "CT_small.dcm")
SR = str(DATA / "test-SR.dcm")

APP = typer.Typer(pretty_exceptions_enable=False)
APP.command("dump")(dump)


@APP.callback()
def root() -> None:
    """A second command, so that typer wants their names."""


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(APP, ["dump", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout


def test_text_has_every_element_in_columns() -> None:
    text = run(SR)
    data_set = dcmread(SR)
    assert data_set.file_meta is not None
    elements = len(list(data_set.iterall())) + len(data_set.file_meta)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("item ")]
    assert len(lines) == elements
    assert len({re.search(r" [A-Z]{2}( |$)", line).start() for line in lines if " SQ" not in line}) >= 1  # type: ignore[union-attr]
    assert "(0002,0010) TransferSyntaxUID" in text
    assert "1.2.840.10008.1.2.1 (Explicit VR Little Endian)" in text
    assert "Riesmeier^Jörg" in text
    assert "\x1b" not in text


def test_json_has_every_element_but_the_file_meta_information() -> None:
    first, second = run(CT, SR, "--format", "json").splitlines()
    assert json.loads(first) == to_json_dict(dcmread(CT))
    assert json.loads(second) == to_json_dict(dcmread(SR))
    assert "00020010" not in first
    omitted = json.loads(run(CT, "--format", "json", "--bulk", "omit"))
    assert omitted["7FE00010"] == {"vr": "OW"}
    assert omitted.keys() == json.loads(first).keys()


def test_xml() -> None:
    assert from_xml(run(CT, "--format", "xml")).to_json() == dcmread(CT).to_json()


def test_some_elements() -> None:
    assert json.loads(run(CT, "--format", "json", "--tag", "PatientID", "--tag", "0010,0010")) == {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "CompressedSamples^CT1"}]},
        "00100020": {"vr": "LO", "Value": ["1CT1"]},
    }
    assert run(CT, "--tag", "PatientID").split() == ["(0010,0020)", "PatientID", "LO", "1CT1"]
    assert run(CT, "--tag", "SelectorAttribute") == ""
    run(CT, "--tag", "NoSuchKeyword", code=2)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM here")
    (tmp_path / "cut").write_bytes(Path(CT).read_bytes()[:4000])
    result = CliRunner().invoke(
        APP, ["dump", str(tmp_path / "text"), str(tmp_path / "missing"), str(tmp_path / "cut"), CT]
    )
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 3
    assert "not a DICOM file" in result.stderr
    assert "No such file or directory" in result.stderr
    assert result.stdout.count("PatientName") == 2


def test_what_a_person_sees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    dump([CT])
    text = sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[\d+m", "", text)
    assert all(len(line) <= 80 for line in plain.splitlines())
    assert "…" in plain


def test_nothing_in_a_file_controls_the_terminal(tmp_path: Path) -> None:
    data_set = dcmread(CT, stop_before_pixels=True)
    data_set.PatientComments = "\x9b2J\x07"
    from aiodicom.part10.writer import dcmwrite

    dcmwrite(tmp_path / "file", data_set)
    text = run(str(tmp_path / "file"), "--tag", "PatientComments")
    assert "\x9b" not in text
    assert "\\x9b2J\\x07" in text


def test_what_is_wrong_with_a_file_is_a_note(tmp_path: Path) -> None:
    data = Path(CT).read_bytes().replace(b"ISO_IR 100", b"ISO_IR 99 ")
    (tmp_path / "file").write_bytes(data)
    data = data.replace(b"JFK IMAGING CENTER", b"JFK IM\xc4GING CENTER")
    (tmp_path / "file").write_bytes(data)
    result = CliRunner().invoke(APP, ["dump", str(tmp_path / "file")])
    assert result.exit_code == 0
    assert result.stderr.count("\n") == 1
    assert "Unknown encoding 'ISO_IR 99'" in result.stderr
