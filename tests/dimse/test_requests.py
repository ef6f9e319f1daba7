"""Requests that are not performed and what answers them, and the message IDs of our own."""

from __future__ import annotations

from typing import Any

import pytest

from aiodicom.dimse._operations import InvokedOperations, Operation
from aiodicom.dimse.command import decode_command, encode_command
from aiodicom.dimse.events import RequestReceived, RequestRefused
from aiodicom.dimse.messages import (
    MESSAGES,
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CGetRQ,
    CMoveRQ,
    CStoreRQ,
    CStoreRSP,
    Message,
    NActionRQ,
    NActionRSP,
    NCreateRQ,
    NCreateRSP,
    NDeleteRQ,
    NEventReportRQ,
    NEventReportRSP,
    NGetRQ,
    NSetRQ,
    Request,
    Response,
    UnrecognizedResponse,
)
from aiodicom.dimse.responses import response_to
from aiodicom.errors import LocalError, ProtocolViolation
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.codec import encode
from aiodicom.ul.pdu import Abort
from aiodicom.ul.table import State
from tests.dimse.sides import CT, STORE, VERIFY, Side, open_acceptor
from tests.dimse.wire import element, elements_of, joined, us
from tests.ul.streams import LAST, Gathering, p_data, pdv


@pytest.fixture(params=[False, True], ids=["in one piece", "byte by byte"], name="scp")
def _scp(request: pytest.FixtureRequest) -> Side:
    return open_acceptor(is_chopped=request.param)


def message(context_id: int, command: Message | bytes, data: bytes | None = None) -> bytes:
    """A message in P-DATA-TFs."""
    encoded = command if isinstance(command, bytes) else encode_command(command)
    sent = b"".join(
        p_data(pdv(context_id, 3 if i + 1000 >= len(encoded) else 1, encoded[i : i + 1000]))
        for i in range(0, len(encoded), 1000)
    )
    return sent if data is None else sent + p_data(pdv(context_id, LAST, data))


def answers(side: Side) -> list[tuple[int, Message]]:
    """The command sets that it has to say, with their contexts."""
    sent, found, command = side.sent(), [], b""
    while sent:
        size = int.from_bytes(sent[2:6], "big")
        assert sent[0] == 4
        command += sent[12 : 6 + size]
        if sent[11] & 2:
            found.append((sent[10], read(command)))
            command = b""
        sent = sent[6 + size :]
    return found


def read(command: bytes) -> Message:
    """A command set, also of the response to an unknown request, which nobody else has to read."""
    elements = elements_of(command)
    if int.from_bytes(elements[0x0100], "little") in {kind.COMMAND_FIELD for kind in MESSAGES}:
        return decode_command(command)
    field, message_id, status = (int.from_bytes(elements[number], "little") for number in (0x0100, 0x0120, 0x0900))
    uid = elements[0x0002].rstrip(b"\0").decode() if 0x0002 in elements else None
    return UnrecognizedResponse(message_id, Status(status), uid, command_field=field)


def refusal(side: Side) -> Response:
    """The one answer to a request that was not performed, on the context of the request."""
    assert side.take_events() == []
    assert side.protocol.state is State.Sta6
    ((_, answer),) = answers(side)
    assert isinstance(answer, Response)
    return answer


# 0210H, duplicate invocation -----------------------------------------------------------------------------------------


def test_a_message_id_in_flight_is_refused(scp: Side) -> None:
    scp.receive(message(VERIFY, CEchoRQ(7, VERIFICATION)))
    assert len(scp.take_events()) == 1
    scp.receive(message(VERIFY, CEchoRQ(7, VERIFICATION)))
    assert refusal(scp) == CEchoRSP(7, Status.DUPLICATE_INVOCATION, VERIFICATION)
    # The operation in flight is not over by that.
    assert scp.protocol.performing == {7}
    scp.receive(message(STORE, CStoreRQ(7, CT, "1.2.3"), b"data"))
    assert refusal(scp) == CStoreRSP(7, Status.DUPLICATE_INVOCATION, CT, affected_sop_instance_uid="1.2.3")
    assert scp.protocol.performing == {7}


