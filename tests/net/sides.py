"""What the tests of associations share: objects to send, and a requestor that sends what no well-behaved one does."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Any, Self

import aiodicom
from aiodicom.dimse.command import decode_command
from aiodicom.dimse.command import encode_command as encode
from aiodicom.dimse.messages import CEchoRQ, CStoreRQ, Message
from aiodicom.ul._pdu import encode_command, encode_data
from aiodicom.ul.codec import decode
from aiodicom.ul.codec import encode as encode_pdu
from aiodicom.ul.framing import PduReader
from aiodicom.ul.pdu import (
    PDU,
    AssociateRQ,
    AsynchronousOperationsWindow,
    PDataTF,
    ProposedContext,
    ReleaseRQ,
    RoleSelection,
    UserInformation,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
#: Seconds that anything here may take before the test fails.
PATIENCE = 5.0
#: The keywords of a C-STORE of an encoded data set.
CT_UIDS: dict[str, Any] = {"sop_class_uid": CT, "sop_instance_uid": "1.2.3", "transfer_syntax": IMPLICIT}
#: Contexts for a requestor: CT and Verification.
CONTEXTS = [(CT, [IMPLICIT]), aiodicom.VERIFICATION]
#: A short data set.
DATA = struct.pack("<HHI", 0x0010, 0x0010, 4) + b"A^B "
#: A data set of several chunks, no two stretches of which are alike.
LARGE = b"".join(struct.pack("<I", number) for number in range(700_000))


def part10(data: bytes = DATA, *, sop_class: str = CT, instance: str = "1.2.3", syntax: str = IMPLICIT) -> bytes:
    """A Part 10 file (PS3.10 7.1)."""

    def uid(element: int, value: str) -> bytes:
        padded = value.encode() + b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", 2, element, b"UI", len(padded)) + padded

    meta = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    meta += uid(2, sop_class) + uid(3, instance) + uid(0x10, syntax) + uid(0x12, "1.2.3.4")
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta + data


def connect(port: int, **options: Any) -> Any:
    """Proposes CT and Verification to a server on loopback."""
    return aiodicom.connect("127.0.0.1", port, **({"contexts": CONTEXTS} | options))


async def soon(awaitable: Any) -> Any:
    """The result of what has to come soon."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


async def until(condition: Any) -> None:
    """Lets the loop turn until this holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Requestor:
    """The requestor's side of an association, on a stream: context 1 is CT, context 3 Verification."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._pdus = PduReader()

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        window: tuple[int, int] | None = None,
        max_pdu: int = 16384,
        roles: tuple[RoleSelection, ...] = (),
        **fields: Any,
    ) -> Self:
        """Sends the proposal."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        contexts = (ProposedContext(1, CT, (IMPLICIT,)), ProposedContext(3, aiodicom.VERIFICATION, (IMPLICIT,)))
        asynchronous = None if window is None else AsynchronousOperationsWindow(*window)
        information = UserInformation(max_pdu, asynchronous_operations_window=asynchronous, roles=roles)
        proposal = {"called_ae_title": "STORE", "calling_ae_title": "RAW", "contexts": contexts} | fields
        writer.write(encode_pdu(AssociateRQ(user_information=information, **proposal)))
        return cls(reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def send(self, *parts: bytes) -> None:
        """Sends bytes."""
        self.writer.write(b"".join(parts))

    async def pdu(self) -> PDU:
        """The next PDU."""
        while (found := self._pdus.next_pdu()) is None:
            received = await soon(self.reader.read(65536))
            if not received:
                raise EOFError
            self._pdus.feed(received)
        return decode(*found)

    async def message(self) -> Message:
        """The next message, which is a response in one P-DATA-TF."""
        received = await self.pdu()
        assert isinstance(received, PDataTF), received
        return decode_command(b"".join(bytes(pdv.data) for pdv in received.pdvs))

    async def close(self) -> None:
        """Closes the connection."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Has the connection end without a word, whatever is unsent."""
        self.writer.transport.abort()


def echo(message_id: int = 1) -> bytes:
    """A C-ECHO-RQ."""
    return encode_command(3, encode(CEchoRQ(message_id, aiodicom.VERIFICATION)), 1000)


def store_command(message_id: int = 1, instance: str = "1.2.3") -> bytes:
    """A C-STORE-RQ, whose data set is to follow."""
    return encode_command(1, encode(CStoreRQ(message_id, CT, instance)), 1000)


def fragments(data: bytes, *, last: bool = True) -> bytes:
    """A data set, or a part of one that is not its last."""
    return b"".join(bytes(part) for part in encode_data(1, data, 1000, last))


def store(message_id: int = 1, instance: str = "1.2.3", data: bytes = DATA) -> bytes:
    """A C-STORE-RQ with its data set."""
    return store_command(message_id, instance) + fragments(data)


RELEASE = encode_pdu(ReleaseRQ())
