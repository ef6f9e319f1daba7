"""Operations that are begun without being awaited."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationClosed, ContextNotAccepted
from aiodicom.net.sources import CHUNK, GatheredSource
from aiodicom.net.unawaited import begin_echo, begin_store
from tests.net.sides import CT_UIDS, DATA, LARGE, connect, soon


class Token(asyncio.Future[Any]):
    """Keeps what it is told."""


def server(stored: list[bytes], **options: Any) -> aiodicom.Server:
    """An SCP that keeps what it gets."""
    made = aiodicom.Server(**options)

    @made.on_c_store
    def store(request: aiodicom.StoreRequest) -> aiodicom.Status:
        stored.append(bytes(request.data))
        return aiodicom.Status.SUCCESS

    return made


async def test_echo_and_store() -> None:
    stored: list[bytes] = []
    async with server(stored).listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        token = Token()
        assert begin_echo(association, token)
        assert not begin_echo(association, Token())  # the window is full
        assert (await soon(token)).message.status == 0
        token = Token()
        assert begin_store(association, GatheredSource([DATA[:4], DATA[4:]], *CT_UIDS.values()), token)
        assert (await soon(token)).message.affected_sop_instance_uid == CT_UIDS["sop_instance_uid"]
        assert (await association.c_echo()).status == 0
    assert stored == [DATA]


async def test_several_in_a_window_leave_together() -> None:
    async with (
        server([], window=8).listen("127.0.0.1", 0) as listening,
        connect(listening.port, window=4) as association,
    ):
        tokens = [Token() for _ in range(5)]
        assert [begin_echo(association, token) for token in tokens] == [True] * 4 + [False]
        await soon(asyncio.gather(*tokens[:4]))
        assert begin_echo(association, tokens[4])
        await soon(tokens[4])


async def test_what_has_to_wait_is_not_begun() -> None:
    async with server([]).listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        large = GatheredSource([LARGE[:CHUNK], LARGE[CHUNK:]], *CT_UIDS.values())
        assert not begin_store(association, large, Token())
        assert association.outstanding == 0
        assert (await soon(association.c_store(large))).status == 0


async def test_the_association_ends_before_the_response() -> None:
    async with server([]).listen("127.0.0.1", 0) as listening:
        association = await soon(connect(listening.port))
        token = Token()
        assert begin_echo(association, token)
        association.abort()
        with pytest.raises(AssociationClosed):
            await token
        with pytest.raises(AssociationClosed):
            begin_echo(association, Token())
        await association.wait_closed()


async def test_no_context_for_it() -> None:
    async with server([]).listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(ContextNotAccepted):
            begin_store(association, GatheredSource([DATA], "1.2.3", "1.2.4", "1.2.840.10008.1.2.1"), Token())


async def test_operations_leave_nothing_to_the_garbage_collector() -> None:
    """What waited for a response kept it, the response its operation, and that who had waited."""
    async with server([]).listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await association.c_echo()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await association.c_echo()
                await association.c_store(DATA, **CT_UIDS)
            assert gc.collect() < 20
        finally:
            gc.enable()
