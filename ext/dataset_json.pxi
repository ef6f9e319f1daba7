# The DICOM JSON model (PS3.18 F.2) straight from the encoded elements; what was changed goes by way of its Python value.
# `aiodicom.dataset.json` has the same in Python, for all that needs asking the caller; tests hold the two together.

cdef extern from "Python.h":
    char* PyOS_double_to_string(double value, char code, int precision, int flags, int* kind) except NULL
    void PyMem_Free(void* pointer)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    str PyUnicode_DecodeUTF8(const char* p, Py_ssize_t size, const char* errors)
    int Py_DTSF_ADD_DOT_0

cdef struct Json:
    # UTF-8 that grows; `data` is freed by whoever made it.
    uint8_t* data
    size_t used
    size_t room
    bint inline
    int depth

cdef const char* HEX_DIGITS = "0123456789ABCDEF"
cdef uint8_t[8192] BASE64_PAIRS       # two letters for each twelve bits


cdef void make_base64_pairs() noexcept:
    cdef const char* letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    cdef int bits
    for bits in range(4096):
        BASE64_PAIRS[2 * bits] = letters[bits >> 6]
        BASE64_PAIRS[2 * bits + 1] = letters[bits & 63]


make_base64_pairs()


def json_text(Core data_set not None, bint inline):
    """The data set as a DICOM JSON Model object; binary values in it, or left out."""
    cdef Json json
    memset(&json, 0, sizeof(json))
    json.inline = inline
    try:
        json_data_set(&json, data_set)
        return PyUnicode_DecodeUTF8(<const char*>json.data, json.used, NULL)
    finally:
        free(json.data)


cdef uint8_t* json_room(Json* json, size_t size) except NULL:
    """Room for `size` more bytes; the caller adds to `used` what it fills."""
    cdef uint8_t* grown
    cdef size_t room
    if json.room - json.used < size:
        room = json.room * 2 if json.room else 4096
        while room - json.used < size:
            room *= 2
        grown = <uint8_t*>realloc(json.data, room)
        if grown == NULL:
            raise MemoryError
        json.data = grown
        json.room = room
    return json.data + json.used


cdef inline int json_put(Json* json, const void* p, size_t size) except -1:
    memcpy(json_room(json, size), p, size)
    json.used += size
    return 0


cdef inline void hex_tag(uint8_t* target, uint32_t tag) noexcept nogil:
    cdef int i
    for i in range(8):
        target[i] = HEX_DIGITS[(tag >> (28 - 4 * i)) & 15]


cdef int json_data_set(Json* json, Core data_set) except -1:
    cdef size_t i
    cdef DataElement element
    cdef bint first = True
    # A program may have put a data set into itself.
    if json.depth > GREATEST_DEPTH:
        raise ValueError("sequences are nested too deeply")
    json.depth += 1
    data_set.ensure()
    json_put(json, b"{", 1)
    if not data_set.overlay:
        for i in range(data_set.count):
            json_element(json, data_set, &data_set.elements[i], i == 0)
    else:
        for element in iterate(data_set):
            if element.element != NULL:
                json_element(json, data_set, element.element, first)
            else:
                json_head(json, element.number, element.vr_now(), first)
                json_value(json, element.vr_now(), element.own)
            first = False
    json.depth -= 1
    json_put(json, b"}", 1)
    return 0


cdef int json_head(Json* json, uint32_t tag, uint16_t vr, bint first) except -1:
    cdef uint8_t* target = json_room(json, 24)
    if not first:
        target[0] = c","
        target += 1
        json.used += 1
    memcpy(target, b'"        ":{"vr":"  "', 21)
    hex_tag(target + 1, tag)
    target[18] = <uint8_t>(vr >> 8)
    target[19] = <uint8_t>vr
    json.used += 21
    return 0


cdef int json_element(Json* json, Core data_set, const Element* element, bint first) except -1:
    cdef uint16_t vr = data_set.vr_of(element)
    cdef bytes held
    cdef bint big
    json_head(json, element.tag, vr, first)
    if data_set.cache is not None and element.tag in data_set.cache:
        return json_value(json, vr, data_set.cache[element.tag])
    if vr == VR_SQ:
        return json_value(json, vr, items_of(data_set, element))
    big = data_set.big and element.vr != VR_UN
    if element.flags & FLAG_DEFERRED:
        if not json.inline and info_of(vr).kind == KIND_BYTES:
            return json_put(json, b"}", 1)
        held = bytes(data_set.raw_of(element))
        json_raw(json, data_set, vr, <const uint8_t*>PyBytes_AS_STRING(held), PyBytes_GET_SIZE(held), big)
    else:
        json_raw(json, data_set, vr, data_set.source.data + element.offset, <Py_ssize_t>element.length, big)
    return json_put(json, b"}", 1)