def test_a_message_id_whose_operation_is_over_is_free_again(scp: Side) -> None:
    for _ in range(3):
        scp.receive(message(VERIFY, CEchoRQ(7, VERIFICATION)))
        (event,) = scp.take_events()
        assert isinstance(event, RequestReceived)
        scp.protocol.send_response(VERIFY, response_to(event.message, Status.SUCCESS), scp.clock.now)
        assert answers(scp) == [(VERIFY, CEchoRSP(7, Status.SUCCESS, VERIFICATION))]


def test_refusing_an_instance_leaves_its_message_id_free(scp: Side) -> None:
    scp.receive(message(STORE, CStoreRQ(7, CT, ".."), b"data"))
    assert refusal(scp).status == Status.INVALID_SOP_INSTANCE
    scp.receive(message(STORE, CStoreRQ(7, CT, "1.2"), b"data"))
    assert len(scp.take_events()) == 1


def test_who_performs_hears_of_what_is_refused(scp: Side) -> None:
    request = CStoreRQ(7, CT, "..")
    scp.receive(message(STORE, request, b"data"))
    assert scp.refused == [RequestRefused(request, Status.INVALID_SOP_INSTANCE)]
    assert (scp.counters.operations, scp.counters.failures) == (1, 1)


# 0211H, unrecognized operation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command_field", [0x0031, 0x0000, 0x0002, 0x0022, 0x0160, 0x7FFF])
@pytest.mark.parametrize("data", [None, b"data"])
def test_an_unknown_command_field(scp: Side, command_field: int, data: bytes | None) -> None:
    command = {0x0002: b"1.2\0", 0x0100: us(command_field), 0x0110: us(9), 0x0800: us(0x0101 if data is None else 0)}
    scp.receive(message(VERIFY, joined(command), data))
    assert refusal(scp) == UnrecognizedResponse(
        9, Status.UNRECOGNIZED_OPERATION, "1.2", command_field=command_field | 0x8000
    )


# 0122H, SOP class not supported --------------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", ["1.2.840.10008.5.1.4.1.1.4", VERIFICATION, "", "..", CT + ".1", "1" * 64, "1" * 65])
def test_a_sop_class_that_is_not_the_contexts(scp: Side, uid: str) -> None:
    scp.receive(message(STORE, CStoreRQ(5, uid, "1.2.3"), b"data"))
    response = refusal(scp)
    assert isinstance(response, CStoreRSP)
    assert (response.status, response.message_id_being_responded_to) == (Status.SOP_CLASS_NOT_SUPPORTED, 5)
    assert response.affected_sop_class_uid in (uid, None)
    assert scp.protocol.performing == set()


def test_a_missing_sop_class(scp: Side) -> None:
    scp.receive(message(VERIFY, joined({0x0100: us(0x30), 0x0110: us(5), 0x0800: us(0x0101)})))
    assert refusal(scp).status == Status.SOP_CLASS_NOT_SUPPORTED


@pytest.mark.parametrize("kind", [CFindRQ, CGetRQ, lambda number, uid: CMoveRQ(number, uid, "AET"), CEchoRQ])
def test_every_c_service_has_to_have_the_contexts_sop_class(scp: Side, kind: Any) -> None:
    request = kind(5, "1.2.3")
    scp.receive(message(VERIFY, request, b"data" if request.has_data_set else None))
    assert refusal(scp).status == Status.SOP_CLASS_NOT_SUPPORTED


def test_n_services_may_have_another_sop_class(scp: Side) -> None:
    # Such as the Film Session of a context for Basic Grayscale Print Management (PS3.4 H.2).
    scp.receive(message(VERIFY, NGetRQ(5, "1.2.3", "1.2.4")))
    (event,) = scp.take_events()
    assert isinstance(event, RequestReceived)


