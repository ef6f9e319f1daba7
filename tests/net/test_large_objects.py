"""Objects of 2 GB: received into a folder and sent from a file, through the commands, in little memory."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from aiodicom.part10.meta import encode_file_meta
from tests.cli.conftest import Command
from tests.net.hostile import CT, echo_command, pdv, proposal, store_command
from tests.net.processes import MIB, peak, resident
from tests.rawpeer import (
    A_ASSOCIATE_AC,
    A_RELEASE_RQ,
    C_STORE_RQ,
    IMPLICIT,
    P_DATA_TF,
    Connection,
    Message,
    RawPeer,
    pdu,
    response,
    ui,
    us,
)

SIZE = 2 << 30
#: Bytes of memory that a 2 GB object may cost.
MEMORY = 64 * MIB
#: Seconds that receiving one may take.
LIMIT = 15.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


class Peer(Connection):
    """Raw and blocking: a loop would only be in the way of 2 GB."""

    def __init__(self, port: int) -> None:
        super().__init__(socket.create_connection(("127.0.0.1", port), timeout=60), threading.Event())


def stream(sock: socket.socket, size: int, fragment: int) -> None:
    """Sends a data set of so many zeros."""
    whole = pdu(P_DATA_TF, pdv(3, 0, bytes(fragment)))
    many = memoryview(whole * 32)
    full, rest = divmod(size, fragment)
    if not rest:
        full, rest = full - 1, fragment
    for _ in range(full // 32):
        sock.sendall(many)
    sock.sendall(many[: (full % 32) * len(whole)])
    sock.sendall(pdu(P_DATA_TF, pdv(3, 2, bytes(rest))))


def test_received_into_a_folder(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 2 * SIZE:
        pytest.skip("needs 4 GB of free disk")
    command = Command("storescp", 0, "-od", tmp_path)
    try:
        port = int(command.wait_for_line("listening on").rpartition(":")[2])
        peer = Peer(port)
        with peer.socket:
            peer.send(proposal())
            peer.expect(A_ASSOCIATE_AC)
            peer.send(pdu(P_DATA_TF, pdv(1, 3, echo_command(1))))
            peer.expect(P_DATA_TF)
            idle = resident(command.pid)
            started = time.monotonic()
            peer.send(pdu(P_DATA_TF, pdv(3, 3, store_command(2, "1.2.3"))))
            stream(peer.socket, SIZE, 131072 - 6)
            answer = peer.message()
            seconds = time.monotonic() - started
            assert answer is not None
            assert answer.number(0x0900) == 0
            used = peak(command.pid) - idle
            peer.send(pdu(A_RELEASE_RQ, bytes(4)))
        received = tmp_path / "1.2.3.dcm"
        data_set = received.stat().st_size - SIZE
        with received.open("rb") as file:
            assert file.read(132) == bytes(128) + b"DICM"
            assert 132 < data_set < 1000
            for offset in (data_set, data_set + SIZE // 2, data_set + SIZE - MIB):
                file.seek(offset)
                assert file.read(MIB) == bytes(MIB)
        assert command.terminate().code == 0
    finally:
        command.close()
        for path in tmp_path.iterdir():
            path.unlink()  # pytest keeps the folders of its last runs
    assert used <= MEMORY, f"{used / MIB:.1f} MiB above idle"
    assert seconds < LIMIT


def test_sent_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    with path.open("wb") as file:
        file.write(encode_file_meta(CT, "1.2.3", IMPLICIT))
        file.truncate(file.tell() + SIZE)  # takes no place on the disk
    fragment = 131072 - 6
    wanted = SIZE + 12 * -(-SIZE // fragment)
    used: list[int] = []

    def script(peer: Connection) -> None:
        peer.accept(max_pdu=131072)
        idle = resident(command.pid)
        pdu_type, body = peer.receive_pdu()
        assert pdu_type == P_DATA_TF
        assert body[5] == 3
        buffer = memoryview(bytearray(MIB))
        left = wanted
        while left:
            size = peer.socket.recv_into(buffer, min(left, MIB))
            assert size, f"{left} bytes are missing"
            left -= size
        used.append(peak(command.pid) - idle)
        peer.send(response(Message(body[4], {0x0100: us(C_STORE_RQ), 0x0110: us(1), 0x1000: ui("1.2.3")}, b"")))
        peer.serve()

    with RawPeer(script) as peer:
        command = Command("storescu", "127.0.0.1", peer.port, path, "--json")
        try:
            outcome = command.wait()
        finally:
            command.close()
    assert outcome.code == 0, outcome.err
    assert used[0] <= MEMORY, f"{used[0] / MIB:.1f} MiB above what it had with the association"
