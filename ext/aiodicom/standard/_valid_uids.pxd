"""What other compiled modules call without a look at the names of Python."""

cdef bint is_uid(uid) except -1
