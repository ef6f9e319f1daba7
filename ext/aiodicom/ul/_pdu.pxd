"""What other compiled modules call without a look at the names of Python."""


cdef class ReceivedMessage:
    cdef readonly int context_id
    cdef readonly object message
    cdef readonly object body


# The methods and properties of a `Receiver`, which `receiver` has to be.

cdef int lend(receiver, buffer, Py_ssize_t size) except -1
cdef object next_event(receiver)
cdef bint is_incomplete(receiver) noexcept

cpdef bytes encode_command(int context_id, bytes command, Py_ssize_t fragment)
