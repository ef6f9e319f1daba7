# Values as Python objects (PS3.5 6.2): what the bytes of one element become when somebody asks.

cdef double[23] TENS = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
                              1e17, 1e18, 1e19, 1e20, 1e21, 1e22]


cdef class DS(float):
    """A Decimal String (PS3.5 6.2): a float that keeps its exact text.

    `text` is what stands in the data set without padding; `decimal` its exact value.
    """

    cdef readonly str text

    def __init__(self, value=0.0):
        if isinstance(value, str):
            self.text = value.strip()
        elif isinstance(value, DS):
            self.text = (<DS>value).text
        else:
            self.text = decimal_text(float(value))

    @property
    def original_string(self):
        return self.text

    @property
    def decimal(self):
        from decimal import Decimal

        return Decimal(self.text)

    def __str__(self):
        return self.text

    def __repr__(self):
        return f"'{self.text}'" if self.text else "''"

    def __reduce__(self):
        return DS, (self.text,)


def decimal_text(double value):
    """The most exact text of `value` in the 16 bytes that a DS may have."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"a DS cannot be {value}")
    text = repr(value)
    text = text.removesuffix(".0")
    precision = 16
    while len(text) > 16 or not isfinite(<double>float(text)):  # rounding up may leave what a double can be
        precision -= 1
        text = f"{value:.{precision}g}"
    return text


cdef bint parse_double(const uint8_t* p, Py_ssize_t n, double* out) noexcept:
    """Exact where 15 digits and a power of ten up to 22 say it all; False where the long way must be taken."""
    cdef Py_ssize_t i = 0
    cdef bint negative = False, point = False, negative_power = False
    cdef uint64_t digits = 0
    cdef int used = 0, power = 0, shift = 0, seen = 0
    if n and (p[0] == c"-" or p[0] == c"+"):
        negative = p[0] == c"-"
        i = 1
    while i < n:
        if c"0" <= p[i] <= c"9":
            digits = digits * 10 + (p[i] - c"0")
            seen += 1
            if digits:
                used += 1
            if point:
                shift += 1
            if used > 15:
                return False
        elif p[i] == c"." and not point:
            point = True
        else:
            break
        i += 1
    if not seen:
        return False
    if i < n:
        if p[i] != c"e" and p[i] != c"E":
            return False
        i += 1
        if i < n and (p[i] == c"-" or p[i] == c"+"):
            negative_power = p[i] == c"-"
            i += 1
        if i == n or n - i > 3:
            return False
        while i < n:
            if not c"0" <= p[i] <= c"9":
                return False
            power = power * 10 + (p[i] - c"0")
            i += 1
        if negative_power:
            power = -power
    power -= shift
    if power > 22 or power < -22:
        return False
    out[0] = <double>digits * TENS[power] if power >= 0 else <double>digits / TENS[-power]
    if negative:
        out[0] = -out[0]
    return True


cdef bint plain_ascii(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """No byte that a character set gives another meaning: 7 bits and no escape."""
    cdef Py_ssize_t i
    cdef uint8_t high = 0, escape = 0
    for i in range(n):
        high |= p[i]
        escape |= p[i] == 0x1B
    return high < 0x80 and not escape


cdef inline str latin(const uint8_t* p, Py_ssize_t n):
    return PyUnicode_DecodeLatin1(<const char*>p, n, NULL)


cdef inline object subtype(object cls, object value):
    return (<PyTypeObject*>cls).tp_new(<PyTypeObject*>cls, (value,), NULL)


cdef object decimal_value(const uint8_t* p, Py_ssize_t n):
    cdef double number
    cdef DS value
    cdef str text = latin(p, n)
    if n == 0:
        return ""
    if not parse_double(p, n, &number):
        try:
            if "_" in text:
                return text
            number = float(text)
        except ValueError:
            return text
        if not isfinite(number):
            return text
    value = <DS>DS.__new__(DS, number)
    value.text = text
    return value


cdef object integer_value(const uint8_t* p, Py_ssize_t n):
    """An IS where the text is a number, else the text; a plain `IS` where the text is the number's shortest form."""
    cdef Py_ssize_t i = 0
    cdef int64_t number = 0
    cdef bint negative = False
    cdef str text
    if n == 0:
        return ""
    if p[0] == c"-" and n > 1:
        negative = True
        i = 1
    if n - i <= 18 and (p[i] != c"0" or n == 1):
        while i < n and c"0" <= p[i] <= c"9":
            number = number * 10 + (p[i] - c"0")
            i += 1
        if i == n:
            if negative:
                number = -number
            elif number < 256:
                return SMALL_INTEGERS[number]
            return (<PyTypeObject*>int).tp_new(<PyTypeObject*>IS, (number,), NULL)
    text = latin(p, n)
    try:
        if "_" in text:
            return text
        return IS.from_text(text)
    except ValueError:
        return text


