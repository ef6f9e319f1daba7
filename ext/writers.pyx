"""Threads that have files on the disk, without the interpreter's lock: a thread of Python would wait for it after each system call,
and the event loop holds it.

A `FileJob` makes a file, writes it, has it on the disk if asked to, and gives it its name. A `FoldersJob` has the names in folders on the disk. An
`AppendJob` writes what belongs together to a file that is open. `Writers` perform jobs; whoever gave one learns of its end by a descriptor that becomes readable.
"""

import os

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

include "writers_threads.pxi"


def links_unnamed(int folder, bytes temporary):
    """Whether a file made without a name in the folder with the descriptor `folder` can be given one there; tried with `temporary`,
    which nothing has and nothing has afterwards.
    """
    return bool(c_links_unnamed(folder, temporary))


cdef class Job:
    """Something to be done to the disk, once.

    Invariant: what `work` points to lives as long as the job.
    """

    cdef Work work
    #: Whatever whoever gave the job needs when it is done.
    cdef public object context

    def __dealloc__(self):
        free(self.work.folders)
        free(self.work.path)

    cdef int make_room(self, Py_ssize_t count) except -1:
        self.work.owner = <void*> self
        self.work.folders = <int*> malloc(max(1, count) * sizeof(int))
        self.work.path = <const char**> malloc(max(1, count) * sizeof(char*))
        if self.work.folders == NULL or self.work.path == NULL:
            raise MemoryError()
        self.work.count = <int> count
        return 0

    def run(self):
        """Does it here and now. Blocks, without the interpreter's lock."""
        with nogil:
            perform(&self.work)
        self.finish()

    cdef void finish(self) noexcept:
        """It is done."""


cdef class FileJob(Job):
    """Has the file `temporary` of the folder with the descriptor `folder` at its name: `path`, sub-folders and then the name itself.

    The file is made and has `data` written to it; or it is `file`, a descriptor of the job's from here on, with nothing more to be written.
    `unnamed`: it is made without a name (`links_unnamed`), and has `temporary` at most while it replaces another.
    `past_cache`: data that lies on pages goes to the disk past the page cache, if the file system has it so. `let_go`: it goes to the disk
    through the page cache right away, which does not keep it, if the file system has that. `sync`: the
    file's bytes are on the disk before it gets its name. Sub-folders are made on demand; a symbolic link is none.

    When it is done, `result` is 0, or the errno of what went wrong: then there is no such file, under neither name. `seconds` is how
    long it took to write `data`.
    """

    cdef Py_buffer data
    cdef tuple names
    cdef bint is_held

    def __cinit__(self, int folder, bytes temporary, tuple path, *, data=None, int file=-1, bint unnamed=False, bint past_cache=False,
                  bint let_go=False, bint sync=False):
        cdef Py_ssize_t index
        self.work.file = -1
        if not path:
            raise ValueError("no name")
        self.names = temporary, path
        self.make_room(len(path) - 1)
        for index in range(len(path) - 1):
            self.work.path[index] = path[index]
        self.work.name = path[len(path) - 1]
        self.work.temporary = temporary
        self.work.kind = TO_FILE
        self.work.folder = folder
        self.work.unnamed = unnamed
        self.work.past_cache = past_cache
        self.work.let_go = let_go
        self.work.sync = sync
        if data is not None:
            PyObject_GetBuffer(data, &self.data, PyBUF_SIMPLE)
            self.is_held = True
            self.work.data = <const char*> self.data.buf
            self.work.size = self.data.len
        self.work.file = file

    def __dealloc__(self):
        cdef int index
        self.finish()
        if self.work.kind == TO_FILE and self.work.file >= 0:
            close(self.work.file)
        for index in range(self.work.opened):
            close(self.work.folders[index])

    cdef void finish(self) noexcept:
        if self.is_held:
            self.is_held = False
            PyBuffer_Release(&self.data)

    @property
    def past_cache(self):
        return bool(self.work.past_cache)

    @past_cache.setter
    def past_cache(self, bint past_cache):
        self.work.past_cache = past_cache

    @property
    def let_go(self):
        return bool(self.work.let_go)

    @let_go.setter
    def let_go(self, bint let_go):
        self.work.let_go = let_go

    @property
    def result(self):
        return self.work.result

    @property
    def seconds(self):
        return self.work.seconds

    @property
    def folders(self):
        """Descriptors of the sub-folders, open as long as the job lives."""
        return [self.work.folders[index] for index in range(self.work.opened)]


cdef class FoldersJob(Job):
    """Has the names in folders, given by their descriptors, on the disk, one after another. Then `results` has the errno of each."""

    def __cinit__(self, list descriptors):
        cdef Py_ssize_t index
        self.make_room(len(descriptors))
        for index in range(len(descriptors)):
            self.work.folders[index] = descriptors[index]

    @property
    def results(self):
        return [self.work.folders[index] for index in range(self.work.count)]


