"""An association with much to read leaves the others their turn."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from aiodicom.dimse._exchange import Exchange
from aiodicom.net._data_sets import decode_data_set
from aiodicom.net._transport import ALONE, BufferedTransport, Turns
from aiodicom.net.loops import BEFORE_PAUSE, PAUSE, SCRATCH_SIZE, TAKING_TURNS, ReadingTurns
from aiodicom.ul._pdu import Body

FULL = 1000
#: What is read before data sets that are read to where they gather.
SHORT = 64 << 10


class Deaf(Exchange):
    """An association's messages where nothing is heard; what is read in place is what the test says."""

    def __init__(self, placed: list[tuple[int, int, int] | None]) -> None:
        super().__init__([], SimpleNamespace(operations=0, failures=0), None, None, 0)
        self.receiver.discard()
        self._placed = placed

    def read_in_place(self, fd: int) -> tuple[int, int, int] | None:
        return self._placed.pop(0) if self._placed else None


class Hearing(Exchange):
    """Messages that say nothing: PDUs of any kind."""

    def __init__(self) -> None:
        super().__init__([], SimpleNamespace(operations=0, failures=0), None, None, 0)

    def _on_control(self, *_: object) -> None:
        pass


class Recording(BufferedTransport):
    """As much of a transport as reading takes; it counts the ends of its turns."""

    ends = 0

    def __init__(
        self,
        *,
        others_wait: bool = False,
        placed: list[tuple[int, int, int] | None] | None = None,
        size: int = FULL,
        exchange: Exchange | None = None,
        asks_here: bool | None = True,
    ) -> None:
        """`placed`: what reads in place come to, one after another; None: the socket is not to be read."""
        self._asks_here = asks_here
        self._others_wait = others_wait
        self._placed = placed
        self.seen = Turns()
        shared = memoryview(bytearray(size)), self.seen
        super().__init__(exchange or Deaf(placed or []), None, lambda: 0.0, lambda *_: None, *shared)
        self.connection = SimpleNamespace(is_reading=lambda: True)

    def plain_socket(self) -> int:
        return -1 if self._placed is None else 5

    def others_wait(self) -> bool:
        return self._others_wait

    def peer_asks_here(self) -> bool | None:
        return self._asks_here

    def end_turn(self) -> None:
        self.ends += 1


def test_a_turn_ends_after_reads_that_filled_the_buffer() -> None:
    transport = Recording()
    ends = []
    for size in [FULL, FULL, FULL - 1, FULL, FULL, FULL, FULL, FULL, FULL, 1]:
        transport.buffer_updated(size)
        ends.append(transport.ends)
    assert ends == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]


def test_while_others_wait_one_such_read_is_a_turn() -> None:
    transport = Recording(others_wait=True)
    ends = []
    for size in [FULL - 1, FULL, 1, FULL, FULL]:
        transport.buffer_updated(size)
        ends.append(transport.ends)
    assert ends == [0, 1, 1, 2, 3]


def test_a_read_in_place_that_left_nothing_behind_it_is_no_full_one() -> None:
    all_of_it, less = (9, 9, SHORT), (8, 9, SHORT)
    placed = [all_of_it, all_of_it, all_of_it, less, all_of_it, all_of_it, less, all_of_it, all_of_it, all_of_it]
    transport = Recording(placed=[*placed], size=SCRATCH_SIZE)
    ends = []
    for _ in range(10):
        transport.buffer_updated(len(transport.get_buffer(-1)))
        ends.append(transport.ends)
    assert ends == [0, 0, 1, 1, 1, 1, 1, 1, 1, 2]


def test_while_data_sets_are_read_in_place_little_is_read_before() -> None:
    dropped = (9, 9, 4096)
    placed = [None, (0, 9, SHORT), (9, 9, SHORT), None, (9, 9, SHORT), dropped, dropped, (9, 9, SHORT)]
    transport = Recording(placed=[*placed], size=SCRATCH_SIZE)
    sizes = []
    for _ in placed:
        transport.buffer_updated(len(transport.get_buffer(-1)))
        sizes.append(len(transport.get_buffer(-1)))
    assert sizes == [SCRATCH_SIZE, SHORT, SHORT, SCRATCH_SIZE, SHORT, 4096, 4096, SHORT]


def test_nothing_is_read_in_place_behind_a_read_that_left_nothing_nor_while_reading_is_paused() -> None:
    placed: list[tuple[int, int, int] | None] = [(9, 9, SHORT)]
    transport = Recording(placed=placed, size=SCRATCH_SIZE)
    transport.buffer_updated(SCRATCH_SIZE - 1)
    transport.connection = SimpleNamespace(is_reading=lambda: False)
    transport.buffer_updated(SCRATCH_SIZE)
    assert placed == [(9, 9, SHORT)]


def test_who_sends_whole_messages_and_leaves_nothing_behind_has_little() -> None:
    transport = Recording(exchange=Hearing())
    seen = []
    small, large = b"\5\0\0\0\0\4four", b"\2\0" + (FULL).to_bytes(4, "big") + bytes(FULL)
    for read in [large[:FULL], large[FULL:], small, small[:7], small[7:], small + small]:
        transport.get_buffer(-1)[: len(read)] = read
        transport.buffer_updated(len(read))
        seen.append(transport.seen.has_little)
        transport.seen.has_little = False
    assert seen == [False, False, True, False, False, True]


@pytest.mark.parametrize("asks_here", [None, False, True])
def test_who_answers_has_nothing_to_wait_for(asks_here: bool | None) -> None:
    transport = Recording(exchange=Hearing(), asks_here=asks_here)
    transport.get_buffer(-1)[:10] = b"\5\0\0\0\0\4four"
    transport.buffer_updated(10)
    assert (transport.seen.has_little, transport.seen.is_here) == (asks_here is not None, bool(asks_here))


