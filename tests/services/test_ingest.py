"""Received objects that are stored in another transfer syntax."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest

import aiodicom
from aiodicom.errors import StatusError
from aiodicom.services import ingest
from aiodicom.services.ingest import Ingest
from aiodicom.services.naming import FileTemplate
from aiodicom.services.storage import FolderStorage, StorageServer
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES, TRANSFER_SYNTAXES
from aiodicom.store.files import Durability
from tests.net.test_transcoding import CT, EXPLICIT, HTJ2K, JPEG_LS, corrupt, ct
from tests.pixels.images import data_set, describe, image


@asynccontextmanager
async def storing(folder: Path, to: str, *arguments: Any, **options: Any) -> AsyncIterator[aiodicom.Pool]:
    store = FolderStorage(folder, ingest=Ingest(to, *arguments), **options)
    contexts = aiodicom.Support({}, tuple(TRANSFER_SYNTAXES))
    async with (
        StorageServer(store, contexts=contexts).listen("127.0.0.1", 0) as listening,
        aiodicom.Pool("127.0.0.1", listening.port, contexts=(), check=None, calling_aet="SENDER") as pool,
    ):
        yield pool


@pytest.mark.parametrize("durability", list(Durability))
@pytest.mark.parametrize("held", [1, 1 << 20])
async def test_what_is_stored(
    durability: Durability, held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_HELD", held)
    async with storing(tmp_path, "htj2k", durability=durability) as pool:
        await asyncio.gather(
            *(pool.c_store(ct(own, uid=f"1.2.{n}")) for n, own in enumerate((EXPLICIT, JPEG_LS, HTJ2K)))
        )
    assert sorted(os.listdir(tmp_path)) == ["1.2.0.dcm", "1.2.1.dcm", "1.2.2.dcm"]
    for name in os.listdir(tmp_path):
        stored = aiodicom.dcmread(tmp_path / name, strict=True)
        assert stored.file_meta is not None
        assert stored.file_meta.TransferSyntaxUID == HTJ2K
        assert stored.file_meta.SourceApplicationEntityTitle == "SENDER"
        assert f"{stored.SOPInstanceUID}.dcm" == name
        assert numpy.array_equal(stored.frames[0].to_numpy(), image("12 of 16"))


async def test_large_objects_that_came_into_a_file(tmp_path: Path) -> None:
    described = describe("16", rows=1024, columns=1024)
    cells = numpy.random.default_rng(1).integers(0, 1 << 16, (1024, 1024), "u2")
    large = data_set(described, cells.tobytes(), EXPLICIT, SOPClassUID=CT, SOPInstanceUID="1.2.3")
    async with storing(tmp_path, "jpeg-ls") as pool:
        await pool.c_store(large)
    stored = aiodicom.dcmread(tmp_path / "1.2.3.dcm")
    assert stored.file_meta is not None
    assert stored.file_meta.TransferSyntaxUID == JPEG_LS
    assert numpy.array_equal(stored.frames[0].to_numpy(), cells)


async def test_with_a_template_of_paths(tmp_path: Path) -> None:
    template = FileTemplate(f"{tmp_path}/{{PatientID}}/{{SOPInstanceUID}}.dcm")
    made = ct(JPEG_LS)
    made.PatientID = "P1"
    async with storing(tmp_path, "explicit-le", template=template) as pool:
        await pool.c_store(made)
    stored = aiodicom.dcmread(tmp_path / "P1" / "1.2.3.dcm")
    assert stored.file_meta is not None
    assert stored.file_meta.TransferSyntaxUID == EXPLICIT


async def test_what_cannot_be_in_it_is_stored_as_it_came(tmp_path: Path) -> None:
    wide = data_set(describe("32"), image("32").tobytes(), EXPLICIT, SOPClassUID=CT, SOPInstanceUID="1.2.1")
    report = aiodicom.Dataset(SOPClassUID=CT, SOPInstanceUID="1.2.2", PatientName="A")
    video = data_set(
        describe("RGB"), [b"\0\0\1\xb3"], "1.2.840.10008.1.2.4.102", SOPClassUID=CT, SOPInstanceUID="1.2.4"
    )
    async with storing(tmp_path, "jpeg-ls") as pool:
        for made in (wide, report, video):
            await pool.c_store(made)
    for made in (wide, report, video):
        stored = aiodicom.dcmread(tmp_path / f"{made.SOPInstanceUID}.dcm")
        assert stored.transfer_syntax == (made.transfer_syntax or EXPLICIT)
        assert stored.to_bytes() == made.to_bytes()


@pytest.mark.parametrize("policy", ["fail", "forward"])
async def test_corrupt_frames(policy: str, tmp_path: Path) -> None:
    made = corrupt()
    async with storing(tmp_path, "htj2k", policy) as pool:
        if policy == "fail":
            with pytest.raises(StatusError) as caught:
                await pool.c_store(made)
            assert caught.value.status == aiodicom.Status.CANNOT_UNDERSTAND
        else:
            await pool.c_store(made)
        await pool.c_store(ct(JPEG_LS, uid="1.2.9"))
    names = sorted(os.listdir(tmp_path))
    assert names == (["1.2.9.dcm"] if policy == "fail" else ["1.2.3.dcm", "1.2.9.dcm"])
    if policy == "forward":
        assert aiodicom.dcmread(tmp_path / "1.2.3.dcm").to_bytes() == made.to_bytes()


def test_what_is_no_such_thing() -> None:
    for name in ("jpeg-baseline", "htj2k-lossy", SHORT_NAMES["jpeg-ls-lossy"]):
        with pytest.raises(ValueError, match="not compressed with loss"):
            Ingest(name)
    with pytest.raises(ValueError, match="no transfer syntax"):
        Ingest("png")
    with pytest.raises(ValueError, match="fail, or forward"):
        Ingest("rle", "ignore")  # type: ignore[arg-type]
