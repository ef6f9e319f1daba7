# Small things that a data set is asked with and made of: tags by their names, repertoires, items.

import warnings

cdef dict ITEM_FAULTS = {
    -CUT: "the sequence ends inside an item's header",
    -TOO_DEEP: "sequences are nested too deeply",
    -NOT_STANDARD: "a delimiter is wrong",
    -NOT_AN_ITEM: "there is no item where one must be",
}
cdef dict known_encodings = {}


cdef tuple encodings_of(bytes encoded):
    """Python encodings for an encoded Specific Character Set."""
    global charset
    found = known_encodings.get(encoded)
    if found is None:
        if charset is None:
            from aiodicom.dataset import charset as module
            charset = module
        terms = [term.strip(" \0") for term in encoded.decode("latin-1").split("\\")] if encoded else []
        found = tuple(charset.encodings_for(terms))
        if len(known_encodings) < 256:
            known_encodings[encoded] = found
    return found


cdef inline Core new_item():
    return <Core>(<PyTypeObject*>item_type).tp_new(<PyTypeObject*>item_type, EMPTY, NULL)


cdef inline object name_of(str text):
    return subtype(PersonName, text)


cdef dict keyword_tags = {}


cdef object keyword_tag(str name):
    """The tag of a keyword, or None."""
    tag = keyword_tags.get(name)
    if tag is None and name and "A" <= name[0] <= "Z":
        tag = dictionary.tag_for_keyword(name)
        if tag is not None:
            keyword_tags[sys.intern(name)] = tag
    return tag


cdef int set_attribute(Core self, str name, value) except -1:
    """Sets an attribute of the object, and tells who most likely meant an element: only keywords look like that."""
    if name and "A" <= name[0] <= "Z" and name.isalnum() and not name.isupper():
        message = f"{name} is no keyword of PS3.6: it becomes an attribute of the object, not an element"
        warnings.warn(message, UserWarning, stacklevel=1)
    self.tell_collector()
    return PyObject_GenericSetAttr(self, name, <PyObject*>value)


cdef list ascending(list tags):
    """Tags in their order, without repetition."""
    cdef Py_ssize_t i
    cdef uint32_t before, tag
    for i in range(1, len(tags)):
        before, tag = tags[i - 1], tags[i]
        if before >= tag:
            return sorted(set(tags))
    return tags


cdef uint32_t tag_of(key) except? 0xFFFFFFFF:
    """The tag that a keyword, a number, a (group, element) or "gggg,eeee" names."""
    if isinstance(key, int):
        if not 0 <= key <= 0xFFFFFFFF:
            raise KeyError(key)
        return key
    if isinstance(key, str):
        tag = keyword_tag(key)
        if tag is not None:
            return tag
        digits = key.strip("()").replace(",", "").replace(" ", "")
        try:
            if len(digits) == 8:
                return int(digits, 16)
        except ValueError:
            pass
        raise KeyError(key)
    if isinstance(key, tuple) and len(key) == 2:
        group, element = key
        group = int(group, 16) if isinstance(group, str) else group
        element = int(element, 16) if isinstance(element, str) else element
        if not (0 <= group <= 0xFFFF and 0 <= element <= 0xFFFF):
            raise KeyError(key)
        return (<uint32_t>group << 16) | <uint32_t>element
    raise TypeError(f"a tag is a keyword, a number, a pair of them or 'gggg,eeee', not {type(key).__name__}")


def to_tag(key):
    """The tag that a keyword, a number, a ``(group, element)`` or ``"gggg,eeee"`` names."""
    return Tag(tag_of(key))
