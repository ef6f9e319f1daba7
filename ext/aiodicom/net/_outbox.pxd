"""What other compiled modules call without a look at the names of Python: the methods of a `WholeMessages`. They raise TypeError for
anything else.
"""

cdef int send_request(outbox, context_id, build, token, tuple pieces) except -1
cdef int send_status(outbox, context_id, request, status) except -1
