# Messages to P-DATA-TF PDUs (PS3.8 9.3.5), for the module that includes this.

def fragment_size(uint32_t maximum_length):
    """The most bytes of a message that go into one PDU for a peer that receives `maximum_length` (0: any), an even number.

    PS3.8 D.1: the maximum counts the presentation data values with their own headers; E.1: fragments are even but for the last.
    """
    cdef uint32_t length = maximum_length if 0 < maximum_length < UNLIMITED_LENGTH else UNLIMITED_LENGTH
    if length < HEADER + 2:
        raise PduError(INVALID_PARAMETER, f"a maximum length of {maximum_length} leaves no room for data")
    return (length - HEADER) & ~<uint32_t> 1


cdef void put_headers(uint8_t* p, uint32_t size, int context_id, int flags) noexcept:
    p[0] = P_DATA_TF
    p[1] = 0
    put_u32(p + 2, size + HEADER)
    put_u32(p + 6, size + 2)
    p[10] = context_id
    p[11] = flags


cpdef bytes encode_command(int context_id, bytes command, Py_ssize_t fragment):
    """Returns the P-DATA-TF PDUs that carry a command set, in fragments of at most `fragment` bytes."""
    cdef Py_ssize_t size = len(command)
    cdef Py_ssize_t count = (size + fragment - 1) // fragment
    cdef Py_ssize_t offset = 0
    cdef Py_ssize_t piece
    cdef const uint8_t* source = <const uint8_t*> PyBytes_AS_STRING(command)
    encoded = PyBytes_FromStringAndSize(NULL, size + 2 * HEADER * count)
    cdef uint8_t* p = <uint8_t*> PyBytes_AS_STRING(encoded)
    while offset < size:
        piece = min(fragment, size - offset)
        put_headers(p, piece, context_id, IS_COMMAND | (IS_LAST if offset + piece == size else 0))
        memcpy(p + 2 * HEADER, source + offset, piece)
        p += 2 * HEADER + piece
        offset += piece
    return encoded


def encode_data(int context_id, data, Py_ssize_t fragment, bint last):
    """Returns buffers that, written in order, are the P-DATA-TF PDUs of data set bytes; `data` is sliced, not copied, and not
    looked at where it `is_deferred`.

    `last` says that these bytes end the data set. Unless they do, their number must be even, and should be a multiple of
    `fragment`, an even number. What ends in an odd number, as a deflated data set may, gets the zero byte of PS3.5 A.5: fragments are even (PS3.8 E.1).
    """
    cdef Py_ssize_t offset = 0
    cdef Py_ssize_t piece
    cdef bint odd, deferred
    # To ask bytes or a view for what they have not costs more than all this.
    deferred = type(data) is not bytes and type(data) is not memoryview and getattr(data, "is_deferred", False)
    view = data if deferred else memoryview(data)
    cdef Py_ssize_t size = view.nbytes
    cdef list buffers = []
    while True:
        piece = min(fragment, size - offset)
        odd = piece & 1
        header = PyBytes_FromStringAndSize(NULL, 2 * HEADER)
        put_headers(
            <uint8_t*> PyBytes_AS_STRING(header), piece + odd, context_id, IS_LAST if last and offset + piece == size else 0
        )
        buffers.append(header)
        if piece:
            buffers.append(view if piece == size else view[offset : offset + piece])
        if odd:
            buffers.append(b"\0")
        offset += piece
        if offset >= size:
            return buffers


cpdef object join_data(int context_id, bytes before, data, Py_ssize_t fragment):
    """Returns `before` and the P-DATA-TF PDU of a whole data set behind it in one piece, to be written at once with many more;
    None for a data set that is too long for that, or odd.
    """
    cdef Py_buffer view
    if type(data) is bytes:
        return joined_data(context_id, before, <const uint8_t*> PyBytes_AS_STRING(data), len(<bytes> data), fragment)
    if len(data) > JOINED:
        return None
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return joined_data(context_id, before, <const uint8_t*> view.buf, view.len, fragment)
    finally:
        PyBuffer_Release(&view)


cdef object joined_data(int context_id, bytes before, const uint8_t* data, Py_ssize_t size, Py_ssize_t fragment):
    cdef Py_ssize_t ahead = len(before)
    if size > JOINED or size > fragment or size & 1:
        return None
    joined = PyBytes_FromStringAndSize(NULL, ahead + 2 * HEADER + size)
    cdef uint8_t* p = <uint8_t*> PyBytes_AS_STRING(joined)
    memcpy(p, PyBytes_AS_STRING(before), ahead)
    put_headers(p + ahead, size, context_id, IS_LAST)
    memcpy(p + ahead + 2 * HEADER, data, size)
    return joined
