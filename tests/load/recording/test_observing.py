"""What is understood of an association from its bytes, without IO; each exchange in one piece and byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from aiodicom.load.recording.observing import Observation
from aiodicom.load.recording.trace import AssociationRecord, Context, EndRecord, OperationRecord, Record
from tests.net.hostile import CONTEXTS, CT, echo, proposal, store_command
from tests.rawpeer import (
    A_ABORT,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    IMPLICIT,
    Message,
    accept_pdu,
    command_set,
    fragments_of,
    p_data,
    pdu,
    response,
    ui,
    us,
)

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
REQUEST = proposal((*CONTEXTS, (5, FIND, (IMPLICIT,))), max_pdu=16384)
ACCEPT = accept_pdu(REQUEST[6:], max_pdu=32768)


def message(encoded: bytes) -> Message:
    """The message that a request is, to be answered."""
    ((context_id, _, command),) = fragments_of(encoded[6 : 6 + struct.unpack(">I", encoded[2:6])[0]])
    return Message.of(context_id, command, b"")


class Seen:
    """An observation and what it has recorded; time goes on by what is given to `at`."""

    def __init__(self, pieces: Callable[[bytes], list[bytes]], **options: Any) -> None:
        self.records: list[Record] = []
        options.setdefault("name_of", lambda title: title)
        self.observation = Observation(7, self.records.append, **options)
        self.now = 0.0
        self._pieces = pieces

    def requestor(self, data: bytes, at: float | None = None) -> None:
        self.now = self.now if at is None else at
        for piece in self._pieces(data):
            self.observation.requestor_sent(piece, self.now)

    def acceptor(self, data: bytes, at: float | None = None) -> None:
        self.now = self.now if at is None else at
        for piece in self._pieces(data):
            self.observation.acceptor_sent(piece, self.now)

    def end(self, at: float | None = None) -> None:
        self.now = self.now if at is None else at
        self.observation.ended(self.now)

    @property
    def operations(self) -> list[OperationRecord]:
        return [record for record in self.records if isinstance(record, OperationRecord)]


@pytest.fixture(params=[lambda data: [data], lambda data: [bytes([byte]) for byte in data]], ids=["whole", "bytes"])
def seen(request: pytest.FixtureRequest) -> Seen:
    return Seen(request.param)


def associated(seen: Seen) -> Seen:
    seen.requestor(REQUEST, 1.0)
    seen.acceptor(ACCEPT, 1.5)
    return seen


def test_an_association_with_an_echo(seen: Seen) -> None:
    associated(seen)
    seen.requestor(echo(), 2.0)
    seen.acceptor(response(message(echo())), 2.25)
    seen.requestor(pdu(A_RELEASE_RQ, bytes(4)), 3.0)
    seen.acceptor(pdu(A_RELEASE_RP, bytes(4)), 3.5)
    seen.end(4.0)
    assert seen.records == [
        AssociationRecord(
            association=7,
            at_s=1.0,
            answer_s=0.5,
            calling="RAW",
            called="ANY-SCP",
            contexts=(
                Context("1.2.840.10008.1.1", (IMPLICIT,), IMPLICIT),
                Context(CT, (IMPLICIT,), IMPLICIT),
                Context(FIND, (IMPLICIT,), IMPLICIT),
            ),
            max_pdu=(16384, 32768),
        ),
        OperationRecord(
            association=7,
            service="C-ECHO",
            at_s=2.0,
            latency_s=0.25,
            status="0000",
            sop_class="1.2.840.10008.1.1",
            transfer_syntax=IMPLICIT,
        ),
        EndRecord(association=7, at_s=3.0, how="released"),
    ]


def test_a_data_set_and_a_failure(seen: Seen) -> None:
    associated(seen)
    command = p_data(3, store_command())
    seen.requestor(command, 2.0)
    seen.requestor(pdu(4, struct.pack(">IBB", 102, 3, 0) + bytes(100)), 2.5)
    seen.requestor(pdu(4, struct.pack(">IBB", 52, 3, 2) + bytes(50)), 3.0)
    seen.acceptor(response(message(command), status=0xA700), 5.0)
    (stored,) = seen.operations
    assert (stored.service, stored.sop_class, stored.request_bytes, stored.status) == ("C-STORE", CT, 150, "A700")
    assert (stored.at_s, stored.request_s, stored.latency_s) == (2.0, 1.0, 3.0)


def test_a_query_with_matches_and_a_cancel(seen: Seen) -> None:
    associated(seen)
    request = {0x0002: ui(FIND), 0x0100: us(0x20), 0x0110: us(9), 0x0700: us(0), 0x0800: us(0)}
    name = b"DOE^JOHN"
    identifier = struct.pack("<HHI", 8, 0x52, 6) + b"STUDY " + struct.pack("<HHI", 16, 16, len(name)) + name
    seen.requestor(p_data(5, request, identifier), 2.0)
    pending = {0x0002: ui(FIND), 0x0100: us(0x8020), 0x0120: us(9), 0x0800: us(0), 0x0900: us(0xFF00)}
    seen.acceptor(p_data(5, pending, identifier), 2.5)
    seen.acceptor(p_data(5, pending, identifier), 3.0)
    cancel = {0x0100: us(0x0FFF), 0x0120: us(9), 0x0800: us(0x0101)}
    seen.requestor(p_data(5, cancel), 3.5)
    final = {0x0002: ui(FIND), 0x0100: us(0x8020), 0x0120: us(9), 0x0800: us(0x0101), 0x0900: us(0xFE00)}
    seen.acceptor(p_data(5, final), 4.0)
    (found,) = seen.operations
    assert (found.pending, found.first_response_s, found.latency_s) == (2, 0.5, 2.0)
    assert (found.level, found.cancelled, found.status) == ("STUDY", True, "FE00")
    assert (found.request_bytes, found.response_bytes) == (len(identifier), 2 * len(identifier))
    assert "DOE" not in repr(seen.records)


def test_what_stands_in_place_of_a_level_is_not_recorded(seen: Seen) -> None:
    associated(seen)
    request = {0x0002: ui(FIND), 0x0100: us(0x20), 0x0110: us(9), 0x0700: us(0), 0x0800: us(0)}
    seen.requestor(p_data(5, request, struct.pack("<HHI", 8, 0x52, 8) + b"DOE^JOHN"))
    seen.end()
    assert seen.operations[0].level == ""
    assert "DOE" not in repr(seen.records)


def test_several_at_once_and_the_other_way(seen: Seen) -> None:
    associated(seen)
    seen.requestor(echo(1) + echo(2), 2.0)
    seen.acceptor(echo(1), 2.5)
    seen.acceptor(response(message(echo(2))), 3.0)
    seen.requestor(response(message(echo(1))), 3.5)
    seen.acceptor(response(message(echo(1))), 4.0)
    assert [(each.at_s, each.latency_s, each.by_acceptor) for each in seen.operations] == [
        (2.0, 1.0, False),
        (2.5, 1.0, True),
        (2.0, 2.0, False),
    ]


def test_what_is_never_answered_and_what_nobody_has_asked(seen: Seen) -> None:
    associated(seen)
    seen.acceptor(response(message(echo(9))), 1.75)
    seen.requestor(echo(1), 2.0)
    seen.requestor(echo(1), 3.0)
    seen.acceptor(pdu(A_ABORT, b"\0\0\2\1"), 4.0)
    seen.requestor(b"whatever comes after it", 5.0)
    seen.end(6.0)
    assert [(each.at_s, each.latency_s, each.status) for each in seen.operations] == [(2.0, None, ""), (3.0, None, "")]
    assert seen.records[-1] == EndRecord(association=7, at_s=4.0, how="aborted by the acceptor")


def test_a_rejection(seen: Seen) -> None:
    seen.requestor(REQUEST, 1.0)
    seen.acceptor(pdu(A_ASSOCIATE_RJ, b"\0\1\1\7"), 2.0)
    seen.end(3.0)
    association, end = seen.records
    assert isinstance(association, AssociationRecord)
    assert (association.result, association.answer_s) == ("rejected 1,1,7", 1.0)
    assert all(not context.accepted for context in association.contexts)
    assert end == EndRecord(association=7, at_s=2.0, how="rejected")


def test_no_answer_and_a_lost_connection(seen: Seen) -> None:
    seen.requestor(REQUEST, 1.0)
    seen.end(3.0)
    association, end = seen.records
    assert isinstance(association, AssociationRecord)
    assert association.result == "no answer"
    assert end == EndRecord(association=7, at_s=3.0, how="connection lost")


def test_titles_go_through_the_given_names() -> None:
    seen = Seen(lambda data: [data], name_of=lambda title: title[::-1])
    associated(seen)
    association = seen.records[0]
    assert isinstance(association, AssociationRecord)
    assert (association.calling, association.called) == ("WAR", "PCS-YNA")


@pytest.mark.parametrize(
    ("data", "trouble"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "unrecognized PDU type 47H"),
        (pdu(1, bytes(10)), "A-ASSOCIATE"),
    ],
)
def test_no_dicom(data: bytes, trouble: str) -> None:
    seen = Seen(lambda data: [data])
    seen.requestor(data)
    seen.acceptor(ACCEPT)
    seen.requestor(REQUEST)
    seen.end(1.0)
    assert trouble in seen.observation.trouble
    (end,) = seen.records
    assert isinstance(end, EndRecord)
    assert end.how.startswith("not understood: ")


def test_what_is_not_understood_amid_an_association(seen: Seen) -> None:
    associated(seen)
    seen.requestor(echo(1), 2.0)
    seen.acceptor(p_data(1, command_set({0x0100: us(0x8030)})[:-3]), 3.0)
    seen.end(4.0)
    assert [each.status for each in seen.operations] == [""]
    end = seen.records[-1]
    assert isinstance(end, EndRecord)
    assert end.how.startswith("not understood: ")


def test_whatever_passes_is_borne() -> None:
    """Streams with bytes changed, lost and doubled: nothing is raised, and what began has ended."""
    random = Random(1)
    streams = (
        REQUEST + echo(1) + p_data(3, store_command(2), bytes(500)) + echo(3),
        ACCEPT + response(message(echo())),
    )
    for _ in range(500):
        seen = Seen(lambda data: [data])
        pieces = []
        for stream in streams:
            damaged = bytearray(stream)
            for _ in range(random.randrange(3)):
                at = random.randrange(len(damaged))
                damaged[at : at + random.randrange(3)] = random.randbytes(random.randrange(3))
            pieces.append(bytes(damaged))
        seen.requestor(pieces[0][: len(REQUEST)])
        seen.acceptor(pieces[1])
        seen.requestor(pieces[0][len(REQUEST) :])
        seen.end(1.0)
        opened = sum(isinstance(record, AssociationRecord) for record in seen.records)
        assert opened <= sum(isinstance(record, EndRecord) for record in seen.records) <= 1
