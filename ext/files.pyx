"""Reads from files that don't wait for a disk."""

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_SetFromErrno, PyErr_SetFromErrnoWithFilenameObject
from cpython.memoryview cimport PyMemoryView_FromObject
from cython cimport no_gc
from libc.errno cimport EAGAIN, EINTR, EOPNOTSUPP, errno
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from posix.fcntl cimport O_RDONLY, open as open_file
from posix.types cimport off_t
from posix.unistd cimport close as close_file, pread

from os import fsencode

from aiodicom.errors import LocalError

cdef extern from "Python.h":
    bytes PyUnicode_EncodeFSDefault(object text)

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <signal.h>
    #include <stdio.h>
    #include <sys/stat.h>
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
    /* Which file it is and in what state: device, inode, size, and when it was changed last, in nanoseconds. */
    static int look_at(int fd, const char* path, long long into[4]) {
        struct stat found;
        if (path ? stat(path, &found) : fstat(fd, &found)) return -1;
    #ifdef __APPLE__
        struct timespec changed = found.st_ctimespec;
    #else
        struct timespec changed = found.st_ctim;
    #endif
        into[0] = found.st_dev;
        into[1] = found.st_ino;
        into[2] = found.st_size;
        into[3] = changed.tv_sec * 1000000000LL + changed.tv_nsec;
        return 0;
    }
    """
    int O_CLOEXEC
    int look_at(int fd, const char* path, long long* into) nogil
    Py_ssize_t read_nowait(int fd, void* into, size_t size, off_t offset) nogil


cdef Py_ssize_t read_waiting(int fd, void* into, size_t size, off_t offset) noexcept nogil:
    cdef Py_ssize_t got
    while True:
        got = pread(fd, into, size, offset)
        if got >= 0 or errno != EINTR:
            return got


cdef Py_ssize_t read_if_cached(int fd, void* into, size_t size, off_t offset) noexcept nogil:
    cdef Py_ssize_t got = read_nowait(fd, into, size, offset)
    if got < 0 and errno == EOPNOTSUPP:
        # File systems that live in memory don't know the flag and have no disk to wait for.
        got = read_waiting(fd, into, size, offset)
    return got


include "blocks.pxi"
include "ahead.pxi"


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


cdef bytes encoded_path(path):
    return PyUnicode_EncodeFSDefault(path) if type(path) is str else fsencode(path)


def file_stamp(file):
    """Returns the device, inode, size and time of change, in nanoseconds, of an open file or of the file at a path.

    What `os.stat` gives, without the rest. Raises `OSError`.
    """
    cdef int fd = -1
    cdef int got
    cdef const char* path = NULL
    cdef long long[4] stamp = [0, 0, 0, 0]
    if isinstance(file, int):
        fd = file
    else:
        encoded = encoded_path(file)
        path = encoded
    with nogil:
        got = look_at(fd, path, stamp)
    if got:
        PyErr_SetFromErrnoWithFilenameObject(OSError, None if path == NULL else file)
    return stamp[0], stamp[1], stamp[2], stamp[3]


def read_cached(int fd, Py_ssize_t size, off_t offset):
    """Returns a view of `size` bytes of a file at `offset` if that needs no disk, else None.

    Also None at the end of the file and on errors: who then reads in the ordinary way sees which it is.
    """
    cdef Block block = Block(size)
    cdef Py_ssize_t got
    with nogil:
        got = read_if_cached(fd, block.data, size, offset)
    return PyMemoryView_FromObject(block) if got == size else None


def read_known(path, stamp, off_t offset):
    """Returns what a file holds from `offset` on if `file_stamp` is what `stamp` says and that needs no disk, else None.

    Also None on errors: who then opens it in the ordinary way sees which it is.
    """
    cdef long long device, inode, length, changed
    cdef long long[4] found = [0, 0, 0, 0]
    cdef Py_ssize_t got = -1
    cdef int fd
    device, inode, length, changed = stamp
    cdef Py_ssize_t size = length - offset
    if size < 0:
        return None
    encoded = encoded_path(path)
    cdef const char* name = encoded
    data = PyBytes_FromStringAndSize(NULL, size)
    cdef char* into = PyBytes_AS_STRING(data)
    with nogil:
        fd = open_file(name, O_RDONLY | O_CLOEXEC)
        if fd >= 0:
            if not look_at(fd, NULL, found) and found[0] == device and found[1] == inode and found[2] == length \
                    and found[3] == changed:
                got = read_if_cached(fd, into, size, offset)
            close_file(fd)
    return data if got == size else None


def assume_copying(long nanoseconds):
    """Has it be taken for what reading a MiB costs, until the next file is read ahead."""
    set_copying(nanoseconds)


cdef class OpenFile:
    """A descriptor that is closed when nobody has this any more."""

    cdef int descriptor

    def __dealloc__(self):
        close_file(self.descriptor)


@no_gc
cdef class FilePart:
    """Bytes of an open file: a buffer that is filled when somebody looks at it, while a transport may have the system send them.

    Its slices are such buffers too. Looking raises LocalError where the file has been cut short, and OSError.
    """

    cdef OpenFile file
    #: Where they begin in the file.
    cdef readonly off_t offset
    cdef Py_ssize_t size
    cdef Block block

    #: So that who only divides it does not look.
    is_deferred = True

    @property
    def descriptor(self):
        """The descriptor of the file."""
        return self.file.descriptor

    @property
    def nbytes(self):
        """How many bytes there are, as a memoryview says it."""
        return self.size

    def __len__(self):
        return self.size

    def __getitem__(self, key):
        start, stop, step = key.indices(self.size)
        if step != 1:
            raise ValueError("a part of a file is in one piece")
        return file_part(self.file, self.offset + start, max(stop - start, 0))

    def __getbuffer__(self, Py_buffer* view, int flags):
        cdef Block block
        if self.block is None:
            block = self.read()
            if self.block is None:  # still: another thread may have looked meanwhile
                self.block = block
        PyBuffer_FillInfo(view, self, self.block.data, self.size, 1, flags)

    cdef Block read(self):
        cdef Block block = Block(self.size)
        cdef Py_ssize_t got = 0
        cdef Py_ssize_t more = 1
        with nogil:
            while got < self.size and more > 0:
                more = read_waiting(self.file.descriptor, block.data + got, self.size - got, self.offset + got)
                got += more
        if more < 0:
            PyErr_SetFromErrno(OSError)
        if got < self.size:
            raise LocalError(f"the file was cut short to {self.offset + got} bytes while it was sent")
        return block


cdef FilePart file_part(OpenFile file, off_t offset, Py_ssize_t size):
    cdef FilePart part = FilePart.__new__(FilePart)
    part.file = file
    part.offset = offset
    part.size = size
    return part


cdef enum:
    #: So many files at most are read ahead in a process, or have been and wait for their turn.
    MOST_AHEAD = 32

cdef int ahead = 0


@no_gc  # it is in no cycle by itself, and when it goes it has to know its block
cdef class ReadAhead:
    """What a file holds from `offset` on, if it is the one of the stamp and needs no disk: left open, or read by a thread of its own."""

    cdef job job
    #: The memory that is read to.
    cdef Block block
    cdef bytes path
    cdef bint is_held

    def __cinit__(self, path, stamp, off_t offset, Py_ssize_t size, bint may_stay):
        global ahead
        self.path = encoded_path(path)
        self.job.path = self.path
        self.job.stamp[0], self.job.stamp[1], self.job.stamp[2], self.job.stamp[3] = stamp
        self.job.offset = offset
        self.job.size = size
        self.job.may_stay = may_stay and copying_is_slow()
        self.job.file = -1
        if not leave_open_at_once(&self.job):
            self.block = Block(size)
            self.job.into = self.block.data
            if not queue_job(&self.job):
                return
        self.is_held = True
        ahead += 1

    @property
    def is_read(self):
        """Whether it is there to be taken."""
        return self.is_held and is_done(&self.job) and self.job.got == self.job.size

    @property
    def is_taken(self):
        """Whether it holds nothing any more."""
        return not self.is_held

    def take(self):
        """Returns a view of it, or a `FilePart`, once; or None: who then reads in the ordinary way sees why."""
        global ahead
        cdef OpenFile file
        if not self.is_held:
            return None
        self.is_held = False
        ahead -= 1
        block, self.block = self.block, None
        with nogil:
            if not end_job(&self.job):
                read_file_of(&self.job)
        if self.job.got != self.job.size:
            return None
        if self.job.file < 0:
            return PyMemoryView_FromObject(block)
        file = OpenFile.__new__(OpenFile)
        file.descriptor = self.job.file
        return file_part(file, self.job.offset, self.job.size) if is_unwritten(&self.job) else None

    def __dealloc__(self):
        global ahead
        if self.is_held:
            ahead -= 1
            with nogil:
                end_job(&self.job)
            if self.job.file >= 0:
                close_file(self.job.file)


def read_ahead(path, stamp, off_t offset, bint may_stay=False):
    """Returns a `ReadAhead` of a file from `offset` on, None when there are enough of them.

    `may_stay`: it may be left open instead, to be read, or sent by the system, when it is its turn.
    """
    cdef Py_ssize_t size = stamp[2] - offset
    return ReadAhead(path, stamp, offset, size, may_stay) if size > 0 and ahead < MOST_AHEAD else None
