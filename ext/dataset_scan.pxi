# Finding where elements begin and end (PS3.5 7.1, 7.5, A.4): plain C over a bounds-checked cursor, no Python object, no
# recursion, no memory but the index itself.

cdef enum:
    UNDEFINED = 0xFFFFFFFF
    TAG_ITEM = 0xFFFEE000
    TAG_ITEM_END = 0xFFFEE00D
    TAG_SEQUENCE_END = 0xFFFEE0DD
    GREATEST_DEPTH = 512      # what `max_depth` may ask for

cdef enum Flag:
    FLAG_UNDEFINED = 1        # undefined length
    FLAG_IMPLICIT = 2         # its header is in implicit VR
    FLAG_CLIPPED = 4          # the data ends inside
    FLAG_OPEN = 8             # undefined length, and no delimitation item closes it
    FLAG_IRREGULAR = 16       # not as PS3.5 has it: never copied into what is encoded anew
    FLAG_DEFERRED = 32        # the value is not in the buffer; `offset` counts in the file

cdef enum Outcome:
    DONE = 0
    CUT                       # the data ends first
    OVERRUN                   # a length goes past the item or sequence that holds the element
    TOO_DEEP
    TOO_MANY
    NO_MEMORY
    NOT_STANDARD              # only where the standard is enforced
    NOT_AN_ITEM

# 24 bytes an element. A data set holds them in tag order.
cdef struct Element:
    uint64_t offset           # of the value
    uint64_t length           # of the value, delimitation item not counted
    uint32_t tag
    uint16_t vr               # VR_NONE where the encoding has none
    uint8_t flags
    uint8_t header            # bytes of tag, VR and length

# A value that was left in its file: `at` is where it would begin in the buffer, `offset` where it begins in the file.
cdef struct Hole:
    uint64_t at
    uint64_t offset
    uint64_t length           # of the value
    uint64_t skipped          # bytes of the file that the buffer lacks: the value, and its delimitation item

cdef struct Index:
    Element* elements
    size_t count
    size_t space
    uint8_t flags             # of all elements together
    bint ordered              # elements came in strictly ascending order
    size_t least              # elements that there is room for at first
    const Hole* holes         # what the buffer lacks, in order
    size_t holes_left
    uint64_t stop             # where reading stopped
    uint64_t fault            # where it went wrong
    uint32_t fault_tag
    const char* why


cdef inline uint64_t element_end(const Element* element) noexcept nogil:
    cdef bint closed = (element.flags & (FLAG_UNDEFINED | FLAG_OPEN)) == FLAG_UNDEFINED
    return element.offset + element.length + (8 if closed else 0)


cdef inline const VrInfo* info_of(uint16_t vr) noexcept nogil:
    cdef int place = vr_index(vr)
    return &VR_INFO[place] if place >= 0 else &VR_INFO[0]  # "AA" is no VR


cdef int read_header(const Cursor* cursor, bint implicit, Element* element, uint32_t* length) noexcept nogil:
    """Tag, VR and stated length of the element at the cursor, which stays where it is."""
    cdef const uint8_t* p = peek(cursor, 8)
    cdef const VrInfo* info
    if p == NULL:
        return CUT
    element.tag = load_tag(p, cursor.big)
    element.flags = 0
    element.vr = VR_NONE
    element.header = 8
    if implicit or element.tag >> 16 == 0xFFFE:
        length[0] = load32(p + 4, cursor.big)
        return DONE
    element.vr = <uint16_t>((p[4] << 8) | p[5])
    info = info_of(element.vr)
    if info.kind == KIND_UNKNOWN:
        return read_odd_header(cursor, element, length)
    if not info.long_form:
        length[0] = load16(p + 6, cursor.big)
        return DONE
    p = peek(cursor, 12)
    if p == NULL:
        return CUT
    element.header = 12
    length[0] = load32(p + 8, cursor.big)
    return DONE


