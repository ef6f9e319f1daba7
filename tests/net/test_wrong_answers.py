"""Statuses that don't belong to an answer, and answers amid our own data set."""

from __future__ import annotations

import asyncio
import logging

import pytest

import aiodicom
from aiodicom.dimse.command import encode_command as encode
from aiodicom.dimse.messages import NGetRQ
from aiodicom.errors import DeadlineExceeded, LocalError, ProtocolViolation, StatusError
from aiodicom.ul._pdu import encode_command
from tests.rawpeer import Connection, RawPeer, response

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"


def answering(status: int) -> RawPeer:
    def script(peer: Connection) -> None:
        peer.accept()
        while (message := peer.message()) is not None:
            peer.send(response(message, status=status))

    return RawPeer(script)


@pytest.mark.parametrize("status", [0xFF00, 0xFF01])
async def test_a_pending_status_ends_an_operation_that_has_none(status: int) -> None:
    with answering(status) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port)
        async with asyncio.timeout(10):
            with pytest.raises(ProtocolViolation, match="pending response to a C-ECHO"):
                await association.c_echo()
            await association.wait_closed()


async def test_a_cancelled_store_has_not_been_stored() -> None:
    with answering(0xFE00) as peer:
        async with asyncio.timeout(10):
            association = await aiodicom.connect("127.0.0.1", peer.port, contexts=[(CT, [IMPLICIT])])
            with pytest.raises(StatusError) as error:
                await association.c_store(
                    b"12345678", sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax=IMPLICIT
                )
            assert error.value.status == 0xFE00
            association.abort()
            await association.wait_closed()


async def test_a_decision_that_does_not_come_is_not_waited_for_for_ever() -> None:
    server = aiodicom.Server(timeouts=aiodicom.Timeouts(acse=0.2))
    decided = asyncio.Event()

    @server.on_association
    async def never(_association: aiodicom.Association) -> None:
        await decided.wait()

    async with server.listen("127.0.0.1", 0) as listening, asyncio.timeout(10):
        with pytest.raises(aiodicom.errors.RemoteError) as error:
            await aiodicom.connect("127.0.0.1", listening.port)
        assert not isinstance(error.value, DeadlineExceeded)


@pytest.mark.parametrize(("host", "port"), [("a" * 70 + ".example", 104), ("127.0.0.1", 70000)])
async def test_what_is_no_address(host: str, port: int) -> None:
    with pytest.raises(LocalError, match="is no address"):
        await aiodicom.connect(host, port)


async def test_a_title_forges_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    server = aiodicom.Server()

    @server.on_association
    def rename(association: aiodicom.Association) -> None:
        association.calling_aet = "A\nroot: B\x1b[31m"

    with caplog.at_level(logging.INFO, "aiodicom"):
        async with server.listen("127.0.0.1", 0) as listening:
            association = await aiodicom.connect("127.0.0.1", listening.port)
            await association.c_echo()
            await association.release()
    assert any("root: B" in message for message in caplog.messages)
    assert not any("\n" in message or "\x1b" in message for message in caplog.messages)


async def test_a_refusal_waits_until_the_data_set_on_its_way_is_sent() -> None:
    flags: list[int] = []

    def script(peer: Connection) -> None:
        peer.accept()
        peer.expect(4)  # the C-STORE-RQ: a data set follows
        peer.send(encode_command(1, encode(NGetRQ(7, CT, "1.2.3")), 1000))  # what no SCU performs
        while True:
            _, body = peer.receive_pdu()
            flags.append(body[5])
            if len(flags) > 1 and flags[-1] & 1:
                return

    with RawPeer(script) as peer:
        async with asyncio.timeout(30):
            association = await aiodicom.connect("127.0.0.1", peer.port, contexts=[(CT, [IMPLICIT])])
            with pytest.raises(aiodicom.errors.ConnectionLost):
                await association.c_store(
                    bytes(20_000_000), sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax=IMPLICIT
                )
            await association.wait_closed()
    assert set(flags[:-2]) == {0}
    assert flags[-2:] == [2, 3], "the last fragment of the data set, then the answer"
