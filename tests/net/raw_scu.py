"""A query/retrieve SCU on a raw socket: it can stop anywhere, and sees every response as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiodicom import Dataset
from tests.net.hostile import Context, Requestor, proposal, requestor
from tests.rawpeer import IMPLICIT, P_DATA_TF, Message, command_set, fragments_of, p_data, ui, us

C_FIND_RQ, C_GET_RQ, C_MOVE_RQ, C_CANCEL_RQ = 0x0020, 0x0010, 0x0021, 0x0FFF
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023
QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")


class RawScu:
    """Asks on context 1."""

    def __init__(self, peer: Requestor, abstract_syntax: str) -> None:
        self.peer = peer
        self._abstract_syntax = abstract_syntax

    def request(self, field: int, message_id: int = 1, destination: str | None = None) -> bytes:
        """The request in its PDUs."""
        command = {
            0x0002: ui(self._abstract_syntax),
            0x0100: us(field),
            0x0110: us(message_id),
            0x0700: us(0),
            0x0800: us(1),
        }
        if destination is not None:
            command[0x0600] = destination.encode() + b" " * (len(destination) % 2)
        return p_data(1, command, QUERY.to_bytes(IMPLICIT))

    async def ask(self, field: int, message_id: int = 1, destination: str | None = None) -> None:
        """Sends the request."""
        await self.peer.send(self.request(field, message_id, destination))

    async def cancel(self, message_id: int = 1) -> None:
        """Sends C-CANCEL."""
        command = {0x0100: us(C_CANCEL_RQ), 0x0120: us(message_id), 0x0800: us(0x0101)}
        await self.peer.send(p_data(1, command_set(command)))

    async def message(self) -> Message:
        """The next message."""
        command, data = b"", b""
        while True:
            for context_id, flags, fragment in fragments_of(await self.peer.expect(P_DATA_TF)):
                if flags & 1:
                    command += fragment
                else:
                    data += fragment
                if flags & 2:
                    message = Message.of(context_id, command, data)
                    if not flags & 1 or not message.has_data_set:
                        return message

    async def final(self) -> Message:
        """The first response that is not pending."""
        while (message := await self.message()).number(0x0900) in (0xFF00, 0xFF01):
            pass
        return message


@asynccontextmanager
async def raw_scu(
    port: int, abstract_syntax: str, *, further: Sequence[Context] = (), **options: Any
) -> AsyncIterator[RawScu]:
    """An SCU with an association; the connection is reset at the end."""
    async with requestor(port) as peer:
        contexts = ((1, abstract_syntax, (IMPLICIT,)), *further)
        await peer.associate(proposal(contexts, **options))
        yield RawScu(peer, abstract_syntax)