# Encoded values

cdef int json_raw(Json* json, Core data_set, uint16_t vr, const uint8_t* p, Py_ssize_t n, bint big) except -1:
    cdef const VrInfo* info = info_of(vr)
    cdef uint8_t kind = info.kind
    if n == 0:
        return 0
    if kind == KIND_BYTES or kind == KIND_UNKNOWN:
        return json_binary(json, info, p, n, big)
    if KIND_TAG <= kind <= KIND_F64:
        return json_numbers(json, info, p, n, big)
    if kind == KIND_NAME or kind == KIND_TEXT or kind == KIND_LONG_TEXT:
        if not plain_ascii(p, n):
            return json_characters(json, data_set, kind, vr, p[:n])
    while n and (p[n - 1] == 0x20 or p[n - 1] == 0):
        n -= 1
    return json_texts(json, kind, p, n, True)


cdef int json_binary(Json* json, const VrInfo* info, const uint8_t* p, Py_ssize_t n, bint big) except -1:
    cdef bytes turned
    if not json.inline or n == 0:
        return 0
    json_put(json, b',"InlineBinary":"', 17)
    if big and info.word > 1:
        turned = ordered_bytes(info, p, n, big)
        p = <const uint8_t*>PyBytes_AS_STRING(turned)
        json_base64(json, p, n)
    else:
        json_base64(json, p, n)
    return json_put(json, b'"', 1)


