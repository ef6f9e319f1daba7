"""What other compiled modules call without a look at the names of Python: the methods of an `Exchange`. They raise TypeError for anything
else.
"""

cdef int receive(exchange, buffer, Py_ssize_t size, now) except -1
cdef object next_event(exchange, now)
cdef list take_outgoing(exchange)
cdef Py_ssize_t send_whole(exchange, int context_id, request, tuple pieces, token, now) except -1
cdef int respond(exchange, int context_id, request, status, now) except -1
cdef bint has_begun(exchange) except -1
cdef bint is_closing(exchange) except -1
cdef bint may_send(exchange) except -1