cdef int read_odd_header(const Cursor* cursor, Element* element, uint32_t* length) noexcept nogil:
    """A header with something else where the VR should be: a VR of the future, an implicit element, or plain rubbish.

    The reading is taken whose length stays inside; VRs to come have the long form (PS3.5 7.1.2).
    """
    cdef uint64_t left = cursor.end - cursor.pos
    cdef const uint8_t* p = cursor.data + cursor.pos
    cdef uint32_t implicit_length = load32(p + 4, cursor.big)
    cdef uint32_t short_length = load16(p + 6, cursor.big)
    cdef bint letters = vr_index(element.vr) >= 0
    element.flags = FLAG_IRREGULAR
    if letters and left >= 12 and short_length == 0:
        length[0] = load32(p + 8, cursor.big)
        if length[0] == UNDEFINED or length[0] <= left - 12:
            element.header = 12
            return DONE
    if not letters and (implicit_length == UNDEFINED or implicit_length <= left - 8):
        element.vr = VR_NONE
        element.flags = FLAG_IRREGULAR | FLAG_IMPLICIT
        length[0] = implicit_length
        return DONE
    length[0] = short_length
    return DONE


cdef int skip_undefined(Cursor* cursor, bint implicit, int max_depth, int depth, uint64_t* length, bint* closed,
                        bint strict) noexcept nogil:
    """Moves the cursor behind a value of undefined length: items, fragments, and what is nested in them.

    Items and sequences of defined length are passed over, so that only the open ones need remembering: two bits each.
    Delimiters in the wrong place are taken for what they must have meant unless `strict`.
    """
    cdef uint8_t[2 * GREATEST_DEPTH + 4] stack  # bit 0: an item (else a sequence), bit 1: implicit VR
    cdef int top = 0
    cdef uint64_t start = cursor.pos
    cdef const uint8_t* p
    cdef Element element
    cdef uint32_t tag, size
    cdef int outcome
    closed[0] = True
    stack[0] = 2 if implicit else 0
    while True:
        p = peek(cursor, 8)
        if p == NULL:
            length[0] = cursor.end - start
            closed[0] = False
            return CUT
        tag = load_tag(p, cursor.big)
        if not stack[top] & 1:
            size = load32(p + 4, cursor.big)
            if tag == TAG_ITEM:
                cursor.pos += 8
                if size == UNDEFINED:
                    top += 1
                    stack[top] = stack[top - 1] | 1
                elif size <= cursor.end - cursor.pos:
                    cursor.pos += size
                else:
                    length[0] = cursor.end - start
                    closed[0] = False
                    return CUT
                continue
            if tag == TAG_SEQUENCE_END:
                cursor.pos += 8
            elif strict:
                return NOT_STANDARD
            elif tag == TAG_ITEM_END:
                cursor.pos += 8
                continue
            elif top == 0:
                closed[0] = False
                length[0] = cursor.pos - start
                return DONE
            if top == 0:
                length[0] = cursor.pos - 8 - start
                return DONE
            top -= 1
            continue
        if tag == TAG_ITEM_END:
            cursor.pos += 8
            top -= 1
            continue
        if tag == TAG_SEQUENCE_END or tag == TAG_ITEM:
            if strict:
                return NOT_STANDARD
            top -= 1
            continue
        outcome = read_header(cursor, stack[top] & 2, &element, &size)
        if outcome == DONE and size != UNDEFINED and size > cursor.end - cursor.pos - element.header:
            outcome = CUT
        if outcome == CUT:
            length[0] = cursor.end - start
            closed[0] = False
            return CUT
        cursor.pos += element.header
        if size != UNDEFINED:
            cursor.pos += size
            continue
        if depth + (top + 3) // 2 > max_depth:
            return TOO_DEEP
        top += 1
        # PS3.5 6.2.2: UN of undefined length holds a sequence in implicit VR little endian.
        stack[top] = 2 if (element.vr == VR_NONE or element.vr == VR_UN) else 0


