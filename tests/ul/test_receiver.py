"""The compiled receiver: what it reads, what it refuses, what it gives its sinks. Byte by byte and in one piece."""

from __future__ import annotations

import gc
import struct
import weakref
from collections.abc import Callable
from typing import Any

import numpy
import pytest

from aiodicom.ul._pdu import (
    Body,
    Discard,
    Receiver,
    encode_command,
    encode_data,
    fragment_size,
)
from aiodicom.ul.framing import MAXIMUM_ASSOCIATE_LENGTH
from aiodicom.ul.pdu import AbortReason, PduError
from tests.ul.streams import (
    COMMAND,
    LAST,
    Command,
    Gathering,
    both_ways,
    events_of,
    p_data,
    pdu,
    pdv,
    plain,
    receiver,
)

INVALID = ("refused", AbortReason.INVALID_PDU_PARAMETER_VALUE)
UNEXPECTED = ("refused", AbortReason.UNEXPECTED_PDU_PARAMETER)
UNRECOGNIZED = ("refused", AbortReason.UNRECOGNIZED_PDU)

ECHO = pdv(1, COMMAND | LAST, b"echo")
STORE = pdv(1, COMMAND | LAST, b"Data follow")


# What is read --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (p_data(ECHO), [(1, b"echo", None)]),
        (p_data(ECHO) + p_data(ECHO), [(1, b"echo", None)] * 2),
        (p_data(ECHO, ECHO, pdv(3, COMMAND | LAST, b"other")), [(1, b"echo", None)] * 2 + [(3, b"other", None)]),
        (p_data(STORE) + p_data(pdv(1, LAST, b"12345678")), [(1, b"Data follow", b"12345678")]),
        (p_data(STORE, pdv(1, LAST, b"12345678")), [(1, b"Data follow", b"12345678")]),
        # odd fragments, empty ones, many in a PDU, and a command set in pieces
        (
            p_data(STORE, pdv(1, 0, b"1"), pdv(1, 0, b""), pdv(1, 0, b"234"))
            + p_data(pdv(1, 0, b"567"), pdv(1, LAST, b"8")),
            [(1, b"Data follow", b"12345678")],
        ),
        (
            p_data(pdv(1, COMMAND, b"D"), pdv(1, COMMAND, b""))
            + p_data(pdv(1, COMMAND, b"ata follo"), pdv(1, 3, b"w"))
            + p_data(pdv(1, LAST, b"!")),
            [(1, b"Data follow", b"!")],
        ),
        (p_data(pdv(1, COMMAND, b"echo"), pdv(1, COMMAND | LAST, b"")), [(1, b"echo", None)]),
        (p_data(STORE) + p_data(pdv(1, 0, b"12")) + p_data(pdv(1, LAST, b"")), [(1, b"Data follow", b"12")]),
        (p_data(STORE) + p_data(pdv(1, LAST, b"")), [(1, b"Data follow", b"")]),
        # a message that ends inside of a PDU in which the next one begins
        (
            p_data(STORE, pdv(1, LAST, b"1"), ECHO, STORE) + p_data(pdv(1, LAST, b"2")),
            [(1, b"Data follow", b"1"), (1, b"echo", None), (1, b"Data follow", b"2")],
        ),
        # reserved bits of the control header
        (p_data(pdv(1, 0xFC | COMMAND | LAST, b"echo")), [(1, b"echo", None)]),
        # the PDU's reserved byte
        (b"\4\xff" + p_data(ECHO)[2:], [(1, b"echo", None)]),
    ],
)
def test_messages(stream: bytes, messages: list[Any]) -> None:
    assert both_ways(stream) == messages


def test_pdus_of_other_kinds_come_whole_and_in_order() -> None:
    request = bytes(range(256)) * 3
    stream = pdu(1, request) + p_data(ECHO) + pdu(5, bytes(4)) + pdu(2, b"") + pdu(7, b"\0\0\2\1")
    assert both_ways(stream) == [(1, request), (1, b"echo", None), (5, bytes(4)), (2, b""), (7, b"\0\0\2\1")]


