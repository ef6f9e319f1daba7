"""UIDs (PS3.5 9) as they arrive in every command set: whether they are such."""

from libc.stdint cimport uint8_t

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    const uint8_t* PyUnicode_1BYTE_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

cdef enum:
    #: The longest UID, and the shortest that has two components.
    LONGEST = 64
    SHORTEST = 3


def is_valid_uid(uid):
    """Whether ``uid`` obeys PS3.5 9.1: an <org root>.<suffix> of at most 64 characters, whose components are digits
    without leading zeros. The padding of an element's value must have been stripped.

    Raises `TypeError` for what is no string.
    """
    cdef const uint8_t* p
    cdef Py_ssize_t length, k
    cdef Py_ssize_t start = 0  # of the present component
    if not isinstance(uid, str):
        raise TypeError(f"a UID is a string, not {type(uid).__name__}")
    length = PyUnicode_GET_LENGTH(uid)
    if not SHORTEST <= length <= LONGEST or not PyUnicode_IS_ASCII(uid):
        return False
    p = PyUnicode_1BYTE_DATA(uid)
    for k in range(length):
        if p[k] == c".":
            if k == start:
                return False
            start = k + 1
        elif not c"0" <= p[k] <= c"9" or (k > start and p[start] == c"0"):
            return False
    return 0 < start < length