cdef inline bint only_zeros(const uint8_t* p, uint64_t size) noexcept nogil:
    cdef uint64_t i
    for i in range(size):
        if p[i]:
            return False
    return True


cdef int add_element(Index* index, const Element* element) noexcept nogil:
    cdef Element* grown
    cdef size_t space
    if index.count == index.space:
        space = index.space * 2 if index.space else index.least
        grown = <Element*>realloc(index.elements, space * sizeof(Element))
        if grown == NULL:
            return NO_MEMORY
        index.elements = grown
        index.space = space
    index.elements[index.count] = element[0]
    index.count += 1
    return DONE


cdef inline bint is_behind(uint32_t tag, uint32_t stop_before) noexcept nogil:
    return tag >= stop_before and stop_before != UNDEFINED and tag >> 16 != 0xFFFE


cdef int stop_with(Index* index, int outcome, uint64_t at, uint32_t tag, const char* why) noexcept nogil:
    index.fault = at
    index.fault_tag = tag
    index.why = why
    return outcome


cdef inline uint64_t unit_of(const VrInfo* info) noexcept nogil:
    """Bytes that the length of a value is a multiple of (PS3.5 6.2)."""
    return 4 if info.kind == KIND_TAG else max(info.word, 1)


cdef const char* forbidden_header(const Cursor* cursor, const Element* element, uint32_t length) noexcept nogil:
    """What the standard forbids about the header of the element at the cursor; NULL where it is in order."""
    cdef const uint8_t* p = cursor.data + cursor.pos
    if element.flags & FLAG_IRREGULAR:
        return b"the VR is none of PS3.5 6.2"
    if element.tag >> 16 == 0 or element.tag >> 16 == 2:
        return b"the element is one of a command or of file meta information (PS3.7 6.3, PS3.10 7.1)"
    if element.header == 12 and (p[6] or p[7]):
        return b"the reserved bytes are not zero (PS3.5 7.1.2)"
    if length != UNDEFINED and length % unit_of(info_of(element.vr)):
        return b"the length is no multiple of what the VR demands (PS3.5 6.2)"
    return NULL


