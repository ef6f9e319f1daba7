# Whether the character set that a data set names has the characters of its text.

cdef bint has_all(value, bytes target_charset) except -1:
    """Whether the character set has every character of a value that was set."""
    global charset
    if type(value) is list:
        for one in <list>value:
            if not has_all(one, target_charset):
                return False
        return True
    if not isinstance(value, str) or PyUnicode_IS_ASCII(value):
        return True
    if charset is None:
        from aiodicom.dataset import charset as module
        charset = module
    return charset.can_encode(value, encodings_of(target_charset))


cdef bint lacks_in_items(Sequence sequence, bytes target_charset, int depth) except -1:
    cdef Py_ssize_t i
    if depth > GREATEST_DEPTH:
        raise ValueError("sequences are nested too deeply")
    for i in range(len(sequence.items)):
        if lacks(sequence.glance(i), target_charset, depth):
            return True
    return False


cdef bint lacks(Core data_set, bytes outer, int depth) except -1:
    """Whether there is text that the character set of `data_set`, or `outer`, lacks; what was decoded stays as it is in the
    one that it was decoded in.
    """
    cdef const Element* element
    cdef const VrInfo* info
    cdef const uint8_t* p
    cdef DataElement changed
    cdef Py_ssize_t place = 0
    cdef PyObject* key
    cdef PyObject* each
    cdef bytes own_charset
    cdef size_t i
    cdef bint recode
    data_set.ensure()
    own_charset = charset_bytes(data_set, outer)
    recode = data_set.source is not None and data_set.encoded_charset() != own_charset
    if data_set.overlay is not None:
        while PyDict_Next(data_set.overlay, &place, &key, &each):  # nothing in here changes it
            if each == <PyObject*>None:
                continue
            changed = <DataElement>each
            if changed.own is None:
                continue
            if type(changed.own) is Sequence:
                if lacks_in_items(changed.own, own_charset, depth + 1):
                    return True
            elif info_of(changed.code).text and not has_all(changed.own, own_charset):
                return True
    if data_set.cache is not None:
        for tag, value in data_set.cache.items():
            if type(value) is Sequence:
                if lacks_in_items(value, own_charset, depth + 1):
                    return True
            elif (not has_all(value, own_charset)
                    and (recode or data_set.list_changed(find_element(data_set.elements, data_set.count, tag), value))):
                return True
    if not recode:
        return False
    for i in range(data_set.count):
        element = &data_set.elements[i]
        if ((data_set.overlay is not None and element.tag in data_set.overlay)
                or (data_set.cache is not None and element.tag in data_set.cache)):
            continue
        info = info_of(data_set.vr_of(element))
        if data_set.vr_of(element) == VR_SQ:
            if lacks_in_items(items_of(data_set, element), own_charset, depth + 1):
                return True
        elif info.text and not element.flags & FLAG_DEFERRED:
            p = data_set.source.data + element.offset
            if not plain_ascii(p, element.length) and not has_all(
                    data_set.decode(element, data_set.vr_of(element)), own_charset):
                return True
    return False


def lacks_characters(Core data_set not None):
    """Whether the data set has text that its Specific Character Set, or without one the default repertoire, cannot encode."""
    return lacks(data_set, None, 0)
