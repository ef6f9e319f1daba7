# Data sets of encoded bytes.

cdef enum:
    #: The limits that `Dataset.from_bytes` has by itself: sequences nested, elements of a data set or items of a sequence.
    USUAL_DEPTH = 64
    USUAL_ELEMENTS = 1 << 20
    #: Bytes up to which others need not have the interpreter meanwhile: to get it back beside a thread that wants it costs more than
    #: to index them, a tenth of a millisecond at the most.
    SHORT_INDEXED = 65536
    #: Bytes of an element, by which the room for the first ones is chosen, up to so many.
    USUAL_ELEMENT = 16
    MOST_FORESEEN = 48
    #: Room for so many elements more than there are is not worth being given back.
    FEW = 8


cdef int read_data_set(Core data_set, data, bint implicit, bint big, uint32_t stop_before, bint strict, int max_depth,
                       size_t max_elements, uint64_t base, original, trouble, read_deferred, list holes) except -1:
    """Makes `data_set`, which is new, what `data` encode; `original` is what was inflated to give them."""
    cdef Source source = source_of(data)
    if not 0 < max_depth <= GREATEST_DEPTH:
        raise ValueError(f"max_depth is to be from 1 to {GREATEST_DEPTH}")
    source.base = base
    source.max_depth = max_depth
    source.max_elements = max_elements
    source.strict = strict
    source.original = original
    if holes:
        source.leave_out(holes, read_deferred)
    if not strict and read_deferred is None:
        believe_first(source.data, source.size, source.size, &implicit, &big)
    data_set.source = source
    data_set.start = 0
    data_set.end = source.size
    data_set.implicit = implicit
    data_set.big = big
    data_set.to_the_end = True
    data_set.indexed = False
    data_set.make_index(stop_before)
    if data_set.trouble is None:
        data_set.trouble = trouble
    if strict:
        refuse_values(data_set)
    return 0


def decode(Core data_set not None, data, bint implicit, bint big, uint32_t stop_before, bint strict, int max_depth,
           size_t max_elements, uint64_t base, original=None, trouble=None, read_deferred=None, list holes=None):
    """Makes `data_set`, which is new, what `data` encode; `original` is what was inflated to give them."""
    read_data_set(data_set, data, implicit, big, stop_before, strict, max_depth, max_elements, base, original, trouble,
                  read_deferred, holes)
