"""What files are too dear for from Python: reads that don't wait for a disk, and waits for it that many share."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, EOPNOTSUPP, errno
from libc.stdlib cimport free, malloc
from posix.types cimport off_t
from posix.unistd cimport pread

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
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
    """
    Py_ssize_t read_nowait(int fd, void* into, size_t size, off_t offset) nogil
    void start_writing(int fd) nogil
    int sync_data(int fd) nogil


cdef Py_ssize_t read_waiting(int fd, void* into, size_t size, off_t offset) noexcept nogil:
    cdef Py_ssize_t got
    while True:
        got = pread(fd, into, size, offset)
        if got >= 0 or errno != EINTR:
            return got


def read_cached(int fd, Py_ssize_t size, off_t offset):
    """Returns `size` bytes of a file at `offset` if that needs no disk, else None.

    Also None at the end of the file and on errors: who then reads in the ordinary way sees which it is.
    """
    data = PyBytes_FromStringAndSize(NULL, size)
    cdef char* into = PyBytes_AS_STRING(data)
    cdef Py_ssize_t got
    with nogil:
        got = read_nowait(fd, into, size, offset)
        if got < 0 and errno == EOPNOTSUPP:
            # File systems that live in memory don't know the flag and have no disk to wait for.
            got = read_waiting(fd, into, size, offset)
    return data if got == size else None


def start_sync(int descriptor):
    """Sets the bytes of an open file on their way to the disk, and waits for nothing but room in the disk's queue."""
    with nogil:
        start_writing(descriptor)


def sync_all(descriptors):
    """Has the bytes of several open files on the disk (fdatasync), and returns the errno of each, 0 where it succeeded.

    Blocks, while other threads run.
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
                files[index] = errno if sync_data(files[index]) else 0
        return [files[index] for index in range(count)]
    finally:
        free(files)
