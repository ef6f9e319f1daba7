"""The larger files of the package ``pydicom-data``, which its wheel brings, with pydicom as the oracle."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import pydicom
import pytest
from test_against_pydicom import differences
from test_json import same

from aiodicom.dataset.json import from_json, to_json, to_json_dict
from aiodicom.part10.reader import dcmread
from aiodicom.part10.writer import dcmwrite

data_store = pytest.importorskip("data_store", reason="pydicom-data is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")

FILES = [path for path in sorted(Path(data_store.__file__).parent.glob("data/*")) if path.suffix == ".dcm"]

#: What ends inside its pixels.
TRUNCATED = {"emri_small_jpeg_2k_lossless_too_short.dcm": "(7FE0,0010)"}

#: What is larger is not turned into text.
SLOW = 4 << 20


def test_there_are_files() -> None:
    assert len(FILES) > 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_value(path: Path) -> None:
    for data_set in (dcmread(path), dcmread(path, mmap=True)):
        assert data_set.file_meta is not None
        assert (data_set.truncated.path if data_set.truncated else None) == TRUNCATED.get(path.name)
        if data_set.truncated:
            return  # pydicom gives nothing of it
        theirs = pydicom.dcmread(path, force=True)
        assert not list(differences(data_set, theirs))
        assert not list(differences(data_set.file_meta, theirs.file_meta))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_untouched_is_byte_identical(path: Path) -> None:
    content = path.read_bytes()
    data_set = dcmread(path)
    begins = len(content) - len(data_set.to_bytes())
    assert data_set.to_bytes() == content[begins:]
    assert b"".join(data_set.to_parts()) == content[begins:]
    target = io.BytesIO()
    dcmwrite(target, data_set)
    assert target.getvalue().endswith(content[begins:])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_pydicom_reads_what_was_changed(path: Path) -> None:
    data_set = dcmread(path)
    data_set.SOPInstanceUID = "1.2.3.4.5"
    target = io.BytesIO()
    dcmwrite(target, data_set)
    theirs = pydicom.dcmread(io.BytesIO(target.getvalue()))
    assert theirs.SOPInstanceUID == theirs.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"
    for element in data_set:
        if element.tag.element == 0:
            del data_set[element.tag]  # group lengths are not encoded anew (PS3.5 7.2)
    assert not list(differences(data_set, theirs))


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.stat().st_size < SLOW and path.name not in TRUNCATED],
    ids=lambda path: path.name,
)
def test_json(path: Path) -> None:
    data_set = dcmread(path)
    text = to_json(data_set)
    model = json.loads(text)
    assert model == json.loads(json.dumps(to_json_dict(data_set)))
    assert json.loads(to_json(from_json(text))) == model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(path, force=True)
        expected = json.loads(json.dumps(theirs.to_json_dict()))
    if not theirs.original_encoding[1]:
        # pydicom leaves OW in big endian; PS3.18 F.2.6 wants little.
        for one in (model, expected):
            for key in [key for key, member in one.items() if member["vr"] == "OW"]:
                del one[key]
    assert same(model) == same(expected)
