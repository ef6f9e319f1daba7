# Files that a thread reads before it is their turn to be sent, for the module that includes this.  The thread knows nothing of
# Python: it takes its jobs from a queue, fills the memory that was set aside for them, and never waits for a disk.  Where memory
# is slow, a file is left open instead: what the system sends by itself (sendfile) is copied once less. The thread is not needed
# for that where the system says at once that it can open the file without waiting.
cdef extern from *:
    """
    #include <pthread.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/syscall.h>
    #include <time.h>

    enum { JOB_QUEUED, JOB_RUNNING, JOB_DONE };
    /* Nanoseconds of CPU for reading a MiB, from which on the system had better send files by itself. */
    enum { SLOW_COPY = 40000 };
    /* One of so many files is read all the same, to learn whether it still is so. */
    enum { READ_ANYWAY = 128 };

    typedef struct job {
        struct job *next;
        char *path;
        long long stamp[4];
        long long offset;
        void *into;
        Py_ssize_t size, got;
        int state;
        int may_stay;  /* the file is to be left open instead of read, if it needs no disk */
        int file;      /* then this is its descriptor, else -1, */
        struct timespec written;  /* and this when it was written to last */
    } job;

    static pthread_mutex_t jobs_lock = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t jobs_come = PTHREAD_COND_INITIALIZER, job_done = PTHREAD_COND_INITIALIZER;
    static job *first_job = NULL, **last_job = &first_job;
    static job *running_job = NULL;
    static int has_reader = 0, reader_waits = 0, knows_of_forks = 0;
    /* What reading a MiB has cost lately, in nanoseconds of CPU, and how many files might have been left open instead. */
    static long copying = 0;
    static unsigned long opened = 0;

    static long cpu_time(void) {
        struct timespec now;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return now.tv_sec * 1000000000L + now.tv_nsec;
    }

    static void set_copying(long each) { __atomic_store_n(&copying, each, __ATOMIC_RELAXED); }

    static void note_copying(Py_ssize_t size, long took) {
        long each = (long)((double)took * (1 << 20) / (double)size);
        long before = __atomic_load_n(&copying, __ATOMIC_RELAXED);
        set_copying(before ? before + (each - before) / 4 : each);
    }

    static int copying_is_slow(void) {
        if (__atomic_load_n(&copying, __ATOMIC_RELAXED) < SLOW_COPY) return 0;
        return __atomic_add_fetch(&opened, 1, __ATOMIC_RELAXED) % READ_ANYWAY != 0;
    }

    /* Whether all of it is in the page cache; 0 where the system does not tell. */
    static int is_cached(int fd, long long offset, Py_ssize_t size) {
    #ifdef __linux__
        enum { CACHESTAT = 451 };  /* Linux 6.5 */
        struct { unsigned long long offset, size; } range = {(unsigned long long)offset, (unsigned long long)size};
        struct { unsigned long long cached, dirty, writeback, evicted, recently_evicted; } found;
        long page = sysconf(_SC_PAGESIZE);
        if (syscall(CACHESTAT, fd, &range, &found, 0)) return 0;
        return found.cached == (unsigned long long)((offset + size - 1) / page - offset / page + 1);
    #else
        (void)fd; (void)offset; (void)size;
        return 0;
    #endif
    }

    /* Returns the size of a file, too. */
    static long long when_written(int fd, struct timespec *when) {
        struct stat found;
        if (fstat(fd, &found)) return -1;
    #ifdef __APPLE__
        *when = found.st_mtimespec;
    #else
        *when = found.st_mtim;
    #endif
        return found.st_size;
    }

    /* Whether a file that has been left open holds what it did; that another has got its name since makes no difference. */
    static int is_unwritten(const job *one) {
        struct timespec when = {0};
        return when_written(one->file, &when) == one->stamp[2]
            && when.tv_sec == one->written.tv_sec && when.tv_nsec == one->written.tv_nsec;
    }

    /* Whether a file of the stamp is left open: then as many bytes are got as are wanted. */
    static int leave_open(job *one, int fd) {
        if (!is_cached(fd, one->offset, one->size) || when_written(fd, &one->written) != one->stamp[2]) return 0;
        one->file = fd;
        one->got = one->size;
        return 1;
    }

    /* Opens a file whose name the system can look up without waiting for anything, else gives -1. */
    static int open_at_once(const char *path) {
    #if defined(__linux__) && defined(SYS_openat2)
        enum { RESOLVE_CACHED_ = 0x20 };  /* Linux 5.12 */
        /* Not to wait for who has a lease on it, as file servers have, nor for who would write to a pipe. */
        struct { unsigned long long flags, mode, resolve; } how = {O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, RESOLVE_CACHED_};
        return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    #else
        (void)path;
        return -1;
    #endif
    }

    /* Leaves a file open if it is the one of the stamp and that takes no time; whether it did. */
    static int leave_open_at_once(job *one) {
        long long found[4];
        int fd = one->may_stay ? open_at_once(one->path) : -1;
        if (fd < 0) return 0;
        if (!look_at(fd, NULL, found) && !memcmp(found, one->stamp, sizeof found) && leave_open(one, fd)) {
            one->state = JOB_DONE;
            return 1;
        }
        close(fd);
        return 0;
    }

    /* Reads a file if it is the one of the stamp and that needs no disk, or leaves it open: then that many bytes are got. */
    static void read_file_of(job *one) {
        long long found[4];
        long began;
        int fd = open(one->path, O_RDONLY | O_CLOEXEC);
        one->got = -1;
        if (fd < 0) return;
        if (!look_at(fd, NULL, found) && !memcmp(found, one->stamp, sizeof found)) {
            if (one->may_stay && leave_open(one, fd)) return;
            began = cpu_time();
            one->got = read_nowait(fd, one->into, one->size, one->offset);
            if (one->got < 0 && errno == EOPNOTSUPP) one->got = pread(fd, one->into, one->size, one->offset);
            if (one->got == one->size) note_copying(one->size, cpu_time() - began);
        }
        close(fd);
    }

    static void *read_ahead(void *unused) {
        (void)unused;
        pthread_mutex_lock(&jobs_lock);
        for (;;) {
            job *one = first_job;
            if (!one) {
                reader_waits = 1;
                pthread_cond_wait(&jobs_come, &jobs_lock);
                reader_waits = 0;
                continue;
            }
            if (!(first_job = one->next)) last_job = &first_job;
            one->state = JOB_RUNNING;
            running_job = one;
            pthread_mutex_unlock(&jobs_lock);
            read_file_of(one);
            pthread_mutex_lock(&jobs_lock);
            one->state = JOB_DONE;
            running_job = NULL;
            pthread_cond_broadcast(&job_done);
        }
        return NULL;
    }

    /* In a process that was forked there is no such thread: whoever wants a job done does it himself. */
    static void forget_reader(void) {
        pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
        pthread_cond_t unawaited = PTHREAD_COND_INITIALIZER;
        jobs_lock = unlocked;
        jobs_come = job_done = unawaited;
        if (running_job) running_job->state = JOB_QUEUED;
        running_job = first_job = NULL;
        last_job = &first_job;
        has_reader = reader_waits = 0;
    }

    /* Whether there is a thread that will take it. */
    static int queue_job(job *one) {
        pthread_mutex_lock(&jobs_lock);
        if (!has_reader) {
            pthread_t thread;
            sigset_t all, before;
            if (!knows_of_forks) knows_of_forks = !pthread_atfork(NULL, NULL, forget_reader);
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, &before);
            int failed = pthread_create(&thread, NULL, read_ahead, NULL);
            pthread_sigmask(SIG_SETMASK, &before, NULL);
            if (failed) {
                pthread_mutex_unlock(&jobs_lock);
                return 0;
            }
            pthread_detach(thread);
            has_reader = 1;
        }
        one->state = JOB_QUEUED;
        one->next = NULL;
        *last_job = one;
        last_job = &one->next;
        if (reader_waits) pthread_cond_signal(&jobs_come);
        pthread_mutex_unlock(&jobs_lock);
        return 1;
    }

    /* Returns when nobody will touch the job any more: true when it is done, false when it was not begun. */
    static int end_job(job *one) {
        int done = 1;
        pthread_mutex_lock(&jobs_lock);
        if (one->state == JOB_QUEUED) {
            job **link = &first_job;
            while (*link && *link != one) link = &(*link)->next;
            if (*link) {
                if (!(*link = one->next)) last_job = link;
            }
            done = 0;
        }
        while (one->state == JOB_RUNNING) pthread_cond_wait(&job_done, &jobs_lock);
        pthread_mutex_unlock(&jobs_lock);
        return done;
    }

    static int is_done(job *one) {
        pthread_mutex_lock(&jobs_lock);
        int done = one->state == JOB_DONE;
        pthread_mutex_unlock(&jobs_lock);
        return done;
    }
    """
    ctypedef struct job:
        char* path
        long long* stamp
        long long offset
        void* into
        Py_ssize_t size
        Py_ssize_t got
        bint may_stay
        int file
    void read_file_of(job* one) nogil
    bint leave_open_at_once(job* one)
    bint copying_is_slow()
    void set_copying(long nanoseconds)
    bint is_unwritten(const job* one)
    bint queue_job(job* one) nogil
    bint end_job(job* one) nogil
    bint is_done(job* one) nogil
