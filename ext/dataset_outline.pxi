# Data sets in files: what to read so that long values may stay where they are.

def outline(read, uint64_t start, uint64_t size, bint implicit, bint big, uint64_t defer_size, int max_depth,
            uint32_t stop_before, size_t window):
    """What to decode of a data set in a file without the long values: (bytes, holes).

    `read(offset, length)` gives bytes of the file, `size` is the file's. Each hole is (place in the bytes, offset in
    the file, length of the value, bytes of the file left out). Sequences are read whole, whatever their size; nothing
    is read past `stop_before`.
    """
    cdef Cursor cursor
    cdef Element element
    cdef uint32_t length = 0
    cdef uint64_t position = start, wanted = window, inside
    cdef bytes chunk
    cdef int outcome
    cdef bint plain
    cdef list parts = [], holes = []
    cdef uint64_t gathered = 0
    if not 0 < max_depth <= GREATEST_DEPTH:
        raise ValueError(f"max_depth is to be from 1 to {GREATEST_DEPTH}")
    cursor.big = big
    element.tag = 0
    while position < size:
        chunk = read(position, min(wanted, size - position))
        cursor.data = <const uint8_t*>PyBytes_AS_STRING(chunk)
        cursor.pos = 0
        cursor.end = PyBytes_GET_SIZE(chunk)
        outcome = DONE
        with nogil:
            while outcome == DONE and cursor.pos < cursor.end:
                outcome = skip_element(&cursor, implicit, max_depth, &element, &length)
                if is_behind(element.tag, stop_before):
                    break
        if cursor.end and outcome <= CUT and is_behind(element.tag, stop_before):
            parts.append(chunk)
            break
        inside = cursor.pos
        if outcome == DONE or position + cursor.end >= size or outcome > CUT:
            if outcome != DONE and outcome <= CUT and position + cursor.end >= size:
                inside = cursor.end
            elif outcome > CUT:
                inside = cursor.end
                if position + inside < size:
                    chunk = read(position, size - position)
                    inside = PyBytes_GET_SIZE(chunk)
            parts.append(chunk[:inside])
            gathered += inside
            position += inside
            wanted = window
            continue
        # The chunk ends inside an element.
        if read_header(&cursor, implicit, &element, &length) == DONE:
            plain = element.vr != VR_SQ and not (
                (element.vr == VR_NONE or element.vr == VR_UN) and standard_vr(element.tag) == VR_SQ
            )
            extent = None
            if length == UNDEFINED:
                if element.vr == VR_OB or element.vr == VR_OW or element.tag == 0x7FE00010:
                    extent = fragments_extent(read, position + inside + element.header, size, big)
            elif plain and length > defer_size and length <= size - position - inside - element.header:
                extent = (length, length)
            if extent is not None and extent[0] > defer_size:
                inside += element.header
                parts.append(chunk[:inside])
                gathered += inside
                holes.append((gathered, position + inside, extent[0], extent[1]))
                position += inside + <uint64_t>extent[1]
                wanted = window
                continue
            if length != UNDEFINED:
                wanted = element.header + <uint64_t>length
        parts.append(chunk[:inside])
        gathered += inside
        position += inside
        wanted = max(wanted, 2 * window) if inside else 2 * wanted
    return b"".join(parts), holes


cdef tuple fragments_extent(read, uint64_t position, uint64_t size, bint big):
    """The length of encapsulated Pixel Data in a file, and that with its delimiter; None where it is malformed."""
    cdef uint64_t start = position
    cdef bytes chunk
    cdef uint32_t tag, length
    while size - position >= 8:
        chunk = read(position, 8)
        if len(chunk) < 8:
            return None
        tag = load_tag(<const uint8_t*>PyBytes_AS_STRING(chunk), big)
        length = load32(<const uint8_t*>PyBytes_AS_STRING(chunk) + 4, big)
        position += 8
        if tag == TAG_SEQUENCE_END:
            return position - 8 - start, position - start
        if tag != TAG_ITEM or length > size - position:
            return None
        position += length
    return None
