"""C-FIND as SCP: each match that a handler yields is a pending response (PS3.4 C.4.1.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aiodicom.dimse.responses import response_to
from aiodicom.net._data_sets import encode_data_set
from aiodicom.net.answers import Reply
from aiodicom.net.requests import FindRequest
from aiodicom.net.yielding import yielding
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as PydicomDataset

    from aiodicom.dataset import Dataset
    from aiodicom.net.outbox import Outbox

__all__ = ["Match", "send_matches"]

#: A match, or one with the status that says that optional keys were not supported.
Match: TypeAlias = "Dataset | PydicomDataset | tuple[int, Dataset | PydicomDataset]"

_PENDING: Final = (Status.PENDING, Status.PENDING_WARNING)


async def send_matches(function: Callable[[FindRequest], Any], request: FindRequest, outbox: Outbox) -> Reply:
    """Sends what the handler yields, and returns the final response."""
    context_id, transfer_syntax = request.context.context_id, request.context.transfer_syntax
    # The command sets of the responses are all the same.
    commands = {
        status: outbox.encode_response(context_id, response_to(request.message, status, has_data_set=True))
        for status in _PENDING
    }
    async with yielding(function, request) as matches:
        async for match in matches:
            status, data_set = match if isinstance(match, tuple) else (Status.PENDING, match)
            if status not in commands:
                raise ValueError(
                    f"a match has the status FF00H or FF01H, not {status!r}: raise OperationRefused to refuse"
                )
            data = encode_data_set(data_set, transfer_syntax)
            if not outbox.is_ready:
                await outbox.ready()
            outbox.send_pending(context_id, commands[status], data)
    return Reply(response_to(request.message, Status.CANCEL if request.is_cancelled else Status.SUCCESS))
