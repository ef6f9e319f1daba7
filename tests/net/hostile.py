"""What the tests with misbehaving peers share: a requestor on a raw socket, and a server that has to survive it.

The requestor encodes with `tests.rawpeer`, which shares nothing with aiodicom.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

import aiodicom
from tests.rawpeer import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    C_ECHO_RQ,
    C_STORE_RQ,
    IMPLICIT,
    P_DATA_TF,
    command_set,
    item,
    p_data,
    pdu,
    ui,
    us,
)

#: Seconds that anything may take before the test fails.
PATIENCE = 20.0

CT = "1.2.840.10008.5.1.4.1.1.2"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
#: (context ID, abstract syntax, transfer syntaxes)
Context = tuple[int, str, Sequence[str]]
CONTEXTS: tuple[Context, ...] = ((1, aiodicom.VERIFICATION, (IMPLICIT,)), (3, CT, (IMPLICIT,)))
#: the service-user's A-ABORT (AA-1)
BY_USER = (0, 0)


def by_provider(reason: int) -> tuple[int, int]:
    """The service-provider's A-ABORT (AA-8), PS3.8 table 9-26."""
    return 2, reason


def proposed(contexts: Sequence[Context] = CONTEXTS) -> bytes:
    """Presentation context items (PS3.8 9.3.2.2)."""
    return b"".join(
        item(
            0x20,
            bytes((context_id, 0, 0, 0))
            + item(0x30, abstract_syntax.encode())
            + b"".join(item(0x40, syntax.encode()) for syntax in syntaxes),
        )
        for context_id, abstract_syntax, syntaxes in contexts
    )


def user_information(max_pdu: int = 16384, sub_items: bytes = b"") -> bytes:
    """A user information item (PS3.8 9.3.2.3), ended by `sub_items`."""
    return item(0x50, item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"1.2.3.4") + sub_items)


def proposal(
    contexts: Sequence[Context] = CONTEXTS,
    *,
    version: int = 1,
    application_context: str = APPLICATION_CONTEXT,
    max_pdu: int = 16384,
    sub_items: bytes = b"",
    items: bytes | None = None,
    called_aet: str = "ANY-SCP",
) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2) whose user information `sub_items` end; `items` in place of all of its items."""
    if items is None:
        items = item(0x10, application_context.encode()) + proposed(contexts) + user_information(max_pdu, sub_items)
    return pdu(
        A_ASSOCIATE_RQ, struct.pack(">HH16s16s32x", version, 0, called_aet.encode().ljust(16), b"RAW".ljust(16)) + items
    )


def pdv(context_id: int, flags: int, fragment: bytes = b"", length: int | None = None) -> bytes:
    """A presentation data value item (PS3.8 9.3.5.1), of the length that it has unless told otherwise."""
    return struct.pack(">IBB", len(fragment) + 2 if length is None else length, context_id, flags) + fragment


def echo_command(message_id: int = 1) -> bytes:
    """The command set of a C-ECHO-RQ."""
    return command_set(
        {0x0002: ui(aiodicom.VERIFICATION), 0x0100: us(C_ECHO_RQ), 0x0110: us(message_id), 0x0800: us(0x0101)}
    )


def store_command(message_id: int = 1, instance: str = "1.2.3.4.5") -> bytes:
    """The command set of a C-STORE-RQ."""
    return command_set(
        {
            0x0002: ui(CT),
            0x0100: us(C_STORE_RQ),
            0x0110: us(message_id),
            0x0700: us(0),
            0x0800: us(0x0001),
            0x1000: ui(instance),
        }
    )


def echo(message_id: int = 1) -> bytes:
    """A C-ECHO-RQ on context 1."""
    return p_data(1, echo_command(message_id))


def status_of(body: bytes) -> int:
    """The status in the command set that this P-DATA-TF holds whole."""
    at = body.rindex(struct.pack("<HHI", 0, 0x0900, 2))
    (status,) = struct.unpack_from("<H", body, at + 8)
    return int(status)


class Requestor:
    """A requestor on a raw socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.socket: Any = writer.get_extra_info("socket")

    async def send(self, data: bytes, *, byte_by_byte: bool = False) -> None:
        """Sends all of it, in one piece or each byte with a segment of its own."""
        try:
            if byte_by_byte:
                for position in range(len(data)):
                    self.writer.write(data[position : position + 1])
                    await asyncio.sleep(0)
            else:
                self.writer.write(data)
            async with asyncio.timeout(PATIENCE):
                await self.writer.drain()
        except ConnectionError:
            pass  # the server need not take what comes after what it has refused

    async def pdu(self) -> tuple[int, bytes]:
        """The type and the body of the next PDU. Raises IncompleteReadError at the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            pdu_type, _, length = struct.unpack(">BBI", await self.reader.readexactly(6))
            return pdu_type, await self.reader.readexactly(length)

    async def expect(self, pdu_type: int) -> bytes:
        """The body of the next PDU, which is of this type."""
        received, body = await self.pdu()
        assert received == pdu_type, f"a PDU of type {received} with {body!r}, expected {pdu_type}"
        return body

    async def associate(self, request: bytes | None = None) -> bytes:
        """Opens an association; the body of the A-ASSOCIATE-AC."""
        await self.send(proposal() if request is None else request)
        return await self.expect(A_ASSOCIATE_AC)

    async def echo(self, message_id: int = 1) -> int:
        """The status that a C-ECHO is answered with."""
        await self.send(echo(message_id))
        return status_of(await self.expect(P_DATA_TF))

    async def aborted(self) -> tuple[int, int]:
        """Source and reason of the A-ABORT that comes next."""
        body = await self.expect(A_ABORT)
        assert body[:2] == b"\0\0"
        return body[2], body[3]

    async def release(self) -> None:
        """Releases the association and sees the server close (AR-4, and ours is the close)."""
        await self.send(pdu(A_RELEASE_RQ, bytes(4)))
        await self.expect(A_RELEASE_RP)

    async def ended(self) -> bytes:
        """What comes until the server closes the connection."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.read()
        except ConnectionError:
            return b""

    def half_close(self) -> None:
        """Sends no more."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Closes with a TCP RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def requestor(port: int) -> AsyncIterator[Requestor]:
    """A raw connection to this port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Requestor(reader, writer)
    finally:
        writer.transport.abort()


async def until(condition: Callable[[], bool]) -> None:
    """Waits until this holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (nothing tells from outside)
            await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(server: aiodicom.Server | None = None) -> AsyncIterator[tuple[aiodicom.Server, int]]:
    """A server and its port; after the body it still serves, and has nothing left of what the body did to it."""
    if server is None:
        server = store_server()
    async with server.listen("127.0.0.1", 0) as listening:
        yield server, listening.port
        await until(lambda: not server.associations)
        assert server.counters.associations_open == 0
        async with aiodicom.connect("127.0.0.1", listening.port) as association:
            assert (await association.c_echo()).status == 0
        await until(lambda: not server.associations)


def store_server(**options: Any) -> aiodicom.Server:
    """A server with a handler for C-STORE."""
    server = aiodicom.Server(**options)

    @server.on_c_store
    async def store(request: aiodicom.StoreRequest) -> None:
        assert len(request.data)

    return server


def timeouts(**options: float | None) -> aiodicom.Timeouts:
    """These timeouts and no others."""
    off: dict[str, float | None] = dict.fromkeys(field.name for field in fields(aiodicom.Timeouts))
    return aiodicom.Timeouts(**off | options)


def limited(**options: float | None) -> aiodicom.Server:
    """A server with these timeouts and no others."""
    return store_server(timeouts=timeouts(**options))
