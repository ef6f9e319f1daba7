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


cdef int believe_first(const uint8_t* data, uint64_t size, uint64_t whole, bint* implicit, bint* big) except -1:
    """Believes the first element rather than the label where the two cannot both be right."""
    cdef Cursor cursor
    cdef Element element
    cdef uint32_t length, tag, turned
    cdef uint64_t left
    cdef const uint8_t* p
    cursor.data = data
    cursor.pos = 0
    cursor.end = size
    cursor.big = big[0]
    p = peek(&cursor, 8)
    if p == NULL:
        return 0
    tag = load_tag(p, big[0])
    turned = load_tag(p, not big[0])
    if tag >> 16 > 0xFF and not (tag >> 16) & 0xFF and turned >> 16 <= 0x20 and vr_index((p[4] << 8) | p[5]) >= 0:
        big[0] = not big[0]
        implicit[0] = False  # with VR letters in their place
        return 0
    left = whole - 8
    length = load32(p + 4, big[0])
    if info_of(<uint16_t>((p[4] << 8) | p[5])).kind == KIND_UNKNOWN:
        if not implicit[0] and vr_index((p[4] << 8) | p[5]) < 0 and not big[0]:
            implicit[0] = (length == UNDEFINED or length <= left) and standard_vr(tag) != VR_NONE
    elif implicit[0]:
        if (read_header(&cursor, False, &element, &turned) == DONE and turned != UNDEFINED
                and turned <= left + 8 - element.header):
            implicit[0] = length <= left and element.vr != standard_vr(element.tag)
    return 0


def found_encoding(bytes data not None, bint implicit, bint big):
    """Implicit VR and big endian as the first element, in `data`, has it, and as its label does where both may be."""
    believe_first(<const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), UNDEFINED, &implicit, &big)
    return bool(implicit), bool(big)
