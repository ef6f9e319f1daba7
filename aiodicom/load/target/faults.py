"""What can come in place of a right answer, and the bytes of those answers that PS3.7 and PS3.8 do not allow."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum

from aiodicom.dimse.command import encode_command
from aiodicom.dimse.messages import CEchoRSP, CStoreRQ, CStoreRSP, Request, Response
from aiodicom.dimse.responses import response_to, sop_class_of
from aiodicom.standard.status import Status
from aiodicom.ul._pdu import encode_command as in_pdus

__all__ = ["Fault", "wrong_answer"]


class Fault(StrEnum):
    """What happens to an operation instead of its answer."""

    #: No response, ever.
    NEVER = "never"
    #: A-ABORT by the service user in place of the response.
    ABORT = "abort"
    #: The same while the data set of the request is still arriving.
    ABORT_IN_DATA_SET = "abort-in-data-set"
    #: The connection is closed, without A-RELEASE or A-ABORT.
    CLOSE = "close"
    #: We send no more, and say so (FIN), and go on reading.
    HALF_CLOSE = "half-close"
    #: A response to another message ID (0000,0120).
    WRONG_MESSAGE_ID = "wrong-message-id"
    #: The response of another service, in Command Field (0000,0100).
    WRONG_COMMAND_FIELD = "wrong-command-field"
    #: Pending (FF00H), without the data set or the final response that would follow.
    WRONG_STATUS = "wrong-status"
    #: A response on a presentation context that was not accepted.
    WRONG_CONTEXT = "wrong-context"
    #: A command set that ends in the middle of an element.
    TRUNCATED_COMMAND_SET = "truncated-command-set"
    #: The first half of the response's PDU, and nothing after it.
    HALF_PDU = "half-pdu"
    #: Bytes that are no PDU.
    GARBAGE = "garbage"
    #: The right response, twice.
    TWICE = "twice"


#: An HTTP response: what a port that was mixed up says.
_GARBAGE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def wrong_answer(
    fault: Fault, context_id: int, request: Request, status: Status, *, accepted: Collection[int], fragment_size: int
) -> bytes:
    """Returns what is sent in place of, or for `TWICE` before, the response with this status; nothing for a fault that
    sends nothing.

    `accepted`: the IDs of the accepted presentation contexts. `fragment_size`: how large a fragment the peer takes.
    """
    response = response_to(request, status)
    if fault is Fault.WRONG_MESSAGE_ID:
        # Of several operations at once the next ones have the next numbers: far from those.
        response = replace(response, message_id_being_responded_to=(request.message_id + 0x4000) & 0xFFFF)
    elif fault is Fault.WRONG_COMMAND_FIELD:
        response = _of_another_service(request, status)
    elif fault is Fault.WRONG_STATUS:
        response = replace(response, status=Status.PENDING)
    elif fault is Fault.WRONG_CONTEXT:
        context_id = next((number for number in range(1, 256, 2) if number not in accepted), 0)
    elif fault is Fault.TRUNCATED_COMMAND_SET:
        return in_pdus(context_id, encode_command(response)[:-3], fragment_size)
    elif fault is Fault.GARBAGE:
        return _GARBAGE
    elif fault not in (Fault.HALF_PDU, Fault.TWICE):
        return b""
    encoded = in_pdus(context_id, encode_command(response), fragment_size)
    return encoded[: len(encoded) // 2] if fault is Fault.HALF_PDU else encoded


def _of_another_service(request: Request, status: Status) -> Response:
    kind = CEchoRSP if isinstance(request, CStoreRQ) else CStoreRSP
    return kind(request.message_id, status, sop_class_of(request))