cdef object one_text(uint8_t kind, const uint8_t* p, Py_ssize_t n):
    """One value of a VR in the default repertoire."""
    if kind == KIND_CODE:
        while n and p[n - 1] <= 0x20:
            n -= 1
        return latin(p, n)
    while n and (p[n - 1] == 0x20 or p[n - 1] == 0):
        n -= 1
    if kind == KIND_UID:
        return subtype(UID, latin(p, n))
    if kind == KIND_DATE:
        return subtype(DA, latin(p, n))
    if kind == KIND_TIME:
        return subtype(TM, latin(p, n))
    if kind == KIND_DATETIME:
        return subtype(DT, latin(p, n))
    while n and p[0] == 0x20:
        p += 1
        n -= 1
    if kind == KIND_DECIMAL:
        return decimal_value(p, n)
    if kind == KIND_INTEGER:
        return integer_value(p, n)
    return latin(p, n)


cdef object texts(uint8_t kind, const uint8_t* p, Py_ssize_t n):
    """The value of a VR in the default repertoire, a list where there are several (PS3.5 6.4)."""
    cdef const uint8_t* bar
    cdef list several
    while n and (p[n - 1] == 0x20 or p[n - 1] == 0):
        n -= 1
    bar = <const uint8_t*>memchr(p, 0x5C, n) if n else NULL
    if bar == NULL:
        if n == 0 and (kind == KIND_DECIMAL or kind == KIND_INTEGER):
            return None
        return one_text(kind, p, n)
    several = []
    while bar != NULL:
        several.append(one_text(kind, p, bar - p))
        n -= bar + 1 - p
        p = bar + 1
        bar = <const uint8_t*>memchr(p, 0x5C, n) if n else NULL
    several.append(one_text(kind, p, n))
    return several


cdef object name_values(str text):
    cdef list several
    text = text.rstrip("\0 ")
    if "\\" not in text:
        return name_of(text.rstrip("="))
    several = [name_of(part.rstrip("=")) for part in text.split("\\")]
    return several


cdef object character_values(uint8_t kind, uint16_t vr, const uint8_t* p, Py_ssize_t n, Core data_set):
    """The value of a VR to which Specific Character Set applies (PS3.5 6.1.2.2)."""
    cdef str text
    cdef list several
    if plain_ascii(p, n):
        if kind != KIND_NAME:
            while n and (p[n - 1] == 0x20 or p[n - 1] == 0):
                n -= 1
        text = latin(p, n)
    elif kind == KIND_NAME:
        text = decode_name(p[:n], data_set)
    else:
        text = decode_characters(p[:n], data_set, vr).rstrip("\0 ")
    if kind == KIND_NAME:
        return name_values(text)
    if kind == KIND_LONG_TEXT or "\\" not in text:
        return text
    several = text.split("\\")
    for i in range(len(several)):
        part = <str>several[i]
        if part.endswith((" ", "\0")):
            several[i] = part.rstrip("\0 ")
    return several


