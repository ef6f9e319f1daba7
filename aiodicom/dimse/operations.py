"""Operations in flight on one association, by message ID (PS3.7 7.5, PS3.7 D.3.3.3)."""

from __future__ import annotations

from typing import Any

from aiodicom.dimse.messages import Request
from aiodicom.errors import LocalError

__all__ = ["InvokedOperations", "Operation"]


class Operation:
    """A request that we sent and whose final response has not come."""

    __slots__ = ("context_id", "is_cancelled", "request", "started", "token")

    def __init__(self, context_id: int, request: Request, token: Any, started: float) -> None:
        self.context_id = context_id
        self.request = request
        #: Whatever the invoker wants back with the response.
        self.token = token
        #: Since when we wait for the peer: from the end of sending, then from each pending response; in seconds.
        self.started = started
        #: Whether C-CANCEL has been sent: then pending responses buy the peer no more time.
        self.is_cancelled = False


class InvokedOperations:
    """The operations that we invoked, oldest first, and the message IDs for further ones."""

    __slots__ = ("_last_id", "_operations")

    def __init__(self) -> None:
        self._operations: dict[int, Operation] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._operations)

    def next_message_id(self) -> int:
        """Returns a message ID that no operation in flight has, from 1 to 65535 in turn."""
        if len(self._operations) >= 0xFFFF:
            raise LocalError("65535 operations are in flight on this association: no message ID is left")
        candidate = self._last_id
        while True:
            candidate = candidate % 0xFFFF + 1
            if candidate not in self._operations:
                self._last_id = candidate
                return candidate

    def begin(self, operation: Operation) -> None:
        """Adds an operation that has been sent."""
        self._operations[operation.request.message_id] = operation

    def find(self, message_id: int) -> Operation | None:
        """Returns the operation in flight with this message ID."""
        return self._operations.get(message_id)

    def end(self, operation: Operation) -> None:
        """Removes an operation whose final response has come."""
        del self._operations[operation.request.message_id]

    def take(self) -> list[Operation]:
        """Removes and returns all operations."""
        operations = list(self._operations.values())
        self._operations.clear()
        return operations

    def touch(self, operation: Operation, now: float) -> None:
        """Lets the waiting for an operation, if it is in flight, begin anew: it thereby becomes the youngest."""
        message_id = operation.request.message_id
        if self._operations.get(message_id) is operation:
            operation.started = now
            self._operations[message_id] = self._operations.pop(message_id)

    def postpone(self, seconds: float) -> None:
        """Lets the waiting for every operation take so much longer."""
        for operation in self._operations.values():
            operation.started += seconds

    def oldest(self, besides: Operation | None = None) -> Operation | None:
        """Returns the operation that has waited longest for a sign of the peer, `besides` this one."""
        for operation in self._operations.values():
            if operation is not besides:
                return operation
        return None
