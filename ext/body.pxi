# Where data sets go while they arrive: the sinks that the receiver knows itself.  Included by pdu.pyx, whose Receiver appends
# to a Body without a call through Python.

include "blocks.pxi"

cdef extern from *:
    """
    #if defined(__x86_64__)
    #include <emmintrin.h>
    #endif
    #include <stdint.h>
    #include <string.h>

    static int has_small_pages(void* block) { return (uintptr_t)block % HUGE_PAGE != 0; }

    // Copies as memcpy does, without reading what it writes to into the processor's caches, nor leaving it there.
    static void copy_past_caches(void* target, const void* source, size_t size) {
    #if defined(__x86_64__)
        char* into = target;
        const char* from = source;
        size_t ahead = -(uintptr_t)into % 64;
        if (size < ahead + 64) {
            memcpy(into, from, size);
            return;
        }
        memcpy(into, from, ahead);
        for (into += ahead, from += ahead, size -= ahead; size >= 64; into += 64, from += 64, size -= 64)
            for (int part = 0; part < 64; part += 16)
                _mm_stream_si128((__m128i*)(into + part), _mm_loadu_si128((const __m128i*)(from + part)));
        _mm_sfence();
        memcpy(into, from, size);
    #else
        memcpy(target, source, size);
    #endif
    }
    """
    bint has_small_pages(void* block) nogil
    void copy_past_caches(void* target, const void* source, size_t size) nogil

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(object)

cdef enum:
    #: Less than this is copied sooner than it is fetched back from memory.
    LEAST_PAST_CACHES = 1 << 14
    #: A data set for which there is more room than this has left the processor's near caches when its last byte comes, read soon
    #: or not.
    LARGE = 8 << 20


cdef void empty_pool() noexcept:
    """Gives the blocks kept for reuse back to the system, but for halves whose other half is in use."""
    cdef int index
    cdef void* block
    cdef void* halves = NULL
    for index in range(POOLED_SIZES):
        while pool[index] != NULL:
            block = unkeep_block(index)
            if not free_block(block, index):
                (<void**> block)[0] = halves
                halves = block
    while halves != NULL:
        block = halves
        halves = (<void**> block)[0]
        keep_block(block, HALF_INDEX)


cdef bint has_room(Py_ssize_t capacity, Py_ssize_t* wanted) noexcept:
    """Whether a block of `capacity` bytes can have the bytes that are wanted where it is; then says there how many it has, once `wanted`
    is its capacity.
    """
    cdef int index = pool_index(wanted[0])
    if index < 0 or pool_index(capacity) < ROOM_INDEX:
        return False
    wanted[0] = <Py_ssize_t> SMALLEST_POOLED << index
    return True


cdef class Budget:
    """Bytes of data sets that may be in memory at once, over everything that shares it.

    Whoever is refused does without: it writes to a disk, or has the peer wait. What cannot do without goes over the limit.
    """

    cdef readonly Py_ssize_t limit
    #: Bytes taken and not given back.
    cdef readonly Py_ssize_t used
    #: The most that was taken at any time.
    cdef readonly Py_ssize_t peak

    def __cinit__(self, Py_ssize_t limit):
        if limit < 0:
            raise ValueError(f"a budget of {limit} bytes")
        self.limit = limit

    cpdef bint take(self, Py_ssize_t size) noexcept:
        """Takes so many bytes; false, and nothing taken, when that is more than are left."""
        if size > self.limit - self.used:
            return False
        self.require(size)
        if pool_size > self.limit - self.used:
            empty_pool()  # what is kept for reuse is in memory as well
        return True

    cpdef void require(self, Py_ssize_t size) noexcept:
        """Takes so many bytes, over the limit if need be."""
        self.used += size
        self.peak = max(self.peak, self.used)

    cpdef void give(self, Py_ssize_t size) noexcept:
        """Gives so many bytes back."""
        self.used -= size

    @property
    def is_exhausted(self):
        """Whether nothing is left."""
        return self.used >= self.limit


