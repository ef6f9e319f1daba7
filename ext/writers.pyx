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

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <pthread.h>
    #include <signal.h>
    #include <stdint.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <sys/stat.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <unistd.h>

    #define ENTER_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    // What addresses, offsets and lengths must be a multiple of to go past the page cache, on nearly every file system.
    #define PAGE 4096
    // Pieces of memory that one call of the system takes: IOV_MAX.
    #define MOST_PIECES 1024

    #if defined(__linux__)
    #define sync_data fdatasync
    #else
    #define sync_data fsync
    #endif

    enum { TO_FOLDERS, TO_FILE, TO_END };

    typedef struct Work {
        struct Work* next;
        void* owner;
        int kind;
        // Of what is appended to `file`.
        struct iovec* pieces;
        int piece_count;
        off_t at;
        // Of a file.
        int folder;             // where its temporary name is
        int file;               // the file, or -1: it is to be made
        int unnamed, past_cache, sync;
        const char *temporary, *name;
        const char* data;
        size_t size;
        const char** path;      // the sub-folders, below one another, that the name goes to
        int result;             // errno
        double seconds;         // that writing took
        // Descriptors: of the sub-folders as they are opened; or of the folders to be synced, and then the errno of each.
        int* folders;
        int count, opened;
    } Work;

    static int set_past_cache(int fd, int on) {
    #ifdef O_DIRECT
        // Not given to open(): where the file system refuses it, that makes the file and fails.
        return !fcntl(fd, F_SETFL, on ? O_DIRECT : 0);
    #else
        (void)fd; (void)on;
        return 0;
    #endif
    }

    static int write_data(int fd, const char* data, size_t size, int past_cache) {
        size_t at = 0, end = size;
        // What does not fill its last page goes through the cache: cutting off what was filled up would read that page from the disk.
        int direct = past_cache && size >= PAGE && !((uintptr_t)data % PAGE) && set_past_cache(fd, 1);
        if (direct) end = size / PAGE * PAGE;
        while (at < size) {
            ssize_t written = pwrite(fd, data + at, end - at, (off_t)at);
            if (written > 0) at += (size_t)written;
            else if (written < 0 && errno == EINTR) continue;
            else if (!written || !direct || errno != EINVAL) return written ? errno : EIO;
            if (direct && at < size && (written < 0 || at == end || at % PAGE)) {
                if (!set_past_cache(fd, 0)) return errno;
                direct = 0;
                end = size;
            }
        }
        return 0;
    }

    static int make_unnamed(int folder) {
    #ifdef O_TMPFILE
        return openat(folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
    #else
        (void)folder;
        errno = EOPNOTSUPP;
        return -1;
    #endif
    }

    // Gives an unnamed file a name that nothing has.
    static int link_unnamed(int file, int folder, const char* name) {
        char path[32];
    #ifdef AT_EMPTY_PATH
        if (!linkat(file, "", folder, name, AT_EMPTY_PATH)) return 0;
        if (errno != ENOENT) return -1;  // before Linux 6.10 that is what it says to who is not privileged
    #endif
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
        return linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW);
    }

    static int links_unnamed(int folder, const char* temporary) {
        int file = make_unnamed(folder), linked = file >= 0 && !link_unnamed(file, folder, temporary);
        if (file >= 0) close(file);
        if (linked) unlinkat(folder, temporary, 0);
        return linked;
    }

    static int enter_folder(int folder, const char* name) {
        int fd = openat(folder, name, ENTER_FOLDER);
        if (fd >= 0 || errno != ENOENT) return fd;
        if (mkdirat(folder, name, 0777) && errno != EEXIST) return -1;  // another object of the same study was faster
        return openat(folder, name, ENTER_FOLDER);
    }

    static int give_name(Work* work) {
        int into = work->folder;
        while (work->opened < work->count) {
            into = enter_folder(into, work->path[work->opened]);
            if (into < 0) return errno;
            work->folders[work->opened++] = into;
        }
        if (work->unnamed) {
            if (!link_unnamed(work->file, into, work->name)) return 0;
            // Only a rename replaces what has the name.
            if (errno != EEXIST || link_unnamed(work->file, work->folder, work->temporary)) return errno;
        }
        return renameat(work->folder, work->temporary, into, work->name) ? errno : 0;
    }

    static double now(void) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    }

    static int keep_file(Work* work) {
        int error = 0;
        if (work->file < 0) {
            int named = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
            work->file = work->unnamed ? make_unnamed(work->folder) : openat(work->folder, work->temporary, named, 0666);
            if (work->file < 0) return errno;
            double began = now();
            error = write_data(work->file, work->data, work->size, work->past_cache);
            work->seconds = now() - began;
        } else work->unnamed = 0;
        if (!error && work->sync && sync_data(work->file)) error = errno;
        if (!error && work->unnamed) error = give_name(work);
        // Network file systems tell of a failed write here, and have no unnamed files.
        if (close(work->file) && !error) error = errno;
        work->file = -1;
        if (!error && !work->unnamed) error = give_name(work);
        if (error) unlinkat(work->folder, work->temporary, 0);
        return error;
    }

    static int append(Work* work) {
        struct iovec* next = work->pieces;
        int left = work->piece_count, direct = 1;
        off_t at = work->at;
        while (left) {
            ssize_t written = pwritev(work->file, next, left < MOST_PIECES ? left : MOST_PIECES, at);
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) {
                // What the file system wants memory and sizes to be a multiple of is more than a page.
                if (!written || errno != EINVAL || !direct) return written ? errno : EIO;
                direct = 0;
                if (!set_past_cache(work->file, 0)) return errno;
                continue;
            }
            at += written;
            while (left && (size_t)written >= next->iov_len) {
                written -= (ssize_t)next->iov_len;
                next++;
                left--;
            }
            if (left && written) {  // a disk that is nearly full
                next->iov_base = (char*)next->iov_base + written;
                next->iov_len -= (size_t)written;
            }
        }
        return work->sync && sync_data(work->file) ? errno : 0;
    }

    static void perform(Work* work) {
        if (work->kind != TO_FOLDERS) {
            work->result = work->kind == TO_FILE ? keep_file(work) : append(work);
            return;
        }
        for (int index = 0; index < work->count; index++)
            work->folders[index] = fsync(work->folders[index]) ? errno : 0;
    }

    typedef struct Line {
        Work *first, *last;
    } Line;

    static void line_up(Line* line, Work* work) {
        work->next = NULL;
        if (line->first) line->last->next = work;
        else line->first = work;
        line->last = work;
    }

    // Everything in it but `lock` and `some` is touched by who holds `lock`.
    typedef struct Crew {
        pthread_mutex_t lock;
        pthread_cond_t some;
        Line waiting, done;
        int queued, idle, count, most, is_ending;
        int bell;               // is written to when something is done and nothing was
        pthread_t* threads;
    } Crew;

    static void* work_on(void* argument) {
        Crew* crew = argument;
        pthread_mutex_lock(&crew->lock);
        for (;;) {
            while (!crew->waiting.first && !crew->is_ending) {
                crew->idle++;
                pthread_cond_wait(&crew->some, &crew->lock);
                crew->idle--;
            }
            Work* work = crew->waiting.first;
            if (!work) break;
            crew->waiting.first = work->next;
            crew->queued--;
            pthread_mutex_unlock(&crew->lock);
            perform(work);
            pthread_mutex_lock(&crew->lock);
            if (!crew->done.first) {
                ssize_t rung = write(crew->bell, "", 1);
                (void)rung;  // a pipe that is full rings already
            }
            line_up(&crew->done, work);
        }
        pthread_mutex_unlock(&crew->lock);
        return NULL;
    }

    static int start_thread(Crew* crew) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);  // signals are for the threads of Python
        int error = pthread_create(&crew->threads[crew->count], NULL, work_on, crew);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (!error) crew->count++;
        return error;
    }

    // Returns an errno when there is no thread for it.
    static int give_work(Crew* crew, Work* work) {
        int error = 0;
        pthread_mutex_lock(&crew->lock);
        if (crew->queued >= crew->idle && crew->count < crew->most) error = start_thread(crew);
        if (crew->count) {  // the others will do
            error = 0;
            crew->queued++;
            line_up(&crew->waiting, work);
        }
        pthread_mutex_unlock(&crew->lock);
        if (!error) pthread_cond_signal(&crew->some);
        return error;
    }

    static Work* take_done(Crew* crew) {
        pthread_mutex_lock(&crew->lock);
        Work* first = crew->done.first;
        crew->done.first = NULL;
        pthread_mutex_unlock(&crew->lock);
        return first;
    }

    static int make_crew(Crew* crew, int most, pthread_t* threads, int bell) {
        Crew made = {.most = most, .threads = threads, .bell = bell};
        *crew = made;
        int error = pthread_mutex_init(&crew->lock, NULL);
        return error ? error : pthread_cond_init(&crew->some, NULL);
    }

    // Returns when all that was given is done.
    static void end_crew(Crew* crew) {
        pthread_mutex_lock(&crew->lock);
        crew->is_ending = 1;
        pthread_cond_broadcast(&crew->some);
        pthread_mutex_unlock(&crew->lock);
        while (crew->count) pthread_join(crew->threads[--crew->count], NULL);
        pthread_cond_destroy(&crew->some);
        pthread_mutex_destroy(&crew->lock);
    }
    """
    ctypedef struct pthread_t:
        pass

    struct iovec:
        void* iov_base
        size_t iov_len

    int posix_memalign(void** memory, size_t alignment, size_t size)
    enum:
        PAGE
        TO_FILE
        TO_END

    ctypedef struct Work:
        Work* next
        void* owner
        int kind
        iovec* pieces
        int piece_count
        long long at
        int folder
        int file
        bint unnamed
        bint past_cache
        bint sync
        const char* temporary
        const char* name
        const char* data
        size_t size
        const char** path
        int result
        double seconds
        int* folders
        int count
        int opened

    ctypedef struct Crew:
        pass

    int c_links_unnamed "links_unnamed"(int folder, const char* temporary)
    void perform(Work* work) nogil
    int give_work(Crew* crew, Work* work)
    Work* take_done(Crew* crew)
    int make_crew(Crew* crew, int most, pthread_t* threads, int bell)
    void end_crew(Crew* crew) nogil
    int close(int fd) nogil


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
    `past_cache`: data that lies on pages goes to the disk past the page cache, if the file system has it so. `sync`: the
    file's bytes are on the disk before it gets its name. Sub-folders are made on demand; a symbolic link is none.

    When it is done, `result` is 0, or the errno of what went wrong: then there is no such file, under neither name. `seconds` is how
    long it took to write `data`.
    """

    cdef Py_buffer data
    cdef tuple names
    cdef bint is_held

    def __cinit__(self, int folder, bytes temporary, tuple path, *, data=None, int file=-1, bint unnamed=False, bint past_cache=False, bint sync=False):
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
