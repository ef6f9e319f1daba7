"""What other compiled modules call without a look at the names of Python: the methods of a `BufferedTransport`, which `transport` has
to be.
"""

cdef int flush(transport) except -1
cdef int flush_soon(transport, Py_ssize_t size) except -1
