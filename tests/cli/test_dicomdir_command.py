"""`aiodicom dicomdir`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pydicom
import typer
from pydicom.fileset import FileSet
from typer.testing import CliRunner

from aiodicom.cli.dicomdir import dicomdir

DATA = Path(pydicom.__file__).parent / "data" / "test_files"

APP = typer.Typer(pretty_exceptions_enable=False)
APP.command("dicomdir")(dicomdir)


@APP.callback()
def root() -> None:
    """A second command, so that typer wants their names."""


def test_a_folder_gets_its_dicomdir(tmp_path: Path) -> None:
    for name in ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "README.txt"):
        shutil.copy(DATA / name, tmp_path / name.upper().replace(".DCM", "").replace(".", "_")[:8])
    result = CliRunner().invoke(APP, ["dicomdir", str(tmp_path), "--id", "TEST_1", "--json", "--strict"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"files": 3, "records": 12, "left_out": 1, "failed": 0}
    file_set = FileSet(tmp_path / "DICOMDIR")
    file_set._stage["t"].cleanup()
    assert file_set.ID == "TEST_1"
    assert {Path(instance.path).name for instance in file_set} == {"CT_SMALL", "MR_SMALL", "RTPLAN"}


def test_names_that_are_no_file_ids(tmp_path: Path) -> None:
    shutil.copy(DATA / "CT_small.dcm", tmp_path)
    assert CliRunner().invoke(APP, ["dicomdir", str(tmp_path), "--strict"]).exit_code == 1
    assert not (tmp_path / "DICOMDIR").exists()
    result = CliRunner().invoke(APP, ["dicomdir", str(tmp_path)])
    assert result.exit_code == 0
    assert "CT_small.dcm: rename" in result.stderr
    assert (tmp_path / "DICOMDIR").exists()


def test_nothing_to_make_one_of(tmp_path: Path) -> None:
    result = CliRunner().invoke(APP, ["dicomdir", str(tmp_path)])
    assert result.exit_code == 1
    assert "no DICOM files" in result.stderr
    assert CliRunner().invoke(APP, ["dicomdir", str(tmp_path / "missing")]).exit_code == 1
    assert CliRunner().invoke(APP, ["dicomdir", str(tmp_path), "--id", "lower"]).exit_code == 2