def test_data_that_may_not_come_now_is_told_once_and_passed_over() -> None:
    def make() -> Receiver:
        made = receiver()
        made.allows_data = False
        return made

    stream = p_data(bytes(300)) + p_data() + pdu(5, bytes(4)) + pdu(4, b"\xff" * 7)
    assert both_ways(stream, make) == [(4, None), (4, None), (5, bytes(4)), (4, None)]


def test_nothing_yet() -> None:
    receiving = receiver()
    assert receiving.next_event() is None
    assert events_of(receiving, [b"", b"\5", b"\0\0\0\0", b"\4\0\0", b"\0"]) == []
    assert [plain(event) for event in events_of(receiving, [b"\7", b""])] == [(5, b"\0\0\0\7")]


# What is refused -----------------------------------------------------------------------------------------------------

LENGTHS = struct.Struct(">IBB").pack


@pytest.mark.parametrize(
    ("stream", "refusal"),
    [
        (b"\0\0\0\0\0\4", UNRECOGNIZED),
        (b"\x08\0\0\0\0\4", UNRECOGNIZED),
        (b"GET / HTTP/1.1\r\n", UNRECOGNIZED),
        (b"\x16\x03\x01\x02\0\1", UNRECOGNIZED),
        (struct.pack(">BxI", 1, MAXIMUM_ASSOCIATE_LENGTH + 1), INVALID),
        (struct.pack(">BxI", 2, 0xFFFFFFFF), INVALID),
        (struct.pack(">BxI", 4, 16383), INVALID),
        (struct.pack(">BxI", 4, 0xFFFFFFFF), INVALID),
        (struct.pack(">BxI", 4, 0), INVALID),
        (struct.pack(">BxI", 3, 3), INVALID),
        (struct.pack(">BxI", 5, 5), INVALID),
        (struct.pack(">BxI", 6, 0), INVALID),
        (struct.pack(">BxI", 7, 1 << 20), INVALID),
        # too short for a presentation data value, and what is left after the last
        *((pdu(4, bytes(size)), INVALID) for size in range(1, 6)),
        *((p_data(ECHO, bytes(size)), INVALID) for size in range(1, 6)),
        # a presentation data value of an impossible length
        (pdu(4, LENGTHS(0, 1, 3) + bytes(9)), INVALID),
        (pdu(4, LENGTHS(1, 1, 3) + bytes(9)), INVALID),
        (pdu(4, LENGTHS(3, 1, 3)), INVALID),
        (pdu(4, LENGTHS(12, 1, 3) + bytes(9)), INVALID),
        (pdu(4, LENGTHS(0xFFFFFFFF, 1, 3) + bytes(9)), INVALID),
        (pdu(4, LENGTHS(0x80000002, 1, 3) + bytes(9)), INVALID),
        # contexts
        (p_data(pdv(5, COMMAND | LAST, b"echo")), INVALID),
        (p_data(pdv(0, COMMAND | LAST, b"echo")), INVALID),
        (p_data(pdv(255, COMMAND | LAST, b"echo")), INVALID),
        (p_data(STORE, pdv(5, LAST, b"data")), INVALID),
        (p_data(STORE, pdv(3, LAST, b"data")), UNEXPECTED),
        (p_data(pdv(1, COMMAND, b"ec"), pdv(3, COMMAND | LAST, b"ho")), UNEXPECTED),
        # order
        (p_data(pdv(1, LAST, b"data")), UNEXPECTED),
        (p_data(pdv(1, 0, b"")), UNEXPECTED),
        (p_data(ECHO, pdv(1, LAST, b"data")), UNEXPECTED),
        (p_data(STORE, ECHO), UNEXPECTED),
        (p_data(STORE, pdv(1, 0, b"data"), ECHO), UNEXPECTED),
        (p_data(pdv(1, COMMAND, b"Data"), pdv(1, LAST, b"data")), UNEXPECTED),
        # size of the command set
        (p_data(*[pdv(1, COMMAND, bytes(16000))] * 5), INVALID),
        (p_data(pdv(1, COMMAND, bytes(65530))) + p_data(pdv(1, COMMAND | LAST, bytes(7))), INVALID),
    ],
)
def test_what_is_refused(stream: bytes, refusal: Any) -> None:
    def make() -> Receiver:
        return receiver(16382 if len(stream) < 1000 else 0)

    before = [] if stream[:1] == b"\4" and stream[6:] else [(1, b"before", None)]
    if before:
        stream = p_data(pdv(1, COMMAND | LAST, b"before")) + stream
    assert [event for event in both_ways(stream, make) if event[1] != b"echo"] == [*before, refusal]
    # What follows is not looked at.
    assert [event for event in both_ways(stream + p_data(ECHO), make) if event[1] != b"echo"] == [*before, refusal]


