"""What other compiled modules call without a look at the names of Python."""


cdef class ReceivedMessage:
    cdef readonly int context_id
    cdef readonly object message
    cdef readonly object body


# The methods and properties of a `Receiver`; they raise TypeError for anything else.

cdef int lend(receiver, buffer, Py_ssize_t size) except -1
cdef object next_event(receiver)
cdef bint is_incomplete(receiver) except -1

cpdef bytes encode_command(int context_id, bytes command, Py_ssize_t fragment)
cpdef object join_data(int context_id, bytes before, data, Py_ssize_t fragment)

# Whether this is a `Body` whose data set has been gathered in memory.
cdef bint is_in_memory(sink) except -1

# `Body(limit, spill, expected, budget, unread=unread, others=others)`.
cdef object new_body(Py_ssize_t limit, spill, Py_ssize_t expected, budget, bint unread, others)