cdef class AppendJob(Job):
    """Writes parts one after another to the file with the descriptor `file`, from `at` on, and with `sync` has them on the disk.

    Parts that lie on pages, are whole pages, and come to lie on pages of the file are written from where they are; the others are copied now,
    to memory on pages, so that all of it can go past the page cache where the descriptor has O_DIRECT. Where the file system refuses that, it is
    taken off the descriptor.

    When it is done, `result` is 0, or the errno of what went wrong: then some of it may be there.
    """

    cdef Py_buffer* parts
    cdef Py_ssize_t held
    cdef void* copies

    def __cinit__(self, int file, long long at, list parts, *, bint sync=False):
        cdef Py_ssize_t copied = 0
        cdef long long offset = at
        self.work.owner = <void*> self
        self.work.kind = TO_END
        self.work.file = file
        self.work.at = at
        self.work.sync = sync
        self.parts = <Py_buffer*> malloc(max(1, len(parts)) * sizeof(Py_buffer))
        self.work.pieces = <iovec*> malloc(max(1, len(parts)) * sizeof(iovec))
        if self.parts == NULL or self.work.pieces == NULL:
            raise MemoryError()
        for part in parts:
            PyObject_GetBuffer(part, &self.parts[self.held], PyBUF_SIMPLE)
            self.held += 1
            if not self.stays(self.held - 1, offset):
                copied += self.parts[self.held - 1].len
            offset += self.parts[self.held - 1].len
        if copied and posix_memalign(&self.copies, PAGE, copied):
            raise MemoryError()
        self.gather()

    def __dealloc__(self):
        self.finish()
        free(self.parts)
        free(self.work.pieces)
        free(self.copies)

    cdef bint stays(self, Py_ssize_t index, long long offset) noexcept:
        """Whether a part is written from where it is."""
        cdef Py_buffer* part = &self.parts[index]
        return part.len > 0 and not (part.len | offset | <long long> <uintptr_t> part.buf) % PAGE

    cdef void gather(self) noexcept:
        cdef char* free_from = <char*> self.copies
        cdef long long offset = self.work.at
        cdef bint is_copying = False
        cdef Py_buffer* part
        cdef Py_ssize_t index
        for index in range(self.held):
            part = &self.parts[index]
            if self.stays(index, offset):
                self.add(part.buf, part.len)
                is_copying = False
            elif part.len:
                memcpy(free_from, part.buf, part.len)
                if is_copying:
                    self.work.pieces[self.work.piece_count - 1].iov_len += part.len
                else:
                    self.add(free_from, part.len)
                    is_copying = True
                free_from += part.len
            offset += part.len

    cdef void add(self, void* memory, Py_ssize_t size) noexcept:
        self.work.pieces[self.work.piece_count].iov_base = memory
        self.work.pieces[self.work.piece_count].iov_len = size
        self.work.piece_count += 1

    cdef void finish(self) noexcept:
        while self.held:
            self.held -= 1
            PyBuffer_Release(&self.parts[self.held])

    @property
    def result(self):
        return self.work.result


cdef class Writers:
    """Up to `most` threads, started on demand, that do jobs in the order in which they are given.

    Not for use by two threads at once, nor after `close()`.

    Invariant: a job that was given and not collected has a reference more.
    """

    cdef Crew crew
    cdef pthread_t* threads
    cdef bint is_open
    cdef int bell
    cdef int heard

    def __cinit__(self, int most):
        self.heard = self.bell = -1
        if most < 1:
            raise ValueError(f"{most} threads do nothing")
        self.threads = <pthread_t*> malloc(most * sizeof(pthread_t))
        if self.threads == NULL:
            raise MemoryError()
        self.heard, self.bell = os.pipe()
        os.set_blocking(self.heard, False)
        os.set_blocking(self.bell, False)
        error = make_crew(&self.crew, most, self.threads, self.bell)
        if error:
            raise OSError(error, os.strerror(error))
        self.is_open = True

    def __dealloc__(self):
        self.end()
        free(self.threads)

    def fileno(self):
        """A descriptor that is readable when there is something to collect."""
        return self.heard

    def give(self, Job job not None):
        """Has the job done. Raises OSError when there is no thread and none can be started."""
        error = give_work(&self.crew, &job.work)
        if error:
            raise OSError(error, os.strerror(error))
        Py_INCREF(job)

    def collect(self):
        """Returns the jobs that are done, in the order in which they were."""
        try:
            os.read(self.heard, 64)
        except BlockingIOError:
            pass
        return self.take()

    cdef list take(self):
        cdef Work* work = take_done(&self.crew)
        cdef Job job
        cdef list jobs = []
        while work != NULL:
            job = <Job> work.owner
            work = work.next
            Py_DECREF(job)
            job.finish()
            jobs.append(job)
        return jobs

    def close(self):
        """Ends the threads; blocks until all that was given is done. Nothing of it can be collected any more."""
        self.end()

    cdef void end(self):
        if self.is_open:
            self.is_open = False
            with nogil:
                end_crew(&self.crew)
            self.take()
        if self.threads != NULL and self.heard >= 0:
            close(self.heard)
            close(self.bell)
            self.heard = self.bell = -1
