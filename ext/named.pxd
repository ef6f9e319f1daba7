# Named tuples, made as plain ones are.

from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_SET_ITEM

cdef extern from "Python.h":
    object PyType_GenericAlloc(PyTypeObject* cls, Py_ssize_t count)


cdef inline object named(cls, tuple fields):
    """`cls(*fields)` of a class made by `NamedTuple`, whose own way goes by two calls of functions."""
    cdef Py_ssize_t k, count = PyTuple_GET_SIZE(fields)
    made = PyType_GenericAlloc(<PyTypeObject*> cls, count)
    for k in range(count):
        field = <object> PyTuple_GET_ITEM(fields, k)
        Py_INCREF(field)  # which the tuple takes for its own
        PyTuple_SET_ITEM(made, k, field)
    return made