cdef int build_index(Index* index, Cursor* cursor, bint implicit, uint32_t stop_before, bint to_the_end, bint strict,
                     int max_depth, int depth, size_t max_elements) noexcept nogil:
    """Indexes the elements between the cursor and its end.

    `to_the_end`: the data itself ends where the cursor does, so that a length which goes past it means truncated data,
    and what is there is indexed; anywhere else it is an error.
    """
    cdef Element element
    cdef uint32_t length, last = 0
    cdef uint64_t at, left, zeros_end = 0
    cdef int outcome
    cdef bint closed
    cdef const char* why
    index.ordered = True
    while cursor.pos < cursor.end:
        at = cursor.pos
        outcome = read_header(cursor, implicit, &element, &length)
        if outcome == CUT:
            if not strict and only_zeros(cursor.data + at, cursor.end - at):
                break
            index.stop = at
            return stop_with(index, CUT if to_the_end else OVERRUN, at, 0, b"the data ends inside an element's header")
        if is_behind(element.tag, stop_before):
            break
        if element.tag == 0 and not strict and at >= zeros_end:
            zeros_end = at
            while zeros_end < cursor.end and not cursor.data[zeros_end]:
                zeros_end += 1
            if zeros_end == cursor.end:
                break
        if element.tag >> 16 == 0xFFFE:
            # A delimiter where none belongs, such as after a data set or in an item of defined length.
            if strict:
                return stop_with(index, NOT_STANDARD, at, element.tag, b"a delimiter outside a sequence")
            cursor.pos += 8
            index.ordered = False
            continue
        if strict:
            why = forbidden_header(cursor, &element, length)
            if why != NULL:
                return stop_with(index, NOT_STANDARD, at, element.tag, why)
        if index.count >= max_elements:
            return stop_with(index, TOO_MANY, at, element.tag, NULL)
        if implicit:
            element.flags |= FLAG_IMPLICIT
        cursor.pos += element.header
        element.offset = cursor.pos
        left = cursor.end - cursor.pos
        outcome = DONE
        if index.holes_left and index.holes.at == cursor.pos:
            element.flags |= FLAG_DEFERRED
            if length == UNDEFINED:
                element.flags |= FLAG_UNDEFINED
            element.offset = index.holes.offset
            element.length = index.holes.length
            index.holes += 1
            index.holes_left -= 1
        elif length == UNDEFINED:
            element.flags |= FLAG_UNDEFINED
            if depth >= max_depth:
                return stop_with(index, TOO_DEEP, at, element.tag, b"sequences are nested too deeply")
            outcome = skip_undefined(cursor, implicit or element.vr == VR_NONE or element.vr == VR_UN, max_depth, depth,
                                     &element.length, &closed, strict)
            if outcome == TOO_DEEP:
                return stop_with(index, TOO_DEEP, cursor.pos, element.tag, b"sequences are nested too deeply")
            if outcome == NOT_STANDARD:
                return stop_with(index, NOT_STANDARD, cursor.pos, element.tag, b"a delimiter is wrong")
            if not closed:
                element.flags |= FLAG_OPEN | FLAG_IRREGULAR
            if outcome == CUT:
                cursor.pos = cursor.end
                element.flags |= FLAG_CLIPPED
        elif length > left:
            outcome = CUT
            element.length = left
            element.flags |= FLAG_CLIPPED | FLAG_IRREGULAR
            cursor.pos = cursor.end
        else:
            element.length = length
            cursor.pos += length
            if length & 1:
                if strict:
                    return stop_with(index, NOT_STANDARD, at, element.tag, b"the length is odd")
                element.flags |= FLAG_IRREGULAR
        if outcome == CUT and not to_the_end:
            return stop_with(index, OVERRUN, at, element.tag, b"the element goes past the end of what holds it")
        if element.tag <= last and index.count:
            if strict:
                return stop_with(index, NOT_STANDARD, at, element.tag, b"elements are not in ascending order")
            index.ordered = False
        last = element.tag
        index.flags |= element.flags
        if add_element(index, &element) != DONE:
            return NO_MEMORY
        if outcome == CUT:
            index.stop = cursor.end
            return stop_with(index, CUT, at, element.tag, b"the data ends inside an element")
    index.stop = cursor.pos
    return DONE


cdef int skip_element(Cursor* cursor, bint implicit, int max_depth, Element* element, uint32_t* length) noexcept nogil:
    """Moves the cursor behind a whole element; where that is not there, CUT, and the cursor stays."""
    cdef uint64_t start = cursor.pos
    cdef bint closed
    cdef int outcome = read_header(cursor, implicit, element, length)
    if outcome != DONE:
        return outcome
    cursor.pos += element.header
    if element.tag >> 16 == 0xFFFE:
        return DONE
    if length[0] == UNDEFINED:
        outcome = skip_undefined(cursor, implicit or element.vr == VR_NONE or element.vr == VR_UN, max_depth, 0,
                                 &element.length, &closed, False)
    elif length[0] > cursor.end - cursor.pos:
        outcome = CUT
    else:
        cursor.pos += length[0]
    if outcome != DONE:
        cursor.pos = start
    return outcome


cdef int by_tag(const void* a, const void* b) noexcept nogil:
    cdef const Element* x = <const Element*>a
    cdef const Element* y = <const Element*>b
    if x.tag != y.tag:
        return -1 if x.tag < y.tag else 1
    return -1 if x.offset < y.offset else 1


cdef void sort_index(Index* index) noexcept nogil:
    """Brings elements into tag order; of several with one tag the last counts."""
    cdef size_t i, kept = 0
    if index.count < 2:
        return
    qsort(index.elements, index.count, sizeof(Element), by_tag)
    for i in range(index.count):
        if i + 1 < index.count and index.elements[i + 1].tag == index.elements[i].tag:
            continue
        index.elements[kept] = index.elements[i]
        kept += 1
    index.count = kept


