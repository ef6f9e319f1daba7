"""What handlers answer with, as the response that is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from aiodicom.dimse.messages import NActionRQ, NCreateRQ, NEventReportRQ, NGetRQ, NSetRQ, Request, Response
from aiodicom.dimse.responses import response_to
from aiodicom.errors import OperationRefused
from aiodicom.net._data_sets import encode_data_set
from aiodicom.net.requests import NCreateRequest, ServiceRequest
from aiodicom.standard.status import Status, StatusCategory
from aiodicom.standard.uids import is_valid_uid
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as PydicomDataset

    from aiodicom.dataset import Dataset

__all__ = ["Answer", "Later", "Reply", "encode_answer", "final_status", "refusal"]

#: Requests whose responses may have a data set of their handler's (PS3.7 10.3).
_WITH_DATA: tuple[type[Request], ...] = (NGetRQ, NSetRQ, NActionRQ, NCreateRQ, NEventReportRQ)
#: The longest Error Comment (0000,0902), a VR of LO.
_MOST_COMMENT = 64
#: Of Offending Element (0000,0901), which a command set has room for.
_MOST_OFFENDING = 1024


@frozen
class Answer(Value):
    """What a handler returns when a status alone does not say enough.

    `dataset`: the data set of the response, of the N services that have one. `sop_instance_uid`: the instance that was
    created, where that is another than the request's. `error_comment`: at most 64 characters, which the peer sees.
    `offending_elements`: tags, 1,024 at most. `error_id`: a number that the service class, or the implementation, has
    for the error.
    """

    status: int = Status.SUCCESS
    dataset: Dataset | PydicomDataset | None = None
    sop_instance_uid: str | None = None
    error_comment: str | None = None
    offending_elements: tuple[int, ...] = ()
    error_id: int | None = None


class Later:
    """What a plain handler returns that will have its answer later. A future would need two turns of the event loop."""

    __slots__ = ("_told", "is_given")

    def __init__(self) -> None:
        self._told: Callable[[Any, BaseException | None, bool], None] | None = None
        #: Whether there is an answer, or none is wanted any more.
        self.is_given = False

    def tell(self, told: Callable[[Any, BaseException | None, bool], None]) -> None:
        """Has `told(answer, error, more)` called, once."""
        self._told = told

    def give(self, answer: Any, *, more: bool = False) -> None:
        """Answers, the first time; `more`: another answer is about to follow, and may leave with this one."""
        self._end(answer, None, more)

    def cancel(self) -> None:
        """No answer is wanted any more."""
        self._end(None, asyncio.CancelledError(), False)

    def _end(self, answer: Any, error: BaseException | None, more: bool) -> None:
        if not self.is_given:
            self.is_given = True
            told, self._told = self._told, None
            assert told is not None, "who is asked tells of it after it has returned"
            told(answer, error, more)


class Reply(NamedTuple):
    """A response that ends an operation, with its encoded data set."""

    message: Response
    data: bytes | None = None


def final_status(answer: Any) -> Status:
    """Returns what a handler's answer stands for: None is success. Raises `ValueError` or `TypeError` for what is no
    status, or none that ends an operation.
    """
    if answer is None:
        return Status.SUCCESS
    if isinstance(answer, bool) or not isinstance(answer, int):
        raise TypeError(f"{answer!r} is no status")  # false is 0, and that is success
    status = Status(answer)
    if status and status.category is StatusCategory.PENDING:
        raise ValueError(f"{status!r} answers nothing: the operation is over when its handler returns")
    return status


def encode_answer(request: ServiceRequest, answer: Any) -> Reply:
    """Returns the response that a handler's answer stands for, its data set encoded for the request's context.

    Raises `ValueError`, `TypeError` or `LocalError` for what is none.
    """
    if isinstance(answer, Reply):
        return answer
    if not isinstance(answer, Answer):
        answer = Answer(dataset=answer) if hasattr(answer, "to_json_dict") else Answer(final_status(answer))
    status = final_status(answer.status)
    data = None
    if answer.dataset is not None:
        if not isinstance(request.message, _WITH_DATA):
            raise TypeError(f"a response to {request.message.SERVICE} has no data set of its handler's")
        data = encode_data_set(answer.dataset, request.context.transfer_syntax)
    fields: dict[str, Any] = {"has_data_set": data is not None}
    uid = answer.sop_instance_uid
    if isinstance(request, NCreateRequest):
        uid = uid or request.sop_instance_uid
    if uid:
        if answer.sop_instance_uid and not is_valid_uid(uid):
            raise ValueError(f"{uid!r} is no UID of a SOP instance")
        fields["affected_sop_instance_uid"] = uid
    if answer.error_comment:
        fields["error_comment"] = answer.error_comment[:_MOST_COMMENT]
    if answer.offending_elements:
        tags = answer.offending_elements[:_MOST_OFFENDING]
        fields["offending_elements"] = tuple(_in_range(tag, 0xFFFFFFFF, "a tag") for tag in tags)
    if answer.error_id is not None:
        fields["error_id"] = _in_range(answer.error_id, 0xFFFF, "an error ID")
    return Reply(response_to(request.message, status, **fields), data)


def _in_range(number: int, most: int, what: str) -> int:
    """Returns what has to be encoded when its turn comes, and can't be refused then."""
    if not 0 <= number <= most:
        raise ValueError(f"{number!r} is no number of {what}: 0 to {most}")
    return number


def refusal(error: OperationRefused) -> Answer:
    """Returns the answer that a handler has raised."""
    return Answer(error.status, error_comment=error.error_comment, offending_elements=tuple(error.offending_elements))
