# What data sets are decoded from.

@cython.final
@cython.no_gc
cdef class Source:
    """The bytes that a data set and all its items are decoded from, with the limits of decoding.

    Invariant: `view` is held as long as this lives, so that `data` has `size` bytes. The garbage collector must not see
    it: a memoryview that is exported and that it clears first crashes when it is released. Nothing here leads back to a
    data set, so there is no cycle to collect.
    """

    cdef Py_buffer view
    cdef bint held
    cdef const uint8_t* data
    cdef uint64_t size
    cdef uint64_t base                # what is added to offsets in errors
    cdef int max_depth
    cdef size_t max_elements
    cdef bint strict
    cdef object read_deferred         # reads (offset, length) of a value that was left in its file
    cdef Hole* holes
    cdef size_t hole_count
    cdef object original              # what was inflated to give these bytes

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)
        free(self.holes)

    cdef int leave_out(self, list holes, read_deferred) except -1:
        """What the buffer lacks of its file, as `outline` has it."""
        self.read_deferred = read_deferred
        self.holes = <Hole*>malloc(len(holes) * sizeof(Hole))
        if self.holes == NULL:
            raise MemoryError
        for at, offset, length, skipped in holes:
            self.holes[self.hole_count] = Hole(at, offset, length, skipped)
            self.hole_count += 1
        return 0

    cdef uint64_t in_file(self, uint64_t offset) noexcept:
        """Where a place in the buffer was in what was given: behind the values that were left out."""
        cdef size_t i
        cdef uint64_t total = offset + self.base
        for i in range(self.hole_count):
            if self.holes[i].at > offset:
                break
            total += self.holes[i].skipped
        return total


cdef Source source_of(data):
    cdef Source source = Source.__new__(Source)
    PyObject_GetBuffer(data, &source.view, PyBUF_SIMPLE)
    source.held = True
    source.data = <const uint8_t*>source.view.buf
    source.size = source.view.len
    return source


cdef str path_text(tuple where, uint32_t number, uint32_t tag):
    """The tags that lead to an element of a data set with this `Core.where` and `Core.number`."""
    cdef list parts = [f"({tag >> 16:04X},{tag & 0xFFFF:04X})"] if tag else []
    while where is not None:
        parts.append(f"({where[2] >> 16:04X},{where[2] & 0xFFFF:04X})[{number}]")
        where, number = where[0], where[1]
    return ".".join(reversed(parts))