@pytest.mark.parametrize("size", [65, 1000, 65400, 65486])
def test_a_uid_of_any_length_is_answered(scp: Side, size: int) -> None:
    # The answer is a few bytes longer than the request, and that is at its limit.
    command = {0x0002: b"1" * size, 0x0100: us(0x30), 0x0110: us(5), 0x0800: us(0x0101)}
    scp.receive(message(VERIFY, joined(command)))
    assert refusal(scp).status == Status.SOP_CLASS_NOT_SUPPORTED
    scp.receive(message(VERIFY, joined(command | {0x0100: us(0x31)})))
    assert refusal(scp).status == Status.UNRECOGNIZED_OPERATION


def test_characters_that_no_uid_has_are_answered(scp: Side) -> None:
    command = {0x0002: b"\xff\xfe\0\1", 0x0100: us(0x30), 0x0110: us(5), 0x0800: us(0x0101)}
    scp.receive(message(VERIFY, joined(command)))
    assert refusal(scp).status == Status.SOP_CLASS_NOT_SUPPORTED


# 0117H, invalid SOP instance -----------------------------------------------------------------------------------------

NO_UIDS = [
    "..",
    ".",
    "",
    "1",
    "1.",
    ".1",
    "1..2",
    "01.2",
    "1.02",
    "1.2/../3",
    "../../etc/passwd",
    "1.2\0.3",
    "1.2 .3",
    "1.2.a",
    "1.2.\u00b2",
    "1." + "2" * 63,
    "1.2\n",
]


@pytest.mark.parametrize("uid", NO_UIDS)
def test_an_instance_uid_that_is_none(scp: Side, uid: str) -> None:
    command = {0x0002: CT.encode(), 0x0100: us(1), 0x0110: us(5), 0x0800: us(1), 0x1000: uid.encode("latin-1")}
    scp.receive(message(STORE, joined(command), b"data"))
    response = refusal(scp)
    assert isinstance(response, CStoreRSP)
    assert response.status == Status.INVALID_SOP_INSTANCE
    assert response.affected_sop_class_uid == CT
    # What is no UID isn't repeated.
    assert response.affected_sop_instance_uid is None


@pytest.mark.parametrize("uid", [uid for uid in NO_UIDS if uid])
def test_nothing_is_created_under_an_instance_uid_that_is_none(scp: Side, uid: str) -> None:
    command = {0x0002: CT.encode(), 0x0100: us(0x140), 0x0110: us(5), 0x0800: us(1), 0x1000: uid.encode("latin-1")}
    scp.receive(message(STORE, joined(command), b"data"))
    assert refusal(scp) == NCreateRSP(5, Status.INVALID_SOP_INSTANCE, CT)


@pytest.mark.parametrize("uid", ["1.02.3", "foo"])
@pytest.mark.parametrize("kind", [NGetRQ, NSetRQ, NActionRQ, NDeleteRQ, NEventReportRQ])
def test_whether_there_is_an_instance_under_such_a_uid_is_its_handlers_matter(
    scp: Side, kind: type[Request], uid: str
) -> None:
    number = {0x1002: us(1)} if kind is NEventReportRQ else {0x1008: us(1)} if kind is NActionRQ else {}
    class_at, instance_at = (0x0002, 0x1000) if kind is NEventReportRQ else (0x0003, 0x1001)
    command = {
        class_at: CT.encode(),
        0x0100: us(kind.COMMAND_FIELD),
        0x0110: us(5),
        0x0800: us(0x0101),
        instance_at: uid.encode(),
    }
    scp.receive(message(STORE, joined(dict(sorted((command | number).items())))))
    (event,) = scp.take_events()
    assert isinstance(event, RequestReceived)


