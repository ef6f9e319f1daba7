"""PDUs to bytes and back (PS3.8 9.3). Everything that is wrong with received bytes is a `PduError`.

An A-ASSOCIATE-RQ and -AC come apart into a fixed header and the items after it, because the items of one application
are the same every time and whoever serves many associations can remember what they mean, and what they are answered.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any

from aiodicom.errors import LocalError
from aiodicom.standard.ae_titles import ae_title
from aiodicom.standard.uids import APPLICATION_CONTEXT_NAME, IMPLICIT_VR_LITTLE_ENDIAN
from aiodicom.ul.items import (
    SUB_ITEMS_OF_AC,
    SUB_ITEMS_OF_RQ,
    Decoder,
    decode_uid,
    decode_user_information,
    encode_item,
    encode_uid,
    encode_user_information,
    invalid,
    items_in,
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
    PduType,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    ResultReason,
    UserInformation,
)

__all__ = [
    "ASSOCIATE_HEADER_LENGTH",
    "decode",
    "decode_associate_ac_items",
    "decode_associate_items",
    "decode_associate_rq_header",
    "encode",
    "encode_associate_ac",
    "encode_associate_ac_items",
]

#: where in the body of an A-ASSOCIATE-RQ or -AC the items begin
ASSOCIATE_HEADER_LENGTH = 68

_pdu_header = Struct(">BxI").pack
#: with the protocol version and the reserved field after it
_associate_header = Struct(">BxIHH").pack
_pdv_header = Struct(">IBB")
_RESERVED_OF_HEADER = bytes(32)

_APPLICATION_CONTEXT = 0x10
_PROPOSED_CONTEXT = 0x20
_CONTEXT_RESULT = 0x21
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50


def encode(pdu: PDU) -> bytes:
    """The bytes of ``pdu``, its header included.

    Raises `LocalError` when a field does not fit: an AE title that is none, a number or length out of its range,
    characters outside of ISO 646.
    """
    try:
        return _ENCODERS[type(pdu)](pdu)
    except (StructError, ValueError) as error:
        raise LocalError(f"{type(pdu).__name__} cannot be encoded: {error}") from error


def decode(pdu_type: int, body: bytes | memoryview) -> PDU:
    """The PDU of ``pdu_type`` whose header has been taken off ``body``. Raises `PduError`."""
    decoder = _DECODERS.get(pdu_type)
    if decoder is None:
        raise PduError(AbortReason.UNRECOGNIZED_PDU, f"PDU type {pdu_type:02X}H")
    return decoder(bytes(body))


# A-ASSOCIATE-RQ and -AC ----------------------------------------------------------------------------------------------


def decode_associate_rq_header(body: bytes | memoryview) -> tuple[int, str, str]:
    """Protocol version, called and calling AE title from the body of an A-ASSOCIATE-RQ. Raises `PduError`."""
    if len(body) < ASSOCIATE_HEADER_LENGTH:
        raise invalid(f"an A-ASSOCIATE header of {len(body)} bytes")
    titles = str(body[4:36], "latin-1")
    # Zero bytes are no padding of the standard's, but of a good many applications.
    return (body[0] << 8) | body[1], titles[:16].strip("\0 "), titles[16:].strip("\0 ")


def decode_associate_items(items: bytes) -> tuple[str, tuple[ProposedContext, ...], UserInformation]:
    """Application context name, proposed contexts and user information from the items of an A-ASSOCIATE-RQ, which are
    ``body[ASSOCIATE_HEADER_LENGTH:]``. Raises `PduError`."""
    return _decode_items(items, _PROPOSED_CONTEXT, _decode_proposed_context, SUB_ITEMS_OF_RQ)


def decode_associate_ac_items(items: bytes) -> tuple[str, tuple[ContextResult, ...], UserInformation]:
    """Application context name, results and user information from the items of an A-ASSOCIATE-AC. Raises `PduError`."""
    return _decode_items(items, _CONTEXT_RESULT, _decode_context_result, SUB_ITEMS_OF_AC)


def encode_associate_ac(received_header: bytes | memoryview, items: bytes, protocol_version: int = 1) -> bytes:
    """An A-ASSOCIATE-AC of ``items`` (`encode_associate_ac_items`), which repeats bytes 11 to 74 of the A-ASSOCIATE-RQ:
    ``body[4:ASSOCIATE_HEADER_LENGTH]``."""
    header = _associate_header(PduType.ASSOCIATE_AC, ASSOCIATE_HEADER_LENGTH + len(items), protocol_version, 0)
    return b"".join((header, received_header, items))


def encode_associate_ac_items(
    results: tuple[ContextResult, ...],
    user_information: UserInformation,
    application_context_name: str = APPLICATION_CONTEXT_NAME,
) -> bytes:
    """What follows the header of an A-ASSOCIATE-AC."""
    return _encode_items(application_context_name, map(_encode_context_result, results), user_information)


def _decode_items(
    items: bytes,
    context_type: int,
    decode_context: Callable[[bytes, int, int], Any],
    sub_items: dict[int, tuple[str, Decoder, bool]],
) -> tuple[str, tuple[Any, ...], UserInformation]:
    application_context_name: str | None = None
    user_information: UserInformation | None = None
    contexts: dict[int, Any] = {}
    for item_type, start, end in items_in(items, 0, len(items), "an item"):
        if item_type == context_type:
            context = decode_context(items, start, end)
            context_id = context.context_id
            # Odd and unique (PS3.8 9.3.2.2) is at most 128 of them.
            if not context_id & 1:
                raise invalid(f"presentation context id {context_id} is even")
            if context_id in contexts:
                raise invalid(f"presentation context id {context_id} occurs twice")
            contexts[context_id] = context
        elif item_type == _USER_INFORMATION:
            if user_information is not None:
                raise _unexpected(item_type)
            user_information = decode_user_information(items, start, end, sub_items)
        elif item_type == _APPLICATION_CONTEXT:
            if application_context_name is not None:
                raise _unexpected(item_type)
            application_context_name = decode_uid(items, start, end)
        elif item_type in (_PROPOSED_CONTEXT, _CONTEXT_RESULT):
            raise _unexpected(item_type)
        # An item of any other type is ignored (PS3.8 9.3.1).
    if application_context_name is None:
        raise invalid("no application context item")
    if not contexts:
        raise invalid("no presentation context item")
    if user_information is None:
        raise invalid("no user information item")
    return application_context_name, tuple(contexts.values()), user_information


def _unexpected(item_type: int) -> PduError:
    return PduError(AbortReason.UNEXPECTED_PDU_PARAMETER, f"an item {item_type:02X}H where none may be")


def _encode_items(application_context_name: str, contexts: map[bytes], user_information: UserInformation) -> bytes:
    return b"".join(
        (
            encode_item(_APPLICATION_CONTEXT, encode_uid(application_context_name)),
            *contexts,
            encode_item(_USER_INFORMATION, encode_user_information(user_information)),
        )
    )


def _decode_proposed_context(data: bytes, start: int, end: int) -> ProposedContext:
    if end - start < 4:
        raise invalid("a presentation context item without its id")
    abstract_syntax: str | None = None
    transfer_syntaxes: list[str] = []
    for item_type, value_start, value_end in items_in(data, start + 4, end, "a presentation context sub-item"):
        if item_type == _TRANSFER_SYNTAX:
            transfer_syntaxes.append(decode_uid(data, value_start, value_end))
        elif item_type == _ABSTRACT_SYNTAX:
            if abstract_syntax is not None:
                raise _unexpected(item_type)
            abstract_syntax = decode_uid(data, value_start, value_end)
    if abstract_syntax is None or not transfer_syntaxes:
        raise invalid("a presentation context without an abstract syntax or a transfer syntax")
    return ProposedContext(data[start], abstract_syntax, tuple(transfer_syntaxes))


def _encode_proposed_context(context: ProposedContext) -> bytes:
    parts = [bytes((context.context_id, 0, 0, 0)), encode_item(_ABSTRACT_SYNTAX, encode_uid(context.abstract_syntax))]
    parts.extend(encode_item(_TRANSFER_SYNTAX, encode_uid(uid)) for uid in context.transfer_syntaxes)
    return encode_item(_PROPOSED_CONTEXT, b"".join(parts))


def _decode_context_result(data: bytes, start: int, end: int) -> ContextResult:
    if end - start < 4:
        raise invalid("a presentation context item without its id and result")
    context_id, result = data[start], data[start + 2]
    if result > ResultReason.TRANSFER_SYNTAXES_NOT_SUPPORTED:
        raise invalid(f"a presentation context with result {result}")
    if result != ResultReason.ACCEPTANCE:
        # Its transfer syntax sub-item is not significant and not tested (PS3.8 table 9-18), nor need there be one.
        return ContextResult(context_id, ResultReason(result))
    transfer_syntax: str | None = None
    for item_type, value_start, value_end in items_in(data, start + 4, end, "a presentation context sub-item"):
        if item_type == _TRANSFER_SYNTAX:
            if transfer_syntax is not None:
                raise _unexpected(item_type)
            transfer_syntax = decode_uid(data, value_start, value_end)
    if not transfer_syntax:
        raise invalid("an accepted presentation context without a transfer syntax")
    return ContextResult(context_id, ResultReason.ACCEPTANCE, transfer_syntax)


def _encode_context_result(context: ContextResult) -> bytes:
    # The sub-item is sent for a refused context too: table 9-18 has it, and some receivers want a UID in it.
    transfer_syntax = encode_uid(context.transfer_syntax or IMPLICIT_VR_LITTLE_ENDIAN)
    head = bytes((context.context_id, 0, context.result, 0))
    return encode_item(_CONTEXT_RESULT, head + encode_item(_TRANSFER_SYNTAX, transfer_syntax))


def _encode_titles(called: str, calling: str) -> bytes:
    return f"{ae_title(called):16}{ae_title(calling):16}".encode("ascii") + _RESERVED_OF_HEADER


def _decode_associate_rq(body: bytes) -> AssociateRQ:
    version, called, calling = decode_associate_rq_header(body)
    name, contexts, user_information = decode_associate_items(body[ASSOCIATE_HEADER_LENGTH:])
    return AssociateRQ(called, calling, contexts, user_information, name, version, body[4:ASSOCIATE_HEADER_LENGTH])


def _encode_associate_rq(pdu: AssociateRQ) -> bytes:
    items = _encode_items(
        pdu.application_context_name, map(_encode_proposed_context, pdu.contexts), pdu.user_information
    )
    titles = _encode_titles(pdu.called_ae_title, pdu.calling_ae_title)
    length = ASSOCIATE_HEADER_LENGTH + len(items)
    return b"".join((_associate_header(PduType.ASSOCIATE_RQ, length, pdu.protocol_version, 0), titles, items))


def _decode_associate_ac(body: bytes) -> AssociateAC:
    # What an -AC repeats of the -RQ stands where it stood there.
    version, called, calling = decode_associate_rq_header(body)
    name, results, user_information = decode_associate_ac_items(body[ASSOCIATE_HEADER_LENGTH:])
    return AssociateAC(called, calling, results, user_information, name, version, body[4:ASSOCIATE_HEADER_LENGTH])


def _encode_associate_ac(pdu: AssociateAC) -> bytes:
    header = pdu.received_header or _encode_titles(pdu.called_ae_title, pdu.calling_ae_title)
    if len(header) != ASSOCIATE_HEADER_LENGTH - 4:
        raise ValueError("received_header has 64 bytes")
    items = encode_associate_ac_items(pdu.results, pdu.user_information, pdu.application_context_name)
    return encode_associate_ac(header, items, pdu.protocol_version)


# P-DATA-TF -----------------------------------------------------------------------------------------------------------


def _decode_p_data_tf(body: bytes) -> PDataTF:
    pdvs: list[PDV] = []
    position = 0
    total = len(body)
    while position < total:
        if total - position < 6:
            raise invalid("a PDV without a whole header")
        length, context_id, control = _pdv_header.unpack_from(body, position)
        end = position + 4 + length
        # The length counts the context id and the message control header (PS3.8 9.3.5.1).
        if length < 2 or end > total:
            raise invalid(f"a PDV of length {length}, with {total - position - 4} bytes left of its PDU")
        pdvs.append(PDV(context_id, bool(control & 1), bool(control & 2), body[position + 6 : end]))
        position = end
    if not pdvs:
        raise invalid("a P-DATA-TF without a PDV")
    return PDataTF(tuple(pdvs))


def _encode_p_data_tf(pdu: PDataTF) -> bytes:
    if not pdu.pdvs:
        raise ValueError("a P-DATA-TF has at least one PDV")
    parts = [b""]
    for pdv in pdu.pdvs:
        parts.append(_pdv_header.pack(len(pdv.data) + 2, pdv.context_id, pdv.is_command | pdv.is_last << 1))
        parts.append(pdv.data)
    parts[0] = _pdu_header(PduType.P_DATA_TF, sum(map(len, parts)))
    return b"".join(parts)


# The PDUs of four bytes ----------------------------------------------------------------------------------------------


_RELEASE_RQ = ReleaseRQ()
_RELEASE_RP = ReleaseRP()


def _four_bytes(name: str, body: bytes) -> bytes:
    if len(body) != 4:
        raise invalid(f"an {name} of length {len(body)}")
    return body


def _decode_associate_rj(body: bytes) -> AssociateRJ:
    return AssociateRJ(*_four_bytes("A-ASSOCIATE-RJ", body)[1:])


def _encode_associate_rj(pdu: AssociateRJ) -> bytes:
    return _pdu_header(PduType.ASSOCIATE_RJ, 4) + bytes((0, pdu.result, pdu.source, pdu.reason))


def _decode_release_rq(body: bytes) -> ReleaseRQ:
    _four_bytes("A-RELEASE-RQ", body)
    return _RELEASE_RQ


def _encode_release_rq(_pdu: ReleaseRQ) -> bytes:
    return _pdu_header(PduType.RELEASE_RQ, 4) + bytes(4)


def _decode_release_rp(body: bytes) -> ReleaseRP:
    _four_bytes("A-RELEASE-RP", body)
    return _RELEASE_RP


def _encode_release_rp(_pdu: ReleaseRP) -> bytes:
    return _pdu_header(PduType.RELEASE_RP, 4) + bytes(4)


def _decode_abort(body: bytes) -> Abort:
    return Abort(*_four_bytes("A-ABORT", body)[2:])


def _encode_abort(pdu: Abort) -> bytes:
    return _pdu_header(PduType.ABORT, 4) + bytes((0, 0, pdu.source, pdu.reason))


_DECODERS: dict[int, Callable[[bytes], PDU]] = {
    PduType.ASSOCIATE_RQ: _decode_associate_rq,
    PduType.ASSOCIATE_AC: _decode_associate_ac,
    PduType.ASSOCIATE_RJ: _decode_associate_rj,
    PduType.P_DATA_TF: _decode_p_data_tf,
    PduType.RELEASE_RQ: _decode_release_rq,
    PduType.RELEASE_RP: _decode_release_rp,
    PduType.ABORT: _decode_abort,
}

_ENCODERS: dict[type[Any], Callable[[Any], bytes]] = {
    AssociateRQ: _encode_associate_rq,
    AssociateAC: _encode_associate_ac,
    AssociateRJ: _encode_associate_rj,
    PDataTF: _encode_p_data_tf,
    ReleaseRQ: _encode_release_rq,
    ReleaseRP: _encode_release_rp,
    Abort: _encode_abort,
}
