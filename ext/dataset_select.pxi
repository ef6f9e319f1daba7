# Copies and parts of data sets, over the same bytes.

cdef int share_with(Core whole, Core other) except -1:
    """Gives `other` the bytes and the context, but no elements."""
    other.source = whole.source
    other.start = whole.start
    other.end = whole.end
    other.stopped = whole.stopped
    other.implicit = whole.implicit
    other.big = whole.big
    other.to_the_end = whole.to_the_end
    other.item_undefined = whole.item_undefined
    other.stopped_early = whole.stopped_early
    other.depth = whole.depth
    other.inherited_representation = whole.inherited_representation
    other.where = whole.where
    other.number = whole.number
    other.trouble = whole.trouble
    return 0


cdef int copy_to(Core whole, Core other) except -1:
    whole.ensure()
    share_with(whole, other)
    if whole.count:
        other.elements = <Element*>malloc(whole.count * sizeof(Element))
        if other.elements == NULL:
            raise MemoryError
        memcpy(other.elements, whole.elements, whole.count * sizeof(Element))
    other.count = whole.count
    other.tidy = whole.tidy
    other.selected = whole.selected
    other.inherited_charset = whole.inherited_charset
    return 0


cdef int select_into(Core whole, Core other, keys) except -1:
    """Makes `other`, which is new, a data set of the elements with those tags; what was changed is taken as it is now."""
    cdef const Element* element
    cdef list tags = ascending([tag_of(key) for key in keys])
    cdef dict changes = None
    whole.ensure()
    if whole.overlay is not None or whole.cache is not None:
        changes = whole._changes()
    share_with(whole, other)
    if whole.source is not None:
        other.inherited_charset = whole.encoded_charset()
    other.selected = True
    if tags and whole.count:
        other.elements = <Element*>malloc(len(tags) * sizeof(Element))
        if other.elements == NULL:
            raise MemoryError
    for tag in tags:
        if changes is not None and tag in changes:
            if changes[tag] is not None:
                other.put(changes[tag])
            continue
        element = find_element(whole.elements, whole.count, tag)
        if element != NULL:
            other.elements[other.count] = element[0]
            other.count += 1
    return 0


cdef int put_missing(Core data_set, elements) except -1:
    """Adds those elements whose tags are not there."""
    cdef DataElement element
    for element in elements:
        if not data_set.has(element.number):
            data_set.put(element)
    return 0
