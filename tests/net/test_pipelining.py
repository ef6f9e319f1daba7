"""Requests that a peer sends ahead of what was agreed on."""

from __future__ import annotations

import asyncio

import aiodicom
from aiodicom.dimse.command import encode_command as encode
from aiodicom.dimse.messages import CEchoRQ, CStoreRQ
from aiodicom.ul._pdu import encode_command, encode_data
from aiodicom.ul.codec import encode as encode_pdu
from aiodicom.ul.framing import PduReader
from aiodicom.ul.pdu import AssociateRQ, PduType, ProposedContext, ReleaseRQ, UserInformation

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
PROPOSAL = AssociateRQ(
    "STORE",
    "RAW",
    (ProposedContext(1, CT, (IMPLICIT,)), ProposedContext(3, aiodicom.VERIFICATION, (IMPLICIT,))),
    UserInformation(),
)


def store(message_id: int, uid: str, data: bytes) -> bytes:
    command = encode_command(1, encode(CStoreRQ(message_id, CT, uid)), 1000)
    return command + b"".join(encode_data(1, data, 1000, True))


async def test_requests_beyond_the_window_wait_with_their_own_data_sets() -> None:
    may_go_on = asyncio.Event()
    seen: list[tuple[str, bytes]] = []
    server = aiodicom.Server()

    @server.on_c_store
    async def keep(request: aiodicom.StoreRequest) -> None:
        await may_go_on.wait()
        seen.append((request.affected_sop_instance_uid, bytes(request.data)))

    sent = [(1, "1.2.1", b"a" * 10), (2, "1.2.2", b"b" * 3001), (3, "1.2.3", b"c" * 5)]
    async with server.listen("127.0.0.1", 0) as listening:
        reader, writer = await asyncio.open_connection("127.0.0.1", listening.port)
        writer.write(encode_pdu(PROPOSAL))
        pdus = PduReader()
        while (answer := pdus.next_pdu()) is None:
            pdus.feed(await reader.read(4096))
        assert answer[0] == PduType.ASSOCIATE_AC
        echo = encode_command(3, encode(CEchoRQ(4, aiodicom.VERIFICATION)), 1000)
        writer.write(b"".join(store(*each) for each in sent) + echo + encode_pdu(ReleaseRQ()))
        may_go_on.set()
        answers = []
        while not answers or answers[-1] != PduType.RELEASE_RP:
            while (answer := pdus.next_pdu()) is not None:
                answers.append(answer[0])
            if not answers or answers[-1] != PduType.RELEASE_RP:
                received = await reader.read(4096)
                assert received, answers
                pdus.feed(received)
        writer.close()
        await writer.wait_closed()
    assert seen == [(uid, data) for _, uid, data in sent]
    assert answers == [PduType.P_DATA_TF] * 4 + [PduType.RELEASE_RP]
