"""`aiodicom storescp` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import struct
from contextlib import AsyncExitStack
from pathlib import Path

import pydicom
import pytest

import aiodicom
from aiodicom.errors import AssociationRejected
from aiodicom.store.files import TEMPORARY_PREFIX
from tests.cli.conftest import Command, Invoke, Start
from tests.cli.objects import CT, EXPLICIT, IMPLICIT, put, put_many
from tests.rawpeer import A_ASSOCIATE_AC, item, p_data, pdu, ui, us
from tests.rawpeer import IMPLICIT as DEFAULT

LISTENING = re.compile(r"listening on (\S+):(\d+)")


def port_of(command: Command) -> int:
    """Waits until the command listens; its port."""
    found = LISTENING.fullmatch(command.wait_for_line("listening on "))
    assert found is not None
    return int(found[2])


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


async def send(port: int, files: list[Path]) -> None:
    """Sends them on three associations, all of which are open before the first file: `storescu` gives up those that it
    is still opening when the others have sent everything.
    """
    async with AsyncExitStack() as stack:
        associations = [
            await stack.enter_async_context(
                aiodicom.connect("127.0.0.1", port, contexts=[(CT, [EXPLICIT]), (CT, [IMPLICIT])], calling_aet="SENDER")
            )
            for _ in range(3)
        ]

        async def send_some(association: aiodicom.Association, some: list[Path]) -> None:
            for file in some:
                assert (await association.c_store(file)).status == 0

        await asyncio.gather(*(send_some(each, files[number::3]) for number, each in enumerate(associations)))


@pytest.mark.parametrize("durability", ["received", "written", "synced"])
@pytest.mark.parametrize("workers", [1, 2])
def test_files_arrive_as_they_were(start: Start, tmp_path: Path, durability: str, workers: int) -> None:
    sent = put_many(tmp_path / "in", 20, size=3000) | {
        "1.9": put(tmp_path / "in" / "x", "1.9", syntax=IMPLICIT, size=9 << 20)
    }
    command = start("storescp", 0, "-od", tmp_path / "out" / "new", "--durability", durability, "--workers", workers)
    port = port_of(command)
    aiodicom.run(send(port, [*sorted((tmp_path / "in").rglob("*.dcm")), tmp_path / "in" / "x"]))
    ended = command.terminate()
    assert ended.code == 0, ended.err
    summary = r"aiodicom storescp: 3 associations, at most \d at once, 0 rejected, 0 aborted; 21 operations, 0 failed"
    assert re.fullmatch(summary, ended.errors[-1])
    folder = tmp_path / "out" / "new"
    assert names(folder) == sorted(f"{uid}.dcm" for uid in sent)
    for uid, data_set in sent.items():
        path = folder / f"{uid}.dcm"
        meta = pydicom.filereader.read_file_meta_info(path)
        assert path.read_bytes().endswith(data_set)
        assert path.stat().st_size == 132 + 12 + meta.FileMetaInformationGroupLength + len(data_set)
        assert meta.MediaStorageSOPInstanceUID == uid
        assert meta.MediaStorageSOPClassUID == CT
        assert meta.TransferSyntaxUID == (IMPLICIT if uid == "1.9" else EXPLICIT)
        assert meta.SourceApplicationEntityTitle == "SENDER"


def test_discard(start: Start, invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 5)
    before = names(tmp_path)
    command = start("storescp", 0, "--discard")
    assert invoke("storescu", "127.0.0.1", port_of(command), tmp_path).code == 0
    assert command.terminate().code == 0
    assert names(tmp_path) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_what_has_begun_end(start: Start, tmp_path: Path, number: int) -> None:
    data_set = put(tmp_path / "in", "1.2.3", size=100_000)
    command = start("storescp", 0, "-od", tmp_path / "out")
    with Requestor(port_of(command)) as requestor:
        sent = requestor.c_store("1.2.3", data_set)
        requestor.send(sent[:50_000])
        requestor.echo_from_another()
        command.send_signal(number)
        command.wait_for_line("aiodicom storescp: stopping")
        requestor.send(sent[50_000:])
        assert requestor.status() == 0
    outcome = command.wait()
    assert outcome.code == 0
    assert names(tmp_path / "out") == ["1.2.3.dcm"]


def test_it_stops_when_nobody_reads_what_it_says(start: Start, tmp_path: Path) -> None:
    command = start("storescp", 0, "-od", tmp_path)
    port_of(command)
    command.stop_watching()
    assert command.terminate().code == 0


def test_the_same_instance_again_replaces(start: Start, invoke: Invoke, tmp_path: Path) -> None:
    put(tmp_path / "a", "1.2.3", size=5000)
    second = put(tmp_path / "b", "1.2.3", size=10)
    command = start("storescp", 0, "-od", tmp_path / "out")
    assert invoke("storescu", "127.0.0.1", port_of(command), tmp_path / "a", tmp_path / "b").code == 0
    assert names(tmp_path / "out") == ["1.2.3.dcm"]
    assert (tmp_path / "out" / "1.2.3.dcm").read_bytes().endswith(second)


@pytest.mark.parametrize("end", ["close", "reset", "abort"])
@pytest.mark.parametrize("size", [1000, 2_000_000])
def test_an_interrupted_object_leaves_nothing(start: Start, tmp_path: Path, end: str, size: int) -> None:
    data_set = put(tmp_path / "in", "1.2.3", size=size)
    command = start("storescp", 0, "-od", tmp_path / "out")
    port = port_of(command)
    with Requestor(port) as requestor:
        sent = requestor.c_store("1.2.3", data_set)
        if end == "abort":
            last = (len(data_set) - 1) % 65536 + 1 + 12
            requestor.send(sent[:-last] + pdu(7, bytes(4)))
            assert requestor.socket.recv(1) == b""
        else:
            requestor.send(sent[:-1])
        if end == "reset":
            requestor.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert command.terminate().code == 0
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("uid", ["..", "../evil", "1.2/3", "/tmp/evil", "", "1.2.x", "1." + "2" * 70])
def test_a_uid_that_is_no_uid_names_no_file(start: Start, tmp_path: Path, uid: str) -> None:
    command = start("storescp", 0, "-od", tmp_path / "out")
    with Requestor(port_of(command)) as requestor:
        requestor.send(requestor.c_store(uid, bytes(100_000)))
        assert requestor.status() == 0x0117
        requestor.send(requestor.c_store("1.2.3", bytes(8)))
        assert requestor.status() == 0
    assert command.terminate().code == 0
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["1.2.3.dcm"]


def test_the_class_of_another_context(start: Start, tmp_path: Path) -> None:
    command = start("storescp", 0, "-od", tmp_path / "out")
    with Requestor(port_of(command)) as requestor:
        requestor.send(requestor.c_store("1.2.3", bytes(8), sop_class="1.2.840.10008.5.1.4.1.1.4"))
        assert requestor.status() == 0x0122
    assert command.terminate().code == 0
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("arguments", "sop_class", "syntax", "accepted"),
    [
        ((), CT, "1.2.3.4.5", True),
        ((), "1.2.3.4", EXPLICIT, False),
        (("--accept-unknown",), "1.2.3.4", "1.2.3.4.5", True),
        # Study Root Query/Retrieve - FIND: the standard's, and no storage.
        (("--accept-unknown",), "1.2.840.10008.5.1.4.1.2.2.1", EXPLICIT, False),
    ],
)
async def test_what_is_accepted(
    start: Start, tmp_path: Path, arguments: tuple[str, ...], sop_class: str, syntax: str, accepted: bool
) -> None:
    command = start("storescp", 0, "-od", tmp_path, *arguments)
    async with aiodicom.connect("127.0.0.1", port_of(command), contexts=[(sop_class, [syntax])]) as association:
        assert len(association.contexts) == accepted
        if accepted:
            await association.c_store(
                b"12345678", sop_class_uid=sop_class, sop_instance_uid="1.2.3", transfer_syntax=syntax
            )
            meta = pydicom.filereader.read_file_meta_info(tmp_path / "1.2.3.dcm")
            assert (meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) == (sop_class, syntax)


async def test_the_ae_title(start: Start) -> None:
    command = start("storescp", 0, "-aet", "STORE", "--discard")
    port = port_of(command)
    with pytest.raises(AssociationRejected, match="called AE title"):
        await aiodicom.connect("127.0.0.1", port, called_aet="OTHER")
    async with aiodicom.connect("127.0.0.1", port, called_aet="STORE") as association:
        await association.c_echo()


@pytest.mark.parametrize("workers", [1, 2])
async def test_max_associations(start: Start, workers: int) -> None:
    command = start("storescp", 0, "--discard", "--max-associations", 2, "--max-pdu", 20_000, "--workers", workers)
    port = port_of(command)
    async with aiodicom.connect("127.0.0.1", port) as first, aiodicom.connect("127.0.0.1", port):
        assert first.max_pdu == 20_000
        with pytest.raises(AssociationRejected) as rejected:
            await aiodicom.connect("127.0.0.1", port)
        assert (rejected.value.result, rejected.value.source, rejected.value.reason) == (2, 3, 2)
    ended = command.terminate()
    assert "2 associations, at most 2 at once, 1 rejected, 0 aborted" in ended.errors[-1]


async def test_max_memory(start: Start, tmp_path: Path) -> None:
    command = start("storescp", 0, "-od", tmp_path, "--max-memory", "64K", "--durability", "received")
    data = bytes(1_000_000)
    async with aiodicom.connect("127.0.0.1", port_of(command), contexts=[(CT, [IMPLICIT])]) as association:
        await association.c_store(data, sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax=IMPLICIT)
    assert command.terminate().code == 0
    assert (tmp_path / "1.2.3.dcm").read_bytes().endswith(data)


@pytest.mark.parametrize("value", ["", "M", "-1", "1.5G", "10T", "x"])
def test_what_is_no_number_of_bytes(invoke: Invoke, value: str) -> None:
    outcome = invoke("storescp", "11112", f"--max-memory={value}")
    assert outcome.code == 2
    assert "no number of bytes, such as 67108864, 64M or 1G" in outcome.err


def test_verbose_tells_what_each_process_did(start: Start, invoke: Invoke) -> None:
    command = start("storescp", 0, "--discard", "--workers", 2, "-v")
    assert invoke("echoscu", "127.0.0.1", port_of(command), "--associations", 4).code == 0
    each = re.findall(r"worker \d: (\d) associations?, (\d) operations?", command.terminate().err)
    assert [sum(map(int, column)) for column in zip(*each, strict=True)] == [4, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_more_associations_than_files_may_be_open(start: Start, workers: int) -> None:
    command = start(
        "storescp",
        0,
        "--discard",
        "--max-associations",
        1000,
        "--workers",
        workers,
        prefix=("prlimit", "--nofile=200:200"),
    )
    port_of(command)
    where = " in each process" if workers > 1 else ""
    fit = [line for line in command.terminate().errors if f"take at most 136 associations{where}" in line]
    assert len(fit) == 1
    assert f"{1000 // workers:,} associations{where} need" in fit[0]


def test_artim_and_idle(start: Start) -> None:
    command = start("storescp", 0, "--discard", "--artim", "0.2", "--idle", "0.2")
    port = port_of(command)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as silent:
        assert silent.recv(100) == b""
    with Requestor(port) as requestor:
        received = requestor.receive(10)
    assert received[0] == 7
    assert command.terminate().code == 0


def test_a_disk_that_is_full(start: Start, tmp_path: Path) -> None:
    """As far as a process can tell: no file may grow beyond the limit, which is another errno but the same path."""
    put_many(tmp_path / "in", 1)
    command = start("storescp", 0, "-od", tmp_path / "out", prefix=["prlimit", "--fsize=1000000", "--"])
    with Requestor(port_of(command)) as requestor:
        requestor.send(requestor.c_store("1.2.3", bytes(2_000_000)))
        assert requestor.status() == 0x0110
        requestor.send(requestor.c_store("1.2.4", bytes(8)))
        assert requestor.status() == 0
    outcome = command.terminate()
    assert outcome.code == 0
    assert "File too large" in outcome.err
    assert names(tmp_path / "out") == ["1.2.4.dcm"]


def test_leftovers_of_a_killed_process(start: Start, tmp_path: Path) -> None:
    command = start("storescp", 0, "-od", tmp_path)
    with Requestor(port_of(command)) as requestor:
        requestor.send(requestor.c_store("1.2.3", bytes(4_000_000))[:3_000_000])
        requestor.echo_from_another()
        command.send_signal(signal.SIGKILL)
        command.wait()
    (left,) = names(tmp_path)
    assert left.startswith(TEMPORARY_PREFIX)
    port_of(start("storescp", 0, "-od", tmp_path))
    assert names(tmp_path) == []


def test_a_port_in_use(start: Start, invoke: Invoke) -> None:
    port = port_of(start("storescp", 0, "--discard"))
    outcome = invoke("storescp", port, "--discard")
    assert outcome.code == 1
    assert outcome.errors == [
        f"aiodicom storescp: cannot listen on 127.0.0.1 port {port}: Address already in use "
        "(choose another port, or end what listens there)"
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_that_is_none(invoke: Invoke, tmp_path: Path, workers: int) -> None:
    (tmp_path / "file").write_bytes(b"")
    outcome = invoke("storescp", 0, "-od", tmp_path / "file", "--workers", workers)
    assert outcome.code == 1
    assert outcome.errors == [
        f"aiodicom storescp: {tmp_path / 'file'}: Not a directory (give -od a folder, or the name of a new one)"
    ]


def test_a_folder_that_may_not_be_written(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    outcome = invoke("storescp", 0, "-od", tmp_path)
    assert outcome.code == 1
    (line,) = outcome.errors
    assert line.startswith(f"aiodicom storescp: {tmp_path}: ")
    assert line.endswith(" (give -od a folder that this user may write)")


def test_a_folder_without_a_name(invoke: Invoke) -> None:
    outcome = invoke("storescp", 0, "-od", "")
    assert outcome.code == 2
    assert "'-od': a folder has a name; this one is ." in outcome.err


def test_a_folder_and_discard(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("storescp", 0, "-od", tmp_path, "--discard")
    assert outcome.code == 2
    assert len(outcome.errors) == 1


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6(start: Start, invoke: Invoke) -> None:
    command = start("storescp", 0, "--bind", "::1", "--discard")
    line = command.wait_for_line("listening on ")
    assert line.startswith("listening on [::1]:")
    port = line.rpartition(":")[2]
    outcome = invoke("echoscu", "::1", port)
    assert outcome.code == 0
    assert outcome.out.startswith(f"ANY-SCP at [::1]:{port} answered in ")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6")
def test_the_ipv6_address_for_every_one_is_for_ipv4_too(start: Start, invoke: Invoke) -> None:
    line = start("storescp", 0, "--bind", "::", "--discard").wait_for_line("listening on ")
    for host in ("::1", "127.0.0.1"):
        assert invoke("echoscu", host, line.rpartition(":")[2]).code == 0


class Requestor:
    """A requestor on a raw socket, with an association for CT images."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        context = b"\1\0\0\0" + item(0x30, CT.encode()) + item(0x40, DEFAULT.encode())
        user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
        titles = b"\0\1\0\0" + b"ANY-SCP".ljust(16) + b"RAW".ljust(16) + bytes(32)
        self.send(pdu(1, titles + item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + user))
        assert self.receive_pdu()[0] == A_ASSOCIATE_AC
        self._message_id = 0

    def send(self, data: bytes) -> None:
        """Sends all of it."""
        self.socket.sendall(data)

    def receive(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        received = b""
        while len(received) < size:
            some = self.socket.recv(size - len(received))
            assert some, "the SCP has closed the connection"
            received += some
        return received

    def receive_pdu(self) -> tuple[int, bytes]:
        """The type and the body of the next PDU."""
        pdu_type, _, length = struct.unpack(">BBI", self.receive(6))
        return pdu_type, self.receive(length)

    def c_store(self, uid: str, data_set: bytes, *, sop_class: str = CT) -> bytes:
        """The PDUs of a C-STORE request."""
        self._message_id += 1
        command = {
            0x0002: ui(sop_class),
            0x0100: us(1),
            0x0110: us(self._message_id),
            0x0700: us(0),
            0x0800: us(1),
            0x1000: ui(uid),
        }
        pdus = p_data(1, command)
        for start in range(0, len(data_set), 65536):
            part = data_set[start : start + 65536]
            is_last = start + len(part) == len(data_set)
            pdus += pdu(4, struct.pack(">IBB", len(part) + 2, 1, 2 * is_last) + part)
        return pdus

    def status(self) -> int:
        """The status of the next response."""
        pdu_type, body = self.receive_pdu()
        assert pdu_type == 4
        at = body.index(struct.pack("<HHI", 0, 0x0900, 2))
        (status,) = struct.unpack_from("<H", body, at + 8)
        return int(status)

    def echo_from_another(self) -> None:
        """Returns when another association, opened after what was sent here, is open: what was sent has been read."""
        with Requestor(self.port):
            pass

    def __enter__(self) -> Requestor:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
