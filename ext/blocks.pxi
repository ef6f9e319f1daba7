# Memory for data sets, for the module that includes this.  A large block that goes back to the system has to be faulted in
# again page by page for the next object, which costs more than receiving it, and as much as sending it; so blocks from 64 KiB
# to 16 MiB are kept for reuse, up to POOL_LIMIT bytes in all.  A block's first bytes link it to the next of its size.  They lie on
# whole pages, so that a disk can take them from there; from 1 MiB on in huge ones, where the system has these to give: to copy
# to them and to hand them to a disk costs less by a quarter.  The halves of a huge page go back to the system together.
cdef extern from *:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/mman.h>

    #define HUGE_PAGE (2 << 20)

    static void* allocate_huge(size_t size) {
        // Not by malloc, which keeps what lies between others, and loses as much as it aligns.
        char* room = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED) return NULL;
        size_t before = -(uintptr_t)room % HUGE_PAGE;
        if (before) munmap(room, before);
        munmap(room + before + size, HUGE_PAGE - before);
    #ifdef MADV_HUGEPAGE
        madvise(room + before, size, MADV_HUGEPAGE);
    #endif
        return room + before;
    }

    static void* other_half(void* half) { return (void*)((uintptr_t)half ^ HUGE_PAGE / 2); }
    static void* whole_page(void* half) { return (void*)((uintptr_t)half & ~(uintptr_t)(HUGE_PAGE / 2)); }
    """
    enum:
        HUGE_PAGE
    void* allocate_huge(size_t size) nogil
    int munmap(void* block, size_t size) nogil
    void* other_half(void* half) nogil
    void* whole_page(void* half) nogil

cdef extern from "<stdlib.h>":
    int posix_memalign(void** block, size_t alignment, size_t size) nogil

cdef enum:
    PAGE_SIZE = 4096
    SMALLEST_POOLED = 1 << 16
    HALF_INDEX = 4
    POOLED_SIZES = 9
    POOL_LIMIT = 64 << 20

cdef void* pool[POOLED_SIZES]
cdef Py_ssize_t pool_size = 0
#: The second half of the latest huge page, while nobody has taken it: to link it would have the whole page made at once, which
#: takes a virtual machine up to 7 ms. Who fills the first half may be a thread that nobody waits for.
cdef void* untouched = NULL


cdef int pool_index(Py_ssize_t capacity) noexcept:
    """The pooled size that holds `capacity` bytes, or -1 for one that isn't pooled."""
    cdef int index = 0
    if capacity < SMALLEST_POOLED:
        return -1
    while index < POOLED_SIZES and (<Py_ssize_t> SMALLEST_POOLED << index) < capacity:
        index += 1
    return index if index < POOLED_SIZES else -1


cdef void keep_block(void* block, int index) noexcept:
    global pool_size
    (<void**> block)[0] = pool[index]
    pool[index] = block
    pool_size += <Py_ssize_t> SMALLEST_POOLED << index


cdef bint unkeep_half(void* half) noexcept:
    """Takes this half of a huge page out of the pool; false when it is in use."""
    global pool_size, untouched
    cdef void** link = &pool[HALF_INDEX]
    if half == untouched:
        untouched = NULL
        return True
    while link[0] != NULL:
        if link[0] == half:
            link[0] = (<void**> half)[0]
            pool_size -= HUGE_PAGE // 2
            return True
        link = <void**> link[0]
    return False


cdef uint8_t* take_block(Py_ssize_t* capacity) except NULL:
    """Returns a block of at least `capacity` bytes, and writes there how many it has."""
    global pool_size, untouched
    cdef int index = pool_index(capacity[0])
    cdef void* block = NULL
    if index >= 0:
        capacity[0] = <Py_ssize_t> SMALLEST_POOLED << index
        block = pool[index]
        if block != NULL:
            pool[index] = (<void**> block)[0]
            pool_size -= capacity[0]
            return <uint8_t*> block
        if index == HALF_INDEX and untouched != NULL:
            block, untouched = untouched, NULL
        elif index >= HALF_INDEX:
            block = allocate_huge(max(capacity[0], HUGE_PAGE))
            if block != NULL and index == HALF_INDEX:
                untouched = other_half(block)
        elif posix_memalign(&block, PAGE_SIZE, capacity[0]):
            block = NULL
    else:
        block = malloc(capacity[0])
    if block == NULL:
        raise MemoryError(f"no memory for a data set of {capacity[0]} bytes")
    return <uint8_t*> block


cdef bint free_block(void* block, int index) noexcept:
    """Gives a pooled block back to the system; false for a half whose other half is in use."""
    if index < HALF_INDEX:
        free(block)
    elif index > HALF_INDEX:
        munmap(block, <size_t> SMALLEST_POOLED << index)
    elif unkeep_half(other_half(block)):
        munmap(whole_page(block), HUGE_PAGE)
    else:
        return False
    return True


cdef void give_block(uint8_t* block, Py_ssize_t capacity) noexcept:
    cdef int index = pool_index(capacity)
    if block == NULL or index < 0:
        free(block)
    elif pool_size + capacity <= POOL_LIMIT or not free_block(block, index):
        keep_block(block, index)
