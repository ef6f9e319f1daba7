"""`aiodicom transcode` and `aiodicom render`."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import imagecodecs
import numpy
import pytest

import aiodicom
from aiodicom.cli.conversion import Conversion
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES
from tests.cli.conftest import Invoke
from tests.net.sides import until
from tests.pixels.images import data_set, describe, image

CT = "1.2.840.10008.5.1.4.1.1.2"


def put(path: Path, kind: str = "12 of 16", count: int = 1) -> Path:
    described = describe(kind, number_of_frames=count)
    value = b"".join(image(kind, seed).tobytes() for seed in range(count))
    made = data_set(described, value + b"\0" * (len(value) % 2), "1.2.840.10008.1.2.1")
    made.SOPClassUID, made.SOPInstanceUID = CT, f"1.2.{abs(hash(path.name)) % 1000}"
    path.parent.mkdir(parents=True, exist_ok=True)
    aiodicom.dcmwrite(path, made)
    return path


def syntax_of(path: Path) -> str:
    meta = aiodicom.dcmread(path).file_meta
    assert meta is not None
    return str(meta.TransferSyntaxUID)


def test_a_file(invoke: Invoke, tmp_path: Path) -> None:
    source = put(tmp_path / "in.dcm", count=5)
    outcome = invoke("transcode", source, tmp_path / "out.dcm", "--to", "htj2k", "--jobs", 3)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(
        "1 file transcoded to High-Throughput JPEG 2000 Image Compression (Lossless Only), 0 f"
    )
    assert syntax_of(tmp_path / "out.dcm") == SHORT_NAMES["htj2k-lossless"]
    sizes = [(tmp_path / name).stat().st_size / 1000 for name in ("in.dcm", "out.dcm")]
    assert f"0 skipped: {sizes[0]:.1f} kB to {sizes[1]:.1f} kB in " in outcome.out
    before, after = (aiodicom.dcmread(tmp_path / name).frames.to_numpy() for name in ("in.dcm", "out.dcm"))
    assert numpy.array_equal(before, after)
    # Into a folder, by UID; and over itself.
    (tmp_path / "folder").mkdir()
    assert invoke("transcode", source, tmp_path / "folder", "--to", "1.2.840.10008.1.2.5").code == 0
    assert syntax_of(tmp_path / "folder" / "in.dcm") == SHORT_NAMES["rle-lossless"]
    outcome = invoke("transcode", source, source, "--to", "jpeg-extended", "--quality", 50)
    assert outcome.code == 0
    assert f"{sizes[0]:.1f} kB to {source.stat().st_size / 1000:.1f} kB in " in outcome.out
    assert aiodicom.dcmread(source).LossyImageCompression == "01"


def test_a_folder(invoke: Invoke, tmp_path: Path) -> None:
    for name in ("a", "b/c", "b/d/e"):
        put(tmp_path / "in" / name)
    put(tmp_path / "in" / "wide", "32")
    (tmp_path / "in" / "notes.txt").write_text("none")
    outcome = invoke("transcode", tmp_path / "in", tmp_path / "out", "-r", "--to", "jpeg-ls", "--json")
    assert outcome.code == 1
    values = json.loads(outcome.out)
    assert (values["transcoded"], values["failed"], values["skipped"]) == (3, 1, 1)
    skipped, failed = sorted(outcome.errors)
    assert "notes.txt: skipped" in skipped
    assert "wide: not encoded in JPEG-LS" in failed
    assert "32 bits allocated" in failed
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert files == ["a", "b/c", "b/d/e"]


async def test_how_many_there_are_is_known_before_their_turn(tmp_path: Path) -> None:
    """For the bar; and what a signal leaves undone is no success."""
    for name in "abcdef":
        put(tmp_path / name)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    may_go = threading.Event()

    def work(path: str) -> int:
        assert may_go.wait(60)
        loop.call_soon_threadsafe(stop.set)
        return 1

    job = Conversion("transcode", "transcoded", [str(tmp_path)], work, jobs=1)
    running = asyncio.create_task(job.run(stop))
    await until(lambda: job.is_scanned)
    assert (job.found, job.stored) == (6, 0)
    may_go.set()
    assert await running == 1
    assert 1 <= job.stored < 6


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["IN", "OUT", "--to", "png"], "'png' is no transfer syntax"),
        (["FOLDER", "OUT", "--to", "rle"], "is a folder: say --recursive"),
        (["FOLDER", "IN", "--to", "rle", "-r"], "is a file, and what is in"),
        (["IN", "OUT"], "Missing option '--to'"),
        (
            ["IN", "OUT", "--to", "htj2k", "--quality", "5"],
            "High-Throughput JPEG 2000 Image Compression (Lossless Only) loses",
        ),
    ],
)
def test_what_is_not_understood(arguments: list[str], reason: str, invoke: Invoke, tmp_path: Path) -> None:
    put(tmp_path / "IN")
    (tmp_path / "FOLDER").mkdir()
    outcome = invoke("transcode", *(tmp_path / each if each.isupper() else each for each in arguments))
    assert outcome.code == 2
    assert reason in outcome.err


def test_help_names_all_of_them(invoke: Invoke) -> None:
    shown = invoke("transcode", "--help").out
    words = set(shown.replace(",", " ").replace(".", " ").split())
    assert words >= SHORT_NAMES.keys()


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture(invoke: Invoke, tmp_path: Path) -> None:
    source = put(tmp_path / "in.dcm", count=2)
    assert invoke("render", source, "-o", tmp_path / "one.png").code == 0
    one = imagecodecs.png_decode((tmp_path / "one.png").read_bytes())
    assert one.shape == (33, 47)
    assert (one.min(), one.max()) == (0, 255)
    assert invoke("render", source, "--frame", 2, "--window", 100, 1).code == 0
    two = imagecodecs.png_decode((tmp_path / "in.dcm.png").read_bytes())
    assert numpy.array_equal(two == 255, aiodicom.dcmread(source).frames[1].to_numpy() >= 100)
    put(tmp_path / "colour", "RGB")
    assert invoke("render", tmp_path / "colour").code == 0
    assert numpy.array_equal(imagecodecs.png_decode((tmp_path / "colour.png").read_bytes()), image("RGB", 0))


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--frame", 3], 2, "the file has 2 frames"),
        (["--voi", 2], 2, "the file has 0 windows and VOI LUTs for this frame"),
        (["--voi", 1, "--window", 5, 1], 2, "a window of your own, or --voi for one of the file's"),
        (["--window", 5, 0], 1, "a window of width 0"),
        (["--window", "nan", 5], 1, "a window of center nan"),
        (["--window", 5, "inf"], 1, "a window of width inf"),
    ],
)
def test_no_picture(arguments: list[object], code: int, reason: str, invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("render", put(tmp_path / "in.dcm", count=2), *arguments)
    assert outcome.code == code
    assert reason in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["in.dcm"]


def test_a_picture_of_nothing(invoke: Invoke, tmp_path: Path) -> None:
    aiodicom.dcmwrite(tmp_path / "report", aiodicom.Dataset(SOPClassUID=CT, SOPInstanceUID="1.2"))
    outcome = invoke("render", tmp_path / "report")
    assert outcome.code == 1
    assert outcome.errors == [f"aiodicom render: {tmp_path / 'report'}: the data set has no pixel data"]
    for path, reason in ((tmp_path / "missing", "does not exist"), (tmp_path, "is a directory")):
        outcome = invoke("render", path)
        assert outcome.code == 2
        assert reason in outcome.err
