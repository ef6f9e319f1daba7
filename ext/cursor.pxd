# cython: language_level=3
"""The bounds-checked cursor that every decoder reads with, and the growable writer that every encoder writes to.

Only structs and inline functions live here: each module that cimports them compiles its own copy.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy


cdef struct Cursor:
    # Invariant: pos <= end, and end bytes stand at data.
    const uint8_t* data
    uint64_t pos
    uint64_t end
    bint big


cdef inline const uint8_t* peek(const Cursor* cursor, uint64_t size) noexcept nogil:
    """The next `size` bytes, or NULL where fewer are left: the one bounds check there is."""
    if size > cursor.end - cursor.pos:
        return NULL
    return cursor.data + cursor.pos


cdef inline uint16_t load16(const uint8_t* p, bint big) noexcept nogil:
    if big:
        return <uint16_t>((p[0] << 8) | p[1])
    return <uint16_t>(p[0] | (p[1] << 8))


cdef inline uint32_t load32(const uint8_t* p, bint big) noexcept nogil:
    if big:
        return (<uint32_t>p[0] << 24) | (<uint32_t>p[1] << 16) | (<uint32_t>p[2] << 8) | p[3]
    return p[0] | (<uint32_t>p[1] << 8) | (<uint32_t>p[2] << 16) | (<uint32_t>p[3] << 24)


cdef inline uint64_t load64(const uint8_t* p, bint big) noexcept nogil:
    if big:
        return (<uint64_t>load32(p, True) << 32) | load32(p + 4, True)
    return load32(p, False) | (<uint64_t>load32(p + 4, False) << 32)


cdef inline uint32_t load_tag(const uint8_t* p, bint big) noexcept nogil:
    return (<uint32_t>load16(p, big) << 16) | load16(p + 2, big)


cdef inline void store16(uint8_t* p, uint16_t value, bint big) noexcept nogil:
    if big:
        p[0] = <uint8_t>(value >> 8)
        p[1] = <uint8_t>value
    else:
        p[0] = <uint8_t>value
        p[1] = <uint8_t>(value >> 8)


cdef inline void store32(uint8_t* p, uint32_t value, bint big) noexcept nogil:
    if big:
        store16(p, <uint16_t>(value >> 16), True)
        store16(p + 2, <uint16_t>value, True)
    else:
        store16(p, <uint16_t>value, False)
        store16(p + 2, <uint16_t>(value >> 16), False)


cdef inline void store64(uint8_t* p, uint64_t value, bint big) noexcept nogil:
    if big:
        store32(p, <uint32_t>(value >> 32), True)
        store32(p + 4, <uint32_t>value, True)
    else:
        store32(p, <uint32_t>value, False)
        store32(p + 4, <uint32_t>(value >> 32), False)


cdef inline void store_tag(uint8_t* p, uint32_t tag, bint big) noexcept nogil:
    store16(p, <uint16_t>(tag >> 16), big)
    store16(p + 2, <uint16_t>tag, big)


cdef struct Segment:
    const uint8_t* pointer  # borrowed; NULL where the bytes stand in the writer's scratch
    uint64_t offset         # into the scratch
    uint64_t length


cdef struct Writer:
    # What is written is a list of segments: ranges borrowed from buffers that outlive the writer, and bytes made here.
    # Nothing is copied until the whole length is known, so that a value which nobody touched is copied once.
    uint8_t* scratch
    uint64_t used
    uint64_t room
    Segment* segments
    size_t count
    size_t space
    uint64_t total


cdef inline void writer_free(Writer* writer) noexcept nogil:
    free(writer.scratch)
    free(writer.segments)
    writer.scratch = NULL
    writer.segments = NULL


cdef inline Segment* writer_segment(Writer* writer) noexcept nogil:
    cdef Segment* grown
    cdef size_t space
    if writer.count == writer.space:
        space = writer.space * 2 if writer.space else 32
        grown = <Segment*>realloc(writer.segments, space * sizeof(Segment))
        if grown == NULL:
            return NULL
        writer.segments = grown
        writer.space = space
    writer.count += 1
    return &writer.segments[writer.count - 1]


cdef inline bint writer_borrow(Writer* writer, const uint8_t* pointer, uint64_t length) noexcept nogil:
    """Appends bytes that stay where they are until the writer is done; False where memory is out."""
    cdef Segment* segment
    if length == 0:
        return True
    if writer.count:
        segment = &writer.segments[writer.count - 1]
        if segment.pointer != NULL and segment.pointer + segment.length == pointer:
            segment.length += length
            writer.total += length
            return True
    segment = writer_segment(writer)
    if segment == NULL:
        return False
    segment.pointer = pointer
    segment.offset = 0
    segment.length = length
    writer.total += length
    return True


cdef inline uint8_t* writer_reserve(Writer* writer, uint64_t length) noexcept nogil:
    """Appends `length` bytes for the caller to fill at once; NULL where memory is out. The next call may move them."""
    cdef Segment* segment
    cdef uint8_t* grown
    cdef uint64_t room
    if length > writer.room - writer.used:
        room = writer.room * 2 if writer.room else 512
        while room - writer.used < length:
            room *= 2
        grown = <uint8_t*>realloc(writer.scratch, room)
        if grown == NULL:
            return NULL
        writer.scratch = grown
        writer.room = room
    if not (writer.count and writer.segments[writer.count - 1].pointer == NULL):
        segment = writer_segment(writer)
        if segment == NULL:
            return NULL
        segment.pointer = NULL
        segment.offset = writer.used
        segment.length = 0
    writer.segments[writer.count - 1].length += length
    writer.total += length
    writer.used += length
    return writer.scratch + writer.used - length


cdef inline void writer_copy_out(const Writer* writer, uint8_t* target) noexcept nogil:
    """Copies everything to `target`, which has room for `total` bytes."""
    cdef size_t i
    cdef const Segment* segment
    for i in range(writer.count):
        segment = &writer.segments[i]
        memcpy(target, segment.pointer if segment.pointer != NULL else writer.scratch + segment.offset, segment.length)
        target += segment.length
