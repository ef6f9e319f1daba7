"""With DCMTK, both ways. What DCMTK sends it has encoded anew, so what has to arrive is what its own storescp gets."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import errors
from tests.interop import objects, ours, peers
from tests.interop.objects import Part10
from tests.interop.processes import Running

#: The option by which storescu proposes a transfer syntax.
STORESCU_OPTIONS = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


async def dcmtk(name: str, port: int, *arguments: str, **options: Any) -> None:
    """Runs a command of DCMTK beside the loop: OPTION... HOST PORT, then a file where one ends the arguments."""
    *before, last = arguments if arguments and not arguments[-1].startswith("-") else (*arguments, "")
    command = [*before, "127.0.0.1", str(port), *filter(None, [last])]
    await asyncio.to_thread(functools.partial(peers.dcmtk_command, name, *command, **options))


def stored(folder: Path) -> dict[str, ours.Arrived]:
    """What DCMTK's storescp or dcmqrscp has written."""
    files = [objects.part10(path) for path in folder.iterdir() if path.name != "index.dat"]
    return {each.sop_instance_uid: ours.as_it_is(each) for each in files}


# ---- DCMTK asks


@pytest.mark.parametrize("options", [[], ["--repeat", "20"], ["-ppc", "128", "-pts", "38"], ["-pdu", "4096"]])
@pytest.mark.parametrize("nodelay", [False, True], ids=["nagle", "nodelay"])
async def test_echoscu(options: list[str], nodelay: bool) -> None:
    async with ours.receiving() as receiving:
        await dcmtk("echoscu", receiving.port, *options, "-d", nodelay=nodelay)
        assert receiving.echoes == (20 if "--repeat" in options else 1)


async def test_echoscu_that_aborts() -> None:
    async with ours.receiving() as receiving:
        await dcmtk("echoscu", receiving.port, "--abort")
        await dcmtk("echoscu", receiving.port)
        assert receiving.echoes == 2


@pytest.mark.parametrize("name", ["storescu", "dcmsend"])
async def test_what_dcmtk_sends_arrives(name: str, real_object: Part10, storescp: Running, tmp_path: Path) -> None:
    options = [STORESCU_OPTIONS[real_object.transfer_syntax], "-R"] if name == "storescu" else ["-dn"]
    await dcmtk(name, storescp.port, *options, str(real_object.path))
    async with ours.receiving() as receiving:
        await dcmtk(name, receiving.port, *options, str(real_object.path))
        assert receiving.objects == stored(tmp_path / "received")


@pytest.mark.parametrize("name", ["storescu", "dcmsend"])
@pytest.mark.parametrize("size", ["4096", "131072"])
@pytest.mark.parametrize("nodelay", [False, True], ids=["nagle", "nodelay"])
async def test_many_pdus(name: str, size: str, nodelay: bool, ct: Part10) -> None:
    async with ours.receiving() as receiving:
        await dcmtk(name, receiving.port, "--max-send-pdu", size, str(ct.path), nodelay=nodelay)
        assert receiving.objects == {ct.sop_instance_uid: ours.sent(ct)}


@pytest.mark.parametrize("name", ["storescu", "dcmsend"])
def test_storescp_command(
    name: str, real_object: Part10, storescp: Running, our_storescp: Running, tmp_path: Path
) -> None:
    options = [STORESCU_OPTIONS[real_object.transfer_syntax], "-R"] if name == "storescu" else ["-dn"]
    for port in (storescp.port, our_storescp.port):
        peers.dcmtk_command(name, *options, "127.0.0.1", str(port), real_object.path)
    (written,) = (tmp_path / "ours").iterdir()
    assert written.name == f"{real_object.sop_instance_uid}.dcm"
    peers.dcmtk_command("dcmftest", written)
    assert stored(tmp_path / "ours") == stored(tmp_path / "received")


# ---- DCMTK answers


@pytest.mark.parametrize("options", [["--single-process"], ["--fork"]], ids=["single", "fork"])
@pytest.mark.parametrize("nodelay", [False, True], ids=["nagle", "nodelay"])
async def test_echo(options: list[str], nodelay: bool, tmp_path: Path, start: Any) -> None:
    server = start(peers.storescp(tmp_path / "received", *options, nodelay=nodelay))
    async with aiodicom.connect("127.0.0.1", server.port) as association:
        for _ in range(5):
            response = await association.c_echo()
            assert response.status is aiodicom.Status.SUCCESS


@pytest.mark.parametrize("form", ["path", "bytes", "data set"])
async def test_store(form: str, real_object: Part10, storescp: Running, tmp_path: Path) -> None:
    async with aiodicom.connect("127.0.0.1", storescp.port, contexts=ours.contexts(real_object)) as association:
        if form == "path":
            response = await association.c_store(real_object.path)
        elif form == "bytes":
            response = await association.c_store(real_object.path.read_bytes())
        else:
            response = await association.c_store(
                real_object.data_set(),
                sop_class_uid=real_object.sop_class_uid,
                sop_instance_uid=real_object.sop_instance_uid,
                transfer_syntax=real_object.transfer_syntax,
            )
        assert response.status is aiodicom.Status.SUCCESS
    assert stored(tmp_path / "received") == {real_object.sop_instance_uid: ours.sent(real_object)}


