"""What a C-STORE sends."""

from __future__ import annotations

import array
import asyncio
import os
from pathlib import Path
from typing import Any

import numpy
import pytest

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.errors import AssociationAborted, DecodeError, LocalError
from aiodicom.net import sources
from aiodicom.net.sources import CHUNK, GatheredSource, KnownFile, open_source, prepare
from aiodicom.part10.meta import FileMeta, read_file_meta
from aiodicom.services.scan import scan
from aiodicom.standard.uids import IMPLICIT_VR_LITTLE_ENDIAN
from aiodicom.store._files import read_known
from tests.net.sides import CT_UIDS, DATA, EXPLICIT, LARGE, MR, connect, part10, soon, until
from tests.rawpeer import P_DATA_TF, Connection, RawPeer, response


def keeping(server: aiodicom.Server) -> list[tuple[str, str, bytes]]:
    """Has the server remember (SOP instance UID, transfer syntax, data set)."""
    kept: list[tuple[str, str, bytes]] = []

    @server.on_c_store
    def keep(request: aiodicom.StoreRequest) -> None:
        kept.append((request.affected_sop_instance_uid, request.context.transfer_syntax, bytes(request.data)))

    return kept


@pytest.mark.parametrize(
    "make",
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: memoryview(data).cast("H"),
        lambda data: memoryview(_spread(data))[::2],
        lambda data: array.array("H", data),
        lambda data: numpy.frombuffer(data, "<u2"),
        lambda data: numpy.frombuffer(data, "u1").reshape(2, len(data) // 2).T.copy().T,
    ],
    ids=["bytes", "bytearray", "memoryview", "memoryview of H", "strided", "array", "numpy", "numpy in other order"],
)
async def test_encoded_data_sets_in_memory(make: Any) -> None:
    server = aiodicom.Server()
    kept = keeping(server)
    sizes = [0, 12, CHUNK, CHUNK + 2, len(LARGE)]
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, max_pdu=16384) as association:
        for size in sizes:
            assert (await soon(association.c_store(make(LARGE[:size]), **CT_UIDS))).status == 0
    assert [data for _, _, data in kept] == [LARGE[:size] for size in sizes]


def _spread(data: bytes) -> bytes:
    spread = bytearray(2 * len(data))
    spread[::2] = data
    return bytes(spread)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b""],
        [b"", DATA],
        [DATA, b""],
        [DATA[:4], DATA[4:]],
        [LARGE[:CHUNK], LARGE[CHUNK:]],
        [DATA, LARGE[: CHUNK + 2], DATA],
        [LARGE[:2]] * 9,
    ],
)
async def test_a_data_set_in_parts(parts: list[bytes]) -> None:
    server = aiodicom.Server()
    kept = keeping(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, max_pdu=16384) as association:
        source = GatheredSource(parts, *CT_UIDS.values())
        assert (await soon(association.c_store(source))).status == 0
        assert (await soon(association.c_store(source))).status == 0
    assert [data for _, _, data in kept] == [b"".join(parts)] * 2


async def test_a_data_set_in_parts_is_transcoded_as_one() -> None:
    server = aiodicom.Server()
    kept = keeping(server)
    contexts = [(CT_UIDS["sop_class_uid"], [IMPLICIT_VR_LITTLE_ENDIAN])]
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts) as association,
    ):
        await soon(association.c_store(GatheredSource([DATA[:12], DATA[12:]], *CT_UIDS.values())))
    assert [data for _, _, data in kept] == [Dataset.from_bytes(DATA).to_bytes(IMPLICIT_VR_LITTLE_ENDIAN)]


def test_a_data_set_is_not_divided_within_two_bytes() -> None:
    with pytest.raises(LocalError, match="even number"):
        GatheredSource([b"abc", b"d"], *CT_UIDS.values())


@pytest.mark.parametrize("form", ["path", "text", "bytes", "memoryview", "numpy"])
async def test_part_10_files_and_bytes(form: str, tmp_path: Path) -> None:
    server = aiodicom.Server()
    kept = keeping(server)
    data_sets = [b"", DATA, LARGE[:CHUNK], LARGE]
    path = tmp_path / "object.dcm"
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        for data in data_sets:
            content = part10(data, instance="1.2.3.45")
            path.write_bytes(content)
            source: Any = {
                "path": path,
                "text": str(path),
                "bytes": content,
                "memoryview": memoryview(content),
                "numpy": numpy.frombuffer(content, "u1"),
            }[form]
            response = await soon(association.c_store(source))
            assert response.affected_sop_instance_uid == "1.2.3.45"
    assert kept == [("1.2.3.45", CT_UIDS["transfer_syntax"], data) for data in data_sets]


