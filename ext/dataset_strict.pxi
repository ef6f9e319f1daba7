# Strict reading: every value of a data set and of all items is looked at, whatever is asked for later.

cdef int refuse_values(Core data_set) except -1:
    """Raises DecodeError for the first value that the standard forbids. Items are made and forgotten one by one."""
    cdef list waiting = []            # by level: a sequence and how many of its items were looked at
    cdef Sequence sequence
    cdef Py_ssize_t seen
    refuse_own_values(data_set, waiting)
    while waiting:
        sequence, seen = waiting.pop()
        if seen < len(sequence.items):
            waiting.append((sequence, seen + 1))
            refuse_own_values(sequence.glance(seen), waiting)
    return 0


cdef int refuse_own_values(Core data_set, list waiting) except -1:
    cdef const Element* element
    cdef uint16_t vr
    cdef size_t i
    data_set.ensure()
    refuse_repertoire(data_set)
    for i in range(data_set.count):
        element = &data_set.elements[i]
        vr = data_set.vr_of(element)
        if vr == VR_SQ:
            waiting.append((items_of(data_set, element), 0))
        else:
            refuse_value(data_set, element, vr)
    return 0


cdef int refuse_repertoire(Core data_set) except -1:
    cdef const Element* element = data_set.find(0x00080005)
    if element != NULL:
        reason = conforms().forbidden_repertoire(bytes(data_set.raw_of(element)))
        if reason is not None:
            raise data_set.error(reason, element.offset, element.tag)
    return 0


cdef int refuse_value(Core data_set, const Element* element, uint16_t vr) except -1:
    cdef const VrInfo* info = info_of(vr)
    cdef uint64_t unit = unit_of(info)
    reason = None
    if element.flags & FLAG_UNDEFINED:
        if not element.flags & FLAG_DEFERRED:  # those were found by their lengths
            for fragment in fragments_of(data_set.raw_of(element), element.tag):
                if len(fragment) & 1:
                    reason = "a fragment of odd length (PS3.5 A.4)"
    elif element.length % unit:
        reason = f"the length is no multiple of {unit}"
    elif info.kind < KIND_TAG and element.length:
        reason = conforms().forbidden_value(vr_name(vr), bytes(data_set.raw_of(element)), data_set.repertoires())
    if reason is not None:
        raise data_set.error(reason, element.offset, element.tag)
    return 0


cdef object conforms():
    global conformance
    if conformance is None:
        from aiodicom.dataset import conformance as module
        conformance = module
    return conformance
