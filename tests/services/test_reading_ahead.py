"""Files that are read while others are sent, to a peer on loopback, whatever becomes of those before them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.net.sources import AheadFile, KnownFile, prepare
from aiodicom.net.transcoding import Transcoding
from aiodicom.services.sending import StoreJob
from tests.net.sides import CT, DATA, IMPLICIT, part10
from tests.services.test_sending import EXPLICIT, Heard

#: DATA and a private element of 64 KiB.
LONG = DATA + b"\x11\x00\x10\x10" + (1 << 16).to_bytes(4, "little") + bytes(1 << 16)


@pytest.mark.parametrize(
    ("accepted", "transcode"),
    [(IMPLICIT, Transcoding.NEVER), (EXPLICIT, Transcoding.LOSSLESS), (EXPLICIT, Transcoding.NEVER)],
    ids=["as they stand", "transcoded", "not at all"],
)
async def test_each_file_is_read_ahead(
    accepted: str, transcode: Transcoding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[Any] = []
    for number in range(12):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(part10(LONG, instance=f"1.2.{number}"))
        files.append(prepare(path).source)
    read: list[AheadFile] = []
    reading = AheadFile.reading

    def note(known: KnownFile, *, may_stay: bool = False) -> KnownFile:
        file = reading(known, may_stay=may_stay)
        if isinstance(file, AheadFile):
            read.append(file)
        return file

    monkeypatch.setattr(AheadFile, "reading", note)
    server = aiodicom.Server(contexts=aiodicom.Support({CT: (accepted,)}))
    server.on_c_store(lambda request: None)
    heard = Heard()
    async with server.listen("127.0.0.1", 0) as listening:
        job = StoreJob(
            iter(files),
            lambda contexts: aiodicom.connect("127.0.0.1", listening.port, contexts=contexts),
            heard,
            transcode=transcode,
        )
        await job.run(asyncio.Event())
    is_sent = accepted == IMPLICIT or transcode is Transcoding.LOSSLESS
    assert (len(heard.stored), len(heard.errors)) == ((12, 0) if is_sent else (0, 12))
    assert len(read) == 12
