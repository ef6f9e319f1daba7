"""PDUs and PDVs: what a receiver finds in a buffer, and what is put around a message (PS3.8 9.3)."""

from __future__ import annotations

from typing import Any

from aiodicom.dimse.command import decode_command, encode_command
from aiodicom.dimse.messages import CEchoRQ, CStoreRQ
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul._pdu import Discard, ReceivedMessage, Receiver, encode_data, fragment_size
from aiodicom.ul._pdu import encode_command as encode_command_pdus

CT, UID = "1.2.840.10008.5.1.4.1.1.2", "1.2.826.0.1.3680043.10.1234.2.1"
FRAGMENT = fragment_size(131072)
ECHO = encode_command_pdus(1, encode_command(CEchoRQ(1, VERIFICATION)), FRAGMENT)
STORE = encode_command_pdus(3, encode_command(CStoreRQ(1, CT, UID)), FRAGMENT)


def receiver() -> Receiver:
    made = Receiver(decode_command, lambda _context_id, _message: Discard(), 131072)
    made.accept_contexts([1, 3])
    made.allows_data = True
    return made


def messages(receiver: Receiver, stream: bytes, chunk: int) -> int:
    """How many messages are in a stream that comes in chunks."""
    count = 0
    for start in range(0, len(stream), chunk):
        piece = stream[start : start + chunk]
        receiver.receive(piece, len(piece))
        while (event := receiver.next_event()) is not None:
            assert type(event) is ReceivedMessage
            count += 1
    return count


def test_echo_in_one_read(benchmark: Any) -> None:
    made = receiver()
    assert benchmark(messages, made, ECHO, len(ECHO)) == 1


def test_hundred_echoes_in_one_read(benchmark: Any) -> None:
    made = receiver()
    assert benchmark(messages, made, 100 * ECHO, 100 * len(ECHO)) == 100


def test_echo_byte_by_byte(benchmark: Any) -> None:
    made = receiver()
    assert benchmark(messages, made, ECHO, 1) == 1


def test_store_of_525_kb_in_reads_of_64_kb(benchmark: Any) -> None:
    made = receiver()
    stream = b"".join([STORE, *encode_data(3, bytes(525_000), FRAGMENT, True)])
    assert benchmark(messages, made, stream, 65536) == 1


def test_store_of_9_kb_in_fragments_of_256_bytes(benchmark: Any) -> None:
    made = receiver()
    stream = b"".join([STORE, *encode_data(3, bytes(9_000), 256, True)])
    assert benchmark(messages, made, stream, len(stream)) == 1


def test_fragmenting_525_kb(benchmark: Any) -> None:
    data = bytes(525_000)
    pieces = benchmark(encode_data, 3, data, FRAGMENT, True)
    assert sum(map(len, pieces)) > len(data)


def test_pdus_of_a_command(benchmark: Any) -> None:
    command = encode_command(CEchoRQ(1, VERIFICATION))
    assert benchmark(encode_command_pdus, 1, command, FRAGMENT) == ECHO
