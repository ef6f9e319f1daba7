# Memory for data sets, for the module that includes this.  A large block that goes back to the system has to be faulted in
# again page by page for the next object, which costs more than receiving it, and as much as sending it; so blocks from 64 KiB
# to 8 MiB are kept for reuse, up to POOL_LIMIT bytes in all.  A block's first bytes link it to the next of its size.  They lie on
# whole pages, so that a disk can take them from there.
cdef extern from "<stdlib.h>":
    int posix_memalign(void** block, size_t alignment, size_t size) nogil

cdef enum:
    PAGE_SIZE = 4096
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
    cdef void* block = NULL
    if index >= 0:
        capacity[0] = <Py_ssize_t> SMALLEST_POOLED << index
        block = pool[index]
        if block != NULL:
            pool[index] = (<void**> block)[0]
            pool_size -= capacity[0]
            return <uint8_t*> block
        if posix_memalign(&block, PAGE_SIZE, capacity[0]):
            block = NULL
    else:
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
