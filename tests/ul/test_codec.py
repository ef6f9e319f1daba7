"""PDUs to bytes and back; what is malformed is a PduError of the right reason, and never anything else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiodicom.errors import LocalError, ProtocolViolation
from aiodicom.standard.uids import APPLICATION_CONTEXT_NAME, IMPLICIT_VR_LITTLE_ENDIAN
from aiodicom.ul.codec import (
    ASSOCIATE_HEADER_LENGTH,
    decode,
    decode_associate_ac_items,
    decode_associate_items,
    decode_associate_rq_header,
    encode,
    encode_associate_ac,
    encode_associate_ac_items,
)
from aiodicom.ul.pdu import (
    PDU,
    PDV,
    Abort,
    AbortReason,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    ContextResult,
    PDataTF,
    PduError,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    ResultReason,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentity,
    UserInformation,
)
from tests.ul.wire import PLAIN, PLAIN_AC, PLAIN_RQ, acceptances, checked, item, pdus, pdus_of, requests

INVALID = AbortReason.INVALID_PDU_PARAMETER_VALUE
UNEXPECTED = AbortReason.UNEXPECTED_PDU_PARAMETER

HEADER = b"\0\1\0\0" + b"CALLED".ljust(16) + b"CALLING".ljust(16) + bytes(32)
CONTEXT_NAME = item(0x10, APPLICATION_CONTEXT_NAME.encode())
ABSTRACT = item(0x30, b"1.2.840.10008.1.1")
TRANSFER = item(0x40, b"1.2.840.10008.1.2")
PROPOSED = item(0x20, b"\1\0\0\0" + ABSTRACT + TRANSFER)
ACCEPTED = item(0x21, b"\1\0\0\0" + TRANSFER)
MAXIMUM_LENGTH = item(0x51, b"\0\0\x40\0")
CLASS_UID = item(0x52, b"1.2.3")
INFORMATION = item(0x50, MAXIMUM_LENGTH + CLASS_UID)


def request(*items: bytes) -> AssociateRQ:
    """Decode an A-ASSOCIATE-RQ of these items."""
    pdu = decode(1, HEADER + b"".join(items))
    assert isinstance(pdu, AssociateRQ)
    return pdu


def acceptance(*items: bytes) -> AssociateAC:
    """Decode an A-ASSOCIATE-AC of these items."""
    pdu = decode(2, HEADER + b"".join(items))
    assert isinstance(pdu, AssociateAC)
    return pdu


def information(*sub_items: bytes) -> UserInformation:
    """Decode the user information of an A-ASSOCIATE-RQ."""
    return request(CONTEXT_NAME, PROPOSED, item(0x50, b"".join(sub_items))).user_information


def refused(reason: int, pdu_type: int, body: bytes) -> None:
    """Decoding gives a PduError with this reason."""
    with pytest.raises(PduError) as caught:
        decode(pdu_type, body)
    assert caught.value.reason == reason
    assert isinstance(caught.value, ProtocolViolation)


# Round trips ---------------------------------------------------------------------------------------------------------


@checked(400)
@given(st.lists(pdus, min_size=1, max_size=3))
@example(list(PLAIN))
def test_every_pdu_comes_back(sent: list[PDU]) -> None:
    framed = pdus_of(b"".join(map(encode, sent)))
    assert [decode(pdu_type, body) for pdu_type, body in framed] == sent
    assert [decode(pdu_type, memoryview(body)) for pdu_type, body in framed] == sent


@checked(100)
@given(requests)
def test_a_request_comes_apart(sent: AssociateRQ) -> None:
    body = encode(sent)[6:]
    assert decode_associate_rq_header(body) == (sent.protocol_version, sent.called_ae_title, sent.calling_ae_title)
    assert decode_associate_rq_header(memoryview(body)) == decode_associate_rq_header(body)
    items = body[ASSOCIATE_HEADER_LENGTH:]
    assert decode_associate_items(items) == (sent.application_context_name, sent.contexts, sent.user_information)


@checked(100)
@given(acceptances)
def test_an_acceptance_is_put_together(sent: AssociateAC) -> None:
    items = encode_associate_ac_items(sent.results, sent.user_information, sent.application_context_name)
    assert decode_associate_ac_items(items) == (sent.application_context_name, sent.results, sent.user_information)
    whole = encode(sent)
    header = memoryview(whole)[10 : 6 + ASSOCIATE_HEADER_LENGTH]
    assert encode_associate_ac(header, items, sent.protocol_version) == whole
    assert decode(2, encode_associate_ac(bytes(header), items)[6:]) == replace(sent, protocol_version=1)


@checked(100)
@given(requests, acceptances)
def test_encoding_what_was_decoded_gives_the_same_bytes(rq: AssociateRQ, ac: AssociateAC) -> None:
    for sent in (rq, ac):
        data = encode(sent)
        assert encode(decode(data[0], data[6:])) == data


def test_the_fixed_pdus_are_those_of_the_standard() -> None:
    assert encode(AssociateRJ(2, 3, 2)) == bytes.fromhex("03000000000400020302")
    assert encode(ReleaseRQ()) == bytes.fromhex("05000000000400000000")
    assert encode(ReleaseRP()) == bytes.fromhex("06000000000400000000")
    assert encode(Abort(2, 6)) == bytes.fromhex("07000000000400000206")
    assert encode(PDataTF((PDV(3, True, True, b"ab"),))) == bytes.fromhex("04000000000800000004") + b"\3\3ab"
    assert encode(PDataTF((PDV(3, False, True, b""), PDV(5, True, False, b"c")))) == bytes.fromhex(
        "04000000000d0000000203020000000305 0163".replace(" ", "")
    )


def test_an_acceptance_repeats_the_header_of_the_request() -> None:
    # Titles padded in front or with zero bytes, and a reserved field in use, go back as they came (PS3.8 table 9-17).
    header = b"  CALLED\0".ljust(16) + b"CALLING".ljust(16, b"\0") + bytes(range(32))
    rq = decode(1, b"\0\1\xff\xff" + header + CONTEXT_NAME + PROPOSED + INFORMATION)
    assert isinstance(rq, AssociateRQ)
    assert (rq.called_ae_title, rq.calling_ae_title) == ("CALLED", "CALLING")
    answer = replace(PLAIN_AC, received_header=rq.received_header)
    assert encode(answer)[10 : 6 + ASSOCIATE_HEADER_LENGTH] == header
    assert decode(2, encode(answer)[6:]) == PLAIN_AC


# What is tolerated ---------------------------------------------------------------------------------------------------


def test_items_come_in_any_order() -> None:
    assert request(INFORMATION, PROPOSED, CONTEXT_NAME) == request(CONTEXT_NAME, PROPOSED, INFORMATION)


def test_unknown_items_are_ignored() -> None:
    # PS3.8 9.3.1
    strange = item(0x99, b"strange")
    context = item(0x20, b"\1\0\0\0" + strange + ABSTRACT + strange + TRANSFER + strange)
    user = item(0x50, strange + MAXIMUM_LENGTH + strange + CLASS_UID + item(0x5F, b""))
    plain = request(CONTEXT_NAME, PROPOSED, INFORMATION)
    assert request(strange, CONTEXT_NAME, strange, context, strange, user, strange) == plain
    accepted = item(0x21, b"\1\0\0\0" + strange + TRANSFER + strange)
    assert acceptance(strange, CONTEXT_NAME, accepted, user) == acceptance(CONTEXT_NAME, ACCEPTED, INFORMATION)


def test_sub_items_of_the_other_pdu_are_ignored() -> None:
    assert information(MAXIMUM_LENGTH, item(0x59, b"\0\1a")).user_identity_response is None
    user = item(0x50, MAXIMUM_LENGTH + item(0x58, b"nonsense") + item(0x57, b"nonsense"))
    assert acceptance(CONTEXT_NAME, ACCEPTED, user).user_information.user_identity is None


def test_reserved_fields_are_not_tested() -> None:
    header = b"\0\1\xff\xff" + HEADER[4:36] + b"\xff" * 32
    body = header + CONTEXT_NAME + item(0x20, b"\1\xff\xff\xff" + ABSTRACT + TRANSFER) + INFORMATION
    assert decode(1, body) == request(CONTEXT_NAME, PROPOSED, INFORMATION)
    body = b"\0\1" + b"\xff" * 66 + CONTEXT_NAME + item(0x21, b"\1\xff\0\xff" + TRANSFER) + INFORMATION
    pdu = decode(2, body)
    assert isinstance(pdu, AssociateAC)
    assert pdu.results == (ContextResult(1, ResultReason.ACCEPTANCE, IMPLICIT_VR_LITTLE_ENDIAN),)
    for pdu_type, plain in ((5, ReleaseRQ()), (6, ReleaseRP())):
        assert decode(pdu_type, b"\xff" * 4) == plain
    assert decode(3, b"\xff\1\2\3") == AssociateRJ(1, 2, 3)
    assert decode(7, b"\xff\xff\0\0") == Abort(0, 0)
    assert decode(4, b"\0\0\0\2\1\xff") == PDataTF((PDV(1, True, True, b""),))


def test_padded_uids_are_tolerated() -> None:
    context = item(0x20, b"\1\0\0\0" + item(0x30, b"1.2.840.10008.1.1\0") + item(0x40, b"1.2.840.10008.1.2 "))
    user = item(0x50, MAXIMUM_LENGTH + item(0x52, b"1.2.3\0"))
    padded = item(0x10, APPLICATION_CONTEXT_NAME.encode() + b"\0")
    assert request(padded, context, user) == request(CONTEXT_NAME, PROPOSED, INFORMATION)


def test_a_title_outside_of_ascii_is_tolerated() -> None:
    body = HEADER[:4] + b"\xc4RZTE".ljust(16) + HEADER[20:] + CONTEXT_NAME + PROPOSED + INFORMATION
    assert decode_associate_rq_header(body)[1] == "\u00c4RZTE"


def test_user_information_may_lack_what_old_equipment_omits() -> None:
    assert information() == UserInformation(0, "")
    assert information(MAXIMUM_LENGTH) == UserInformation(16384, "")


def test_a_refused_context_needs_no_transfer_syntax() -> None:
    # PS3.8 table 9-18: not significant
    for rest in (b"", b"\x40", TRANSFER, TRANSFER + TRANSFER, item(0x40, b""), b"\x40\0\xff\xff"):
        pdu = acceptance(CONTEXT_NAME, item(0x21, b"\1\0\3\0" + rest), INFORMATION)
        assert pdu.results == (ContextResult(1, ResultReason.ABSTRACT_SYNTAX_NOT_SUPPORTED),)


def test_a_refused_context_is_sent_with_a_transfer_syntax() -> None:
    refused_context = ContextResult(1, ResultReason.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    assert item(0x21, b"\1\0\3\0" + TRANSFER) in encode_associate_ac_items((refused_context,), UserInformation())


def test_128_contexts_of_hundreds_of_transfer_syntaxes() -> None:
    syntaxes = tuple(f"1.2.840.10008.1.2.{n}" for n in range(300))
    contexts = tuple(ProposedContext(2 * n + 1, f"1.2.{n}", syntaxes) for n in range(128))
    sent = replace(PLAIN_RQ, contexts=contexts)
    assert decode(1, encode(sent)[6:]) == sent


# What is malformed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pdu_type", [0, 8, 0x16, 0x47, 255])
def test_unrecognized_types(pdu_type: int) -> None:
    refused(AbortReason.UNRECOGNIZED_PDU, pdu_type, bytes(4))


@pytest.mark.parametrize("pdu_type", [3, 5, 6, 7])
@pytest.mark.parametrize("length", [0, 1, 3, 5, 100])
def test_fixed_pdus_have_four_bytes(pdu_type: int, length: int) -> None:
    refused(INVALID, pdu_type, bytes(length))


@pytest.mark.parametrize("pdu_type", [1, 2])
@pytest.mark.parametrize("length", [0, 1, 67])
def test_a_truncated_header(pdu_type: int, length: int) -> None:
    refused(INVALID, pdu_type, bytes(length))


@pytest.mark.parametrize("pdu_type", [1, 2])
def test_missing_items(pdu_type: int) -> None:
    context = PROPOSED if pdu_type == 1 else ACCEPTED
    for items in (b"", context + INFORMATION, CONTEXT_NAME + INFORMATION, CONTEXT_NAME + context):
        refused(INVALID, pdu_type, HEADER + items)


@pytest.mark.parametrize("pdu_type", [1, 2])
def test_items_that_may_not_be_there(pdu_type: int) -> None:
    context, other = (PROPOSED, ACCEPTED) if pdu_type == 1 else (ACCEPTED, PROPOSED)
    for more in (CONTEXT_NAME, INFORMATION, other):
        refused(UNEXPECTED, pdu_type, HEADER + CONTEXT_NAME + context + INFORMATION + more)


@pytest.mark.parametrize("context_id", [0, 2, 254])
def test_even_context_ids(context_id: int) -> None:
    context = item(0x20, bytes((context_id, 0, 0, 0)) + ABSTRACT + TRANSFER)
    refused(INVALID, 1, HEADER + CONTEXT_NAME + context + INFORMATION)
    context = item(0x21, bytes((context_id, 0, 0, 0)) + TRANSFER)
    refused(INVALID, 2, HEADER + CONTEXT_NAME + context + INFORMATION)


def test_context_ids_that_occur_twice() -> None:
    refused(INVALID, 1, HEADER + CONTEXT_NAME + PROPOSED + PROPOSED + INFORMATION)
    refused(INVALID, 2, HEADER + CONTEXT_NAME + ACCEPTED + ACCEPTED + INFORMATION)


def test_more_than_128_contexts() -> None:
    contexts = [item(0x20, bytes((n & 0xFF, 0, 0, 0)) + ABSTRACT + TRANSFER) for n in range(1, 259, 2)]
    assert len(contexts) == 129
    refused(INVALID, 1, HEADER + CONTEXT_NAME + b"".join(contexts) + INFORMATION)
    assert len(request(CONTEXT_NAME, *contexts[:128], INFORMATION).contexts) == 128


@pytest.mark.parametrize(
    ("reason", "value"),
    [
        (INVALID, b""),
        (INVALID, b"\1\0\0"),
        (INVALID, b"\1\0\0\0"),
        (INVALID, b"\1\0\0\0" + ABSTRACT),
        (INVALID, b"\1\0\0\0" + TRANSFER),
        (INVALID, b"\1\0\0\0" + ABSTRACT + TRANSFER + b"\x40\0\0"),
        (INVALID, b"\1\0\0\0" + ABSTRACT + TRANSFER[:-1]),
        (INVALID, b"\1\0\0\0" + ABSTRACT + b"\x40\0\xff\xff1.2"),
        (INVALID, b"\1\0\0\0" + item(0x30, b"1.\xff") + TRANSFER),
        (UNEXPECTED, b"\1\0\0\0" + ABSTRACT + ABSTRACT + TRANSFER),
    ],
)
def test_malformed_proposed_contexts(reason: int, value: bytes) -> None:
    refused(reason, 1, HEADER + CONTEXT_NAME + item(0x20, value) + INFORMATION)


@pytest.mark.parametrize(
    ("reason", "value"),
    [
        (INVALID, b""),
        (INVALID, b"\1\0\0"),
        (INVALID, b"\1\0\0\0"),
        (INVALID, b"\1\0\0\0" + item(0x40, b"")),
        (INVALID, b"\1\0\5\0" + TRANSFER),
        (INVALID, b"\1\0\xff\0" + TRANSFER),
        (INVALID, b"\1\0\0\0" + TRANSFER + b"\x40"),
        (INVALID, b"\1\0\0\0" + TRANSFER[:-1]),
        (UNEXPECTED, b"\1\0\0\0" + TRANSFER + TRANSFER),
    ],
)
def test_malformed_results(reason: int, value: bytes) -> None:
    refused(reason, 2, HEADER + CONTEXT_NAME + item(0x21, value) + INFORMATION)


@pytest.mark.parametrize(
    ("reason", "sub_item"),
    [
        (INVALID, b"\x51"),
        (INVALID, b"\x51\0\0"),
        (INVALID, b"\x51\0\0\4\0\0\0"),
        (INVALID, item(0x51, b"\0\0\0")),
        (INVALID, item(0x51, bytes(5))),
        (INVALID, item(0x52, b"1.\x80")),
        (INVALID, item(0x53, b"\0\1\0")),
        (INVALID, item(0x53, bytes(6))),
        (INVALID, item(0x54, b"")),
        (INVALID, item(0x54, b"\0")),
        (INVALID, item(0x54, b"\0\x051.2\1\1")),
        (INVALID, item(0x54, b"\0\x031.2\1")),
        (INVALID, item(0x54, b"\0\x031.2\1\1\1")),
        (INVALID, item(0x56, b"\0\x041.2")),
        (INVALID, item(0x57, b"\0\x031.2\0")),
        (INVALID, item(0x57, b"\0\x031.2\0\x031.3")),
        (INVALID, item(0x57, b"\0\x031.2\0\x031.3\0\x01\0")),
        (INVALID, item(0x57, b"\0\x031.2\0\x031.3\0\x05\0\x041.2")),
        (INVALID, item(0x58, b"")),
        (INVALID, item(0x58, b"\1")),
        (INVALID, item(0x58, b"\1\0\0\4user")),
        (INVALID, item(0x58, b"\1\0\0\5user\0\0")),
        (INVALID, item(0x58, b"\1\0\0\4user\0\1")),
        (INVALID, item(0x58, b"\1\0\0\4user\0\0\0")),
        (UNEXPECTED, MAXIMUM_LENGTH * 2),
        (UNEXPECTED, CLASS_UID * 2),
        (UNEXPECTED, item(0x53, bytes(4)) * 2),
        (UNEXPECTED, item(0x55, b"NAME") * 2),
        (UNEXPECTED, item(0x58, b"\1\0\0\4user\0\0") * 2),
    ],
)
def test_malformed_user_information(reason: int, sub_item: bytes) -> None:
    refused(reason, 1, HEADER + CONTEXT_NAME + PROPOSED + item(0x50, sub_item))


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\2a", b"\0\1ab"])
def test_malformed_user_identity_responses(value: bytes) -> None:
    refused(INVALID, 2, HEADER + CONTEXT_NAME + ACCEPTED + item(0x50, item(0x59, value)))


@pytest.mark.parametrize("pdu_type", [1, 2])
@pytest.mark.parametrize("tail", [b"\x99", b"\x99\0\0", b"\x99\0\0\1", b"\x50\0\xff\xff"])
def test_items_that_lie_about_their_length(pdu_type: int, tail: bytes) -> None:
    context = PROPOSED if pdu_type == 1 else ACCEPTED
    refused(INVALID, pdu_type, HEADER + CONTEXT_NAME + context + INFORMATION + tail)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\0\0\0\2\1",
        b"\0\0\0\0",
        b"\0\0\0\0\1\3",
        b"\0\0\0\1\1\3",
        b"\0\0\0\3\1\3",
        b"\xff\xff\xff\xff\1\3",
        b"\0\0\0\2\1\3\0",
        b"\0\0\0\2\1\3\0\0\0\x10\1\3ab",
    ],
)
def test_malformed_p_data(body: bytes) -> None:
    refused(INVALID, 4, body)


@checked(500)
@given(st.integers(0, 8), st.binary(max_size=200))
def test_random_bytes_give_a_pdu_or_a_pdu_error(pdu_type: int, body: bytes) -> None:
    only_documented(pdu_type, body)
    only_documented(pdu_type, HEADER + body)


@checked(1000)
@given(
    st.sampled_from(PLAIN),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=6),
    st.integers(0, 30),
)
def test_mutated_bytes_give_a_pdu_or_a_pdu_error(pdu: PDU, changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(encode(pdu))
    for position, value in changes:
        data[position % len(data)] = value
    only_documented(data[0], bytes(data[6 : max(6, len(data) - cut)]))


def test_every_byte_changed_and_every_cut_gives_a_pdu_or_a_pdu_error() -> None:
    for pdu in PLAIN:
        data = encode(pdu)
        for position in range(6, len(data)):
            only_documented(data[0], data[6:position])
            for value in (0, 1, 2, 0x40, 0x7F, 0xFF):
                only_documented(data[0], data[6:position] + bytes((value,)) + data[position + 1 :])


def only_documented(pdu_type: int, body: bytes) -> None:
    """``body`` is refused with a reason of table 9-26, or is a PDU that survives the way out and in again."""
    outcome = decoded(pdu_type, body)
    if isinstance(outcome, PduError):
        assert outcome.reason in (1, 5, 6)
        return
    try:
        data = encode(outcome)
    except LocalError:
        # We read AE titles and version names that we would not write.
        assert isinstance(outcome, AssociateRQ | AssociateAC)
        return
    assert decode(pdu_type, data[6:]) == outcome


def decoded(pdu_type: int, body: bytes) -> PDU | PduError:
    """What decoding gives or raises."""
    try:
        return decode(pdu_type, body)
    except PduError as error:
        return error


# What we refuse to send ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pdu",
    [
        replace(PLAIN_RQ, called_ae_title=""),
        replace(PLAIN_RQ, called_ae_title="A" * 17),
        replace(PLAIN_RQ, calling_ae_title="\u00c4RZTE"),
        replace(PLAIN_RQ, calling_ae_title="A\\B"),
        replace(PLAIN_RQ, calling_ae_title="A\n"),
        replace(PLAIN_RQ, protocol_version=0x10000),
        replace(PLAIN_RQ, application_context_name="1.\u0662"),
        replace(PLAIN_RQ, contexts=(ProposedContext(256, "1.2", ("1.2",)),)),
        replace(PLAIN_RQ, contexts=(ProposedContext(1, "1.2", ("1" * 70000,)),)),
        replace(PLAIN_RQ, user_information=UserInformation(-1)),
        replace(PLAIN_RQ, user_information=UserInformation(1 << 32)),
        replace(PLAIN_RQ, user_information=UserInformation(implementation_version_name="N" * 17)),
        replace(PLAIN_AC, received_header=bytes(63)),
        AssociateRJ(256, 1, 1),
        Abort(-1),
        PDataTF(()),
        PDataTF((PDV(256, True, True, b""),)),
    ],
)
def test_what_cannot_be_encoded_is_a_local_error(pdu: PDU) -> None:
    with pytest.raises(LocalError):
        encode(pdu)


@pytest.mark.parametrize(
    ("information", "what"),
    [
        ({"user_identity": UserIdentity(4, True, bytes(65536))}, "the primary field of the user identity has 65,536"),
        ({"user_identity": UserIdentity(2, True, b"", bytes(65536))}, "the secondary field of the user identity has"),
        ({"user_identity": UserIdentity(4, True, bytes(65535))}, "the user identity has 65,541 bytes"),
        ({"user_identity": UserIdentity(4, True, bytes(65529))}, "the user information, with extended negotiation and"),
        ({"extended": (SOPClassExtendedNegotiation("1.2", bytes(65536)),)}, "the extended negotiation of a SOP class"),
        ({"extended": (SOPClassExtendedNegotiation("1.2", bytes(40000)),) * 2}, "the user information, with extended"),
        (
            {"common_extended": (SOPClassCommonExtendedNegotiation("1.2", "1.3", ("1" * 64,) * 1000),)},
            "the list of related general SOP classes has 66,000 bytes",
        ),
    ],
)
def test_what_is_too_long_is_named(information: dict[str, Any], what: str) -> None:
    with pytest.raises(LocalError, match=what) as failure:
        encode(replace(PLAIN_RQ, user_information=UserInformation(**information)))
    assert "at most 65,535 (PS3.8 9.3.2, PS3.7 D.3.3)" in str(failure.value)
