"""How many sub-operations of a retrieval are under way at a time, on a way that is imagined."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aiodicom.net._retrieving import SubOperations
from aiodicom.net.sources import DataSource, KnownFile, prepare
from tests.net.sides import LARGE, part10

SIZE = 100_000


class ImaginedWay:
    """On which everything is begun, if it `is_ready`."""

    is_ready = True

    def __init__(self, at_once: int, room: int, *, sends_files: bool) -> None:
        self.at_once = at_once
        self.room = room
        self.sends_files = sends_files
        self.tokens: list[Any] = []
        self.told: list[Any] = []

    def when_ready(self, told: Any) -> None:
        self.told.append(told)

    def begin(self, source: DataSource, token: Any) -> bool:
        if self.is_ready:
            self.tokens.append(token)
        return self.is_ready


@pytest.fixture
def known(tmp_path: Path) -> KnownFile:
    path = tmp_path / "object.dcm"
    path.write_bytes(part10(LARGE[:SIZE]))
    found = prepare(path).source
    assert isinstance(found, KnownFile)
    return found


def operations(way: Any) -> SubOperations:
    return SubOperations(way, asyncio.get_running_loop(), 60.0)


async def turn() -> None:
    """What is to be sent soon has been."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def answer(token: Any) -> None:
    token.set_result(SimpleNamespace(message=SimpleNamespace(status=0)))


async def test_no_more_bytes_than_there_is_room_for_where_files_are_sent_unread(known: KnownFile) -> None:
    way = ImaginedWay(100, 3 * SIZE - 1, sends_files=True)
    sending = operations(way)
    taken = [sending.take(known) for _ in range(8)]
    assert taken == [True] * 7 + [False]
    await turn()
    assert len(way.tokens) == 2
    for answered in range(6):
        answer(way.tokens[answered])
        await turn()
        assert len(way.tokens) == 3 + answered
        assert sending.has_room == (answered >= 1)
    for token in way.tokens[6:]:
        answer(token)
    assert (sending.begun, sending.completed, sending.running) == (8, 8, 0)


async def test_one_that_there_is_no_room_for_goes_alone(known: KnownFile) -> None:
    way = ImaginedWay(100, SIZE // 2, sends_files=True)
    sending = operations(way)
    for _ in range(2):
        sending.take(known)
    for begun in (1, 2):
        await turn()
        assert len(way.tokens) == begun
        answer(way.tokens[-1])


async def test_any_number_of_bytes_where_files_are_read(known: KnownFile) -> None:
    way = ImaginedWay(4, SIZE, sends_files=False)
    sending = operations(way)
    for _ in range(8):
        sending.take(known)
    await turn()
    assert len(way.tokens) == 4
    for token in list(way.tokens):
        answer(token)
    await turn()
    assert len(way.tokens) == 8
    for token in way.tokens[4:]:
        answer(token)


async def test_what_the_peer_does_not_take_waits_and_is_asked_for_once(known: KnownFile) -> None:
    way = ImaginedWay(4, SIZE, sends_files=False)
    way.is_ready = False
    sending = operations(way)
    for _ in range(3):
        sending.take(known)
        await turn()
    assert (way.tokens, len(way.told), sending.running, len(sending.waiting)) == ([], 1, 0, 3)
    way.is_ready = True
    way.told[0]()
    await turn()
    assert len(way.tokens) == 3
    for token in way.tokens:
        answer(token)
