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
    return is_uid(uid)


cdef bint is_uid(uid) except -1:
    cdef const uint8_t* p
    cdef const uint8_t* end
    cdef const uint8_t* start  # of the present component
    cdef int components = 0
    cdef Py_ssize_t length
    if not isinstance(uid, str):
        raise TypeError(f"a UID is a string, not {type(uid).__name__}")
    length = PyUnicode_GET_LENGTH(uid)
    if not SHORTEST <= length <= LONGEST or not PyUnicode_IS_ASCII(uid):
        return False
    p = PyUnicode_1BYTE_DATA(uid)
    end = p + length
    while True:
        start = p
        while <uint8_t> (p[0] - c"0") < 10:  # as the NUL behind the last is not
            p += 1
        if p == start or (start[0] == c"0" and p - start > 1):
            return False
        components += 1
        if p == end:
            return components > 1
        if p[0] != c".":
            return False
        p += 1