def test_a_missing_instance_uid(scp: Side) -> None:
    scp.receive(message(STORE, joined({0x0002: CT.encode(), 0x0100: us(1), 0x0110: us(5), 0x0800: us(1)}), b"data"))
    assert refusal(scp).status == Status.INVALID_SOP_INSTANCE


@pytest.mark.parametrize("uid", ["1.2", "0.0", "2.25." + "9" * 39, "1." + "2" * 62, "1.0.3"])
def test_an_instance_uid_that_is_one(scp: Side, uid: str) -> None:
    scp.receive(message(STORE, CStoreRQ(5, CT, uid), b"data"))
    (event,) = scp.take_events()
    assert isinstance(event, RequestReceived)


def test_no_sink_is_opened_for_what_is_refused() -> None:
    opened: list[Any] = []
    scp = open_acceptor(open_body=lambda *args: opened.append(args) or Gathering())
    scp.receive(message(STORE, CStoreRQ(5, CT, ".."), b"data") + message(STORE, CStoreRQ(5, "1.2", "1.2"), b"data"))
    assert [answer.status for _, answer in answers(scp)] == [0x0117, 0x0122]  # type: ignore[attr-defined]
    assert opened == []


def test_a_c_store_without_a_data_set(scp: Side) -> None:
    scp.receive(message(STORE, CStoreRQ(5, CT, "1.2.3", has_data_set=False)))
    response = refusal(scp)
    assert response.status == Status.CANNOT_UNDERSTAND
    assert response.error_comment == "C-STORE-RQ without a data set"


def test_the_association_goes_on_after_refusals(scp: Side) -> None:
    scp.receive(
        message(STORE, CStoreRQ(1, CT, ".."), b"data")
        + message(VERIFY, joined({0x0100: us(0x31), 0x0110: us(2), 0x0800: us(0)}), b"data")
        + message(STORE, CStoreRQ(3, CT, "1.2"), b"data")
        + message(VERIFY, CEchoRQ(4, VERIFICATION))
    )
    stored, echoed = scp.take_events()
    assert stored.message.message_id == 3  # type: ignore[union-attr]
    assert memoryview(stored.body) == b"data"  # type: ignore[union-attr]
    assert echoed.message.message_id == 4  # type: ignore[union-attr]
    assert [answer.status for _, answer in answers(scp)] == [0x0117, 0x0211]  # type: ignore[attr-defined]


def test_a_refusal_follows_the_data_set_of_ours_that_is_on_its_way(scp: Side) -> None:
    number = scp.protocol.next_message_id()
    scp.protocol.send_request(STORE, CStoreRQ(number, CT, "1.2.3"), None, scp.clock.now)
    scp.protocol.send_data(STORE, bytes(scp.protocol.fragment_size), is_last=False, now=scp.clock.now)
    begun = scp.sent()
    scp.receive(message(STORE, CStoreRQ(5, CT, ".."), b"data") + message(VERIFY, CEchoRQ(6, "1.2")))
    assert scp.sent() == b""
    scp.protocol.send_data(STORE, b"last", is_last=True, now=scp.clock.now)
    rest = scp.sent()
    read_back = open_acceptor()
    read_back.receive(begun + rest[: 12 + 4])
    (stored,) = read_back.take_events()
    assert bytes(stored.body) == bytes(scp.protocol.fragment_size) + b"last"  # type: ignore[union-attr]
    scp.protocol.machine.outgoing.append(rest[12 + 4 :])
    assert [(context_id, answer.status) for context_id, answer in answers(scp)] == [(STORE, 0x0117), (VERIFY, 0x0122)]  # type: ignore[attr-defined]


def test_refusals_that_pile_up_meanwhile_abort(scp: Side) -> None:
    number = scp.protocol.next_message_id()
    scp.protocol.send_request(STORE, CStoreRQ(number, CT, "1.2.3"), None, scp.clock.now)
    scp.sent()
    scp.receive(message(VERIFY, CEchoRQ(6, "1.2")) * 64)
    assert scp.take_events() == []
    scp.receive(message(VERIFY, CEchoRQ(6, "1.2")) * 2)
    assert isinstance(scp.end.error, ProtocolViolation)
    assert scp.sent() == encode(Abort(2, 5))


