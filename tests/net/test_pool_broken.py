"""An association whose peer stopped in the middle of a PDU, or that was left within a message: never again."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import DeadlineExceeded
from aiodicom.net.retry import Retry
from tests.net.hostile import CT, timeouts
from tests.net.sides import part10, soon, until
from tests.rawpeer import C_ECHO_RQ, IMPLICIT, Connection, Message, RawPeer, response


class Halting:
    """A peer that stops on its first association, after some bytes of its first response, and goes on when told."""

    def __init__(self, bytes_sent: int) -> None:
        self.bytes_sent = bytes_sent
        #: on which association each message came
        self.messages: list[int] = []
        self.has_halted = threading.Event()
        self.goes_on = threading.Event()
        self.count = 0

    def __call__(self, peer: Connection) -> None:
        self.count += 1
        number = self.count
        peer.accept()
        while (message := peer.message()) is not None:
            self.messages.append(number)
            answer = response(message)
            if number == 1:
                peer.send(answer[: self.bytes_sent])
                self.has_halted.set()
                self.goes_on.wait()
                # What comes late must not be taken for the answer to something else.
                peer.send(answer[self.bytes_sent :])
            else:
                peer.send(answer)


def pool(port: int, **options: Any) -> aiodicom.Pool:
    return aiodicom.Pool("127.0.0.1", port, contexts=[aiodicom.VERIFICATION, (CT, [IMPLICIT])], **options)


#: none of it, within the header, within the command set, all but a byte
HALTS = pytest.mark.parametrize("bytes_sent", [0, 3, 20, -1])


@HALTS
async def test_after_a_timeout_in_the_middle_of_a_pdu(bytes_sent: int) -> None:
    script = Halting(bytes_sent)
    with RawPeer(script) as peer:
        async with pool(peer.port, size=1, timeouts=timeouts(dimse=0.05)) as it:
            with pytest.raises(DeadlineExceeded):
                await soon(it.c_echo())
            script.goes_on.set()
            for _ in range(3):
                await soon(it.c_echo())
        assert script.messages == [1, 2, 2, 2]


@HALTS
async def test_cancelled_in_the_middle_of_a_pdu(bytes_sent: int) -> None:
    script = Halting(bytes_sent)
    with RawPeer(script) as peer:
        async with pool(peer.port, size=1) as it:
            running = asyncio.create_task(it.c_echo())
            await until(script.has_halted.is_set)
            running.cancel()
            await asyncio.wait((running,))
            following = asyncio.create_task(it.c_echo())
            script.goes_on.set()
            await soon(following)
        assert script.messages == [1, 2]


@pytest.mark.parametrize("how", ["block", "await"])
async def test_a_whole_one_is_returned_in_the_middle_of_a_pdu(how: str) -> None:
    """Whoever had it caught the timeout himself: it is left by no error."""
    script = Halting(20)
    with RawPeer(script) as peer:
        async with pool(peer.port, size=1) as it:

            async def give_up(association: aiodicom.Association) -> None:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await association.c_echo()

            if how == "block":
                async with it.acquire() as mine:
                    await give_up(mine)
            else:
                mine = await it.acquire()
                await give_up(mine)
                it.release(mine)
            script.goes_on.set()
            await soon(it.c_echo())
        assert script.messages == [1, 2]


async def test_a_retry_goes_to_another_one() -> None:
    script = Halting(20)
    with RawPeer(script) as peer:
        async with pool(peer.port, size=1, timeouts=timeouts(dimse=0.05), retry=Retry(first=0.001)) as it:
            await soon(it.c_echo())
            script.goes_on.set()
        assert script.messages == [1, 2]


async def test_cancelled_in_the_middle_of_a_message_it_is_aborted() -> None:
    seen: list[Message | None] = []

    def script(peer: Connection) -> None:
        peer.accept()
        while (message := peer.message()) is not None:
            seen.append(message)
            peer.send(response(message))

    with RawPeer(script) as peer:
        async with pool(peer.port, size=1) as it:
            await it.c_echo()
            running = asyncio.create_task(it.c_store(part10(bytes(32 << 20))))
            await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait((running,))
            await soon(it.c_echo())
        assert peer.connections == 2
        assert [message.number(0x0100) for message in seen if message is not None] == [C_ECHO_RQ, C_ECHO_RQ]