def test_what_was_read_is_counted_in_place_or_not() -> None:
    transport = Recording(placed=[(700, 700, SHORT), (5, 700, SHORT)])
    transport.buffer_updated(FULL)
    assert transport.seen.brought == FULL + 700
    transport.buffer_updated(FULL)
    transport.buffer_updated(3)
    assert transport.seen.brought == FULL + 700 + FULL + 5 + 3


class Calls:
    """As much of an event loop as turns take: what was to be called, and after how many seconds."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []

    def call_soon(self, call: Callable[[], None]) -> None:
        self.later.append((0.0, call))

    def call_later(self, delay: float, call: Callable[[], None]) -> None:
        self.later.append((delay, call))

    def step(self) -> float:
        """Does the next of it, and returns what its delay was."""
        delay, call = self.later.pop(0)
        call()
        return delay


def reading_on(turns: ReadingTurns, brings: int, *, beside_little: bool, here: bool) -> Callable[[], None]:
    """Reads so much, and waits for its next turn."""

    def read_on() -> None:
        turns.seen.brought += brings
        turns.seen.has_little = turns.seen.has_little or beside_little
        turns.seen.is_here = turns.seen.is_here or here
        turns.wait(read_on)

    return read_on


def delays(brings: int, *, beside_little: bool, here: bool = True) -> list[float]:
    """How long turns are apart with two that have much to read."""
    calls = Calls()
    turns = ReadingTurns(cast("Any", calls))
    for _ in range(2):
        turns.wait(reading_on(turns, brings, beside_little=beside_little, here=here))
    return [calls.step() for _ in range(8)]


def test_who_has_much_to_read_pauses_while_somebody_has_little() -> None:
    assert delays(BEFORE_PAUSE, beside_little=False) == [0.0] * 8
    assert delays(BEFORE_PAUSE, beside_little=True, here=False) == [0.0] * 8
    # The next turn is arranged before the present one is read in.
    assert delays(BEFORE_PAUSE, beside_little=True) == [0.0, 0.0, *[PAUSE] * 6]
    assert delays(BEFORE_PAUSE // 2, beside_little=True) == [0.0, 0.0, 0.0, PAUSE, 0.0, PAUSE, 0.0, PAUSE]


def test_somebody_may_wait_who_was_there_not_long_ago() -> None:
    turns = Turns()
    assert turns.may_wait
    turns.brought = ALONE
    assert not turns.may_wait
    turns.has_little = True
    assert turns.may_wait


@pytest.mark.parametrize("size", [1000, 3 << 20])
def test_a_data_set_that_is_kept_leads_to_no_event_loop(size: int) -> None:
    calls = Calls()
    body = Body(others=ReadingTurns(cast("Any", calls)).seen)
    body.write(b"\xe0\x7f\x10\0OB\0\0" + size.to_bytes(4, "little") + bytes(size))
    body.finish()
    data_set = decode_data_set(body, "1.2.840.10008.1.2.1")
    calls.later.append((0.0, partial(data_set.copy)))  # type: ignore[arg-type]
    gone = weakref.ref(calls)
    del calls, body, data_set
    gc.collect()
    assert gone() is None


async def turns_until(count: int, order: list[int]) -> int:
    """How many turns of the event loop go by until so many have had their turn to read."""
    turns = 0
    while len(order) < count:
        await asyncio.sleep(0)
        turns += 1
    return turns


async def test_who_has_much_to_read_has_a_turn_of_the_loop_for_itself() -> None:
    turns, order = ReadingTurns(asyncio.get_running_loop()), list[int]()
    assert not turns.has_waiting
    for number in range(5):
        turns.wait(partial(order.append, number))
    assert turns.has_waiting
    assert await turns_until(5, order) == 5
    assert order == [0, 1, 2, 3, 4]
    assert not turns.has_waiting


async def test_of_many_several_have_their_turn() -> None:
    turns, order = ReadingTurns(asyncio.get_running_loop()), list[int]()
    for number in range(10 * TAKING_TURNS):
        turns.wait(partial(order.append, number))
    await asyncio.sleep(0)
    assert order == list(range(10))


async def test_who_cannot_be_read_on_takes_no_turn_from_the_others() -> None:
    loop = asyncio.get_running_loop()
    turns, order, told = ReadingTurns(loop), list[int](), list[object]()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    error = OSError("the descriptor is closed")

    def fail() -> None:
        raise error

    turns.wait(fail)
    for number in range(2 * TAKING_TURNS):
        turns.wait(partial(order.append, number))
    await turns_until(2 * TAKING_TURNS, order)
    assert told == [error]


async def test_who_comes_back_waits_for_the_others() -> None:
    turns, order = ReadingTurns(asyncio.get_running_loop()), list[str]()

    def read(name: str) -> None:
        order.append(name)
        if len(order) < 6:
            turns.wait(partial(read, name))

    turns.wait(partial(read, "first"))
    turns.wait(partial(read, "second"))
    for _ in range(6):
        await asyncio.sleep(0)
    assert order == ["first", "second"] * 3


def test_what_is_no_exchange_is_not_taken_for_one() -> None:
    shared = memoryview(bytearray(FULL)), Turns()
    transport = BufferedTransport(SimpleNamespace(), None, lambda: 0.0, lambda *_: None, *shared)
    with pytest.raises(TypeError, match="Exchange"):
        transport.buffer_updated(FULL)
