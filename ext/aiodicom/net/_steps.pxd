"""What other compiled modules call without a look at the names of Python."""

from cpython.object cimport PyObject


cdef class Spare:
    cdef readonly object context
    cdef readonly object original
    cdef readonly object loop
    cdef public object task

    cdef bint fits(self, context, loop) except -1
    cdef bint take_first_steps(self, coroutine, PyObject** value) except -1


cdef class FirstSteps:
    cdef public Spare spare

    cpdef object start(self, coroutine, loop, done, subject)
