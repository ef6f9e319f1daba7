"""What values (`aiodicom.values`) have in common: they are made, compared, hashed, shown and pickled by their fields."""

from cpython.object cimport (
    Py_EQ, PyObject_GetAttr, PyObject_RichCompareBool, descrsetfunc,
)
from dataclasses import MISSING, FrozenInstanceError, fields

cdef extern from "Python.h":
    ctypedef struct TypeObject "PyTypeObject":
        descrsetfunc tp_descr_set
    TypeObject* Py_TYPE(object)


cdef class Layout:
    """The fields of a class of values.

    Invariant: `slots` and `defaults` run over `names`, in the order of the arguments.
    """

    cdef tuple names
    #: The descriptors of the slots: what fills them although values are frozen.
    cdef tuple slots
    cdef tuple defaults
    cdef tuple compared
    cdef tuple shown
    cdef bint is_checked

    def __cinit__(self, type cls, tuple known):
        self.names = tuple([field.name for field in known])
        self.slots = tuple([getattr(cls, name) for name in self.names])
        for name, slot in zip(self.names, self.slots):
            if Py_TYPE(slot).tp_descr_set == NULL:
                raise TypeError(f"{cls.__name__}.{name} is hidden by what a class between has by this name")
        self.defaults = tuple([field.default for field in known])
        self.compared = tuple([field.name for field in known if field.compare])
        self.shown = tuple([field.name for field in known if field.repr])
        self.is_checked = hasattr(cls, "__post_init__")

    cdef object wrong(self, type cls, tuple given, dict named):
        """The error of a call with other arguments than there are fields."""
        name = cls.__name__
        if len(given) > len(self.names):
            return TypeError(f"{name}() takes {len(self.names)} arguments, but {len(given)} were given")
        for argument in named:
            if argument not in self.names:
                return TypeError(f"{name}() has no argument {argument!r}")
            if argument in self.names[:len(given)]:
                return TypeError(f"{name}() got argument {argument!r} twice")
        rest = list(zip(self.names, self.defaults))[len(given):]
        missing = [each for each, default in rest if default is MISSING and each not in named]
        return TypeError(f"{name}() is missing {', '.join(missing)}")


class Signature:
    """The `__signature__` of each class, which is made when somebody asks for it."""

    def __get__(self, value, cls):
        if cls.__init__ is not Value.__init__:
            raise AttributeError(f"{cls.__name__} has arguments of its own")
        import inspect

        place = inspect.Parameter.POSITIONAL_OR_KEYWORD
        none = inspect.Parameter.empty
        return inspect.Signature([
            inspect.Parameter(
                field.name, place, default=none if field.default is MISSING else field.default, annotation=field.type
            )
            for field in fields(cls)
        ])


cdef class Value:
    """An object that is what its fields are, and that does not change."""

    __signature__ = Signature()
    #: Of a class that names no fields.
    __layout__ = Layout(object, ())

    def __init__(self, *args, **kwargs):
        cdef Layout layout = PyObject_GetAttr(type(self), "__layout__")
        cdef Py_ssize_t k, given = len(args), count = len(layout.names)
        cdef Py_ssize_t named = len(kwargs)
        if given > count:
            raise layout.wrong(type(self), args, kwargs)
        for k in range(count):
            if k < given:
                value = args[k]
            else:
                value = layout.defaults[k]
                if named:
                    name = layout.names[k]
                    if name in kwargs:
                        value = kwargs[name]
                        named -= 1
                if value is MISSING:
                    raise layout.wrong(type(self), args, kwargs)
            slot = layout.slots[k]
            (<descrsetfunc> Py_TYPE(slot).tp_descr_set)(slot, self, value)
        if named:
            raise layout.wrong(type(self), args, kwargs)
        if layout.is_checked:
            self.__post_init__()

    def __setattr__(self, name, value):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other):
        cdef Layout layout
        if type(other) is not type(self):
            return NotImplemented
        layout = PyObject_GetAttr(type(self), "__layout__")
        for name in layout.compared:
            if not PyObject_RichCompareBool(PyObject_GetAttr(self, name), PyObject_GetAttr(other, name), Py_EQ):
                return False
        return True

    def __hash__(self):
        cdef Layout layout = PyObject_GetAttr(type(self), "__layout__")
        return hash(tuple([PyObject_GetAttr(self, name) for name in layout.compared]))

    def __repr__(self):
        cdef Layout layout = PyObject_GetAttr(type(self), "__layout__")
        values = [f"{name}={PyObject_GetAttr(self, name)!r}" for name in layout.shown]
        return f"{type(self).__qualname__}({', '.join(values)})"

    def __reduce__(self):
        cdef Layout layout = PyObject_GetAttr(type(self), "__layout__")
        return type(self), tuple([PyObject_GetAttr(self, name) for name in layout.names])
