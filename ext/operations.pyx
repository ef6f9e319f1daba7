"""Operations in flight on one association, by message ID (PS3.7 7.5, PS3.7 D.3.3.3)."""

from aiodicom.errors import LocalError


cdef class Operation:
    """A request that we sent and whose final response has not come."""

    cdef readonly object context_id
    cdef readonly object request
    #: The request's.
    cdef readonly object message_id
    #: Whatever the invoker wants back with the response; None once it has been taken.
    cdef readonly object token
    #: Since when we wait for the peer: from the end of sending, then from each pending response; in seconds.
    cdef public object started
    #: Whether C-CANCEL has been sent: then pending responses buy the peer no more time.
    cdef public bint is_cancelled

    def __init__(self, context_id, request, token, started):
        self.context_id = context_id
        self.request = request
        self.message_id = request.message_id
        self.token = token
        self.started = started

    def take_token(self):
        """Returns the token for the final response. It keeps that response as a rule, which has this operation: if this had the token
        still, each would wait for the garbage collector.
        """
        token, self.token = self.token, None
        return token


cdef class InvokedOperations:
    """The operations that we invoked, oldest first, and the message IDs for further ones.

    Invariant: an operation stands in `operations` by its own message ID.
    """

    cdef dict operations
    cdef int last_id

    def __init__(self):
        self.operations = {}

    def __len__(self):
        return len(self.operations)

    def next_message_id(self):
        """Returns a message ID that no operation in flight has, from 1 to 65535 in turn."""
        if len(self.operations) >= 0xFFFF:
            raise LocalError("65535 operations are in flight on this association: no message ID is left")
        while True:
            self.last_id = self.last_id % 0xFFFF + 1
            candidate = self.last_id
            if candidate not in self.operations:
                return candidate

    def begin(self, Operation operation not None):
        """Adds an operation that has been sent."""
        self.operations[operation.message_id] = operation

    def find(self, message_id):
        """Returns the operation in flight with this message ID."""
        return self.operations.get(message_id)

    def end(self, Operation operation not None):
        """Removes an operation whose final response has come."""
        del self.operations[operation.message_id]

    def take(self):
        """Removes and returns all operations."""
        taken = list(self.operations.values())
        self.operations.clear()
        return taken

    def touch(self, Operation operation not None, now):
        """Lets the waiting for an operation, if it is in flight, begin anew: it thereby becomes the youngest."""
        if self.operations.get(operation.message_id) is operation:
            operation.started = now
            self.operations[operation.message_id] = self.operations.pop(operation.message_id)

    def postpone(self, seconds):
        """Lets the waiting for every operation take so much longer."""
        cdef Operation operation
        for operation in self.operations.values():
            operation.started += seconds

    def oldest(self, Operation besides=None):
        """Returns the operation that has waited longest for a sign of the peer, `besides` this one."""
        for operation in self.operations.values():
            if operation is not besides:
                return operation
        return None