@pytest.mark.parametrize("options", [["-pdu", "4096"], ["-pdu", "131072"], ["--fork"]], ids=["4096", "131072", "fork"])
@pytest.mark.parametrize("nodelay", [False, True], ids=["nagle", "nodelay"])
async def test_store_many_pdus(options: list[str], nodelay: bool, tmp_path: Path, start: Any) -> None:
    files = {each.sop_instance_uid: each for each in objects.write_cts(tmp_path / "files", 4)}
    server = start(peers.storescp(tmp_path / "received", "+B", *options, nodelay=nodelay))
    async with aiodicom.connect("127.0.0.1", server.port, contexts=ours.contexts(*files.values())) as association:
        for each in files.values():
            await association.c_store(each.path)
    assert stored(tmp_path / "received") == {uid: ours.sent(each) for uid, each in files.items()}


async def test_store_on_many_associations(tmp_path: Path, start: Any) -> None:
    server = start(peers.storescp(tmp_path / "received", "+B", "--fork"))
    files = list(objects.write_cts(tmp_path / "files", 10))

    async def send(each: Part10) -> None:
        async with aiodicom.connect("127.0.0.1", server.port, contexts=ours.contexts(each)) as association:
            await association.c_store(each.path)

    await asyncio.gather(*map(send, files))
    assert stored(tmp_path / "received") == {each.sop_instance_uid: ours.sent(each) for each in files}


async def test_more_calls_at_once_than_dcmtk_takes(storescp: Running, tmp_path: Path) -> None:
    """DCMTK grants no asynchronous operations window: the calls wait for their turn."""
    files = list(objects.write_cts(tmp_path / "files", 4))
    contexts = ours.contexts(*files)
    async with aiodicom.connect("127.0.0.1", storescp.port, contexts=contexts, window=8) as association:
        assert association.window == 1
        await asyncio.gather(*(association.c_store(each.path) for each in files))
    assert stored(tmp_path / "received") == {each.sop_instance_uid: ours.sent(each) for each in files}


async def test_refused(tmp_path: Path, start: Any) -> None:
    server = start(peers.storescp(tmp_path / "received", "--refuse"))
    with pytest.raises(errors.AssociationRejected):
        await aiodicom.connect("127.0.0.1", server.port)


@pytest.mark.parametrize("when", ["--abort-after", "--abort-during"])
async def test_aborted(when: str, ct: Part10, tmp_path: Path, start: Any) -> None:
    server = start(peers.storescp(tmp_path / "received", when))
    association = await aiodicom.connect("127.0.0.1", server.port, contexts=ours.contexts(ct))
    with pytest.raises((errors.AssociationAborted, errors.ConnectionLost)):
        await association.c_store(ct.path)
    await association.wait_closed()
    assert not association.is_open


def test_commands(tmp_path: Path, start: Any) -> None:
    server = start(peers.storescp(tmp_path / "received", "+B", "--fork", nodelay=False))
    chosen = objects.some_instances()
    ours.command("echoscu", "127.0.0.1", str(server.port), "--repeat", "3")
    ours.command("storescu", "127.0.0.1", str(server.port), *(each.path for each in chosen))
    assert stored(tmp_path / "received") == {each.sop_instance_uid: ours.sent(each) for each in chosen}


# ---- DCMTK's archive


def _storage(each: Part10) -> set[tuple[str, str]]:
    # One alone: dcmqrscp sends an object on the first context of its SOP class, whatever the transfer syntax.
    return {(each.sop_class_uid, each.transfer_syntax)}


async def test_dcmqrscp_receives(kept_object: Part10, tmp_path: Path, start: Any) -> None:
    archive = start(peers.dcmqrscp(tmp_path / "archive", _storage(kept_object), "+B"))
    connection = aiodicom.connect(
        "127.0.0.1",
        archive.port,
        called_aet="ARCHIVE",
        contexts=[peers.VERIFICATION, *ours.contexts(kept_object)],
    )
    async with connection as association:
        await association.c_echo()
        await association.c_store(kept_object.path)
    assert stored(tmp_path / "archive" / "ARCHIVE") == {kept_object.sop_instance_uid: ours.sent(kept_object)}


async def test_dcmqrscp_sends(kept_object: Part10, storescp: Running, tmp_path: Path, start: Any) -> None:
    async with ours.receiving() as receiving:
        destinations = {"DCMTK": storescp.port, "OURS": receiving.port}
        storage = _storage(kept_object)
        archive = start(peers.dcmqrscp(tmp_path / "archive", storage, "+B", destinations=destinations))
        await dcmtk("dcmsend", archive.port, "-dn", "-aec", "ARCHIVE", str(kept_object.path))
        study = f"0020,000D={kept_object.element(0x0020, 0x000D)}"
        for title in destinations:
            query = ["-aec", "ARCHIVE", "-S", "-aem", title, "-k", "0008,0052=STUDY", "-k", study]
            await asyncio.to_thread(peers.dcmtk_command, "movescu", *query, "127.0.0.1", str(archive.port))
        assert receiving.objects == stored(tmp_path / "received")
        assert receiving.objects
