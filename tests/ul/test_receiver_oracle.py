"""The compiled receiver against a plain one: the same bytes, in any pieces, give the same messages or are refused."""

from __future__ import annotations

import itertools
import random
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiodicom.ul._pdu import Receiver
from aiodicom.ul.framing import PduReader
from aiodicom.ul.pdu import PduError
from tests.ul.streams import COMMAND, LAST, Command, Gathering, events_of, p_data, pdu, pdv, plain, receiver
from tests.ul.wire import checked

MAXIMUM_LENGTH = 200


class Plain:
    """The receiver as simple as it can be: whole PDUs, whole messages."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self._context_id = 0
        self._command: bytes | None = None
        self._fragments = b""

    def read(self, stream: bytes) -> bool:
        """Puts what is in `stream` into `found`; whether it ends inside of a PDU."""
        reader = PduReader(MAXIMUM_LENGTH)
        reader.feed(stream)
        size = 0
        try:
            while (read := reader.next_pdu()) is not None:
                pdu_type, body = read
                size += 6 + len(body)
                if pdu_type == 4:
                    self._items(body)
                else:
                    self.found.append((pdu_type, body))
        except (PduError, Refused):
            self.found.append("refused")
            return False
        return size != len(stream)

    def _items(self, body: bytes) -> None:
        if not body:
            raise Refused
        while body:
            if len(body) < 6:
                raise Refused
            length, context_id, flags = struct.unpack_from(">IBB", body)
            if length < 2 or length > len(body) - 4 or context_id not in (1, 3):
                raise Refused
            fragment, body = body[6 : 4 + length], body[4 + length :]
            self._fragment(context_id, bool(flags & 1), bool(flags & 2), fragment)

    def _fragment(self, context_id: int, is_command: bool, is_last: bool, data: bytes) -> None:
        if self._context_id not in (0, context_id) or is_command != (self._command is None):
            raise Refused
        self._context_id = context_id
        self._fragments += data
        if not is_last:
            return
        whole, self._fragments = self._fragments, b""
        if is_command and Command(whole).has_data_set:
            self._command = whole
        else:
            self.found.append((context_id, whole, None) if is_command else (context_id, self._command, whole))
            self._context_id, self._command = 0, None


class Refused(Exception):
    """What the plain receiver raises."""


def compiled() -> Receiver:
    """The receiver under test; every other data set goes to a sink in Python."""
    count = iter(range(1 << 30))

    def open_body(_context_id: int, _message: Any) -> Any:
        from aiodicom.ul._pdu import Body

        return Gathering() if next(count) % 2 else Body()

    return receiver(MAXIMUM_LENGTH, open_body=open_body)


def comparable(events: list[Any]) -> list[Any]:
    """Events as the plain receiver gives them; it doesn't tell reasons."""
    return ["refused" if isinstance(event, PduError) else plain(event) for event in events]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """The P-DATA-TFs of one message, in fragments of any sizes, put into PDUs in any way."""
    context_id = draw(st.sampled_from((1, 3)))
    has_data_set = draw(st.booleans())
    pdvs = _fragments(draw, context_id, COMMAND, (b"D" if has_data_set else b"-") + draw(st.binary(max_size=40)))
    if has_data_set:
        pdvs += _fragments(draw, context_id, 0, draw(st.binary(max_size=90)))
    stream = b""
    while pdvs:
        count = draw(st.integers(1, 4))
        stream += p_data(*pdvs[:count])
        del pdvs[:count]
    return stream


def _fragments(draw: st.DrawFn, context_id: int, flags: int, data: bytes) -> list[bytes]:
    cuts = [0, *sorted(draw(st.lists(st.integers(0, len(data)), max_size=3))), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(cuts)]
    return [
        pdv(context_id, flags | (LAST if index == len(pieces) - 1 else 0), piece) for index, piece in enumerate(pieces)
    ]


others = st.sampled_from([pdu(5, bytes(4)), pdu(7, b"\0\0\2\0"), pdu(1, bytes(80)), pdu(2, b"")])
streams = st.lists(messages() | others, min_size=1, max_size=6).map(b"".join)


def chopped(stream: bytes, seed: int) -> list[bytes]:
    """The stream in pieces of random sizes, most of them small."""
    chance = random.Random(seed)
    pieces = []
    while stream:
        size = chance.choice((0, 1, 1, 2, 3, 7, 20, 100, 1000))
        pieces.append(stream[:size])
        stream = stream[size:]
    return pieces


def check(stream: bytes, seed: int) -> None:
    """Both have the same opinion of `stream`, in one piece and in many."""
    oracle = Plain()
    is_cut = oracle.read(stream)
    for pieces in ([stream], chopped(stream, seed), [stream[i : i + 1] for i in range(len(stream))]):
        found = comparable(events_of(compiled(), pieces))
        if is_cut:
            # The compiled one sees into a PDU that has not come whole yet.
            assert found[: len(oracle.found)] == oracle.found
        else:
            assert found == oracle.found


@checked(250)
@given(streams, st.integers(0, 1 << 30))
def test_well_formed_streams(stream: bytes, seed: int) -> None:
    oracle = Plain()
    assert not oracle.read(stream)
    if all(len(body) <= MAXIMUM_LENGTH for kind, body, *_ in _pdus(stream) if kind == 4):
        assert "refused" not in oracle.found
    check(stream, seed)


def _pdus(stream: bytes) -> list[tuple[int, bytes]]:
    reader = PduReader()
    reader.feed(stream)
    return list(iter(reader.next_pdu, None))  # type: ignore[arg-type]


@checked(300)
@given(streams, st.data())
def test_mutated_streams(stream: bytes, data: st.DataObject) -> None:
    mutated = bytearray(stream)
    for place in data.draw(st.lists(st.integers(0, len(stream) - 1), min_size=1, max_size=4)):
        mutated[place] = data.draw(st.integers(0, 7) | st.integers(0, 255))
    check(bytes(mutated), data.draw(st.integers(0, 1 << 30)))


@checked(200)
@given(streams, st.data())
def test_streams_with_parts_missing_doubled_or_swapped(stream: bytes, data: st.DataObject) -> None:
    places = st.integers(0, len(stream))
    for _ in range(data.draw(st.integers(1, 3))):
        start, end = sorted((data.draw(places), data.draw(places)))
        change = data.draw(st.sampled_from(("remove", "double", "move")))
        part = stream[start:end]
        if change == "remove":
            stream = stream[:start] + stream[end:]
        elif change == "double":
            stream = stream[:end] + part + stream[end:]
        else:
            stream = part + stream[:start] + stream[end:]
        places = st.integers(0, len(stream))
    check(stream, data.draw(st.integers(0, 1 << 30)))


@checked(200)
@given(
    st.lists(
        st.tuples(st.sampled_from((1, 3, 5)), st.integers(0, 3), st.binary(max_size=3).map(lambda data: b"D" + data)),
        max_size=8,
    ),
    st.integers(0, 1 << 30),
)
def test_items_in_any_order(items: list[tuple[int, int, bytes]], seed: int) -> None:
    check(b"".join(p_data(pdv(*item)) for item in items), seed)
    check(p_data(*(pdv(*item) for item in items)), seed)


@checked(200)
@given(st.binary(max_size=60).map(lambda noise: b"\4\0\0\0\0" + noise), st.integers(0, 1 << 30))
def test_noise(stream: bytes, seed: int) -> None:
    check(stream, seed)
