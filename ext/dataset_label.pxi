# Whether data are encoded as their transfer syntax says, by how they begin: the label is believed unless it makes no sense.

cdef enum:
    BEGINNING = 512           # bytes that are looked at
    LOOKED_AT = 8             # elements among them


cdef int readable(const uint8_t* data, uint64_t size, uint64_t whole, bint big) except -1:
    """How many of the first elements make sense in explicit VR: LOOKED_AT where all do that there are.

    `data` are the first `size` of `whole` bytes.
    """
    cdef Cursor cursor
    cdef Element element
    cdef uint32_t length = 0, last = 0
    cdef int found = 0
    cursor.data = data
    cursor.pos = 0
    cursor.end = size
    cursor.big = big
    while found < LOOKED_AT:
        if cursor.pos == whole:
            return LOOKED_AT
        if (read_header(&cursor, False, &element, &length) != DONE or element.flags
                or (found and element.tag <= last)
                or (length != UNDEFINED and length > whole - cursor.pos - element.header)
                or (not element.tag & 0x10000 and standard_vr(element.tag) == VR_NONE)):
            return found
        found += 1
        last = element.tag
        if length > size - cursor.pos - element.header:
            return found
        cursor.pos += element.header + <uint64_t>length
    return found


cdef int believe_first(const uint8_t* data, uint64_t size, uint64_t whole, bint* implicit, bint* big) except -1:
    """Sets `implicit` and `big`, which are what the label says, to what the data are: the first `size` of `whole` bytes."""
    cdef Cursor cursor
    cdef Element element
    cdef uint32_t length = 0, other, tag
    cdef uint16_t vr
    cdef const uint8_t* p
    cursor.data = data
    cursor.pos = 0
    cursor.end = min(size, <uint64_t>BEGINNING)
    cursor.big = big[0]
    p = peek(&cursor, 8)
    if p == NULL:
        return 0
    tag = load_tag(p, big[0])
    vr = <uint16_t>((p[4] << 8) | p[5])
    if info_of(vr).kind == KIND_UNKNOWN:
        # No explicit VR, unless it is one to come: implicit VR, which is in little endian, where that makes sense.
        if not implicit[0] and vr_index(vr) < 0 and (not big[0] or standard_vr(tag) == VR_NONE):
            length = load32(p + 4, False)
            if (length == UNDEFINED or length <= whole - 8) and standard_vr(load_tag(p, False)) != VR_NONE:
                implicit[0] = True
                big[0] = False
        return 0
    # Data sets begin with groups below 0100H, but for those of some services: (2000,0010) may be one of either order.
    if (tag >> 16 > 0xFF and not (tag >> 16) & 0xFF and standard_vr(load_tag(p, not big[0])) != VR_NONE
            and readable(data, cursor.end, whole, not big[0]) > readable(data, cursor.end, whole, big[0])):
        big[0] = not big[0]
        implicit[0] = False
    elif implicit[0]:
        length = load32(p + 4, False)
        if read_header(&cursor, False, &element, &other) == DONE and other <= whole - element.header:
            implicit[0] = length <= whole - 8 and vr != standard_vr(tag)
    return 0


def found_encoding(const uint8_t[::1] data not None, uint64_t whole, bint implicit, bint big):
    """Implicit VR and big endian as a data set of `whole` bytes, which begins with `data`, has them, and its label says."""
    if data.shape[0]:
        believe_first(&data[0], min(<uint64_t>data.shape[0], whole), whole, &implicit, &big)
    return bool(implicit), bool(big)


def is_native(const uint8_t[::1] data not None):
    """Whether these bytes begin as a data set that is not deflated does."""
    cdef uint64_t whole = data.shape[0]
    cdef uint64_t size = min(whole, <uint64_t>BEGINNING)
    if size < 8:
        return False
    if readable(&data[0], size, whole, False) or readable(&data[0], size, whole, True):
        return True
    return standard_vr(load_tag(&data[0], False)) != VR_NONE and load32(&data[4], False) <= whole - 8
