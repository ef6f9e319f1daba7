"""What the operations of an SCU return."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from aiodicom.dimse.messages import CGetRSP, CMoveRSP, Response
from aiodicom.errors import DecodeError
from aiodicom.standard.status import Status
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["Result", "RetrieveResult", "tell_progress"]


class Result(NamedTuple):
    """The response to a request of the DIMSE-N services (PS3.7 10.3)."""

    #: The typed response, such as `aiodicom.dimse.messages.NGetRSP`.
    message: Response
    #: Its data set, None where there is none.
    dataset: Dataset | None = None

    def __repr__(self) -> str:
        return f"Result(message={self.message!r})"

    @property
    def status(self) -> Status:
        """Success, or a warning."""
        return self.message.status

    @property
    def sop_instance_uid(self) -> str | None:
        """The affected SOP instance: of N-CREATE, the one that has been created."""
        uid: str | None = getattr(self.message, "affected_sop_instance_uid", None)
        return uid


@frozen
class RetrieveResult(Value):
    """How far a C-GET or C-MOVE has come: numbers of sub-operations, None where the peer did not say (PS3.7 9.1.3,
    9.1.4).
    """

    message: CGetRSP | CMoveRSP
    #: SOP Instance UIDs of what could not be sent (PS3.4 C.4.2.1.4.2); only in the final response.
    failed_sop_instance_uids: tuple[str, ...] = ()

    def __repr__(self) -> str:
        service, status = self.message.SERVICE, self.message.status
        return (
            f"RetrieveResult({service} {status:04X}H {status.name_in(service)}, remaining={self.remaining}, "
            f"completed={self.completed}, failed={self.failed}, warning={self.warning}, "
            f"failed_sop_instance_uids={self.failed_sop_instance_uids})"
        )

    @property
    def status(self) -> Status:
        """Pending, until the final response. Some have another name in this service: ``status.name_in("C-GET")``."""
        return self.message.status

    @property
    def remaining(self) -> int | None:
        """Sub-operations that have not ended."""
        return self.message.number_of_remaining_suboperations

    @property
    def completed(self) -> int | None:
        """Sub-operations that have ended with success."""
        return self.message.number_of_completed_suboperations

    @property
    def failed(self) -> int | None:
        """Sub-operations that have failed."""
        return self.message.number_of_failed_suboperations

    @property
    def warning(self) -> int | None:
        """Sub-operations that have ended with a warning."""
        return self.message.number_of_warning_suboperations


def retrieve_result(message: Any, dataset: Dataset | None) -> RetrieveResult:
    """Returns what a response to C-GET or C-MOVE says. Raises `DecodeError` for a list of what is no UID."""
    failed = None if dataset is None else dataset.get("FailedSOPInstanceUIDList")
    uids = failed if isinstance(failed, list) else [] if failed in (None, "") else [failed]
    if not all(isinstance(uid, str) for uid in uids):
        raise DecodeError("the Failed SOP Instance UID List is none of UIDs", path="(0008,0058)")
    return RetrieveResult(message, tuple(map(str, uids)))


async def tell_progress(on_progress: Callable[[RetrieveResult], object] | None, result: RetrieveResult) -> None:
    """Tells the caller's function, plain or ``async``, how far a retrieval has come."""
    if on_progress is not None:
        told = on_progress(result)
        if inspect.isawaitable(told):
            await told
