# Values that a program sets: brought into the type that decoding would have given them, and their bytes.

cdef inline bint is_buffer(value):
    return isinstance(value, (bytes, bytearray, memoryview))


cdef object normalised(uint16_t code, value):
    """A value that a program sets, in the type that decoding would have given it."""
    cdef uint8_t kind = info_of(code).kind
    cdef Py_ssize_t count
    if code == VR_SQ:
        return value if type(value) is Sequence else Sequence(value if value is not None else ())
    if value is None:
        return None
    if kind == KIND_BYTES or code == VR_OB_OR_OW:
        return buffer_value(value)
    if kind == KIND_UNKNOWN and isinstance(value, str):
        raise TypeError("the value is to be integers or bytes, not str")
    if hasattr(value, "tolist") and not isinstance(value, memoryview):
        value = value.tolist()  # numpy's arrays and numbers
    if isinstance(value, str):
        if kind <= KIND_TEXT or kind == KIND_NAME:
            if "\\" in value:
                return [one_normalised(kind, one) for one in (<str>value).split("\\")]
        return one_normalised(kind, value) if value or KIND_DECIMAL > kind or kind > KIND_INTEGER else None
    if kind == KIND_TAG and isinstance(value, tuple) and len(value) == 2:
        group, number = value
        if isinstance(group, int) and isinstance(number, int) and group <= 0xFFFF and number <= 0xFFFF:
            return to_tag(value)
    if isinstance(value, (list, tuple)) or (hasattr(value, "__iter__") and not is_buffer(value)
                                            and kind != KIND_NAME and kind != KIND_UNKNOWN):
        value = [one_normalised(kind, one) for one in value]
        count = len(value)
        return value if count > 1 else value[0] if count else None
    return one_normalised(kind, value)


cdef object buffer_value(value):
    if is_buffer(value):
        return value
    if hasattr(value, "tobytes"):
        return value.tobytes()
    if isinstance(value, (list, tuple)) and not value:
        return None
    raise TypeError(f"the value is to be bytes, not {type(value).__name__}")


cdef object one_normalised(uint8_t kind, value):
    cdef bytes encoded
    if kind == KIND_UNKNOWN:
        return value
    if kind == KIND_DECIMAL or kind == KIND_INTEGER:
        if type(value) is DS and kind == KIND_DECIMAL:
            return value
        if value is None or isinstance(value, str):
            encoded = b"" if value is None else (<str>value).strip(" \0").encode("latin-1")
            return (decimal_value if kind == KIND_DECIMAL else integer_value)(
                <const uint8_t*>PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded)
            )
        if kind == KIND_DECIMAL:
            from decimal import Decimal

            # The number is from then on what its 16 characters say.
            return DS(str(value) if isinstance(value, (Decimal, int)) else decimal_text(value))
        if value != int(value):
            raise ValueError(f"an IS cannot be {value}")
        return IS(int(value))
    if KIND_U16 <= kind <= KIND_F64:
        if is_buffer(value):
            return bytes(value)
        if kind >= KIND_F32:
            return float(value)
        if not hasattr(value, "__index__"):
            raise TypeError(f"the value is to be an integer, not {type(value).__name__}")
        return value.__index__()
    if kind == KIND_TAG:
        return bytes(value) if is_buffer(value) else Tag(tag_of(value))
    if kind == KIND_NAME:
        return value if type(value) is PersonName else PersonName(str(value))
    if not isinstance(value, str):
        if kind == KIND_DATE and hasattr(value, "strftime"):
            return DA(value.strftime("%Y%m%d"))
        if kind == KIND_TIME and hasattr(value, "hour"):
            return TM(value.strftime("%H%M%S.%f" if value.microsecond else "%H%M%S"))
        if kind == KIND_DATETIME and hasattr(value, "hour"):
            return DT(value.strftime("%Y%m%d%H%M%S.%f%z" if value.microsecond else "%Y%m%d%H%M%S%z"))
        raise TypeError(f"the value is to be text, not {type(value).__name__}")
    if kind == KIND_UID:
        return value if type(value) is UID else UID(value)
    if kind == KIND_DATE:
        return value if type(value) is DA else DA(value)
    if kind == KIND_TIME:
        return value if type(value) is TM else TM(value)
    if kind == KIND_DATETIME:
        return value if type(value) is DT else DT(value)
    return value