async def test_what_cannot_be_sent_leaves_the_association_as_it_was(tmp_path: Path) -> None:
    server = aiodicom.Server()
    kept = keeping(server)
    for name, content in (("text", b"no DICOM at all"), ("empty", b""), ("cut", part10()[:150])):
        (tmp_path / name).write_bytes(content)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        for name in ("text", "empty", "cut"):
            with pytest.raises(DecodeError):
                await association.c_store(tmp_path / name)
        with pytest.raises(FileNotFoundError):
            await association.c_store(tmp_path / "missing")
        with pytest.raises(IsADirectoryError):
            await association.c_store(tmp_path)
        for wrong in (DATA, b"", part10()[:150]):
            with pytest.raises((LocalError, DecodeError)):
                await association.c_store(wrong)
        (tmp_path / "other").write_bytes(part10(instance="1.2.3.4"))
        for said in ({"sop_class_uid": MR}, {"sop_instance_uid": "1.2.3.5"}):
            with pytest.raises(LocalError, match=r"than it has to be of: .* 1\.2\.3\.4"):
                await association.c_store(tmp_path / "other", **said)
        with pytest.raises(LocalError, match="a file says its own"):
            await association.c_store(tmp_path / "other", transfer_syntax=EXPLICIT)
        with pytest.raises(LocalError):
            await association.c_store(DATA, sop_class_uid="1.2", transfer_syntax="1.2")
        for wrong in (None, 5, [DATA]):
            with pytest.raises(LocalError, match=f"{type(wrong).__name__} cannot be stored: give a path"):
                await association.c_store(wrong)  # type: ignore[arg-type]
        await association.c_store(part10())
    assert len(kept) == 1


async def test_the_head_of_a_known_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = aiodicom.Server()
    kept = keeping(server)
    path = tmp_path / "object.dcm"
    path.write_bytes(part10(DATA, instance="1.2.3.4"))
    (known,) = scan([str(path)])
    assert isinstance(known, KnownFile)
    read: list[int] = []

    def counting(descriptor: int) -> FileMeta:
        read.append(descriptor)
        return read_file_meta(descriptor)

    monkeypatch.setattr(sources, "read_file_meta", counting)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await soon(association.c_store(known))
        assert not read
        for name, value in zip(known.stamp._fields, known.stamp, strict=True):
            await soon(association.c_store(known._replace(stamp=known.stamp._replace(**{name: value + 1}))))
        assert len(read) == len(known.stamp)
        # Another object in its place.
        path.write_bytes(part10(LARGE[:24], instance="1.2.3.5"))
        await soon(association.c_store(known))
    assert [(instance, data) for instance, _, data in kept] == [("1.2.3.4", DATA)] * 5 + [("1.2.3.5", LARGE[:24])]


def test_what_was_known_of_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    """What it needs of the peer is another presentation context then."""
    path = tmp_path / "file.dcm"
    path.write_bytes(part10())
    (known,) = scan([os.fspath(path)])
    assert isinstance(known, KnownFile)
    assert prepare(known) == prepare(path)
    path.write_bytes(part10(DATA + DATA, sop_class=MR, syntax=EXPLICIT))
    prepared = prepare(known)
    assert prepared.sop_class_uid == MR
    assert prepared.transfer_syntaxes[0] == EXPLICIT
    assert prepared.size == 2 * len(DATA)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        prepare(known)


def test_a_small_known_file_is_read_at_once_and_holds_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(part10())
    (known,) = scan([os.fspath(path)])
    assert isinstance(known, KnownFile)
    assert open_source(known).at_once() == (DATA,)
    assert read_known(known.path, known.stamp, known.size) == b""
    for name, value in zip(known.stamp._fields, known.stamp, strict=True):
        assert read_known(known.path, known.stamp._replace(**{name: value + 1}), 0) is None
    assert read_known(known.path, known.stamp, known.size + 1) is None
    path.unlink()
    assert read_known(known.path, known.stamp, 0) is None
    with pytest.raises(FileNotFoundError):
        open_source(known)