# Responses -----------------------------------------------------------------------------------------------------------


def test_a_response_repeats_what_its_request_was_about() -> None:
    about = {"affected_sop_class_uid": "1.2", "affected_sop_instance_uid": "1.3"}
    assert response_to(NEventReportRQ(1, "1.2", "1.3", 5), Status.SUCCESS) == NEventReportRSP(
        1, Status.SUCCESS, event_type_id=5, **about
    )
    assert response_to(NActionRQ(1, "1.2", "1.3", 6), Status.SUCCESS) == NActionRSP(
        1, Status.SUCCESS, action_type_id=6, **about
    )


@pytest.mark.parametrize(
    "request_",
    [
        CEchoRQ(1, "1.2"),
        CStoreRQ(1, "1.2", "1.3"),
        CFindRQ(1, "1.2"),
        CGetRQ(1, "1.2"),
        CMoveRQ(1, "1.2", "AET"),
        NGetRQ(1, "1.2", "1.3"),
        NSetRQ(1, "1.2", "1.3"),
        NCreateRQ(1, "1.2"),
        NDeleteRQ(1, "1.2", "1.3"),
    ],
)
def test_every_request_has_its_response(request_: Request) -> None:
    response = response_to(request_, Status.PROCESSING_FAILURE, error_comment="because")
    assert (request_.COMMAND_FIELD or 0) | 0x8000 == response.COMMAND_FIELD
    assert response.SERVICE == request_.SERVICE
    assert response.affected_sop_class_uid == "1.2"
    assert response.error_comment == "because"
    assert decode_command(encode_command(response)) == response


# Message IDs of our own ----------------------------------------------------------------------------------------------


def test_message_ids_wrap_at_65535_and_are_never_0() -> None:
    operations = InvokedOperations()
    assert [operations.next_message_id() for _ in range(65537)] == [*range(1, 65536), 1, 2]


def begin(operations: InvokedOperations, message_id: int) -> Operation:
    operation = Operation(1, CEchoRQ(message_id, VERIFICATION), None, 0)
    operations.begin(operation)
    return operation


def test_message_ids_in_flight_are_not_given_out() -> None:
    operations = InvokedOperations()
    for message_id in (1, 2, 3, 65535):
        begin(operations, message_id)
    assert operations.next_message_id() == 4
    for expected in range(5, 65535):
        assert operations.next_message_id() == expected
    assert operations.next_message_id() == 4
    assert operations.next_message_id() == 5


def test_without_a_free_message_id_nothing_is_sent() -> None:
    operations = InvokedOperations()
    first = begin(operations, 1)
    for message_id in range(2, 65536):
        begin(operations, message_id)
    with pytest.raises(LocalError, match="no message ID"):
        operations.next_message_id()
    operations.end(first)
    assert operations.next_message_id() == 1


def test_the_oldest_operation_is_the_one_that_waits_longest_for_a_sign() -> None:
    operations = InvokedOperations()
    assert operations.oldest() is None
    first, second = begin(operations, 1), begin(operations, 2)
    assert operations.oldest() is first
    operations.touch(first, 5.0)
    assert operations.oldest() is second
    operations.end(second)
    assert operations.oldest() is first
    assert operations.find(1) is first
    assert operations.find(2) is None
    assert operations.take() == [first]
    assert len(operations) == 0


def test_elements_of_other_messages_do_not_disturb(scp: Side) -> None:
    command = encode_command(CEchoRQ(7, VERIFICATION)) + element(0x1000, b"..") + element(0x0900, us(0xFFFF))
    scp.receive(message(VERIFY, command))
    assert len(scp.take_events()) == 1
