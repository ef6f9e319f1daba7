"""The response that belongs to a request (PS3.7 9.3, 10.3): what it repeats of it."""

from __future__ import annotations

from typing import Any

from aiodicom.dimse.messages import (
    MESSAGES,
    Message,
    NActionRQ,
    NEventReportRQ,
    Request,
    Response,
    UnrecognizedRequest,
    UnrecognizedResponse,
)
from aiodicom.standard.status import Status
from aiodicom.standard.uids import is_valid_uid

__all__ = ["response_to", "sop_class_of", "sop_instance_of"]

_IS_RESPONSE = 0x8000
_BY_COMMAND: dict[int | None, type[Message]] = {cls.COMMAND_FIELD: cls for cls in MESSAGES}
_RESPONSES: dict[type[Request], type[Response]] = {
    cls: response
    for command, cls in _BY_COMMAND.items()
    if command is not None and issubclass(cls, Request)
    for response in [_BY_COMMAND[command | _IS_RESPONSE]]
    if issubclass(response, Response)
}
_HAVE_INSTANCE = frozenset(
    cls for cls, response in _RESPONSES.items() if hasattr(response, "affected_sop_instance_uid")
)


def sop_class_of(request: Request) -> str | None:
    """Returns the affected or requested SOP Class UID of a request, None for one that can't be a UID: too long, or with
    characters beyond ASCII."""
    uid: str | None = getattr(request, "affected_sop_class_uid", None)
    if uid is None:
        uid = getattr(request, "requested_sop_class_uid", None)
    return uid if uid is None or (len(uid) <= 64 and uid.isascii()) else None


def sop_instance_of(request: Request) -> str | None:
    """Returns the affected or requested SOP Instance UID of a request."""
    uid = getattr(request, "affected_sop_instance_uid", None)
    return uid if uid is not None else getattr(request, "requested_sop_instance_uid", None)


def response_to(request: Request, status: Status, **fields: Any) -> Response:
    """Returns the response to `request` with this status.

    `fields` are further elements of the response, such as ``error_comment``. A SOP Instance UID that is none isn't
    repeated, nor is a SOP Class UID that can't be one.
    """
    kind = type(request)
    if kind in _HAVE_INSTANCE and "affected_sop_instance_uid" not in fields:
        uid = sop_instance_of(request)
        if uid is not None and is_valid_uid(uid):
            fields["affected_sop_instance_uid"] = uid
    if isinstance(request, NEventReportRQ):
        fields.setdefault("event_type_id", request.event_type_id)
    elif isinstance(request, NActionRQ):
        fields.setdefault("action_type_id", request.action_type_id)
    elif isinstance(request, UnrecognizedRequest):
        return UnrecognizedResponse(
            request.message_id,
            status,
            sop_class_of(request),
            command_field=request.command_field | _IS_RESPONSE,
            **fields,
        )
    return _RESPONSES[kind](request.message_id, status, sop_class_of(request), **fields)
