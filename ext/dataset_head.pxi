# The head of a file as it should be (PS3.10 7.1), found at once; everything else is for `aiodicom.part10.head`.

cdef dict known_syntaxes = {}         # encoded UIDs to UIDs, padding removed


def plain_head(data):
    """Where the data set begins in the bytes of a file, and its transfer syntax; None for any file that isn't in order.

    In order: preamble, prefix, group 0002 in explicit VR with the length that it states, Transfer Syntax UID, and no more
    of group 0002 behind.
    """
    cdef const uint8_t[::1] view = data
    cdef const uint8_t* p
    cdef Cursor cursor
    cdef Element element
    cdef uint32_t length = 0
    cdef uint64_t end
    cdef bytes encoded
    if view.shape[0] < 144 or memcmp(&view[128], b"DICM\x02\x00\x00\x00UL\x04\x00", 12):
        return None
    p = &view[0]
    end = 144 + <uint64_t>load32(p + 140, False)
    if end > <uint64_t>view.shape[0] or (end + 2 <= <uint64_t>view.shape[0] and load16(p + end, False) == 2):
        return None
    cursor.data = p
    cursor.pos = 144
    cursor.end = end
    cursor.big = False
    encoded = None
    while cursor.pos < end:
        if (read_header(&cursor, False, &element, &length) != DONE or element.tag >> 16 != 2 or element.flags
                or length > end - cursor.pos - element.header):
            return None
        cursor.pos += element.header
        if element.tag == 0x00020010 and length <= 128:
            encoded = p[cursor.pos:cursor.pos + length]
        cursor.pos += length
    if not encoded:
        return None
    uid = known_syntaxes.get(encoded)
    if uid is None:
        uid = encoded.decode("latin-1").strip("\0 ")
        if len(known_syntaxes) < 256:
            known_syntaxes[encoded] = uid
    return (end, uid) if uid else None
