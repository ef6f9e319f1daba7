# Memory for data sets, for the module that includes this.  A large block that goes back to the system has to be faulted in
# again page by page for the next object, which costs more than receiving it, and as much as sending it; so blocks from 64 KiB
# to 16 MiB are kept for reuse.  A block's first bytes link it to the next of its size.  They lie on whole pages, so that a disk can
# take them from there; from 1 MiB on in huge ones, where the system has these to give: to copy to them and to hand them to a disk
# costs less by a quarter.  The halves of a huge page go back to the system together.
#
# Blocks above 1 MiB are rooms: each has addresses for 16 MiB, so that what it holds grows without being moved, which would hold up
# everybody for as long as it takes.  For a virtual machine whose host has to find the memory, a huge page takes up to 7 ms: who must
# not hold up others has new rooms of small pages, which are had one by one as they are needed.
cdef extern from *:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/mman.h>

    #define HUGE_PAGE (2 << 20)
    // Of memory from the system, on any processor.
    #define PAGE_BYTES (1 << 16)

    static void* allocate_pages(size_t size) {
        void* pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return pages == MAP_FAILED ? NULL : pages;
    }

    static void* allocate_huge_pages(size_t size) {
        // Not by malloc, which keeps what lies between others, and loses as much as it aligns.
        char* pages = allocate_pages(size + HUGE_PAGE);
        if (!pages) return NULL;
        size_t before = -(uintptr_t)pages % HUGE_PAGE;
        if (before) munmap(pages, before);
        munmap(pages + before + size, HUGE_PAGE - before);
    #ifdef MADV_HUGEPAGE
        madvise(pages + before, size, MADV_HUGEPAGE);
    #endif
        return pages + before;
    }

    // Memory that is not on huge pages begins between two, by which it is known.
    static void* allocate_small_pages(size_t size) {
        char* pages = allocate_pages(size + PAGE_BYTES);
        if (!pages) return NULL;
        int is_between = (uintptr_t)pages % HUGE_PAGE != 0;
        munmap(is_between ? pages + size : pages, PAGE_BYTES);
        if (!is_between) pages += PAGE_BYTES;
    #ifdef MADV_NOHUGEPAGE
        madvise(pages, size, MADV_NOHUGEPAGE);
    #endif
        return pages;
    }

    static void* other_half(void* half) { return (void*)((uintptr_t)half ^ HUGE_PAGE / 2); }
    static void* whole_page(void* half) { return (void*)((uintptr_t)half & ~(uintptr_t)(HUGE_PAGE / 2)); }
    """
    enum:
        HUGE_PAGE
    void* allocate_huge_pages(size_t size) nogil
    void* allocate_small_pages(size_t size) nogil
    int munmap(void* block, size_t size) nogil
    void* other_half(void* half) nogil
    void* whole_page(void* half) nogil

cdef extern from "<stdlib.h>":
    int posix_memalign(void** block, size_t alignment, size_t size) nogil

cdef enum:
    PAGE_SIZE = 4096
    SMALLEST_POOLED = 1 << 16
    HALF_INDEX = 4
    #: Blocks of 2 MiB and more are rooms.
    ROOM_INDEX = 5
    POOLED_SIZES = 9
    ROOM = SMALLEST_POOLED << (POOLED_SIZES - 1)
    #: How much is kept at most, of rooms and of smaller blocks.
    ROOMS_LIMIT = 256 << 20
    POOL_LIMIT = 64 << 20

cdef void* pool[POOLED_SIZES]
#: How much is kept, and how much of it in rooms.
cdef Py_ssize_t pool_size = 0
cdef Py_ssize_t rooms_size = 0
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
    (<void**> block)[0] = pool[index]
    pool[index] = block
    count_kept(index, 1)


cdef void* unkeep_block(int index) noexcept:
    """A block of this size from the pool; NULL when there is none."""
    cdef void* block = pool[index]
    if block != NULL:
        pool[index] = (<void**> block)[0]
        count_kept(index, -1)
    return block


cdef void count_kept(int index, Py_ssize_t count) noexcept:
    global pool_size, rooms_size
    cdef Py_ssize_t size = count * (<Py_ssize_t> SMALLEST_POOLED << index)
    pool_size += size
    if index >= ROOM_INDEX:
        rooms_size += size


cdef bint unkeep_half(void* half) noexcept:
    """Takes this half of a huge page out of the pool; false when it is in use."""
    global untouched
    cdef void** link = &pool[HALF_INDEX]
    if half == untouched:
        untouched = NULL
        return True
    while link[0] != NULL:
        if link[0] == half:
            link[0] = (<void**> half)[0]
            count_kept(HALF_INDEX, -1)
            return True
        link = <void**> link[0]
    return False


cdef uint8_t* take_block(Py_ssize_t* capacity, bint is_patient = True, Py_ssize_t* ready = NULL) except NULL:
    """Returns a block of at least `capacity` bytes, and writes there how many it has. `is_patient`: new memory may be had in large
    pieces. Where it may not, `ready` is how many bytes are probably there.
    """
    global untouched
    cdef int index = pool_index(capacity[0])
    cdef int found = index
    cdef void* block = NULL
    if index < 0:
        block = malloc(capacity[0])
    else:
        capacity[0] = <Py_ssize_t> SMALLEST_POOLED << index
        block = unkeep_block(index)
        while block == NULL and found > ROOM_INDEX:  # one that has been used for less
            found -= 1
            block = unkeep_block(found)
        if ready != NULL:
            ready[0] = 0
            if is_patient:
                ready[0] = ROOM
            elif block != NULL:
                ready[0] = <Py_ssize_t> SMALLEST_POOLED << found
        if block != NULL:
            return <uint8_t*> block
        if index >= ROOM_INDEX:
            block = allocate_huge_pages(ROOM) if is_patient else allocate_small_pages(ROOM)
        elif index == HALF_INDEX:
            block, untouched = untouched, NULL
            if block == NULL:
                block = allocate_huge_pages(HUGE_PAGE)
                if block != NULL:
                    untouched = other_half(block)
        elif posix_memalign(&block, PAGE_SIZE, capacity[0]):
            block = NULL
    if block == NULL:
        raise MemoryError(f"no memory for a data set of {capacity[0]} bytes")
    return <uint8_t*> block


cdef bint free_block(void* block, int index) noexcept:
    """Gives a pooled block back to the system; false for a half whose other half is in use."""
    if index < HALF_INDEX:
        free(block)
    elif index >= ROOM_INDEX:
        munmap(block, ROOM)
    elif unkeep_half(other_half(block)):
        munmap(whole_page(block), HUGE_PAGE)
    else:
        return False
    return True


cdef void give_block(uint8_t* block, Py_ssize_t capacity) noexcept:
    cdef int index = pool_index(capacity)
    cdef bint is_kept
    if block == NULL or index < 0:
        free(block)
        return
    if index >= ROOM_INDEX:
        is_kept = rooms_size + capacity <= ROOMS_LIMIT
    else:
        is_kept = pool_size - rooms_size + capacity <= POOL_LIMIT
    if is_kept or not free_block(block, index):
        keep_block(block, index)