cdef int index_in_order(Index* index, Cursor* cursor, bint implicit, uint32_t stop_before, bint to_the_end, bint strict,
                        int max_depth, int depth, size_t max_elements) noexcept nogil:
    """What `build_index` does, with the elements in the order of their tags."""
    cdef int outcome = build_index(
        index, cursor, implicit, stop_before, to_the_end, strict, max_depth, depth, max_elements
    )
    if not index.ordered and outcome <= CUT:
        sort_index(index)
    return outcome



cdef inline const Element* find_element(const Element* elements, size_t count, uint32_t tag) noexcept nogil:
    cdef size_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) >> 1
        if elements[middle].tag < tag:
            low = middle + 1
        else:
            high = middle
    if low < count and elements[low].tag == tag:
        return &elements[low]
    return NULL


cdef int next_item(Cursor* cursor, bint implicit, int max_depth, int depth, bint strict, uint64_t* start,
                   uint64_t* length, bint* undefined, bint* open_ended) noexcept nogil:
    """The next item of a sequence: 1 with its place, 0 at the end; else a negative Outcome."""
    cdef const uint8_t* p
    cdef uint32_t tag, size
    open_ended[0] = False
    while True:
        if cursor.pos == cursor.end:
            return 0
        p = peek(cursor, 8)
        if p == NULL:
            return 0 if only_zeros(cursor.data + cursor.pos, cursor.end - cursor.pos) else -CUT
        tag = load_tag(p, cursor.big)
        size = load32(p + 4, cursor.big)
        if tag == TAG_ITEM:
            break
        if strict and tag >> 16 != 0xFFFE:
            return -NOT_AN_ITEM
        if tag == TAG_SEQUENCE_END or tag == 0:
            return 0
        if tag != TAG_ITEM_END:
            return -NOT_AN_ITEM
        cursor.pos += 8
    cursor.pos += 8
    start[0] = cursor.pos
    undefined[0] = size == UNDEFINED
    if size != UNDEFINED:
        length[0] = size
        if size > cursor.end - cursor.pos:
            length[0] = cursor.end - cursor.pos
            open_ended[0] = True
            cursor.pos = cursor.end
            return 1
        cursor.pos += size
        return 1
    return end_of_item(cursor, implicit, max_depth, depth, strict, length, open_ended)


cdef int end_of_item(Cursor* cursor, bint implicit, int max_depth, int depth, bint strict, uint64_t* length,
                     bint* open_ended) noexcept nogil:
    """Moves the cursor behind an item of undefined length whose content it stands at."""
    cdef uint64_t start = cursor.pos, inner
    cdef const uint8_t* p
    cdef uint32_t tag, size
    cdef Element element
    cdef bint closed
    cdef int outcome
    while True:
        p = peek(cursor, 8)
        if p == NULL:
            if cursor.pos == cursor.end and not strict:
                length[0] = cursor.pos - start  # the sequence's end closes it too
                return 1
            cursor.pos = cursor.end
            break
        tag = load_tag(p, cursor.big)
        if tag == TAG_ITEM_END:
            length[0] = cursor.pos - start
            cursor.pos += 8
            return 1
        if tag == TAG_ITEM or tag == TAG_SEQUENCE_END:
            length[0] = cursor.pos - start
            return 1
        outcome = read_header(cursor, implicit, &element, &size)
        if outcome == CUT or (size != UNDEFINED and size > cursor.end - cursor.pos - element.header):
            cursor.pos = cursor.end
            break
        cursor.pos += element.header
        if size != UNDEFINED:
            cursor.pos += size
            continue
        outcome = skip_undefined(cursor, implicit or element.vr == VR_NONE or element.vr == VR_UN, max_depth, depth,
                                 &inner, &closed, strict)
        if outcome == CUT:
            cursor.pos = cursor.end
            break
        if outcome != DONE:
            return -outcome
    length[0] = cursor.end - start
    open_ended[0] = True
    return 1