def test_a_command_set_of_64_kib_is_read() -> None:
    whole = p_data(*[pdv(1, COMMAND, b"x" * 16384)] * 3, pdv(1, COMMAND | LAST, b"x" * 16384))
    assert both_ways(whole) == [(1, b"x" * 65536, None)]
    assert both_ways(p_data(pdv(1, COMMAND | LAST, b"x" * 65536))) == [(1, b"x" * 65536, None)]


def test_a_length_is_refused_when_it_is_there_not_when_what_it_promises_is() -> None:
    receiving = receiver(100)
    assert events_of(receiving, [struct.pack(">BxI", 4, 101)[:5]]) == []
    assert len(events_of(receiving, [b"\x65"])) == 1
    receiving = receiver()
    assert events_of(receiving, [struct.pack(">BxI", 4, 1 << 31), LENGTHS(1 << 30, 5, 3)[:5]]) == []
    assert len(events_of(receiving, [b"\3"])) == 1


def test_the_maximum_length_is_reached() -> None:
    filled = p_data(pdv(1, COMMAND | LAST, b"x" * 94))
    assert both_ways(filled, lambda: receiver(100)) == [(1, b"x" * 94, None)]
    assert both_ways(filled, lambda: receiver(99)) == [INVALID]


def test_a_stated_length_allocates_nothing() -> None:
    import tracemalloc

    receiving = receiver()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        events_of(receiving, [struct.pack(">BxI", 4, 0xFFFFFFFF) + STORE + LENGTHS(0xFFFF0000, 1, 0) + b"1234"])
        tracemalloc.reset_peak()
        assert tracemalloc.get_traced_memory()[1] - before < 10_000
    finally:
        tracemalloc.stop()


# Its sinks -----------------------------------------------------------------------------------------------------------


def test_a_sink_gets_its_fragments_then_its_end() -> None:
    opened: list[tuple[int, Any]] = []

    def open_body(context_id: int, message: Any) -> Gathering:
        opened.append((context_id, message))
        return Gathering()

    stream = p_data(STORE, pdv(1, 0, b"12")) + p_data(pdv(1, LAST, b"345")) + p_data(ECHO)
    found = both_ways(stream, lambda: receiver(open_body=open_body))
    assert found == [(1, b"Data follow", b"12345"), (1, b"echo", None)]
    assert opened == [(1, Command(b"Data follow"))] * 2


def test_what_is_incomplete_is_abandoned_and_what_is_complete_is_not() -> None:
    sinks: list[Gathering] = []

    def open_body(_context_id: int, _message: Any) -> Gathering:
        sinks.append(Gathering())
        return sinks[-1]

    receiving = receiver(open_body=open_body)
    events_of(receiving, [p_data(STORE, pdv(1, LAST, b"1")), p_data(STORE, pdv(1, 0, b"2"))])
    receiving.discard()
    receiving.discard()
    assert [(sink.is_complete, sink.is_abandoned) for sink in sinks] == [(True, False), (False, True)]


def test_a_refusal_abandons_the_data_set_under_way() -> None:
    sink = Gathering()
    events_of(receiver(open_body=lambda *_: sink), [p_data(STORE, pdv(1, 0, b"2"), pdv(3, 0, b""))])
    assert sink.is_abandoned


