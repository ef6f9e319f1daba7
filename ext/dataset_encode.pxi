# The encoded data set: what nobody touched is copied in ranges, the rest is made anew.

cdef enum Lengths:
    LENGTHS_KEPT = 0
    LENGTHS_EXPLICIT
    LENGTHS_UNDEFINED

cdef enum:
    LONG_PART = 4096          # bytes from which on a range is not copied into a part with others
    SHORT_TEXT = 256          # characters up to which text is copied at once
    FEW_CHANGES = 32          # elements that were set, for which no memory is asked for

cdef struct Target:
    bint implicit
    bint big
    bint encapsulated
    bint checked              # a transfer syntax was named, so Pixel Data must fit it
    bint lossless             # text that the character set lacks is refused, not replaced
    int lengths


cdef str ENCAPSULATED = "Pixel Data is encapsulated, which the transfer syntax forbids"
cdef str NOT_ENCAPSULATED = "Pixel Data is not encapsulated, as the transfer syntax demands"


cdef bytes encode_alone(DataElement element):
    """A value of its own, in little endian and UTF-8, as nothing else is known."""
    cdef Writer writer
    cdef Target target
    if type(element.own) is Sequence:
        memset(&target, 0, sizeof(target))
        memset(&writer, 0, sizeof(writer))
        kept = []
        try:
            encode_items(element.own, &writer, &target, b"ISO_IR 192", -1, kept, 1)
            return joined(&writer)
        finally:
            writer_free(&writer)
    return encode_value(element.vr_now(), element.own, b"ISO_IR 192", False, False)


cdef bytes charset_bytes(Core data_set, bytes outer):
    """The encoded Specific Character Set for encoding a data set; that of what encloses it is `outer`."""
    if data_set.overlay is not None and 0x00080005 in data_set.overlay:
        changed = data_set.overlay[0x00080005]
        if changed is None or (<DataElement>changed).code != VR_CS:
            return outer if outer is not None else b""
        return encode_value(VR_CS, (<DataElement>changed).own, b"", False, False)
    if data_set.source is None or data_set.find(0x00080005) == NULL:
        return outer if outer is not None else b""
    return data_set.encoded_charset()


cdef bytes joined(const Writer* writer):
    cdef bytes result
    if writer.total > <uint64_t>0x7FFFFFFFFFFF:
        raise MemoryError
    result = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>writer.total)
    writer_copy_out(writer, <uint8_t*>PyBytes_AS_STRING(result))
    return result


cdef list parts_of(const Writer* writer, Core data_set):
    """What was written, long ranges of the decoded bytes as views of them."""
    cdef Source source = data_set.source
    cdef const Segment* segment
    cdef Writer between
    cdef size_t i
    cdef list parts = []
    memset(&between, 0, sizeof(between))
    try:
        for i in range(writer.count):
            segment = &writer.segments[i]
            if (source is not None and segment.length >= LONG_PART and source.data <= segment.pointer
                    and segment.pointer < source.data + source.size):
                if between.total:
                    parts.append(joined(&between))
                    between.count = 0
                    between.total = 0
                parts.append(data_set.view_between(segment.pointer - source.data, segment.length))
            elif not writer_borrow(
                &between,
                segment.pointer if segment.pointer != NULL else writer.scratch + segment.offset,
                segment.length,
            ):
                raise MemoryError
        if between.total:
            parts.append(joined(&between))
        return parts
    finally:
        writer_free(&between)


cdef inline int header_size(const Target* target, const VrInfo* info) noexcept nogil:
    return 12 if info.long_form and not target.implicit else 8


cdef inline uint8_t* store_header(uint8_t* p, const Target* target, const VrInfo* info, uint32_t tag, uint16_t code,
                                  uint32_t length) noexcept nogil:
    """Writes the header of an element and returns where its value goes."""
    store_tag(p, tag, target.big)
    if target.implicit:
        store32(p + 4, length, target.big)
        return p + 8
    p[4] = <uint8_t>(code >> 8)
    p[5] = <uint8_t>code
    if info.long_form:
        p[6] = p[7] = 0
        store32(p + 8, length, target.big)
        return p + 12
    store16(p + 6, <uint16_t>length, target.big)
    return p + 8


