"""An association with much to read leaves the others their turn."""

from __future__ import annotations

from types import SimpleNamespace

from aiodicom.net._transport import BufferedTransport

FULL = 1000


class Recording(BufferedTransport):
    """As much of a transport as reading takes; it counts the ends of its turns."""

    ends = 0

    def __init__(self) -> None:
        protocol = SimpleNamespace(
            receive=lambda *_: None, next_event=lambda _: None, take_outgoing=list, is_closing=False
        )
        super().__init__(protocol, None, lambda: 0.0, lambda *_: None, memoryview(bytearray(FULL)))

    def end_turn(self) -> None:
        self.ends += 1


def test_a_turn_ends_after_reads_that_filled_the_buffer() -> None:
    transport = Recording()
    ends = []
    for size in [FULL, FULL, FULL - 1, FULL, FULL, FULL, FULL, FULL, FULL, 1]:
        transport.buffer_updated(size)
        ends.append(transport.ends)
    assert ends == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]
