# Where data sets go while they arrive: the sinks that the receiver knows itself.  Included by pdu.pyx, whose Receiver appends
# to a Body without a call through Python.

# Memory for data sets.  A large block that goes back to the system has to be faulted in again page by page for the next
# object, which costs more than receiving it; so blocks from 64 KiB to 8 MiB are kept for reuse, up to POOL_LIMIT bytes in
# all.  A block's first bytes link it to the next of its size.
cdef enum:
    SMALLEST_POOLED = 1 << 16
    POOLED_SIZES = 8
    POOL_LIMIT = 32 << 20

cdef void* pool[POOLED_SIZES]
cdef Py_ssize_t pool_size = 0


cdef int pool_index(Py_ssize_t capacity) noexcept:
    """The pooled size that holds `capacity` bytes, or -1 for one that isn't pooled."""
    cdef int index = 0
    if capacity < SMALLEST_POOLED:
        return -1
    while index < POOLED_SIZES and (<Py_ssize_t> SMALLEST_POOLED << index) < capacity:
        index += 1
    return index if index < POOLED_SIZES else -1


cdef uint8_t* take_block(Py_ssize_t* capacity) except NULL:
    """Returns a block of at least `capacity` bytes, and writes there how many it has."""
    global pool_size
    cdef int index = pool_index(capacity[0])
    cdef void* block
    if index >= 0:
        capacity[0] = <Py_ssize_t> SMALLEST_POOLED << index
        block = pool[index]
        if block != NULL:
            pool[index] = (<void**> block)[0]
            pool_size -= capacity[0]
            return <uint8_t*> block
    block = malloc(capacity[0])
    if block == NULL:
        raise MemoryError(f"no memory for a data set of {capacity[0]} bytes")
    return <uint8_t*> block


cdef void give_block(uint8_t* block, Py_ssize_t capacity) noexcept:
    global pool_size
    cdef int index = pool_index(capacity)
    if block == NULL or index < 0 or pool_size + capacity > POOL_LIMIT:
        free(block)
        return
    (<void**> block)[0] = pool[index]
    pool[index] = block
    pool_size += capacity


cdef class Body:
    """A sink that gathers a data set in memory, readable as one contiguous buffer once it is whole.

    Past `limit` bytes everything goes to the sink that `spill()` makes, which is then `spilled`; without `spill` there is no limit.

    Invariants: `data` has room for `capacity` bytes, of which `size` are filled; `size` is 0 once `spilled` is there; while
    `exports` is not 0 the memory stays where it is.
    """

    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef Py_ssize_t exports
    cdef Py_ssize_t limit
    cdef object spill
    cdef readonly object spilled

    def __cinit__(self, Py_ssize_t limit=0, spill=None, Py_ssize_t expected=0):
        self.limit = limit
        self.spill = spill
        if expected > 0:
            self.reserve(expected)

    def __dealloc__(self):
        give_block(self.data, self.capacity)

    def __len__(self):
        return self.size

    cdef int require_unexported(self) except -1:
        if self.exports:
            raise BufferError("the data set is still growing; read it when the message is complete")
        return 0

    cdef int reserve(self, Py_ssize_t capacity) except -1:
        self.require_unexported()
        data = take_block(&capacity)
        if self.size:
            memcpy(data, self.data, self.size)
        give_block(self.data, self.capacity)
        self.data = data
        self.capacity = capacity
        return 0

    cdef int append(self, const uint8_t* data, Py_ssize_t size) except -1:
        cdef Py_ssize_t held
        if size == 0:
            return 0  # there may be no memory yet
        if self.spilled is None and self.spill is not None and self.size + size > self.limit:
            self.require_unexported()
            self.spilled = self.spill()
            held, self.size = self.size, 0
            if held:
                write_view(self.spilled, self.data, held)
            give_block(self.data, self.capacity)
            self.data = NULL
            self.capacity = 0
        if self.spilled is not None:
            return write_view(self.spilled, data, size)
        if self.size + size > self.capacity:
            # What is there has arrived, so twice that is bounded by what the peer really sent.
            self.reserve(max(self.size + size, 2 * self.size))
        memcpy(self.data + self.size, data, size)
        self.size += size
        return 0

    def write(self, data):
        """Appends a copy of `data`."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.append(<const uint8_t*> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def finish(self):
        """The data set is complete."""
        if self.spilled is not None:
            self.spilled.finish()

    def abandon(self):
        """The data set will not be completed: what has come of it is dropped."""
        if self.spilled is not None:
            self.spilled.abandon()

    def __getbuffer__(self, Py_buffer* view, int flags):
        # An empty object still needs an address that is not NULL.
        PyBuffer_FillInfo(view, self, self.data if self.size else <uint8_t*> b"", self.size, 1, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        self.exports -= 1


@freelist(8)
cdef class Lent:
    """Memory that is somebody else's, and how many look at it."""

    cdef const uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t exports

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, <void*> self.data, self.size, 1, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        self.exports -= 1


cdef int write_view(sink, const uint8_t* data, Py_ssize_t size) except -1:
    """Lends the sink a view that ends with the call: a sink that keeps one gets the BufferError here, not garbage later."""
    cdef Lent lent = Lent.__new__(Lent)
    lent.data = data
    lent.size = size
    view = PyMemoryView_FromObject(lent)
    try:
        sink.write(view)
    finally:
        view.release()
    if lent.exports:
        raise BufferError("the sink has kept a view of memory that it was lent for the call of write() only")
    return 0


cdef void abandon(sink) noexcept:
    """Abandons a sink. What that raises goes to `sys.unraisablehook`: the sink has no user any more."""
    sink.abandon()


cdef class Discard:
    """A sink that keeps nothing; `error` is there when it stands in for one that raised, in any of its methods but `abandon`."""

    cdef readonly object error

    def __cinit__(self, error=None):
        self.error = error

    def write(self, data):
        """Passes the fragment over."""

    def finish(self):
        """Nothing is there to be finished."""

    def abandon(self):
        """Nothing is there to be dropped."""
