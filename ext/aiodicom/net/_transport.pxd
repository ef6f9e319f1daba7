"""What other compiled modules call without a look at the names of Python: the methods of a `BufferedTransport`. They raise
TypeError for anything else.
"""

cdef int flush(transport) except -1
cdef int flush_soon(transport, Py_ssize_t size) except -1
