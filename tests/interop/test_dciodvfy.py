"""dicom3tools' dciodvfy finds nothing in de-identified files that it does not find in the originals."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom.data
import pytest

import aiodicom
from aiodicom.deidentify import Deidentifier, Options, deidentify_file
from aiodicom.errors import AiodicomError
from tests.interop.processes import PeerMissing

FOLDER = Path(str(pydicom.data.__file__)).parent / "test_files"
#: One of each SOP class and transfer syntax.
FEW = 45

#: UIDs, which are others afterwards.
_UID = re.compile(r"UID \d[\d.]*|\d+(?:\.\d+){2,}|2\.25\.\d+|\b[0-9a-f]{64}\b")
#: What keeps dciodvfy from looking at an original as a whole.
_UNREAD = ("Dicom dataset read failed", "Tags out of order", "MediaStorageSOPInstanceUID different")


def errors_of(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace", timeout=60)
    lines = (done.stderr + done.stdout).splitlines()
    return {_UID.sub("UID", line) for line in lines if line.startswith("Error")}


def originals() -> list[Path]:
    chosen: dict[tuple[str, str], Path] = {}
    for path in sorted(FOLDER.rglob("*")):
        if not path.is_file() or path.stat().st_size > 1 << 20:
            continue
        try:
            source = aiodicom.dcmread(path)
        except AiodicomError:
            continue
        meta = source.file_meta
        syntax = str(meta is not None and meta.get("TransferSyntaxUID"))
        if source.truncated is None and "DirectoryRecordSequence" not in source:
            chosen.setdefault((str(source.get("SOPClassUID")), syntax), path)
    return list(chosen.values())[:FEW]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options.named(("safe-private", "modified-dates"), ("structured-content", "graphics"), pseudonyms=False),
        Options.named(("uids", "device", "institution", "patient", "dates"), ("descriptors", "structured-content")),
    ],
    ids=["basic", "modified", "retained"],
)
def test_no_new_error(options: Options, tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        raise PeerMissing("dciodvfy is not installed (Debian: dicom3tools)")
    deidentifier = Deidentifier(options, key=bytes(range(32)))
    found = originals()
    assert len(found) > 30

    def check(number: int) -> tuple[str, set[str]]:
        target = tmp_path / f"{number}.dcm"
        deidentify_file(deidentifier, found[number], target)
        before = errors_of(found[number])
        if any(unread in error for unread in _UNREAD for error in before):
            return found[number].name, set()
        return found[number].name, errors_of(target) - before

    with ThreadPoolExecutor(4) as threads:
        new = {name: errors for name, errors in threads.map(check, range(len(found))) if errors}
    assert new == {}
