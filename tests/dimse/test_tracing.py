"""What debugging shows of an association: every PDU and command set, and nothing that may tell of a patient."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.dimse.command import encode_command
from aiodicom.dimse.messages import MESSAGES, CEchoRQ, CStoreRQ, CStoreRSP, Message
from aiodicom.dimse.tracing import Tracer
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.codec import encode
from aiodicom.ul.pdu import (
    PDU,
    Abort,
    AssociateAC,
    AssociateRJ,
    ContextResult,
    PDataTF,
    ReleaseRP,
    ReleaseRQ,
    ResultReason,
    RoleSelection,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentity,
    UserIdentityResponse,
    UserInformation,
)
from tests.dimse.sides import CT, PROPOSAL, STORE, VERIFY, Side, established
from tests.dimse.wire import joined, least, messages, us
from tests.ul.streams import p_data, pdv
from tests.ul.wire import PLAIN, PLAIN_AC, PLAIN_RQ, checked, pdus


def traced(stream: bytes) -> list[str]:
    """The lines about received bytes, which are the same whether they come one by one or in one piece."""
    at_once: list[str] = []
    Tracer(at_once.append).received(stream)
    one_by_one: list[str] = []
    tracer = Tracer(one_by_one.append)
    for i in range(len(stream)):
        tracer.received(memoryview(stream)[i : i + 1])
    assert one_by_one == at_once
    assert all(line.isprintable() for line in at_once)
    return at_once


def test_the_parts_of_a_proposal() -> None:
    lines = traced(encode(PROPOSAL))
    assert lines[0] == "<- A-ASSOCIATE-RQ called 'SCP' calling 'SCU'"
    assert "maximum length 16384" in lines[1]
    assert lines[2:4] == [
        "<-   context 1: 1.2.840.10008.1.1 Verification SOP Class",
        "<-     1.2.840.10008.1.2 Implicit VR Little Endian",
    ]
    assert lines[6] == "<-   context 5: 1.2.3"


def test_the_results_of_an_acceptance() -> None:
    lines = traced(encode(PLAIN_AC))
    assert lines[0] == "<- A-ASSOCIATE-AC"
    assert "asynchronous operations 3/1" in lines[1]
    assert lines[2].startswith("<-   context 1: result 0: 1.2.840.10008.1.2 ")
    assert lines[3] == "<-   context 3: result 4"


@pytest.mark.parametrize(
    ("pdu", "line"),
    [
        (AssociateRJ(1, 1, 7), "<- A-ASSOCIATE-RJ result 1 source 1 reason 7"),
        (ReleaseRQ(), "<- A-RELEASE-RQ"),
        (ReleaseRP(), "<- A-RELEASE-RP"),
        (Abort(2, 6), "<- A-ABORT source 2 reason 6"),
    ],
)
def test_short_pdus(pdu: PDU, line: str) -> None:
    assert traced(encode(pdu)) == [line]


def test_a_message_with_its_data_set() -> None:
    command = encode_command(CStoreRQ(7, CT, "1.2.3"))
    lines = traced(
        p_data(pdv(STORE, 1, command[:30])) + p_data(pdv(STORE, 3, command[30:]), pdv(STORE, 2, b"DOE^JANE"))
    )
    assert lines == [
        "<- P-DATA-TF context 3, command fragment of 30 bytes",
        f"<- P-DATA-TF context 3, command fragment of {len(command) - 30} bytes, last",
        f"<-   C-STORE-RQ affected_sop_class_uid {CT}, message_id 7, priority 0, "
        "affected_sop_instance_uid 1.2.3, data set follows",
        "<- P-DATA-TF context 3, data set fragment of 8 bytes, last",
    ]


def test_a_status_with_its_number_and_name() -> None:
    command = encode_command(CStoreRSP(7, Status(0xA700)))
    (_, line) = traced(p_data(pdv(STORE, 3, command)))
    assert line == "<-   C-STORE-RSP message_id_being_responded_to 7, status A700H OUT_OF_RESOURCES"


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_message_is_named_by_its_service(kind: type[Message]) -> None:
    (_, line) = traced(p_data(pdv(1, 3, encode_command(least(kind)))))
    name = f"{kind.SERVICE}-{'RSP' if kind.__name__.endswith('RSP') else 'RQ'} "
    assert line.startswith(f"<-   {name}")


@checked(60)
@given(st.lists(st.sampled_from(PLAIN) | pdus, max_size=3))
def test_no_pdu_raises(pdus: list[PDU]) -> None:
    plain = [pdu for pdu in pdus if not isinstance(pdu, PDataTF)]
    assert len(traced(b"".join(map(encode, plain)))) >= len(plain)


@checked(60)
@given(st.lists(messages, max_size=3))
def test_no_message_raises(messages: list[Message]) -> None:
    lines = traced(b"".join(p_data(pdv(1, 3, encode_command(message))) for message in messages))
    assert len(lines) == 2 * len(messages)


# What it does not show -----------------------------------------------------------------------------------------------


def test_an_error_comment_is_masked() -> None:
    command = encode_command(CStoreRSP(7, Status(0xC000), error_comment="DOE^JANE has no images"))
    lines = traced(p_data(pdv(STORE, 3, command)))
    assert "error_comment (masked)" in lines[1]
    assert not any("JANE" in line for line in lines)


def test_a_user_identity_is_masked() -> None:
    identity = UserIdentity(2, True, b"jane.doe", b"secret")
    information = replace(PROPOSAL.user_information, user_identity=identity)
    lines = traced(encode(replace(PROPOSAL, user_information=information)))
    assert "user identity of type 2 (masked)" in lines[1]
    assert not re.search("jane|doe|secret", "\n".join(lines))


def test_a_response_to_a_user_identity_is_masked() -> None:
    information = UserInformation(16384, user_identity_response=UserIdentityResponse(b"ticket"))
    lines = traced(encode(AssociateAC("SCP", "SCU", (ContextResult(1, ResultReason.NO_REASON),), information)))
    assert "user identity response (masked)" in lines[1]
    assert "ticket" not in "\n".join(lines)


def test_what_else_is_negotiated() -> None:
    information = replace(
        PROPOSAL.user_information,
        roles=(RoleSelection(CT, False, True), RoleSelection(CT, True, True), RoleSelection("1.2", False, False)),
        extended=(SOPClassExtendedNegotiation(CT, b"DOE"),),
        common_extended=(
            SOPClassCommonExtendedNegotiation("1.2", "1.2.840.10008.4.2", (CT,)),
            SOPClassCommonExtendedNegotiation("1.3", "1.4"),
        ),
    )
    ct = f"{CT} CT Image Storage"
    assert traced(encode(replace(PROPOSAL, user_information=information)))[2:8] == [
        f"<-   requestor is SCP of {ct}",
        f"<-   requestor is SCU and SCP of {ct}",
        "<-   requestor is neither SCU nor SCP of 1.2",
        f"<-   {ct}: 3 bytes of extended negotiation",
        f"<-   1.2: of 1.2.840.10008.4.2 Storage Service Class, related to {ct}",
        "<-   1.3: of 1.4, related to no other SOP class",
    ]


def test_control_characters_of_the_peer_forge_no_line() -> None:
    request = encode(PLAIN_RQ)
    forged = request[:10] + b"A\n-> B\x1b[2J".ljust(16) + request[26:]
    assert traced(forged)[0] == "<- A-ASSOCIATE-RQ called 'A\\n-> B\\x1b[2J' calling 'CALLING'"
    command = joined({0x0002: b"1.2\n->\x1b[2J\x85", 0x0100: us(0x30), 0x0110: us(1), 0x0800: us(0x0101)})
    (_, line) = traced(p_data(pdv(VERIFY, 3, command)))
    assert line == "<-   C-ECHO-RQ affected_sop_class_uid 1.2\\n->\\x1b[2J\\x85, message_id 1"


# What is no PDU ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [b"GET / HTTP/1.1\r\n", encode(Abort())[:5] + b"\5", p_data(bytes(3))])
def test_what_is_no_pdu_is_said_once(stream: bytes) -> None:
    lines = traced(encode(ReleaseRQ()) + stream + b"and more" * 10)
    assert lines[0] == "<- A-RELEASE-RQ"
    assert len(lines) == 2
    assert lines[1].startswith("<- no PDU: ")


def test_a_malformed_command_set_is_said() -> None:
    lines = traced(p_data(pdv(1, 3, b"\0\0")) + encode(Abort()))
    assert lines[-1].startswith("<- no PDU: command set ends inside")


def test_the_other_direction_goes_on() -> None:
    lines: list[str] = []
    tracer = Tracer(lines.append)
    tracer.received(b"HTTP/1.1 400")
    tracer.sent(encode(Abort(2, 1)))
    assert lines[1:] == ["-> A-ABORT source 2 reason 1"]


def test_a_protocol_shows_both_directions() -> None:
    lines: list[str] = []
    pair = established()
    scp = Side(pair.clock, acceptor=True)
    scp.protocol.tracer = Tracer(lines.append)
    scp.protocol.connection_made(pair.clock.now)
    scp.receive(encode(PROPOSAL) + p_data(pdv(VERIFY, 3, encode_command(CEchoRQ(1, VERIFICATION)))) + b"HTTP/1.1")
    scp.sent()
    kinds = [line for line in lines if not line[3:].startswith(" ")]
    assert [line.split(" ")[:2] for line in kinds] == [
        ["<-", "A-ASSOCIATE-RQ"],
        ["<-", "P-DATA-TF"],
        ["<-", "no"],
        ["->", "A-ASSOCIATE-AC"],
        ["->", "A-ABORT"],
    ]
