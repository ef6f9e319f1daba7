"""The first steps of a coroutine: the compiled half of `aiodicom.net.starting`."""

from asyncio import CancelledError, current_task
from asyncio.tasks import _enter_task, _leave_task  # documented from Python 3.12 on

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    # `except? PYGEN_ERROR`: with an exception set, which Cython then raises.
    PySendResult PyIter_Send(object iterator, object value, PyObject** result) except? PYGEN_ERROR
    object PyContext_CopyCurrent()
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1


cdef bint have_same(one, other) except -1:
    """Whether two contexts have the same objects: what is equal now may be changed by who has it."""
    cdef Py_ssize_t count = len(one)
    if count != len(other):
        return False
    if count == 0:
        return True
    for variable, value in one.items():
        if other.get(variable, other) is not value:
            return False
    return True


cdef class Spare:
    """A task that waits for a coroutine to take over.

    Invariants: until it has taken one over, nothing but the first steps of coroutines has run in `context`, which before the latest
    of them was as `original` is.
    """

    def __init__(self, context, loop):
        self.context = context
        self.original = context.copy()
        self.loop = loop

    cdef bint fits(self, context, loop) except -1:
        """Whether it is as good as a new task in this context: a coroutine may have changed its own, or cancelled it."""
        return (
            self.loop is loop
            and have_same(self.context, context)
            and not self.task.cancelling()
            and not self.task.done()
        )

    cdef bint take_first_steps(self, coroutine, PyObject** value) except -1:
        """Runs `coroutine` as if by the task until it ends or waits; whether it has ended, and its result or what it waits for,
        a new reference.

        Raises what the coroutine raises.
        """
        cdef PySendResult outcome
        outer = None
        try:
            _enter_task(self.loop, self.task)
        except RuntimeError:  # another task runs
            outer = current_task(self.loop)
            _leave_task(self.loop, outer)
            _enter_task(self.loop, self.task)
        try:
            PyContext_Enter(self.context)
            try:
                outcome = PyIter_Send(coroutine, None, value)
            finally:
                PyContext_Exit(self.context)
        finally:
            _leave_task(self.loop, self.task)
            if outer is not None:
                _enter_task(self.loop, outer)
        return outcome == PYGEN_RETURN


cdef class FirstSteps:
    """Starts coroutines in the spare task, of which there is one at a time."""

    cpdef object start(self, coroutine, loop, done, subject):
        """Runs the coroutine until it waits and returns its task, or None when it has ended.

        ``done(subject, result, error)`` is called as soon as it has ended, here or by the task, also when that is cancelled;
        not in its context, for what comes next is no affair of the coroutine's.
        """
        cdef PyObject* reached = NULL
        cdef bint has_ended
        cdef Spare spare = self.spare
        context = PyContext_CopyCurrent()
        self.spare = None
        if spare is None or not spare.fits(context, loop):
            spare = self.renew(spare, context, loop)
        else:
            spare.original = context
        try:
            has_ended = spare.take_first_steps(coroutine, &reached)
        except (Exception, CancelledError) as error:
            self.spare = spare
            done(subject, None, error)
            return None
        value = <object> reached
        Py_DECREF(value)  # the reference that came with it; `value` has its own
        if has_ended:
            self.spare = spare
            done(subject, value, None)
            return None
        spare.take_over(coroutine, value, done, subject)
        return spare.task