cdef inline object number_at(uint8_t kind, const uint8_t* p, bint big):
    cdef uint32_t bits32
    cdef uint64_t bits64
    cdef float single
    cdef double number
    if kind == KIND_U16:
        return load16(p, big)
    if kind == KIND_S16:
        return <int16_t>load16(p, big)
    if kind == KIND_U32:
        return load32(p, big)
    if kind == KIND_S32:
        return <int32_t>load32(p, big)
    if kind == KIND_U64:
        return load64(p, big)
    if kind == KIND_S64:
        return <int64_t>load64(p, big)
    if kind == KIND_F32:
        bits32 = load32(p, big)
        memcpy(&single, &bits32, 4)
        return <double>single
    if kind == KIND_F64:
        bits64 = load64(p, big)
        memcpy(&number, &bits64, 8)
        return number
    return subtype(Tag, load_tag(p, big))


cdef object numbers(const VrInfo* info, const uint8_t* p, Py_ssize_t n, bint big):
    cdef Py_ssize_t i, size = 4 if info.kind == KIND_TAG else info.word
    cdef list several
    if n == size:
        return number_at(info.kind, p, big)
    if n == 0:
        return None
    if n % size:
        return p[:n]  # no numbers: the bytes as they are, as of a UN
    several = []
    for i in range(n // size):
        several.append(number_at(info.kind, p + i * size, big))
    return several


cdef void swap_words(uint8_t* target, const uint8_t* p, Py_ssize_t n, int word) noexcept nogil:
    """Turns the byte order of each word; bytes that make no whole word stay."""
    cdef Py_ssize_t i = 0
    cdef int j
    while i + word <= n:
        for j in range(word):
            target[i + j] = p[i + word - 1 - j]
        i += word
    memcpy(target + i, p + i, n - i)


cdef bytes ordered_bytes(const VrInfo* info, const uint8_t* p, Py_ssize_t n, bint big):
    """The bytes of OB, OW and their like in little endian order, whatever the transfer syntax."""
    cdef bytes result
    if not big or info.word == 1:
        return p[:n]
    result = PyBytes_FromStringAndSize(NULL, n)
    swap_words(<uint8_t*>PyBytes_AS_STRING(result), p, n, info.word)
    return result


cdef object decode_value(Core data_set, uint16_t vr, const uint8_t* p, Py_ssize_t n, bint big):
    """The Python value of the `n` bytes at `p`; sequences have their own way."""
    cdef const VrInfo* info = info_of(vr)
    cdef uint8_t kind = info.kind
    if kind <= KIND_INTEGER and kind:
        return texts(kind, p, n)
    if kind == KIND_NAME or kind == KIND_TEXT or kind == KIND_LONG_TEXT:
        return character_values(kind, vr, p, n, data_set)
    if KIND_TAG <= kind <= KIND_F64:
        return numbers(info, p, n, big)
    if kind == KIND_URI:
        while n and p[n - 1] <= 0x20:
            n -= 1
        return latin(p, n)
    if n == 0:
        return None
    return ordered_bytes(info, p, n, big)


cdef object first_value(Core data_set, uint32_t tag):
    """The first value of an element; None where it is absent, empty or malformed."""
    try:
        value = data_set.decoded_small(tag)
    except (DecodeError, ValueError):
        return None
    if isinstance(value, list):
        value = value[0] if value else None
    return None if isinstance(value, str) and not value else value


cdef str decode_characters(bytes raw, Core data_set, uint16_t vr):
    global charset
    if charset is None:
        from aiodicom.dataset import charset as module
        charset = module
    return charset.decode_text(raw, data_set.repertoires(), VR_NAMES[vr_index(vr)])


cdef str decode_name(bytes raw, Core data_set):
    global charset
    if charset is None:
        from aiodicom.dataset import charset as module
        charset = module
    return charset.decode_person_name(raw, data_set.repertoires())
