"""`aiodicom deidentify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import aiodicom
from aiodicom.dataset import Dataset
from tests.cli.conftest import Invoke
from tests.pixels.images import data_set, describe, image

CT = "1.2.840.10008.5.1.4.1.1.2"
NO_KEY = "aiodicom deidentify: no --key-file: replacements are consistent within this run, and with no other\n"


def put(path: Path, uid: str, **values: object) -> Path:
    cells = image("12 of 16")
    made = data_set(describe("12 of 16"), cells.tobytes(), "1.2.840.10008.1.2.1", SOPClassUID=CT, SOPInstanceUID=uid)
    for keyword, value in {
        "PatientName": "Doe^John",
        "PatientID": "77",
        "StudyDate": "20200229",
        "StudyInstanceUID": "1.2.9",
        "SeriesInstanceUID": "1.2.9.1",
        "Modality": "CT",
        **values,
    }.items():
        setattr(made, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    aiodicom.dcmwrite(path, made)
    return path


def read(folder: Path) -> list[Dataset]:
    return [aiodicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def test_a_file(invoke: Invoke, tmp_path: Path) -> None:
    source = put(tmp_path / "in.dcm", "1.2.3")
    outcome = invoke("deidentify", source, tmp_path / "new" / "out.dcm")
    assert (outcome.code, outcome.err) == (0, NO_KEY)
    assert outcome.out.startswith("1 file de-identified, 0 failed, 0 skipped: ")
    made = aiodicom.dcmread(tmp_path / "new" / "out.dcm")
    assert made.PatientIdentityRemoved == "YES"
    assert made.PixelData == aiodicom.dcmread(source).PixelData
    assert b"Doe" not in (tmp_path / "new" / "out.dcm").read_bytes()
    # Over itself.
    assert invoke("deidentify", source, source).code == 0
    assert b"Doe" not in source.read_bytes()


def test_runs_with_one_key_belong_together(invoke: Invoke, tmp_path: Path) -> None:
    put(tmp_path / "in" / "a", "1.2.3")
    put(tmp_path / "in" / "DOE" / "b", "1.2.4")
    (tmp_path / "in" / "notes.txt").write_text("none")
    late = put(tmp_path / "late.dcm", "1.2.5")
    key = tmp_path / "key"
    given = ("--key-file", key, "--retain", "modified-dates,patient", "--clean", "descriptors", "--clean", "graphics")
    outcome = invoke("deidentify", tmp_path / "in", tmp_path / "out", *given, "--new-key", "--json")
    assert outcome.code == 0
    said = json.loads(outcome.out)
    assert {name: said[name] for name in ("deidentified", "failed", "skipped", "methods")} == {
        "deidentified": 2,
        "failed": 0,
        "skipped": 1,
        "methods": ["113100", "113108", "113107", "113105", "113103"],
    }
    assert key.stat().st_mode & 0o777 == 0o600
    assert invoke("deidentify", late, tmp_path / "out", *given).code == 0
    made = read(tmp_path / "out")
    assert len(made) == 3
    assert len({each.StudyInstanceUID for each in made}) == len({each.StudyDate for each in made}) == 1
    assert {path.stem for path in (tmp_path / "out").rglob("*.dcm")} == {each.SOPInstanceUID for each in made}
    (tmp_path / "other").mkdir()
    assert invoke("deidentify", late, tmp_path / "other").code == 0
    assert read(tmp_path / "other")[0].StudyInstanceUID != made[0].StudyInstanceUID


def test_a_template_and_rules_of_devices(invoke: Invoke, tmp_path: Path) -> None:
    source = put(tmp_path / "in.dcm", "1.2.3", BurnedInAnnotation="YES")
    out = f"{tmp_path}/out/{{PatientID}}/{{SOPInstanceUID}}.dcm"
    refused = invoke("deidentify", source, out)
    assert refused.code == 1
    assert "its pixels have burned in annotation: blank it by device rules" in refused.errors[1]
    assert not (tmp_path / "out").exists()
    rules = tmp_path / "rules.toml"
    rules.write_text('[[device]]\nmodality = "CT"\nblank = [[0, 0, 10, 10]]\n')
    assert invoke("deidentify", source, out, "--clean", "pixels", "--devices", rules).code == 0
    [made] = read(tmp_path / "out")
    assert not made.frames[0].to_numpy()[:10, :10].any()
    assert (tmp_path / "out" / made.PatientID).is_dir()
    assert invoke("deidentify", source, tmp_path / "kept.dcm", "--keep-burned-in", "--no-pseudonyms").code == 0
    kept = aiodicom.dcmread(tmp_path / "kept.dcm")
    assert (kept.PatientIdentityRemoved, kept.PatientID) == ("NO", "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["in.dcm"], 2, "say what is read, and last where it goes"),
        (["gone.dcm", "out"], 2, "gone.dcm does not exist"),
        (["in.dcm", "out", "--retain", "everything"], 2, "'everything' is none of safe-private, uids"),
        (["in.dcm", "out", "--clean", "up"], 2, "'up' is none of descriptors"),
        (["in.dcm", "out", "--new-key"], 2, "say where the key goes with --key-file"),
        (["in.dcm", "out", "--retain", "dates,modified-dates"], 1, "leave one out"),
        (["in.dcm", "out", "--key-file", "gone.key"], 1, "gone.key: no such key file; --new-key makes one"),
        (["in.dcm", "out", "--key-file", "in.dcm", "--new-key"], 1, "in.dcm is there already"),
        (["in.dcm", "out", "--key-file", "open.key"], 1, "chmod 600"),
        (["in.dcm", "out", "--devices", "open.key"], 1, "open.key: not TOML"),
        (["folder", "folder/out"], 1, "folder/out is within folder"),
        (["folder", "in.dcm", "open.key"], 1, "open.key is a file: give a folder"),
        (["in.dcm", "{PatientID}.dcm"], 1, "without {SOPInstanceUID}, objects would replace one another"),
        (["nameless.dcm", "folder"], 1, "no SOP Instance UID to call its file by"),
    ],
)
def test_what_it_refuses(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("in.dcm"), "1.2.3")
    nameless = aiodicom.dcmread("in.dcm")
    del nameless.SOPInstanceUID
    aiodicom.dcmwrite("nameless.dcm", nameless)
    Path("folder").mkdir()
    Path("open.key").write_text("00" * 32)
    Path("open.key").chmod(0o644)
    outcome = invoke("deidentify", *arguments)
    assert outcome.code == code
    assert said in outcome.errors[-1]