@no_gc_clear  # else the budget would not be there any more to be given back what it was for
cdef class Body:
    """A sink that gathers a data set in memory, readable as one contiguous buffer once it is whole.

    Past `limit` bytes, or when `budget` has no more, everything goes to the sink that `spill()` makes, which is then `spilled`;
    without `spill` there is no limit. `unread`: nobody is expected to read it here; it goes to a disk, by which it had better leave
    the processor's caches to others. `others`: their `may_wait` is whether somebody may wait meanwhile who is not to be held up.

    Invariants: `data` has room for `capacity` bytes, which are taken from the budget and of which `size` are filled; `size` is 0
    once `spilled` is there; while `exports` is not 0 the memory stays where it is. Beyond the first `ready` bytes of a room the
    memory has probably still to be had, page by page.
    """

    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef Py_ssize_t ready
    cdef Py_ssize_t exports
    cdef Py_ssize_t limit
    cdef bint unread
    cdef object others
    cdef object spill
    cdef Budget budget
    cdef readonly object spilled
    #: Bytes of the data set so far, wherever they are.
    cdef readonly Py_ssize_t total

    def __cinit__(self, Py_ssize_t limit=0, spill=None, Py_ssize_t expected=0, Budget budget=None, *, bint unread=False,
                  others=None):
        self.open(limit, spill, expected, budget, unread, others)

    cdef int open(self, Py_ssize_t limit, spill, Py_ssize_t expected, Budget budget, bint unread, others) except -1:
        self.limit = limit
        self.unread = unread
        self.others = others
        self.spill = spill
        self.budget = budget
        if expected > 0:
            self.reserve(expected)
        return 0

    def __dealloc__(self):
        self.release()

    def __len__(self):
        return self.size

    cdef int require_unexported(self) except -1:
        if self.exports:
            raise BufferError("the data set is still growing; read it when the message is complete")
        return 0

    cdef void release(self) noexcept:
        """Gives the memory back."""
        if pool_index(self.capacity) >= ROOM_INDEX and has_small_pages(self.data) and self.is_patient():
            free_block(self.data, ROOM_INDEX)  # the next one is to be of huge pages, which cost less
        else:
            give_block(self.data, self.capacity)
        if self.budget is not None:
            self.budget.give(self.capacity)
        self.data = NULL
        self.capacity = 0

    cdef bint is_patient(self) noexcept:
        """Whether memory may be had in large pieces."""
        return self.others is None or not self.others.may_wait

    cdef bint reserve(self, Py_ssize_t capacity) except -1:
        """Makes room for so many bytes; false when they have to go elsewhere."""
        cdef uint8_t* data
        cdef Py_ssize_t ready = 0
        self.require_unexported()
        if has_room(self.capacity, &capacity):
            if not self.afford(capacity - self.capacity):
                return False
            self.capacity = capacity
            return True
        data = take_block(&capacity, capacity < SMALLEST_POOLED or self.is_patient(), &ready)
        if not self.afford(capacity):
            give_block(data, capacity)
            return False
        if self.size:
            memcpy(data, self.data, self.size)
        self.release()
        self.data = data
        self.capacity = capacity
        self.ready = ready
        return True

    cdef bint afford(self, Py_ssize_t size) noexcept:
        """Takes so many bytes from the budget; false when it has no more, and they can go elsewhere."""
        if self.budget is not None and not self.budget.take(size):
            if self.spill is not None:
                return False
            self.budget.require(size)
        return True

    cdef Py_ssize_t room(self) noexcept:
        """How many bytes more there is memory for, as it is."""
        if self.spilled is not None:
            return 0
        return (self.capacity if self.spill is None else min(self.capacity, self.limit)) - self.size

    cdef int append(self, const uint8_t* data, Py_ssize_t size) except -1:
        if size == 0:
            return 0  # there may be no memory yet
        self.total += size
        if self.spilled is None:
            if self.spill is not None and self.size + size > self.limit:
                self.spill_over()
            # What is there has arrived, so twice that is bounded by what the peer really sent.
            elif self.size + size > self.capacity and not self.reserve(max(self.size + size, 2 * self.size)):
                self.spill_over()
        if self.spilled is not None:
            return write_view(self.spilled, data, size)
        if data == self.data + self.size:
            pass  # it has been put there (placing.pxi)
        elif self.data <= data < self.data + self.capacity:
            memmove(self.data + self.size, data, size)
        elif (self.unread or self.capacity > LARGE) and size >= LEAST_PAST_CACHES:
            copy_past_caches(self.data + self.size, data, size)
        else:
            memcpy(self.data + self.size, data, size)
        self.size += size
        return 0

    cdef int spill_over(self) except -1:
        """Moves what has come out of memory."""
        cdef Py_ssize_t held
        self.require_unexported()
        self.spilled = self.spill()
        held, self.size = self.size, 0
        if held:
            write_view(self.spilled, self.data, held)
        self.release()
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
        self.end()

    cdef int end(self) except -1:
        if self.spilled is not None:
            self.spilled.finish()
        self.spill = None  # it may be kept for long, and needs no room any more
        if pool_index(self.capacity) < ROOM_INDEX:
            self.others = None
        if self.spilled is None and self.others is None and type(self) is Body:
            PyObject_GC_UnTrack(self)  # nor has the garbage collector to look at it: it leads to nothing that could lead back
        return 0

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


cdef bint is_in_memory(sink) except -1:
    return type(sink) is Body and (<Body> sink).spilled is None


cdef object new_body(Py_ssize_t limit, spill, Py_ssize_t expected, budget, bint unread, others):
    cdef Body body = Body.__new__(Body)
    body.open(limit, spill, expected, <Budget?> budget, unread, others)
    return body


cdef void abandon(sink) noexcept:
    """Abandons a sink. What that raises goes to `sys.unraisablehook`: the sink has no user any more."""
    sink.abandon()


cdef class Discard:
    """A sink that keeps nothing; `error` is there when it stands in for one that raised, in any of its methods but `abandon`."""

    cdef readonly object error
    #: How many bytes have come.
    cdef readonly Py_ssize_t total

    def __cinit__(self, error=None):
        self.error = error

    def write(self, data):
        """Passes the fragment over."""
        self.total += len(data)

    def finish(self):
        """Nothing is there to be finished."""

    def abandon(self):
        """Nothing is there to be dropped."""
