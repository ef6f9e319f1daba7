"""What is logged of associations, and what is not."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import StatusError
from tests.net import hostile
from tests.net.hostile import requestor, serving
from tests.net.sides import DATA, connect, part10, until
from tests.rawpeer import Connection, RawPeer, response

INSTANCE = "1.2.826.0.1.3680043.10.1234.777"
PATIENT = b"DOE^JOHN"
OBJECT = part10(DATA + PATIENT, instance=INSTANCE)


def named(records: list[logging.LogRecord]) -> list[logging.LogRecord]:
    return [record for record in records if record.name == "aiodicom.association"]


async def test_lines_at_info_name_the_association_and_nothing_of_the_objects(caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    server = aiodicom.Server()
    numbers: list[int] = []

    @server.on_c_store
    def fail(request: aiodicom.StoreRequest) -> int:
        numbers.append(request.association.id)
        return 0xC000

    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port, calling_aet="ME", called_aet="YOU") as association:
            with pytest.raises(StatusError):
                await association.c_store(OBJECT)
            where = {association.id: association.peer, numbers[0]: association.local}
        await until(lambda: not server.associations)
    records = named(caplog.records)
    assert len(records) == 4  # established and released, on both sides
    assert (
        sum(
            "association established: 2 of 2 presentation contexts accepted" in each.msg % each.args for each in records
        )
        == 2
    )
    for record in records:
        assert record.levelno == logging.INFO
        fields = vars(record)
        assert fields["peer"] == where[fields["association"]]
        assert (fields["calling_aet"], fields["called_aet"]) == ("ME", "YOU")
        assert f"[{fields['association']} {fields['peer']} ME>YOU]" in record.getMessage()
    assert INSTANCE not in caplog.text
    assert "DOE" not in caplog.text


async def test_a_peers_ae_title_forges_no_line(caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as (_, port), requestor(port) as peer:
        sent = hostile.proposal()
        await peer.associate(sent[:26] + b"A\nINFO \x1b[2J \x85".ljust(16) + sent[42:])
        await peer.release()
    lines = [record.getMessage() for record in named(caplog.records)]
    assert any("A\\nINFO \\x1b[2J \\x85>ANY-SCP]" in line for line in lines)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n", ["no association: unrecognized PDU type 47H"]),
        (hostile.proposal()[:76] + b"\xff\xff" + hostile.proposal()[78:], ["no association: an item 10H overruns"]),
        (b"", []),
    ],
)
async def test_a_requestor_that_cannot_be_understood_is_a_line_and_one_that_only_leaves_is_none(
    caplog: Any, sent: bytes, why: list[str]
) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as (server, port), requestor(port) as peer:
        await until(lambda: bool(server.associations))
        if sent:
            await peer.send(sent)
            assert await peer.aborted() == (0, 0)
        peer.half_close()
        await until(lambda: not server.associations)
        lines = [record.getMessage() for record in named(caplog.records)]
    assert len(lines) == len(why)
    assert all(told in line for told, line in zip(why, lines, strict=True))


async def test_nothing_is_traced_unless_it_is_asked_for(caplog: Any) -> None:
    caplog.set_level(logging.WARNING)
    async with aiodicom.Server().listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await association.c_echo()
    assert named(caplog.records) == []


async def test_the_trace_shows_pdus_and_commands_and_masks_what_people_wrote(caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)

    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        peer.send(response(request, status=0xA900, comment="no room for DOE^JANE"))
        assert peer.message() is None

    identity = aiodicom.UserIdentity(2, False, primary_field=b"jane", secondary_field=b"secret")
    with RawPeer(script) as peer:
        async with connect(peer.port, user_identity=identity) as association:
            with pytest.raises(StatusError, match="DOE\\^JANE"):
                await association.c_store(OBJECT)
        number = association.id
    records = [record for record in named(caplog.records) if record.levelno == logging.DEBUG]
    lines = [record.getMessage().partition("] ")[2] for record in records]
    assert {vars(record)["association"] for record in records} == {number}
    for start in ("-> A-ASSOCIATE-RQ", "<- A-ASSOCIATE-AC", "-> P-DATA-TF", "<- P-DATA-TF", "-> A-RELEASE-RQ"):
        assert any(line.startswith(start) for line in lines), start
    (answer,) = [line for line in lines if "C-STORE-RSP" in line]
    assert "A900H" in answer
    assert "error_comment (masked)" in answer
    for secret in ("DOE^", "jane", "secret"):
        assert secret not in caplog.text


async def test_what_the_engine_refuses_is_told(caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as (_, port), requestor(port) as peer:
        await peer.associate()
        await peer.send(hostile.pdu(4, hostile.pdv(3, 3, hostile.store_command(instance=".."))))
        await peer.send(hostile.pdu(4, hostile.pdv(3, 2, DATA)))
        await peer.pdu()
        await peer.release()
    messages = [record.getMessage() for record in named(caplog.records)]
    assert any(message.endswith("C-STORE was refused: status 0117H (INVALID_SOP_INSTANCE)") for message in messages)


async def test_an_abort_says_why(caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        association.abort()
        await association.wait_closed()
        await until(lambda: not server.associations)
    messages = [record.getMessage() for record in named(caplog.records)]
    assert any(message.endswith("ended: the peer aborted the association") for message in messages)
    assert any(message.endswith("ended: the association was aborted on this side") for message in messages)
