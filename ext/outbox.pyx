"""Messages that are sent as a whole, at once: the compiled half of `aiodicom.net.outbox.Outbox`."""

from aiodicom.dimse._exchange cimport respond, send_whole
from aiodicom.net._transport cimport flush, flush_soon

from aiodicom.dimse.responses import response_to

cdef enum:
    #: About the bytes of a response without more than a status.
    RESPONSE = 256


cdef class WholeMessages:
    """Sends what need not wait for the peer to take it.

    While `is_busy` a data set has been begun and not ended, so that no other message may be. `is_gathering` is whether a response
    without more than a status may wait for the end of the event loop's turn.
    """

    cdef readonly object protocol
    cdef readonly object transport
    #: The event loop's clock.
    cdef readonly object time
    cdef public bint is_busy
    cdef public bint is_gathering

    def __init__(self, protocol, transport, time):
        self.protocol = protocol
        self.transport = transport
        self.time = time

    def send_whole(self, context_id, build, token, tuple pieces):
        """Sends the request that `build(message_id)` gives, and with it its data set, which `pieces` are; none for a
        request without. The caller has the turn.
        """
        self.send_at_once(context_id, build, token, pieces)

    cdef int send_at_once(self, context_id, build, token, tuple pieces) except -1:
        protocol = self.protocol
        request = build(protocol.next_message_id())
        cdef Py_ssize_t size = send_whole(protocol, context_id, request, pieces, token, self.time())
        if len(protocol.invoked) > 1:
            # The peer has something to do: what others ask for in this turn of the event loop goes with it.
            flush_soon(self.transport, size)
        else:
            flush(self.transport)
        return 0

    def respond(self, context_id, request, status):
        """Answers a request with no more than a status, after the data set that may be on its way."""
        self.answer(context_id, request, status)

    cdef int answer(self, context_id, request, status) except -1:
        if self.is_busy:
            self.send_response(context_id, response_to(request, status))
            return 0
        respond(self.protocol, context_id, request, status, self.time())
        if self.is_gathering:
            flush_soon(self.transport, RESPONSE)
        else:
            flush(self.transport)
        return 0


cdef int send_request(outbox, context_id, build, token, tuple pieces) except -1:
    return (<WholeMessages?> outbox).send_at_once(context_id, build, token, pieces)


cdef int send_status(outbox, context_id, request, status) except -1:
    return (<WholeMessages?> outbox).answer(context_id, request, status)
