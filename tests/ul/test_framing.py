"""A stream into PDUs: the same in any pieces, each length checked when its header is there, and linear."""

from __future__ import annotations

from struct import pack
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.ul.codec import encode
from aiodicom.ul.framing import MAXIMUM_ASSOCIATE_LENGTH, MAXIMUM_P_DATA_LENGTH, PduReader
from aiodicom.ul.pdu import AbortReason, PduError
from tests.ul.wire import PLAIN, checked, pdus_of

STREAM = b"".join(map(encode, PLAIN)) * 2
EXPECTED = [(encode(pdu)[0], encode(pdu)[6:]) for pdu in PLAIN] * 2


def test_byte_by_byte_and_at_once() -> None:
    assert pdus_of(STREAM) == EXPECTED


@checked(100)
@given(st.lists(st.integers(0, len(STREAM)), max_size=30).map(sorted))
def test_in_any_pieces(cuts: list[int]) -> None:
    reader = PduReader()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True):
        reader.feed(memoryview(STREAM)[start:end])
        while (pdu := reader.next_pdu()) is not None:
            found.append(pdu)
    assert found == EXPECTED


def test_nothing_yet() -> None:
    reader = PduReader()
    for piece in (b"", b"\5", b"\0\0\0\0", b"\4", b"\0\0\0"):
        reader.feed(piece)
        assert reader.next_pdu() is None
    reader.feed(b"\0\7")
    assert reader.next_pdu() == (5, bytes(4))
    assert reader.next_pdu() is None


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"\0\0\0\0\0\4", AbortReason.UNRECOGNIZED_PDU),
        (b"\x08\0\0\0\0\4", AbortReason.UNRECOGNIZED_PDU),
        (b"GET / HTTP/1.1\r\n", AbortReason.UNRECOGNIZED_PDU),
        (b"\x16\x03\x01\x02\0\1", AbortReason.UNRECOGNIZED_PDU),
        (pack(">BxI", 1, MAXIMUM_ASSOCIATE_LENGTH + 1), AbortReason.INVALID_PDU_PARAMETER_VALUE),
        (pack(">BxI", 2, 0xFFFFFFFF), AbortReason.INVALID_PDU_PARAMETER_VALUE),
        (pack(">BxI", 4, 16383), AbortReason.INVALID_PDU_PARAMETER_VALUE),
        (pack(">BxI", 3, 3), AbortReason.INVALID_PDU_PARAMETER_VALUE),
        (pack(">BxI", 5, 5), AbortReason.INVALID_PDU_PARAMETER_VALUE),
        (pack(">BxI", 6, 0), AbortReason.INVALID_PDU_PARAMETER_VALUE),
        (pack(">BxI", 7, 1 << 20), AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ],
)
def test_what_is_refused_by_its_header(header: bytes, reason: int) -> None:
    reader = PduReader(16382)
    before = encode(PLAIN[2])
    reader.feed(before + header[:5])
    assert reader.next_pdu() is not None
    assert reader.next_pdu() is None
    reader.feed(header[5:])
    for _ in range(2):
        with pytest.raises(PduError) as caught:
            reader.next_pdu()
        assert caught.value.reason == reason
        reader.feed(b"and on it goes")


def test_limits_are_reached() -> None:
    assert pdus_of(pack(">BxI", 4, 100) + bytes(100), 100) == [(4, bytes(100))]
    for pdu_type in (1, 2):
        reader = PduReader()
        reader.feed(pack(">BxI", pdu_type, MAXIMUM_ASSOCIATE_LENGTH) + bytes(MAXIMUM_ASSOCIATE_LENGTH))
        assert reader.next_pdu() == (pdu_type, bytes(MAXIMUM_ASSOCIATE_LENGTH))


def test_without_an_announced_maximum_there_is_a_limit_all_the_same() -> None:
    reader = PduReader(0)
    reader.feed(pack(">BxI", 4, MAXIMUM_P_DATA_LENGTH))
    assert reader.next_pdu() is None
    reader = PduReader(0)
    reader.feed(pack(">BxI", 4, MAXIMUM_P_DATA_LENGTH + 1))
    with pytest.raises(PduError):
        reader.next_pdu()


def seconds_for(pieces: list[bytes]) -> float:
    """Processor time of reading a stream in these pieces."""
    started = process_time()
    reader = PduReader()
    for piece in pieces:
        reader.feed(piece)
        while reader.next_pdu() is not None:
            pass
    return process_time() - started


@pytest.mark.parametrize(
    "stream",
    [
        lambda n: [encode(PLAIN[4]) * n],  # many PDUs in one piece
        lambda n: [pack(">BxI", 4, 50 * n), *[bytes(50)] * n],  # one PDU in many pieces
    ],
    ids=["many PDUs in one piece", "one PDU in many pieces"],
)
def test_reading_is_linear(stream: object) -> None:
    assert callable(stream)
    # Sixteen times the work would take 256 times as long if bytes were looked at or moved again and again.
    short = min(seconds_for(stream(5_000)) for _ in range(3))
    long = min(seconds_for(stream(80_000)) for _ in range(2))
    assert long < 80 * max(short, 0.001)
