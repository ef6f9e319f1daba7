"""Large data sets that the system puts where they gather: on associations, of every event loop."""

from __future__ import annotations

import logging
import ssl
import sys
from typing import Any

import pytest
import trustme

import aiodicom
from aiodicom.net.loops import SCRATCH_SIZE
from tests.net.sides import CT_UIDS, LARGE, connect

#: What is read before such a data set.
SHORT = 64 << 10
#: Of objects of one size after another, in bytes.
SIZES = [600_000, 600_000, 20_000, 1_500_000, 600_000, 130_000, 2_000_000]


async def received(sizes: list[int], options: dict[str, Any], **client: Any) -> list[int]:
    """Sends objects of these sizes; returns how much is read at once at the end of each."""
    server = aiodicom.Server()
    lengths = []

    @server.on_c_store(body=aiodicom.Spooled())
    async def keep(request: aiodicom.StoreRequest) -> None:
        assert request.data == LARGE[: len(request.data)]
        assert len(request.data) == sizes[len(lengths)]
        lengths.append(len(request.association.transport.get_buffer(-1)))

    async with server.listen("127.0.0.1", 0, **options) as listening, connect(listening.port, **client) as association:
        for size in sizes:
            await association.c_store(LARGE[:size], **CT_UIDS)
    return lengths


async def test_objects_of_many_sizes_are_as_they_were_sent() -> None:
    lengths = await received(SIZES, {})
    assert set(lengths) <= {SHORT, SCRATCH_SIZE}
    if sys.platform == "linux":  # where as much as that is on its way to a peer on the same machine
        assert SHORT in lengths


async def test_what_is_encrypted_is_not_read_in_place() -> None:
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    assert await received(SIZES, {"ssl": server}, ssl=client) == [SCRATCH_SIZE] * len(SIZES)


async def test_what_is_traced_is_not_read_in_place(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "aiodicom.association")
    assert await received(SIZES, {}) == [SCRATCH_SIZE] * len(SIZES)
