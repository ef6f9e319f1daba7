"""Data sets that are read from a socket to where they gather, and what comes among them that was not expected."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from aiodicom.ul._pdu import Body, Budget, Discard, Receiver
from aiodicom.ul.pdu import PduError
from tests.ul.streams import COMMAND, LAST, Gathering, events_of, p_data, pdv, plain, receiver

STORE = pdv(1, COMMAND | LAST, b"Data follow")
ECHO = pdv(1, COMMAND | LAST, b"echo")
FRAGMENT = 40_000
#: What is not worth to be read like that.
LITTLE = 32 << 10
#: What is to be read before more is read like that.
BEFORE = 64 << 10


def data_of(size: int, seed: int = 1) -> bytes:
    return Random(seed).randbytes(size)


def message(data: bytes, *sizes: int) -> bytes:
    """A message with a data set in fragments of these sizes, each in a PDU of its own, and then of the last of them."""
    pdus = [p_data(STORE)]
    left = list(sizes)
    while data:
        size = left.pop(0) if len(left) > 1 else left[0]
        pdus.append(p_data(pdv(1, 0 if len(data) > size else LAST, data[:size])))
        data = data[size:]
    return b"".join(pdus)


def expecting(size: int = 1 << 20, **options: Any) -> Callable[[], Receiver]:
    """Receivers whose data sets gather in memory that is there from the beginning."""
    return lambda: receiver(open_body=lambda _context_id, _message: Body(expected=size, **options))


def discarding() -> Receiver:
    return receiver(open_body=lambda *_: Discard())


@contextmanager
def connected(is_tcp: bool = False) -> Iterator[tuple[socket.socket, socket.socket]]:
    if is_tcp:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
    else:
        ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


def taken(receiving: Receiver) -> list[Any]:
    """The events in what was read; a `PduError` is the last one."""
    found = list[Any]()
    try:
        while (event := receiving.next_event()) is not None:
            found.append(event)
    except PduError as error:
        found.append(error)
    return found


def read(stream: bytes, receiving: Receiver, first: int = 1000, *, is_tcp: bool = False) -> tuple[list[Any], int]:
    """The events in a stream that is read as a transport does, and how many reads were in place.

    `first`: the size of the other reads.
    """
    scratch = bytearray(first)
    found, placed, sent = list[Any](), 0, 0
    with connected(is_tcp) as (ours, theirs):
        while True:
            try:
                while sent < len(stream):
                    sent += theirs.send(stream[sent : sent + 100_000])
            except BlockingIOError:
                pass
            if sent == len(stream) and is_tcp:
                theirs.shutdown(socket.SHUT_WR)
                ours.setblocking(True)
            try:
                size = ours.recv_into(scratch)
            except BlockingIOError:
                if is_tcp:
                    continue
                return found, placed
            if not size:
                return found, placed
            receiving.receive(scratch, size)
            found += taken(receiving)
            if size == first and receiving.read_in_place(ours.fileno()) is not None:
                placed += 1
                found += taken(receiving)


@pytest.mark.parametrize(
    "sizes",
    [
        (FRAGMENT,),
        (131_060,),
        (1 << 20,),
        # what follows is shorter or longer than what came before
        (FRAGMENT, FRAGMENT, 33_000),
        (FRAGMENT, 100, 200, FRAGMENT),
        (FRAGMENT, 1, 50_000),
        (FRAGMENT, 70_000, 35_000, 90_000),
        (60_000, 20_000, 60_000),
    ],
)
@pytest.mark.parametrize("first", [1000, 30_000])
def test_data_sets_are_whole(sizes: tuple[int, ...], first: int) -> None:
    data, other = data_of(300_001), data_of(200_000, 2)
    stream = message(data, *sizes) + message(other, *sizes) + p_data(ECHO)
    found, placed = read(stream, expecting()(), first)
    expected = [(1, b"Data follow", data), (1, b"Data follow", other), (1, b"echo", None)]
    assert [plain(event) for event in found] == expected
    assert placed


def test_any_fragments_are_as_if_they_had_been_received() -> None:
    random = Random(20)
    for seed in range(60):
        stream = b""
        for _ in range(random.randint(1, 6)):
            data = data_of(random.choice([10, 5000, 150_000, 700_000]), seed)
            sizes = [random.choice([3, 900, 33_000, FRAGMENT, 131_060, 1 << 20]) for _ in range(20)]
            stream += random.choice([p_data(ECHO), b"", p_data(ECHO, ECHO)]) + message(data, *sizes, FRAGMENT)
        make = expecting(random.choice([0, 200_000, 1 << 20]), unread=random.random() < 0.5)
        found, _ = read(stream, make(), random.choice([700, 8192, 65_536]))
        at_once = events_of(make(), [stream[at : at + (1 << 20)] for at in range(0, len(stream), 1 << 20)])
        assert [plain(event) for event in found] == [plain(event) for event in at_once]


def test_several_values_in_a_pdu_and_messages_behind_one_another() -> None:
    parts = [data_of(FRAGMENT, seed) for seed in range(6)]
    stream = p_data(STORE, *(pdv(1, 0, part) for part in parts), pdv(1, LAST, b""), ECHO)
    stream += message(b"".join(parts), FRAGMENT) * 3
    found, placed = read(stream, expecting()())
    whole = (1, b"Data follow", b"".join(parts))
    assert [plain(event) for event in found] == [whole, (1, b"echo", None), whole, whole, whole]
    assert placed


@pytest.mark.parametrize(
    "wrong",
    [b"\x09" + bytes(60_000), p_data(ECHO), p_data(pdv(5, 0, b"other context")), p_data(pdv(1, 0, b""))[:-2] * 9],
)
def test_what_is_refused_between_fragments_is_refused(wrong: bytes) -> None:
    data = data_of(100_000)
    begun = p_data(STORE) + p_data(pdv(1, 0, data[:FRAGMENT])) + p_data(pdv(1, 0, data[FRAGMENT : 2 * FRAGMENT]))
    found, placed = read(begun + wrong + bytes(100_000), expecting()())
    assert [plain(event) for event in found] == [plain(event) for event in events_of(expecting()(), [begun + wrong])]
    assert isinstance(found[-1], PduError)
    assert placed


def came_in_place(receiving: Receiver, ours: socket.socket) -> int:
    """How many bytes came, of no fewer that there was room for."""
    read = receiving.read_in_place(ours.fileno())
    assert read is not None
    came, asked, before = read
    assert came < asked
    assert before == BEFORE
    return came


@pytest.mark.parametrize(
    ("used", "may_wait", "most"), [(0, True, 128 << 10), (2 << 20, True, 512 << 10), (0, False, 512 << 10)]
)
def test_while_others_may_wait_less_is_read_at_once_to_new_memory(used: int, may_wait: bool, most: int) -> None:
    assert Budget(0).take(0)  # nothing is kept for reuse
    body = Body(expected=used)
    body.write(bytes(used))
    del body
    receiving = expecting(4 << 20, others=SimpleNamespace(may_wait=may_wait))()
    assert events_of(receiving, [p_data(STORE) + p_data(pdv(1, 0, data_of(3 << 20)))[:1000]]) == []
    with connected() as (ours, _):
        read = receiving.read_in_place(ours.fileno())
    assert read is not None
    assert read[1] == most


def in_the_middle(make: Callable[[], Receiver], size: int = 1000) -> Receiver:
    """A receiver that has got so many bytes of a fragment."""
    receiving = make()
    assert events_of(receiving, [p_data(STORE) + p_data(pdv(1, 0, data_of(1 << 18)))[: size + 12]]) == []
    return receiving


def test_an_association_that_has_sent_nothing_more_is_left_as_it_was() -> None:
    bodies = list[Body]()

    def open_body(*_: object) -> Body:
        bodies.append(Body(expected=1 << 20))
        return bodies[-1]

    receiving = in_the_middle(lambda: receiver(open_body=open_body))
    with connected() as (ours, theirs):
        assert came_in_place(receiving, ours) == 0
        assert receiving.next_event() is None
        theirs.send(b"abc")
        assert came_in_place(receiving, ours) == 3
        assert receiving.next_event() is None
        theirs.close()
        assert came_in_place(receiving, ours) == 0
        assert receiving.next_event() is None
    assert bytes(bodies[0]) == data_of(1 << 18)[:1000] + b"abc"
    assert bodies[0].total == 1003


def test_as_much_is_read_as_there_is_room_for() -> None:
    receiving = in_the_middle(expecting(100_000))
    with connected() as (ours, theirs):
        for _ in range(2):
            theirs.send(bytes(100_000))
        room = 131_072 - 1000  # what is given is the next power of two
        assert receiving.read_in_place(ours.fileno()) == (room, room, BEFORE)
        assert taken(receiving) == []
        assert receiving.read_in_place(ours.fileno()) is None


def test_what_came_has_to_be_looked_at_before_more_is_read() -> None:
    receiving = in_the_middle(expecting())
    with connected() as (ours, theirs):
        theirs.send(bytes(5000))
        assert came_in_place(receiving, ours) == 5000
        assert receiving.is_incomplete
        assert receiving.read_in_place(ours.fileno()) is None
        with pytest.raises(BufferError):
            receiving.receive(bytearray(10), 10)
        assert receiving.next_event() is None


@pytest.mark.parametrize(
    "make",
    [
        receiver,  # memory for what has come, and little more
        lambda: receiver(open_body=lambda *_: Gathering()),
        lambda: receiver(open_body=lambda *_: Discard()),
        lambda: receiver(open_body=lambda *_: Body(LITTLE, Gathering, 1 << 20)),
        lambda: receiver(open_body=lambda *_: Body(10, Gathering)),
        lambda: receiver(open_body=lambda *_: Body(1 << 20, Gathering, 1 << 20, Budget(0))),
    ],
)
def test_other_sinks_and_those_without_room_get_nothing_in_place(make: Callable[[], Receiver]) -> None:
    receiving = in_the_middle(make)
    with connected() as (ours, theirs):
        theirs.send(bytes(50_000))
        assert receiving.read_in_place(ours.fileno()) is None
        assert len(ours.recv(100_000)) == 50_000


def test_nothing_is_read_in_place_where_no_data_set_is_under_way() -> None:
    receiving = receiver()
    with connected() as (ours, _):
        assert receiving.read_in_place(ours.fileno()) is None
        for piece in (p_data(ECHO), p_data(STORE), b"\4\0", b"\0\0\0\0\0\0"):
            events_of(receiving, [piece])
            assert receiving.read_in_place(ours.fileno()) is None


def test_little_more_of_a_fragment_is_not_worth_it() -> None:
    receiving = in_the_middle(expecting(), (1 << 18) - 1000)
    with connected() as (ours, theirs):
        assert came_in_place(receiving, ours) == 0  # others are taken to follow
        theirs.send(bytes(1000) + p_data(pdv(1, LAST, bytes(FRAGMENT))))
        events_of(receiving, [ours.recv(1000 + 12 + 20_000)])
        assert receiving.read_in_place(ours.fileno()) is None


def test_no_more_than_the_limit_is_read_in_place() -> None:
    spilled = list[Gathering]()

    def spill() -> Gathering:
        spilled.append(Gathering())
        return spilled[-1]

    data = data_of(300_000)
    make = lambda: receiver(open_body=lambda *_: Body(150_000, spill, 1 << 20))  # noqa: E731
    found, placed = read(message(data, FRAGMENT), make())
    assert [event.body.spilled for event in found] == spilled
    assert spilled[0].data == data
    assert placed


def test_a_receiver_that_is_told_to_discard_in_the_middle_lets_go_of_all() -> None:
    budget = Budget(4 << 20)
    receiving = in_the_middle(expecting(budget=budget))
    with connected() as (ours, theirs):
        theirs.send(data_of(5000))
        receiving.read_in_place(ours.fileno())
        receiving.discard()
        assert budget.used == 0
        assert receiving.next_event() is None
        assert receiving.read_in_place(ours.fileno()) is None


def test_a_receiver_that_nobody_has_any_more_lets_go_of_what_was_read() -> None:
    budget = Budget(4 << 20)
    receiving = in_the_middle(expecting(budget=budget))
    with connected() as (ours, theirs):
        theirs.send(data_of(5000))
        receiving.read_in_place(ours.fileno())
        del receiving
        assert budget.used == 0


@pytest.mark.skipif(sys.platform != "linux", reason="no other system throws away what has come")
@pytest.mark.parametrize("sizes", [(131_060,), (1 << 20,), (FRAGMENT, 100, 200, FRAGMENT), (60_000, 20_000, 60_000)])
def test_what_is_discarded_is_thrown_away_by_the_system(sizes: tuple[int, ...]) -> None:
    stream = message(data_of(1_300_001), *sizes) + message(data_of(200_000), *sizes) + p_data(ECHO)
    found, dropped = read(stream, discarding(), is_tcp=True)
    assert [(event.message.data, event.body and event.body.total) for event in found] == [
        (b"Data follow", 1_300_001),
        (b"Data follow", 200_000),
        (b"echo", None),
    ]
    assert dropped


@pytest.mark.skipif(sys.platform != "linux", reason="no other system throws away what has come")
@pytest.mark.parametrize("wrong", [b"\xff" * 6, p_data(pdv(3, LAST, b"another context"))])
def test_what_is_wrong_behind_what_was_thrown_away_is_refused(wrong: bytes) -> None:
    stream = p_data(STORE) + p_data(pdv(1, 0, data_of(100_000))) + wrong + bytes(100_000)
    found, dropped = read(stream, discarding(), is_tcp=True)
    assert isinstance(found[-1], PduError)
    assert dropped


@pytest.mark.skipif(sys.platform != "linux", reason="no other system throws away what has come")
def test_the_last_byte_of_a_fragment_is_left() -> None:
    receiving = in_the_middle(discarding, (1 << 18) - 100_000)
    with connected(is_tcp=True) as (ours, theirs):
        assert receiving.read_in_place(ours.fileno()) == (0, 99_999, 4096)
        theirs.setblocking(True)
        theirs.sendall(bytes(100_000))
        theirs.shutdown(socket.SHUT_WR)
        came = 0
        while came < 99_999 - LITTLE:
            came += came_of(receiving.read_in_place(ours.fileno()))
        assert receiving.read_in_place(ours.fileno()) is None or came == 99_999
        ours.setblocking(True)
        assert sum(map(len, iter(lambda: ours.recv(1 << 20), b""))) == 100_000 - came


def came_of(read: tuple[int, int, int] | None) -> int:
    assert read is not None
    return read[0]


@pytest.mark.parametrize("first", [57_000, 61_440, 65_000])
def test_longer_fragments_than_there_is_room_for(first: int) -> None:
    """What is taken for their headers are data, too, for which the body has to grow."""
    data = data_of(131_072 + 400_000)
    for sizes in ((first, 131_060), (first, first, 131_060), (first, 90_000, 131_060)):
        found, placed = read(message(data, *sizes) + p_data(ECHO), expecting(100_000)(), 1000)
        assert [plain(event) for event in found] == [(1, b"Data follow", data), (1, b"echo", None)]
        assert placed
