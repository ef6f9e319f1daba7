"""What other compiled modules call without a look at the names of Python."""

cdef enum:
    #: More bytes than this are not written at once: `CHUNK` for who sends more.
    MOST_AT_ONCE = 1 << 20

cdef object decode(data, transfer_syntax, bint is_whole)
cdef bytes encode(data_set, transfer_syntax)
cdef object gather(Py_ssize_t expected, Py_ssize_t above, spill, budget, turns, bint unread)
