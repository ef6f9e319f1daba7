"""Streams of P-DATA-TF written by hand, and what the compiled receiver makes of them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from aiodicom.ul._pdu import Body, ControlPdu, ReceivedMessage, Receiver
from aiodicom.ul.pdu import PduError

COMMAND, LAST = 1, 2


def pdu(pdu_type: int, body: bytes) -> bytes:
    """A PDU (PS3.8 9.3.1)."""
    return struct.pack(">BxI", pdu_type, len(body)) + body


def pdv(context_id: int, flags: int, data: bytes) -> bytes:
    """A presentation data value item (PS3.8 9.3.5.1)."""
    return struct.pack(">IBB", len(data) + 2, context_id, flags) + data


def p_data(*pdvs: bytes) -> bytes:
    """A P-DATA-TF of these items."""
    return pdu(4, b"".join(pdvs))


class Command(NamedTuple):
    """A command set of these tests: a data set follows where it begins with ``D``."""

    data: bytes

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self.data[:1] == b"D"


class Gathering:
    """A sink that copies what it is lent."""

    def __init__(self) -> None:
        self.data = b""
        self.is_complete = self.is_abandoned = False

    def write(self, view: memoryview) -> None:
        """Copies the fragment."""
        assert not self.is_complete
        assert not self.is_abandoned
        assert view.readonly
        self.data += view

    def finish(self) -> None:
        """The data set is complete."""
        assert not self.is_complete
        self.is_complete = True

    def abandon(self) -> None:
        """The data set stays incomplete."""
        assert not self.is_abandoned
        self.is_abandoned = True


def receiver(
    maximum_length: int = 0,
    *,
    contexts: Iterable[int] = (1, 3),
    open_body: Callable[[int, Any], Any] = lambda _context_id, _message: Body(),
    decode: Callable[[bytes], Any] = Command,
) -> Receiver:
    """A receiver in the state for data."""
    made = Receiver(decode, open_body, maximum_length)
    made.allows_data = True
    made.accept_contexts(contexts)
    return made


def events_of(receiving: Receiver, pieces: Iterable[bytes]) -> list[Any]:
    """The events in a stream that comes in these pieces; a `PduError` is the last one.

    Each piece is in the same buffer, which is overwritten as soon as the receiver has done with it.
    """
    scratch = bytearray(1 << 20)
    found: list[Any] = []
    for piece in pieces:
        scratch[: len(piece)] = piece
        receiving.receive(scratch, len(piece))
        try:
            while (event := receiving.next_event()) is not None:
                found.append(event)
        except PduError as error:
            found.append(error)
        scratch[: len(piece)] = b"\xee" * len(piece)
    return found


def plain(event: Any) -> Any:
    """An event as a value that can be compared."""
    if isinstance(event, ControlPdu):
        return event.pdu_type, event.body
    if isinstance(event, PduError):
        return "refused", event.reason
    assert isinstance(event, ReceivedMessage)
    body = event.body
    if isinstance(body, Body):
        body = bytes(memoryview(body))
    elif isinstance(body, Gathering):
        assert body.is_complete
        assert not body.is_abandoned
        body = body.data
    return event.context_id, bytes(event.message.data), body


def both_ways(stream: bytes, make: Callable[[], Receiver] = receiver) -> list[Any]:
    """The events in a stream as values, which are the same whether it comes byte by byte or in one piece."""
    at_once = [plain(event) for event in events_of(make(), [stream])]
    one_by_one = [plain(event) for event in events_of(make(), (stream[i : i + 1] for i in range(len(stream))))]
    assert one_by_one == at_once
    return at_once
