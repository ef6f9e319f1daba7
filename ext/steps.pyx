"""The first steps of a coroutine, without the exception by which Python tells of its end."""

from asyncio import current_task
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
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1


def take_first_steps(loop, task, context, coroutine):
    """Runs `coroutine` in `context`, as if by `task`, until it ends or waits; whether it has ended, and its result or what it
    waits for.

    Raises what the coroutine raises.
    """
    cdef PyObject* value = NULL
    cdef PySendResult outcome
    outer = None
    try:
        _enter_task(loop, task)
    except RuntimeError:  # another task runs
        outer = current_task(loop)
        _leave_task(loop, outer)
        _enter_task(loop, task)
    try:
        PyContext_Enter(context)
        try:
            outcome = PyIter_Send(coroutine, None, &value)
        finally:
            PyContext_Exit(context)
    finally:
        _leave_task(loop, task)
        if outer is not None:
            _enter_task(loop, outer)
    result = <object> value
    Py_DECREF(result)  # the reference that PyIter_Send gave; `result` has its own
    return outcome == PYGEN_RETURN, result