async def test_a_file_that_is_cut_short_while_it_is_sent(tmp_path: Path) -> None:
    server = aiodicom.Server()
    may_take = asyncio.Event()

    @server.on_c_store(body=aiodicom.Streamed(high=10_000))
    async def take(request: aiodicom.StoreRequest) -> None:
        await may_take.wait()
        async for _ in request:
            pass

    path = tmp_path / "object.dcm"
    path.write_bytes(part10(LARGE * 8))
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        sending = asyncio.create_task(association.c_store(path))
        await until(lambda: association._protocol.blocked_since is not None)
        os.truncate(path, 1000)
        echo = asyncio.create_task(association.c_echo())
        may_take.set()
        with pytest.raises(LocalError, match="cut short"):
            await soon(sending)
        assert not association.is_open
        with pytest.raises(aiodicom.errors.AssociationClosed):
            await soon(echo)
        await soon(association.wait_closed())
        await until(lambda: not server.associations)


async def test_a_file_that_is_cut_short_before_its_turn(tmp_path: Path) -> None:
    server = aiodicom.Server()
    may_answer, asked = asyncio.Event(), asyncio.Event()

    @server.on_c_echo
    async def wait(request: aiodicom.EchoRequest) -> None:
        asked.set()
        await may_answer.wait()

    kept = keeping(server)
    path = tmp_path / "object.dcm"
    path.write_bytes(part10(LARGE[:5000]))
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        echo = asyncio.create_task(association.c_echo())
        await soon(asked.wait())
        sending = asyncio.create_task(association.c_store(path))
        await asyncio.sleep(0)
        os.truncate(path, 1000)
        may_answer.set()
        assert (await soon(echo)).status == 0
        with pytest.raises(LocalError, match="cut short"):
            await soon(sending)
        await soon(association.wait_closed())
    assert kept == []


async def test_other_responses_come_while_a_large_data_set_is_sent() -> None:
    def script(peer: Connection) -> None:
        peer.accept(window=(2, 1))
        first = peer.message()
        assert first is not None
        # The answer to the first leaves when no more than the command set of the second has been read.
        assert peer.receive_pdu()[0] == P_DATA_TF
        peer.send(response(first))
        peer.stay_silent()

    async def main(port: int) -> None:
        association = await connect(port, window=2)
        echo = asyncio.create_task(association.c_echo())
        await until(lambda: association.outstanding == 1)
        sending = asyncio.create_task(association.c_store(LARGE * 8, **CT_UIDS))
        await soon(echo)
        assert not sending.done()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        association.transport.close_now()
        await association.wait_closed()

    with RawPeer(script) as peer:
        await main(peer.port)


async def test_a_sender_that_the_peer_takes_nothing_of_is_freed_by_abort() -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.ended.wait(30)

    async def main(port: int) -> None:
        association = await connect(port)
        sending = asyncio.create_task(association.c_store(LARGE * 8, **CT_UIDS))
        await until(lambda: association._protocol.blocked_since is not None)
        association.abort()
        async with asyncio.timeout(1):
            with pytest.raises(aiodicom.errors.AssociationClosed):
                await sending
        association.transport.close_now()
        await association.wait_closed()

    with RawPeer(script) as peer:
        await main(peer.port)


async def test_an_abort_of_the_peer_ends_the_sending() -> None:
    server = aiodicom.Server()

    @server.on_c_store(body=aiodicom.Streamed(high=10_000))
    async def take(request: aiodicom.StoreRequest) -> None:
        await anext(aiter(request))
        request.association.abort()

    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        with pytest.raises((AssociationAborted, aiodicom.errors.ConnectionLost)):
            await soon(association.c_store(LARGE * 8, **CT_UIDS))
        await soon(association.wait_closed())


async def test_a_priority_that_is_none() -> None:
    server = aiodicom.Server()
    server.on_c_store(lambda request: None)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(LocalError, match="0 medium, 1 high, 2 low"):
            await association.c_store(DATA, priority=3, **CT_UIDS)
        assert server.counters.operations == 0
