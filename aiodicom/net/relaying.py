"""C-GET and C-MOVE that another SCP performs: its responses are passed on (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiodicom.dimse.responses import response_to
from aiodicom.net._data_sets import encode_data_set
from aiodicom.net.answers import Reply
from aiodicom.net.requests import RetrieveRequest
from aiodicom.net.results import RetrieveResult
from aiodicom.net.yielding import yielding
from aiodicom.standard.status import Status, StatusCategory

if TYPE_CHECKING:
    from aiodicom.net.outbox import Outbox

__all__ = ["relay_retrieval"]


async def relay_retrieval(function: Callable[[Any], Any], request: RetrieveRequest, outbox: Outbox) -> Reply:
    """Sends the pending responses that the handler yields, and returns the final one, which it yields last; FE00H with
    the latest numbers when the peer has cancelled.

    A pending response that the peer has no room for is left out: the next one says more.
    """
    latest: RetrieveResult | None = None
    async with yielding(function, request) as results:
        async for latest in results:
            is_pending = latest.status.category is StatusCategory.PENDING
            if is_pending and outbox.is_ready and request.association.is_open:
                response = response_to(request.message, latest.status, **_counters(latest))
                outbox.send_response(request.context.context_id, response)
    if request.is_cancelled:
        return Reply(response_to(request.message, Status.CANCEL, **_counters(latest)))
    if latest is None or latest.status.category is StatusCategory.PENDING:
        raise ValueError("whoever passes a retrieval on yields its final response last")
    data = None
    if latest.failed_sop_instance_uids:
        from aiodicom.dataset import Dataset

        failed = Dataset(FailedSOPInstanceUIDList=list(latest.failed_sop_instance_uids))
        data = encode_data_set(failed, request.context.transfer_syntax)
    fields = _counters(latest)
    if latest.message.error_comment:
        fields["error_comment"] = latest.message.error_comment
    return Reply(response_to(request.message, latest.status, has_data_set=data is not None, **fields), data)


def _counters(result: RetrieveResult | None) -> dict[str, Any]:
    if result is None:
        return {}
    numbers = {
        "number_of_remaining_suboperations": result.remaining,
        "number_of_completed_suboperations": result.completed,
        "number_of_failed_suboperations": result.failed,
        "number_of_warning_suboperations": result.warning,
    }
    return {name: number for name, number in numbers.items() if number is not None}
