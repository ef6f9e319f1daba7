"""What a sink or `open_body` does to the receiver that is calling it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aiodicom.dimse.command import decode_command
from aiodicom.dimse.command import encode_command as encode
from aiodicom.dimse.messages import CEchoRQ, CStoreRQ
from aiodicom.ul._pdu import Receiver, encode_command, encode_data

STREAM = (
    encode_command(1, encode(CStoreRQ(1, "1.2", "1.2.3")), 1000)
    + b"".join(encode_data(1, b"data" * 1000, 1000, True))
    + encode_command(1, encode(CEchoRQ(2, "1.2.840.10008.1.1")), 1000)
)


class Sink:
    """Calls `then` in one of its methods."""

    def __init__(self, method: str, then: Callable[[], object]) -> None:
        self.method = method
        self.then = then
        self.abandoned = 0

    def _call(self, method: str) -> None:
        if method == self.method:
            self.then()

    def write(self, _view: memoryview) -> None:
        self._call("write")

    def finish(self) -> None:
        self._call("finish")

    def abandon(self) -> None:
        self.abandoned += 1


@pytest.mark.parametrize("method", ["open", "write", "finish"])
def test_an_association_that_ends_inside_a_callback_ends_the_parsing(method: str) -> None:
    sinks: list[Sink] = []

    def open_body(_context_id: int, _message: object) -> Sink:
        sinks.append(Sink(method, receiver.discard))
        sinks[-1]._call("open")
        return sinks[-1]

    receiver = Receiver(decode_command, open_body, 0)
    receiver.allows_data = True
    receiver.accept_contexts([1])
    receiver.receive(STREAM, len(STREAM))
    assert receiver.next_event() is None
    assert [sink.abandoned for sink in sinks] == [1]
    receiver.receive(STREAM, len(STREAM))
    assert receiver.next_event() is None


def test_a_callback_may_not_ask_for_events() -> None:
    errors: list[str] = []

    def ask() -> None:
        with pytest.raises(RuntimeError) as error:
            receiver.next_event()
        errors.append(str(error.value))

    receiver = Receiver(decode_command, lambda _context_id, _message: Sink("finish", ask), 0)
    receiver.allows_data = True
    receiver.accept_contexts([1])
    receiver.receive(STREAM, len(STREAM))
    first, second = receiver.next_event(), receiver.next_event()
    assert first is not None
    assert second is not None
    assert receiver.next_event() is None
    assert len(errors) == 1