cdef int put_header(Writer* writer, const Target* target, uint32_t tag, uint16_t code, uint32_t length) except -1:
    cdef const VrInfo* info = info_of(code)
    cdef uint8_t* p = writer_reserve(writer, header_size(target, info))
    if p == NULL:
        raise MemoryError
    store_header(p, target, info, tag, code, length)
    return 0


cdef int put_mark(Writer* writer, const Target* target, uint32_t tag, uint32_t length) except -1:
    """An item or a delimitation item (PS3.5 7.5)."""
    cdef uint8_t* p = writer_reserve(writer, 8)
    if p == NULL:
        raise MemoryError
    store_tag(p, tag, target.big)
    store32(p + 4, length, target.big)
    return 0


cdef int put_borrowed(Writer* writer, const uint8_t* pointer, uint64_t length) except -1:
    if not writer_borrow(writer, pointer, length):
        raise MemoryError
    return 0


cdef int put_bytes(Writer* writer, bytes data, list kept) except -1:
    cdef uint8_t* p
    if PyBytes_GET_SIZE(data) > 256:
        kept.append(data)
        return put_borrowed(writer, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    p = writer_reserve(writer, PyBytes_GET_SIZE(data))
    if p == NULL:
        raise MemoryError
    memcpy(p, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    return 0


cdef uint32_t short_enough(uint64_t length, uint32_t tag) except? 0xFFFFFFFF:
    if length >= UNDEFINED:
        raise ValueError(f"{path_text(None, 0, tag)} has {length} bytes, more than a length field can say")
    return <uint32_t>length


cdef int put_value(Writer* writer, const Target* target, uint32_t tag, uint16_t code, bytes data, list kept) except -1:
    put_header(writer, target, tag, code, short_enough(PyBytes_GET_SIZE(data), tag))
    return put_bytes(writer, data, kept)


cdef inline bint is_short_ascii(const VrInfo* info, value):
    """Whether a value is text that is the same in every character set: nearly all text is, and much of it is set anew."""
    return (KIND_CODE <= info.kind <= KIND_NAME and isinstance(value, str) and PyUnicode_IS_ASCII(value)
            and PyUnicode_GET_LENGTH(value) <= SHORT_TEXT)


cdef int put_short_ascii(Writer* writer, const Target* target, const VrInfo* info, uint32_t tag, uint16_t code,
                         value) except -1:
    """What `encode_value` and `put_value` do with such text, without an object for its bytes."""
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(value)
    cdef Py_ssize_t padded = length + (length & 1)
    cdef uint8_t* p = writer_reserve(writer, header_size(target, info) + padded)
    if p == NULL:
        raise MemoryError
    p = store_header(p, target, info, tag, code, <uint32_t>padded)
    memcpy(p, PyUnicode_1BYTE_DATA(value), length)
    if padded > length:
        p[length] = 0 if info.kind == KIND_UID else 0x20
    return 0


cdef inline bint needs_un(const Target* target, uint16_t code, uint64_t length) noexcept:
    """A length of 64 KiB and more does not fit the short form: the value is written as UN (PS3.5 6.2.2)."""
    return length > 0xFFFF and not target.implicit and not info_of(code).long_form


cdef int encode_sequence(Core data_set, uint32_t tag, Sequence sequence, Writer* writer, const Target* target,
                         bytes outer, list kept, int depth) except -1:
    cdef bint undefined = target.lengths == LENGTHS_UNDEFINED or (
        target.lengths == LENGTHS_KEPT and sequence.is_undefined_length
    )
    cdef uint64_t place, before
    if target.implicit and not undefined and data_set.known_vr(tag) != VR_SQ:
        undefined = True  # else nothing would tell that it is a sequence
    put_header(writer, target, tag, VR_SQ, UNDEFINED if undefined else 0)
    place = writer.used - 4
    before = writer.total
    encode_items(sequence, writer, target, outer, data_set.pixel_representation(), kept, depth)
    if undefined:
        return put_mark(writer, target, TAG_SEQUENCE_END, 0)
    store32(writer.scratch + place, short_enough(writer.total - before, tag), target.big)
    return 0


cdef int encode_items(Sequence sequence, Writer* writer, const Target* target, bytes outer, int representation,
                      list kept, int depth) except -1:
    cdef uint64_t place, before
    cdef bint undefined
    cdef Core item
    cdef Py_ssize_t i
    if depth > GREATEST_DEPTH:
        raise ValueError("sequences are nested too deeply")
    for i in range(len(sequence.items)):
        item = sequence.glance(i)
        if item.source is None:
            item.inherited_representation = representation
        undefined = target.lengths == LENGTHS_UNDEFINED or (target.lengths == LENGTHS_KEPT and item.item_undefined)
        put_mark(writer, target, TAG_ITEM, UNDEFINED if undefined else 0)
        place = writer.used - 4
        before = writer.total
        encode_data_set(item, writer, target, outer, kept, depth)
        if undefined:
            put_mark(writer, target, TAG_ITEM_END, 0)
        else:
            store32(writer.scratch + place, short_enough(writer.total - before, TAG_ITEM), target.big)
    return 0


cdef int encode_own(Core data_set, DataElement element, Writer* writer, const Target* target, bytes own_charset,
                    list kept, int depth) except -1:
    """An element that was set."""
    cdef uint16_t code = element.code
    cdef const VrInfo* info
    if code > VR_LAST_AMBIGUOUS and element.element == NULL:
        info = info_of(code)
        if is_short_ascii(info, element.own):
            return put_short_ascii(writer, target, info, element.number, code, element.own)
    return encode_whatever(data_set, element, writer, target, own_charset, kept, depth)


cdef object cannot_be_encoded(uint32_t tag, uint16_t code, error):
    cdef str named = f"{dictionary.keyword_for_tag(tag) or ''} {path_text(None, 0, tag)}".lstrip()
    return ValueError(f"{named} {vr_name(code)} cannot be encoded: {error}")


cdef int encode_whatever(Core data_set, DataElement element, Writer* writer, const Target* target, bytes own_charset,
                         list kept, int depth) except -1:
    """An element of any VR that was set."""
    cdef uint16_t code
    cdef bytes data
    cdef uint32_t tag = element.number
    cdef bint pixels = tag == 0x7FE00010
    data_set.in_context(element)
    code = element.vr_now()
    if code == VR_SQ:  # whose elements are named by their own errors
        return encode_sequence(data_set, tag, element.own, writer, target, own_charset, kept, depth + 1)
    try:
        if pixels and is_buffer(element.own) and (element.is_undefined_length or target.encapsulated):
            data = encode_value(VR_OB, element.own, own_charset, False, False)
            if data.startswith(b"\xfe\xff\x00\xe0"):
                if target.checked and not target.encapsulated:
                    raise ValueError(ENCAPSULATED)
                put_header(writer, target, tag, VR_OB, UNDEFINED)
                put_bytes(writer, data, kept)
                return put_mark(writer, target, TAG_SEQUENCE_END, 0)
            if not depth:
                raise ValueError(NOT_ENCAPSULATED)
        data = encode_value(code, element.own, own_charset, target.big, target.lossless)
        if needs_un(target, code, PyBytes_GET_SIZE(data)):
            data = encode_value(code, element.own, own_charset, False, target.lossless)
            code = VR_UN
    except (OverflowError, TypeError, UnicodeError, ValueError) as error:
        raise cannot_be_encoded(tag, code, error) from error
    return put_value(writer, target, tag, code, data, kept)


cdef uint64_t whole_fragments(const uint8_t* data, uint64_t size) noexcept:
    """How much of a value that was cut is whole fragments."""
    cdef Cursor cursor
    cdef const uint8_t* p
    cdef uint32_t length
    cursor.data = data
    cursor.pos = 0
    cursor.end = size
    while True:
        p = peek(&cursor, 8)
        if p == NULL or load_tag(p, False) != TAG_ITEM:
            return cursor.pos
        length = load32(p + 4, False)
        if length > cursor.end - cursor.pos - 8:
            return cursor.pos
        cursor.pos += 8 + <uint64_t>length


cdef int encode_encoded(Core data_set, const Element* element, Writer* writer, const Target* target, bytes own_charset,
                        bint recode, list kept, int depth) except -1:
    """An element in the encoding it was decoded from, in another one."""
    cdef uint16_t code = data_set.vr_of(element)
    cdef const VrInfo* info = info_of(code)
    cdef const uint8_t* p
    cdef uint64_t length = element.length
    cdef bint big = data_set.big and element.vr != VR_UN
    cdef bytes data
    cdef uint8_t* fresh
    if code == VR_SQ:
        value = None if data_set.cache is None else data_set.cache.get(element.tag)
        if value is None:
            value = items_of(data_set, element)
        return encode_sequence(data_set, element.tag, value, writer, target, own_charset, kept, depth + 1)
    if element.flags & FLAG_DEFERRED:
        data = bytes(data_set.raw_of(element))
        kept.append(data)
        p = <const uint8_t*>PyBytes_AS_STRING(data)
    else:
        p = data_set.source.data + element.offset
    if element.flags & FLAG_UNDEFINED:
        if target.checked and not target.encapsulated:
            raise ValueError(ENCAPSULATED)
        if element.flags & FLAG_CLIPPED:
            length = whole_fragments(p, length)
        put_header(writer, target, element.tag, code, UNDEFINED)
        put_borrowed(writer, p, length)
        return put_mark(writer, target, TAG_SEQUENCE_END, 0)
    if recode and info.text and not plain_ascii(p, length):
        try:
            data = encode_value(code, decode_value(data_set, code, p, length, False), own_charset, False, target.lossless)
        except ValueError as error:
            raise cannot_be_encoded(element.tag, code, error) from error
        return put_value(writer, target, element.tag, VR_UN if needs_un(target, code, len(data)) else code, data, kept)
    short_enough(length + (length & 1), element.tag)
    if needs_un(target, code, length + (length & 1)):
        put_header(writer, target, element.tag, VR_UN, length + (length & 1))
        if info.word > 1 and big:
            fresh = writer_reserve(writer, length)
            if fresh == NULL:
                raise MemoryError
            swap_words(fresh, p, length, info.word)
        else:
            put_borrowed(writer, p, length)
    else:
        put_header(writer, target, element.tag, code, length + (length & 1))
        if info.word > 1 and big != target.big:
            fresh = writer_reserve(writer, length)
            if fresh == NULL:
                raise MemoryError
            swap_words(fresh, p, length, info.word)
        else:
            put_borrowed(writer, p, length)
    if length & 1:
        fresh = writer_reserve(writer, 1)
        if fresh == NULL:
            raise MemoryError
        fresh[0] = 0x20 if info.kind < KIND_TAG and info.kind != KIND_UID else 0
    return 0


cdef int copy_whole(Core data_set, Writer* writer, list kept) except -1:
    """A data set as it was decoded, with the values that were left in the file."""
    cdef Source source = data_set.source
    cdef uint64_t at = data_set.start
    cdef uint64_t end = data_set.stopped if data_set.stopped_early else data_set.end
    cdef const Hole* hole
    cdef size_t i
    if not data_set.depth:
        for i in range(source.hole_count):
            hole = &source.holes[i]
            if hole.at > end:
                break
            put_borrowed(writer, source.data + at, hole.at - at)
            at = hole.at
            put_bytes(writer, bytes(source.read_deferred(hole.offset, hole.skipped)), kept)
    return put_borrowed(writer, source.data + at, end - at)


cdef bint ends_whole(Core data_set, const Element* element) except -1:
    """Whether the items that the data end with are all there; what is copied in front of something else must be."""
    cdef Sequence items
    while (element_end(element) == data_set.source.size and not element.flags & FLAG_DEFERRED
            and data_set.vr_of(element) == VR_SQ):
        try:
            items = items_of(data_set, element)
            if element.flags & FLAG_IRREGULAR:
                return False
            if not items.items:
                return True
            data_set = items.glance(len(items.items) - 1)
            data_set.ensure()
        except DecodeError:
            return True
        if data_set.trouble is not None:
            return False
        if not data_set.count:
            return True
        element = &data_set.elements[data_set.count - 1]
    return True


cdef struct Change:
    uint32_t tag
    PyObject* element         # a reference of its own to the `DataElement` that was set, or to None where one was deleted


cdef int compare_changes(const void* one, const void* other) noexcept nogil:
    cdef uint32_t left = (<const Change*>one).tag
    cdef uint32_t right = (<const Change*>other).tag
    return (left > right) - (left < right)


cdef void sort_changes(Change* changes, Py_ssize_t count) noexcept:
    """By their tags. A few are sorted in less time than it takes to call a function for each comparison."""
    cdef Py_ssize_t k, at
    cdef Change change
    if count > FEW_CHANGES:
        qsort(changes, count, sizeof(Change), compare_changes)
        return
    for k in range(1, count):
        change = changes[k]
        at = k
        while at and changes[at - 1].tag > change.tag:
            changes[at] = changes[at - 1]
            at -= 1
        changes[at] = change


cdef Change* changes_of(dict overlay, Change* few) except NULL:
    """What was changed in a data set, by ascending tags: in `few`, which has room for `FEW_CHANGES`, or in memory of its own."""
    cdef Change* changes = few
    cdef Py_ssize_t count = 0, place = 0
    cdef PyObject* key
    cdef PyObject* element
    cdef bint ascend = True
    if len(overlay) > FEW_CHANGES:
        changes = <Change*>malloc(len(overlay) * sizeof(Change))
        if changes == NULL:
            raise MemoryError
    while PyDict_Next(overlay, &place, &key, &element):
        changes[count].tag = <object>key
        changes[count].element = element
        Py_INCREF(<object>element)
        ascend = ascend and (count == 0 or changes[count - 1].tag < changes[count].tag)
        count += 1
    if not ascend:
        sort_changes(changes, count)
    return changes


cdef int encode_data_set(Core data_set, Writer* writer, const Target* target, bytes outer, list kept,
                         int depth) except -1:
    cdef bytes own_charset
    cdef bint recode = False, alike = False
    cdef Change few[FEW_CHANGES]
    cdef Change* changes = few
    cdef Py_ssize_t k, count = 0
    data_set.ensure()
    kept.append(data_set.source)
    own_charset = charset_bytes(data_set, outer)
    if data_set.source is not None:
        recode = data_set.encoded_charset() != own_charset
        alike = data_set.implicit == target.implicit and data_set.big == target.big
        if (alike and not recode and target.lengths == LENGTHS_KEPT and not data_set.modified()
                and (not depth or (data_set.tidy and (not data_set.count or ends_whole(
                    data_set, &data_set.elements[data_set.count - 1]))))):
            return copy_whole(data_set, writer, kept)
    if data_set.overlay:
        count = len(data_set.overlay)
        changes = changes_of(data_set.overlay, few)
    try:
        encode_merged(data_set, changes, count, writer, target, own_charset, alike, recode, kept, depth)
    finally:
        for k in range(count):
            Py_DECREF(<object>changes[k].element)
        if changes != few:
            free(changes)
    return 0


cdef int encode_merged(Core data_set, const Change* changes, Py_ssize_t count, Writer* writer, const Target* target,
                       bytes own_charset, bint alike, bint recode, list kept, int depth) except -1:
    """The elements that were changed, and between them those that were decoded."""
    cdef const Change* end = changes + count
    cdef const Element* element
    cdef size_t i = 0
    cdef bint copy
    cdef dict cache = data_set.cache
    cdef uint8_t wanted = FLAG_IMPLICIT if target.implicit else 0
    while True:
        element = &data_set.elements[i] if i < data_set.count else NULL
        if changes < end and (element == NULL or changes.tag <= element.tag):
            if element != NULL and changes.tag == element.tag:
                i += 1
            if changes.element != <PyObject*>None:
                encode_own(data_set, <DataElement>changes.element, writer, target, own_charset, kept, depth)
            changes += 1
            continue
        if element == NULL:
            return 0
        i += 1
        if not element.tag & 0xFFFF and element.tag >> 16 > 2:
            continue  # a group length (PS3.5 7.2): retired, and wrong once something has changed
        copy = alike and (element.flags & (FLAG_IMPLICIT | FLAG_IRREGULAR | FLAG_DEFERRED | FLAG_CLIPPED)) == wanted
        if cache is not None and element.tag in cache:
            value = cache[element.tag]
            if type(value) is Sequence:
                copy = copy and not (<Sequence>value).modified()
            elif data_set.list_changed(element, <list>value):
                encode_own(data_set, new_element(element.tag, data_set.vr_of(element), value), writer, target,
                           own_charset, kept, depth)
                continue
        if copy and (recode or target.lengths != LENGTHS_KEPT):
            # Sequences may hold what must change; so may text under another character set.
            copy = data_set.vr_of(element) != VR_SQ and not (recode and info_of(data_set.vr_of(element)).text)
        if copy and ends_whole(data_set, element):
            put_borrowed(writer, data_set.source.data + element.offset - element.header,
                         element_end(element) - element.offset + element.header)
        else:
            encode_encoded(data_set, element, writer, target, own_charset, recode, kept, depth)


cdef int check_pixels(Core data_set, bint encapsulated) except -1:
    """Refuses decoded Pixel Data in fragments where the transfer syntax has none, and the reverse (PS3.5 A.4)."""
    cdef const Element* element = data_set.find(0x7FE00010)
    if element == NULL or (data_set.overlay is not None and 0x7FE00010 in data_set.overlay):
        return 0
    if element.flags & FLAG_UNDEFINED and not encapsulated:
        raise ValueError(ENCAPSULATED)
    if encapsulated and element.length and not element.flags & FLAG_UNDEFINED:
        raise ValueError(NOT_ENCAPSULATED)
    return 0


def encode(Core data_set not None, bint implicit, bint big, bint encapsulated, bint checked, str lengths,
           bint in_parts=False):
    """The encoded data set as bytes, or as a list of bytes and of views of what was decoded."""
    cdef Writer writer
    cdef Target target
    cdef list kept = []
    memset(&target, 0, sizeof(target))
    target.implicit = implicit
    target.big = big
    target.encapsulated = encapsulated
    target.checked = checked
    if lengths == "kept":
        target.lengths = LENGTHS_KEPT
    elif lengths == "explicit":
        target.lengths = LENGTHS_EXPLICIT
    elif lengths == "undefined":
        target.lengths = LENGTHS_UNDEFINED
    else:
        raise ValueError("sequence lengths are 'kept', 'explicit' or 'undefined'")
    if checked:
        check_pixels(data_set, encapsulated)
    memset(&writer, 0, sizeof(writer))
    try:
        encode_data_set(data_set, &writer, &target, None, kept, 0)
        return parts_of(&writer, data_set) if in_parts else joined(&writer)
    finally:
        writer_free(&writer)
