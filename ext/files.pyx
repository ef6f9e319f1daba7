"""What files are too dear for from Python: reads that don't wait for a disk, and waits for it that many share."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.memoryview cimport PyMemoryView_FromObject
from libc.errno cimport EAGAIN, EINTR, EOPNOTSUPP, errno
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from posix.types cimport off_t
from posix.unistd cimport pread

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <stdio.h>
    #include <sys/uio.h>
    #include <unistd.h>
    #if defined(__linux__) && defined(RWF_NOWAIT)
    static ssize_t read_nowait(int fd, void* into, size_t size, off_t offset) {
        struct iovec one = {into, size};
        return preadv2(fd, &one, 1, offset, RWF_NOWAIT);
    }
    #else
    static ssize_t read_nowait(int fd, void* into, size_t size, off_t offset) {
        (void)fd; (void)into; (void)size; (void)offset;
        errno = EAGAIN;
        return -1;
    }
    #endif
    #if defined(__linux__)
    static void start_writing(int fd) {
        // A hint only, which not every file system takes: sync_data() after it is what tells of failures.
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    }
    #define sync_data fdatasync
    #else
    static void start_writing(int fd) { (void)fd; }
    #define sync_data fsync
    #endif

    // Makes and writes a file: its descriptor, or what went wrong as a negative errno, and then there is no file.
    static int write_whole(int folder, const char* name, const char* data, size_t size) {
        int fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd < 0) return -errno;
        while (size) {
            ssize_t written = write(fd, data, size);
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) {
                int error = errno;
                close(fd);
                unlinkat(folder, name, 0);
                return -error;
            }
            data += written;
            size -= (size_t)written;
        }
        return fd;
    }

    // Network file systems report a failed write when a file is closed.
    static int end_file(int fd, int sync) {
        int error = sync && sync_data(fd) ? errno : 0;
        return close(fd) && !error ? errno : error;
    }
    """
    int write_whole(int folder, const char* name, const char* data, size_t size) nogil
    int end_file(int fd, bint sync) nogil
    int renameat(int folder, const char* old, int into, const char* new) nogil
    Py_ssize_t read_nowait(int fd, void* into, size_t size, off_t offset) nogil
    void start_writing(int fd) nogil


cdef Py_ssize_t read_waiting(int fd, void* into, size_t size, off_t offset) noexcept nogil:
    cdef Py_ssize_t got
    while True:
        got = pread(fd, into, size, offset)
        if got >= 0 or errno != EINTR:
            return got


include "blocks.pxi"


cdef class Block:
    """Bytes of a file, in memory that goes to the next one."""

    cdef uint8_t* data
    cdef Py_ssize_t capacity
    cdef Py_ssize_t size

    def __cinit__(self, Py_ssize_t size):
        self.capacity = max(size, 1)
        self.data = take_block(&self.capacity)
        self.size = size

    def __dealloc__(self):
        give_block(self.data, self.capacity)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, 1, flags)


def read_cached(int fd, Py_ssize_t size, off_t offset):
    """Returns a view of `size` bytes of a file at `offset` if that needs no disk, else None.

    Also None at the end of the file and on errors: who then reads in the ordinary way sees which it is.
    """
    cdef Block block = Block(size)
    cdef Py_ssize_t got
    with nogil:
        got = read_nowait(fd, block.data, size, offset)
        if got < 0 and errno == EOPNOTSUPP:
            # File systems that live in memory don't know the flag and have no disk to wait for.
            got = read_waiting(fd, block.data, size, offset)
    return PyMemoryView_FromObject(block) if got == size else None


cdef struct Whole:
    const char* name
    Py_buffer data
    int result


def write_all(int folder, list files, bint sync):
    """Makes and writes files of a folder, each given as its name and its bytes, without the interpreter's lock.

    Returns for each its descriptor, or what went wrong as a negative errno: then there is no such file. `sync`: the bytes are
    set on their way to the disk, which works while the next is written.
    """
    cdef Py_ssize_t count = len(files), held = 0, index
    cdef Whole* wholes = <Whole*> malloc(max(1, count) * sizeof(Whole))
    if wholes == NULL:
        raise MemoryError()
    try:
        for name, data in files:
            wholes[held].name = name
            PyObject_GetBuffer(data, &wholes[held].data, PyBUF_SIMPLE)
            held += 1
        with nogil:
            for index in range(count):
                wholes[index].result = write_whole(
                    folder, wholes[index].name, <const char*> wholes[index].data.buf, wholes[index].data.len
                )
                if sync and wholes[index].result >= 0:
                    start_writing(wholes[index].result)
        return [wholes[index].result for index in range(count)]
    finally:
        for index in range(held):
            PyBuffer_Release(&wholes[index].data)
        free(wholes)


def close_all(list descriptors, bint sync):
    """Closes files, with `sync` when their bytes are on the disk (fdatasync), without the interpreter's lock.

    Returns the errno of each, 0 where all went well.
    """
    cdef Py_ssize_t count = len(descriptors), index
    cdef int* files = <int*> malloc(max(1, count) * sizeof(int))
    if files == NULL:
        raise MemoryError()
    try:
        for index in range(count):
            files[index] = descriptors[index]
        with nogil:
            for index in range(count):
                files[index] = end_file(files[index], sync)
        return [files[index] for index in range(count)]
    finally:
        free(files)


cdef struct Name:
    const char* old
    const char* new
    int into
    int result


def rename_all(int folder, list names):
    """Renames files of a folder, each given as its name, the folder that it goes to and its name there.

    Returns the errno of each, 0 where it succeeded. Runs without the interpreter's lock.
    """
    cdef Py_ssize_t count = len(names), index = 0
    cdef Name* each = <Name*> malloc(max(1, count) * sizeof(Name))
    if each == NULL:
        raise MemoryError()
    try:
        for old, into, new in names:
            each[index].old, each[index].into, each[index].new = old, into, new
            index += 1
        with nogil:
            for index in range(count):
                each[index].result = errno if renameat(folder, each[index].old, each[index].into, each[index].new) else 0
        return [each[index].result for index in range(count)]
    finally:
        free(each)
