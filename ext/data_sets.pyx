"""Data sets of messages, on their way from and to the peer: gathered, decoded and encoded.

What encodes and decodes them is imported when it is first needed: who only echoes does without.
"""

from aiodicom.ul._pdu cimport new_body

from aiodicom.errors import LocalError
from aiodicom.standard.uids import uid_name

CHUNK = MOST_AT_ONCE

cdef object data_set_type = None
cdef object encode_message = None
cdef object decode_message = None


cdef int prepare() except -1:
    global data_set_type, encode_message, decode_message
    from aiodicom.dataset import Dataset, _dataset

    data_set_type, encode_message, decode_message = Dataset, _dataset.encode_message, _dataset.decode_message
    return 0


def decode_data_set(data, transfer_syntax, bint is_whole=False):
    """Returns the data set that `data` encode. Raises `DecodeError` for what is none; one that ends too early says so, unless it
    has to be whole.
    """
    return decode(data, transfer_syntax, is_whole)


cdef object decode(data, transfer_syntax, bint is_whole):
    if decode_message is None:
        prepare()
    return decode_message(data, transfer_syntax, is_whole)


def encode_data_set(data_set, transfer_syntax):
    """The encoded data set, ours or pydicom's, whose pixel data, if it has any, are as the transfer syntax demands.

    Raises `DecodeError` for one that was cut off, `LocalError` for what cannot be encoded, TypeError for what is none.
    """
    return encode(data_set, transfer_syntax)


cdef bytes encode(data_set, transfer_syntax):
    if encode_message is None:
        prepare()
    if not isinstance(data_set, data_set_type):
        from aiodicom.dataset.interop import ours

        data_set = ours(data_set)
    try:
        return encode_message(data_set, transfer_syntax)
    except (TypeError, ValueError) as error:
        raise LocalError(f"cannot be encoded in {uid_name(transfer_syntax)}: {error}") from error


def gathering(request, Py_ssize_t above, spill, *, bint unread=False):
    """Returns a sink that gathers the data set of `request` in memory, and past `above` bytes, or when the server's budget
    has no more, in the sink that `spill` makes. `unread`: as of `Body`.

    After a data set larger than that the next is taken to be so too, and not gathered: to move what has been gathered
    holds up everybody for as long as it takes.
    """
    association = request.association
    return gather(request.expected_body_size, above, spill, association.budget, association.transport.turns, unread)


cdef object gather(Py_ssize_t expected, Py_ssize_t above, spill, budget, turns, bint unread):
    if expected > above:
        above = expected = 0
    return new_body(above, spill, expected, budget, unread, turns)


cdef class EncodedDataSet:
    """An encoded data set in memory: the compiled half of `aiodicom.net.sources.EncodedIdentifier`."""

    cdef readonly bytes data
    #: Bytes that it has.
    cdef public Py_ssize_t size

    def __cinit__(self, bytes data not None):
        self.data = data
        self.size = len(data)

    def at_once(self):
        """Returns the data set as one piece, unless it is too large to be written at once."""
        return (self.data,) if self.size <= MOST_AT_ONCE else None