class Failing(Gathering):
    """A sink in which one thing fails, once."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def write(self, view: memoryview) -> None:
        if self.what == "write":
            raise OSError(28, "disk full")
        super().write(view)

    def finish(self) -> None:
        if self.what == "finish":
            raise OSError(28, "disk full")
        super().finish()


@pytest.mark.parametrize("what", ["open", "write", "finish"])
def test_a_sink_that_raises_is_replaced_and_the_stream_goes_on(what: str) -> None:
    sinks: list[Failing] = []

    def open_body(_context_id: int, _message: Any) -> Any:
        if what == "open":
            raise OSError(28, "disk full")
        sinks.append(Failing(what))
        return sinks[-1]

    stream = p_data(STORE, pdv(1, 0, b"12")) + p_data(pdv(1, 0, b"34")) + p_data(pdv(1, LAST, b"5")) + p_data(ECHO)
    for pieces in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        stored, echoed = events_of(receiver(open_body=open_body), pieces)
        assert isinstance(stored.body, Discard)
        assert isinstance(stored.body.error, OSError)
        assert stored.body.error.errno == 28
        assert plain(echoed) == (1, b"echo", None)
    assert all(sink.is_abandoned for sink in sinks)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", ["write", "finish"])
def test_a_sink_that_cannot_even_be_abandoned(what: str) -> None:
    class Hopeless(Failing):
        def abandon(self) -> None:
            raise RuntimeError("and that as well")

    stream = p_data(STORE, pdv(1, LAST, b"12"), ECHO, STORE, pdv(1, 0, b"3"))
    receiving = receiver(open_body=lambda *_: Hopeless(what))
    stored, echoed = events_of(receiving, [stream])
    assert isinstance(stored.body.error, OSError)
    assert plain(echoed) == (1, b"echo", None)
    receiving.discard()


@pytest.mark.parametrize("keep", [lambda view: view[1:], memoryview, lambda view: numpy.frombuffer(view, "u1")])
def test_a_sink_that_keeps_a_view_fails(keep: Callable[[memoryview], Any]) -> None:
    class Keeping(Gathering):
        def write(self, view: memoryview) -> None:
            self.kept = keep(view)

    (stored,) = events_of(receiver(open_body=lambda *_: Keeping()), [p_data(STORE, pdv(1, LAST, b"12"))])
    assert isinstance(stored.body.error, BufferError)


def test_the_view_itself_is_of_no_use_afterwards() -> None:
    class Keeping(Gathering):
        def write(self, view: memoryview) -> None:
            super().write(view)
            self.kept = view

    (stored,) = events_of(receiver(open_body=lambda *_: Keeping()), [p_data(STORE, pdv(1, LAST, b"12"))])
    assert plain(stored) == (1, b"Data follow", b"12")
    with pytest.raises(ValueError, match="released"):
        bytes(stored.body.kept)


def test_discarding_ends_the_cycle_with_the_owner() -> None:
    class Owner:
        def __init__(self) -> None:
            self.receiver = receiver(decode=self.decode, open_body=self.open_body)

        def decode(self, data: bytes) -> Any:
            return Command(data)

        def open_body(self, _context_id: int, _message: Any) -> Any:
            return self

    owner = Owner()
    gone = weakref.ref(owner)
    owner.receiver.discard()
    gc.disable()
    try:
        del owner
        assert gone() is None
    finally:
        gc.enable()


# Its own state -------------------------------------------------------------------------------------------------------


def test_is_incomplete_while_a_pdu_or_a_message_is() -> None:
    receiving = receiver()
    assert not receiving.is_incomplete
    stream = p_data(STORE) + p_data(pdv(1, LAST, b"12")) + pdu(5, bytes(4))
    ends = {len(p_data(STORE)) + len(p_data(pdv(1, LAST, b"12"))), len(stream)}
    for i in range(len(stream)):
        events_of(receiving, [stream[i : i + 1]])
        assert receiving.is_incomplete == (i + 1 not in ends)


def test_is_incomplete_at_an_event_only_while_more_has_come() -> None:
    receiving = receiver()
    stream = p_data(ECHO) + p_data(ECHO, ECHO) + pdu(5, bytes(4)) + p_data(ECHO)
    receiving.receive(stream, len(stream))
    found = []
    while receiving.next_event() is not None:
        found.append(receiving.is_incomplete)
    assert found == [True, True, True, True, False]


def test_the_buffer_is_held_until_its_bytes_are_consumed() -> None:
    receiving = receiver()
    scratch = bytearray(p_data(ECHO))
    receiving.receive(scratch, len(scratch))
    with pytest.raises(BufferError):
        scratch.append(0)
    with pytest.raises(BufferError):
        receiving.receive(b"", 0)
    assert receiving.next_event() is not None
    assert receiving.next_event() is None
    scratch.append(0)
    receiving.receive(scratch, 0)
    del receiving
    scratch.append(0)


def test_a_refusal_gives_the_buffer_back() -> None:
    receiving = receiver()
    scratch = bytearray(b"HTTP/1.1")
    receiving.receive(scratch, len(scratch))
    with pytest.raises(PduError):
        receiving.next_event()
    scratch.append(0)


def test_more_than_the_buffer_has_cannot_be_lent() -> None:
    for size in (9, -1):
        with pytest.raises(ValueError, match="of a buffer of 8"):
            receiver().receive(bytes(8), size)


# What is sent --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("maximum", "size"),
    [(0, 262138), (8, 2), (9, 2), (16, 10), (16384, 16378), (16383, 16376), (1 << 18, 262138), (0xFFFFFFFF, 262138)],
)
def test_fragments_are_even_and_fit(maximum: int, size: int) -> None:
    assert fragment_size(maximum) == size
    sent = b"".join(encode_data(1, bytes(3 * size), size, True))
    assert struct.unpack_from(">I", sent, 2) == (size + 6,)


@pytest.mark.parametrize("maximum", range(1, 8))
def test_a_maximum_that_leaves_no_room(maximum: int) -> None:
    with pytest.raises(PduError):
        fragment_size(maximum)


@pytest.mark.parametrize("size", [1, 2, 9, 10, 11, 20, 21])
def test_a_command_set_in_fragments(size: int) -> None:
    command = b"Data and more"[:size].ljust(size, b".")
    sent = encode_command(1, command, 10) + b"".join(encode_data(1, b"", 10, True))
    assert max(struct.unpack_from(">I", sent, 2)) <= 16
    assert both_ways(sent, lambda: receiver(16)) == [(1, command, b"")]


@pytest.mark.parametrize("size", [0, 1, 2, 9, 10, 11, 20, 21, 1000])
def test_a_data_set_in_fragments(size: int) -> None:
    data = bytes(i & 0xFF for i in range(size))
    sent = encode_command(1, b"Data", 10) + b"".join(encode_data(1, data, 10, True))
    assert both_ways(sent, lambda: receiver(16)) == [(1, b"Data", data)]


def test_a_data_set_in_pieces() -> None:
    sent = encode_command(1, b"Data", 10)
    for piece, last in ((b"0123456789" * 2, False), (b"0123456789", False), (b"012", True)):
        sent += b"".join(encode_data(1, piece, 10, last))
    assert both_ways(sent, lambda: receiver(16)) == [(1, b"Data", b"0123456789" * 3 + b"012")]


def test_data_is_sliced_not_copied() -> None:
    data = bytearray(100)
    buffers = encode_data(1, data, 60, True)
    for i in range(100):
        data[i] = i
    assert b"".join(buffers[1::2]) == bytes(range(100))
    assert [bytes(header)[11] for header in buffers[::2]] == [0, LAST]


def test_a_message_is_complete_only_with_its_body() -> None:
    assert both_ways(p_data(STORE)) == []
    assert both_ways(p_data(STORE, pdv(1, 0, b"12"))) == []
    assert isinstance(events_of(receiver(), [p_data(STORE, pdv(1, LAST, b"12"))])[0].body, Body)