cdef bytes encode_text(str text, uint16_t code, bytes target_charset, bint lossless):
    global charset
    if text.isascii() or not info_of(code).text:
        return text.encode("latin-1")
    if charset is None:
        from aiodicom.dataset import charset as module
        charset = module
    encodings = encodings_of(target_charset)
    if code == VR_PN:
        return charset.encode_person_name(text, encodings, lossless=lossless)
    return charset.encode_text(text, encodings, vr_name(code), lossless=lossless)


cdef long checked(value, long low, long high) except? -1:
    cdef long number = value
    if not low <= number <= high:
        raise OverflowError(f"{number} is not from {low} to {high}")
    return number


cdef int store_number(uint8_t kind, uint8_t* p, value, bint big) except -1:
    cdef float single
    cdef double number
    cdef uint32_t bits32
    cdef uint64_t bits64
    if kind == KIND_U16:
        store16(p, <uint16_t>checked(value, 0, 0xFFFF), big)
    elif kind == KIND_S16:
        store16(p, <uint16_t>checked(value, -0x8000, 0x7FFF), big)
    elif kind == KIND_U32:
        store32(p, <uint32_t>value, big)
    elif kind == KIND_S32:
        store32(p, <uint32_t><int32_t>value, big)
    elif kind == KIND_U64:
        store64(p, <uint64_t>value, big)
    elif kind == KIND_S64:
        store64(p, <uint64_t><int64_t>value, big)
    elif kind == KIND_F32:
        number = value
        single = <float>number
        memcpy(&bits32, &single, 4)
        store32(p, bits32, big)
    elif kind == KIND_F64:
        number = value
        memcpy(&bits64, &number, 8)
        store64(p, bits64, big)
    else:
        store_tag(p, <uint32_t>value, big)
    return 0


cdef bytes encode_numbers(const VrInfo* info, value, bint big):
    cdef Py_ssize_t i, size = 4 if info.kind == KIND_TAG else info.word
    cdef list several = value if type(value) is list else [value]
    cdef bytes result = PyBytes_FromStringAndSize(NULL, size * len(several))
    cdef uint8_t* p = <uint8_t*>PyBytes_AS_STRING(result)
    for i in range(len(several)):
        store_number(info.kind, p + i * size, several[i], big)
    return result


cdef bytes encode_value(uint16_t code, value, bytes target_charset, bint big, bint lossless):
    """The bytes of a value, of even length; of buffers too. `lossless`: text that the character set lacks is a ValueError."""
    cdef const VrInfo* info = info_of(code)
    cdef bytes result
    cdef bytes turned
    if value is None:
        return b""
    if is_buffer(value):
        result = value if type(value) is bytes else bytes(value)
        if big and info.word > 1:
            turned = PyBytes_FromStringAndSize(NULL, len(result))
            swap_words(<uint8_t*>PyBytes_AS_STRING(turned), <const uint8_t*>PyBytes_AS_STRING(result), len(result),
                       info.word)
            result = turned
    elif KIND_TAG <= info.kind <= KIND_F64:
        return b"" if value == "" else encode_numbers(info, value, big)
    elif type(value) is list:
        result = encode_text("\\".join([written(one) for one in value]), code, target_charset, lossless)
    else:
        result = encode_text(written(value), code, target_charset, lossless)
    if len(result) & 1:
        result += b"\0" if info.kind == KIND_UID or info.kind == KIND_BYTES or is_buffer(value) else b" "
    return result


cdef str written(value):
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, (DS, IS)):
        return value.text
    if isinstance(value, float):
        return decimal_text(value)
    if isinstance(value, int):
        return str(value)
    if value is None:
        return ""
    raise TypeError(f"the value is to be text, not {type(value).__name__}")