cdef int json_base64(Json* json, const uint8_t* p, Py_ssize_t n) except -1:
    cdef uint8_t* target = json_room(json, <size_t>(n + 2) // 3 * 4)
    cdef Py_ssize_t i = 0
    cdef uint32_t bits
    while i + 3 <= n:
        bits = (<uint32_t>p[i] << 16) | (<uint32_t>p[i + 1] << 8) | p[i + 2]
        memcpy(target, BASE64_PAIRS + 2 * (bits >> 12), 2)
        memcpy(target + 2, BASE64_PAIRS + 2 * (bits & 4095), 2)
        target += 4
        i += 3
    if i < n:
        bits = <uint32_t>p[i] << 16
        if n - i == 2:
            bits |= <uint32_t>p[i + 1] << 8
        memcpy(target, BASE64_PAIRS + 2 * (bits >> 12), 2)
        memcpy(target + 2, BASE64_PAIRS + 2 * (bits & 4095), 2)
        if n - i == 1:
            target[2] = c"="
        target[3] = c"="
    json.used += <size_t>(n + 2) // 3 * 4
    return 0


cdef int json_numbers(Json* json, const VrInfo* info, const uint8_t* p, Py_ssize_t n, bint big) except -1:
    cdef Py_ssize_t i, size = 4 if info.kind == KIND_TAG else info.word
    cdef int64_t number
    if n % size:
        return json_binary(json, info, p, n, False)
    json_put(json, b',"Value":[', 10)
    for i in range(n // size):
        if i:
            json_put(json, b",", 1)
        if info.kind == KIND_U16:
            json_integer(json, load16(p + i * 2, big), False)
        elif info.kind == KIND_S16:
            json_signed(json, <int16_t>load16(p + i * 2, big))
        elif info.kind == KIND_U32:
            json_integer(json, load32(p + i * 4, big), False)
        elif info.kind == KIND_S32:
            json_signed(json, <int32_t>load32(p + i * 4, big))
        elif info.kind == KIND_U64:
            json_integer(json, load64(p + i * 8, big), False)
        elif info.kind == KIND_S64:
            number = <int64_t>load64(p + i * 8, big)
            json_signed(json, number)
        elif info.kind == KIND_TAG:
            json_tag(json, load_tag(p + i * 4, big))
        else:
            json_double(json, number_at(info.kind, p + i * size, big))
    return json_put(json, b"]", 1)


cdef int json_tag(Json* json, uint32_t tag) except -1:
    cdef uint8_t* target = json_room(json, 10)
    target[0] = target[9] = c'"'
    hex_tag(target + 1, tag)
    json.used += 10
    return 0


cdef int json_signed(Json* json, int64_t number) except -1:
    if number < 0:
        return json_integer(json, <uint64_t>0 - <uint64_t>number, True)
    return json_integer(json, <uint64_t>number, False)


cdef int json_integer(Json* json, uint64_t number, bint negative) except -1:
    cdef uint8_t[24] digits
    cdef int at = 24
    while True:
        at -= 1
        digits[at] = <uint8_t>(48 + number % 10)
        number //= 10
        if not number:
            break
    if negative:
        at -= 1
        digits[at] = c"-"
    return json_put(json, &digits[at], 24 - at)


cdef int json_double(Json* json, double number) except -1:
    cdef char* text
    if number != number:
        return json_put(json, b'"NaN"', 5)
    if number - number != 0:
        return json_put(json, b'"inf"', 5) if number > 0 else json_put(json, b'"-inf"', 6)
    text = PyOS_double_to_string(number, c"r", 0, Py_DTSF_ADD_DOT_0, NULL)
    try:
        return json_put(json, text, strlen(text))
    finally:
        PyMem_Free(text)


cdef int json_characters(Json* json, Core data_set, uint8_t kind, uint16_t vr, bytes raw) except -1:
    """Text beyond ASCII: as UTF-8 it is treated as any other."""
    cdef str text = decode_name(raw, data_set) if kind == KIND_NAME else decode_characters(raw, data_set, vr)
    return json_whole_text(json, kind, text)


cdef int json_whole_text(Json* json, uint8_t kind, str text) except -1:
    cdef Py_ssize_t n
    cdef const uint8_t* p
    cdef bytes encoded
    try:
        p = <const uint8_t*>PyUnicode_AsUTF8AndSize(text, &n)
    except UnicodeEncodeError:
        encoded = text.encode("utf-8", "replace")  # half of a surrogate pair
        p = <const uint8_t*>PyBytes_AS_STRING(encoded)
        n = PyBytes_GET_SIZE(encoded)
    while n and (p[n - 1] == 0x20 or p[n - 1] == 0):
        n -= 1
    return json_texts(json, kind, p, n, False)


cdef int json_texts(Json* json, uint8_t kind, const uint8_t* p, Py_ssize_t n, bint latin1) except -1:
    """All values of a text VR, whose trailing padding is gone: Latin-1 or UTF-8, whose delimiters are the same."""
    cdef const uint8_t* bar = NULL
    cdef size_t before = json.used
    cdef bint something
    if n == 0:
        return 0
    json_put(json, b',"Value":[', 10)
    if kind != KIND_LONG_TEXT and kind != KIND_URI:
        bar = <const uint8_t*>memchr(p, 0x5C, n)
    if bar == NULL:
        something = json_one(json, kind, p, n, latin1)
        if not something:
            json.used = before
            return 0
    while bar != NULL:
        if not json_one(json, kind, p, bar - p, latin1):
            json_put(json, b"null", 4)
        json_put(json, b",", 1)
        n -= bar + 1 - p
        p = bar + 1
        bar = <const uint8_t*>memchr(p, 0x5C, n) if n else NULL
        if bar == NULL and not json_one(json, kind, p, n, latin1):
            json_put(json, b"null", 4)
    return json_put(json, b"]", 1)


cdef bint json_one(Json* json, uint8_t kind, const uint8_t* p, Py_ssize_t n, bint latin1) except -1:
    """One value without its padding; False, and nothing written, where there is none."""
    if kind == KIND_NAME:
        return json_name(json, p, n, latin1)
    if kind == KIND_CODE or kind == KIND_URI:
        while n and p[n - 1] <= 0x20:
            n -= 1
    else:
        while n and (p[n - 1] == 0x20 or p[n - 1] == 0):
            n -= 1
    if kind == KIND_AE or kind == KIND_DECIMAL or kind == KIND_INTEGER:
        while n and p[0] == 0x20:
            p += 1
            n -= 1
    if n == 0:
        return False
    if kind == KIND_DECIMAL or kind == KIND_INTEGER:
        json_number_text(json, kind, p, n)
    else:
        json_string(json, p, n, latin1)
    return True


cdef bint json_name(Json* json, const uint8_t* p, Py_ssize_t n, bint latin1) except -1:
    """A person's name (PS3.18 F.2.2): its component groups by their names."""
    cdef const uint8_t* end = p + n
    cdef const uint8_t* stop
    cdef const char* label
    cdef int group
    cdef bint something = False
    for group in range(3):
        stop = <const uint8_t*>memchr(p, c"=", end - p) if end > p else NULL
        if stop == NULL:
            stop = end
        if stop > p:
            json_put(json, b"," if something else b"{", 1)
            label = b'"Alphabetic":' if group == 0 else b'"Ideographic":' if group == 1 else b'"Phonetic":'
            json_put(json, label, strlen(label))
            json_string(json, p, stop - p, latin1)
            something = True
        if stop == end:
            break
        p = stop + 1
    if something:
        json_put(json, b"}", 1)
    return something


cdef bint json_literal(const uint8_t* p, Py_ssize_t n, bint integer) noexcept nogil:
    """Whether the text is a number as RFC 8259 section 6 spells it."""
    cdef Py_ssize_t i = 0
    if i < n and p[i] == c"-":
        i += 1
    if i == n or not c"0" <= p[i] <= c"9":
        return False
    if p[i] == c"0":
        i += 1
    else:
        while i < n and c"0" <= p[i] <= c"9":
            i += 1
    if integer:
        return i == n
    if i < n and p[i] == c".":
        i += 1
        if i == n or not c"0" <= p[i] <= c"9":
            return False
        while i < n and c"0" <= p[i] <= c"9":
            i += 1
    if i < n and (p[i] == c"e" or p[i] == c"E"):
        i += 1
        if i < n and (p[i] == c"-" or p[i] == c"+"):
            i += 1
        # More than two digits may be beyond what a double holds.
        if i == n or n - i > 2:
            return False
        while i < n and c"0" <= p[i] <= c"9":
            i += 1
    return i == n and n <= 64


cdef int json_number_text(Json* json, uint8_t kind, const uint8_t* p, Py_ssize_t n) except -1:
    if json_literal(p, n, kind == KIND_INTEGER):
        return json_put(json, p, n)
    return json_object(json, kind, decimal_value(p, n) if kind == KIND_DECIMAL else integer_value(p, n))


cdef int json_string(Json* json, const uint8_t* p, Py_ssize_t n, bint latin1) except -1:
    cdef uint8_t* start = json_room(json, <size_t>n * 6 + 2)
    cdef uint8_t* target = start
    cdef Py_ssize_t i
    cdef uint8_t byte
    target[0] = c'"'
    target += 1
    for i in range(n):
        byte = p[i]
        if byte >= 0x80:
            if latin1:
                target[0] = 0xC0 | (byte >> 6)
                target += 1
                byte = 0x80 | (byte & 0x3F)
        elif byte == c'"' or byte == c"\\":
            target[0] = c"\\"
            target += 1
        elif byte < 0x20:
            memcpy(target, b"\\u00", 4)
            target[4] = HEX_DIGITS[byte >> 4]
            byte = HEX_DIGITS[byte & 15]
            target += 5
        target[0] = byte
        target += 1
    target[0] = c'"'
    json.used += target + 1 - start
    return 0


# Values as Python has them

cdef int json_value(Json* json, uint16_t vr, value) except -1:
    """The rest of an element whose value is a Python object, closing brace included."""
    cdef uint8_t kind = info_of(vr).kind
    cdef const uint8_t[::1] view
    cdef bint first = True
    cdef list values
    cdef Sequence sequence
    cdef Py_ssize_t i
    if vr == VR_SQ:
        sequence = <Sequence>value
        if sequence.items:
            json_put(json, b',"Value":[', 10)
            for i in range(len(sequence.items)):
                if i:
                    json_put(json, b",", 1)
                json_data_set(json, sequence.glance(i))
            json_put(json, b"]", 1)
    elif value is None:
        pass
    elif is_buffer(value):
        if len(value):
            view = memoryview(value).cast("B")
            json_binary(json, info_of(vr), &view[0], view.shape[0], False)
    else:
        values = value if type(value) is list else [value]
        if len(values) != 1 or (values[0] is not None and values[0] != ""):
            json_put(json, b',"Value":[', 10)
            for one in values:
                if not first:
                    json_put(json, b",", 1)
                json_object(json, kind, one)
                first = False
            json_put(json, b"]", 1)
    return json_put(json, b"}", 1)


cdef int json_object(Json* json, uint8_t kind, value) except -1:
    cdef bytes text
    cdef Py_ssize_t n
    cdef const uint8_t* p
    if isinstance(value, DS) and value - value == 0:
        text = (<DS>value).text.encode("latin-1", "replace")
        p = <const uint8_t*>PyBytes_AS_STRING(text)
        if json_literal(p, PyBytes_GET_SIZE(text), False):
            return json_put(json, p, PyBytes_GET_SIZE(text))
        return json_double(json, value)
    if kind == KIND_TAG and isinstance(value, int):
        return json_tag(json, value)
    if isinstance(value, float) and not isinstance(value, DS):
        return json_double(json, value)
    if isinstance(value, int):
        text = int.__repr__(value).encode("ascii")
        return json_put(json, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    text = ("" if value is None else str(value)).encode("utf-8", "replace")
    p = <const uint8_t*>PyBytes_AS_STRING(text)
    n = PyBytes_GET_SIZE(text)
    if (kind == KIND_NAME and json_name(json, p, n, False)) or (kind != KIND_NAME and n and not json_string(json, p, n,
                                                                                                      False)):
        return 0
    return json_put(json, b"null", 4)
