# Named tuples, made as plain ones are.

from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_SET_ITEM

cdef extern from *:
    """
    /* From Python 3.14 on a tuple keeps its hash, and 0 would be one. */
    #if PY_VERSION_HEX >= 0x030E0000
    #define forget_hash(made) (((PyTupleObject*)(made))->ob_hash = -1)
    #else
    #define forget_hash(made) ((void)(made))
    #endif
    """
    void forget_hash(object made)
    object PyType_GenericAlloc(PyTypeObject* cls, Py_ssize_t count)


cdef inline object named(cls, tuple fields):
    """`cls(*fields)` of a class made by `NamedTuple`, whose own way goes by two calls of functions."""
    cdef Py_ssize_t k, count = PyTuple_GET_SIZE(fields)
    made = PyType_GenericAlloc(<PyTypeObject*> cls, count)
    forget_hash(made)
    for k in range(count):
        field = <object> PyTuple_GET_ITEM(fields, k)
        Py_INCREF(field)  # which the tuple takes for its own
        PyTuple_SET_ITEM(made, k, field)
    return made
