"""Reading files without waiting for a disk: what asyncio's threads are too dear for when the page cache has it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, EOPNOTSUPP, errno
from posix.types cimport off_t
from posix.unistd cimport pread

cdef extern from *:
    """
    #include <errno.h>
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
    """
    Py_ssize_t read_nowait(int fd, void* into, size_t size, off_t offset) nogil


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
