# What the threads do, in C: they don't know the interpreter.  Included by writers.pyx, whose jobs are its `Work`.

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
    #if defined(__linux__)
    #include <sys/syscall.h>
    #endif
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

    // Of Linux 6.14, taken by file systems from 6.16 on; headers may be older.
    #ifndef RWF_DONTCACHE
    #define RWF_DONTCACHE 0x80
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
        int unnamed, past_cache, let_go, sync;
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

    // `let_go`: the cache has it no longer than it takes to be on the disk, which is begun now, if the file system has it so.
    static ssize_t write_at(int fd, const char* data, size_t size, size_t at, int let_go) {
    #ifdef SYS_pwritev2  // by number: C libraries may be older, too
        if (let_go) {
            struct iovec piece = {(void*)data, size};
            long high = (long)((uint64_t)at >> 32);
            ssize_t written = syscall(SYS_pwritev2, fd, &piece, 1L, (long)at, high, RWF_DONTCACHE);
            if (written >= 0 || errno == EINTR) return written;  // whatever else is wrong, the plain call says
        }
    #endif
        return pwrite(fd, data, size, (off_t)at);
    }

    static int write_data(int fd, const char* data, size_t size, int past_cache, int let_go) {
        size_t at = 0, end = size;
        // What does not fill its last page goes through the cache: cutting off what was filled up would read that page from the disk.
        int direct = past_cache && size >= PAGE && !((uintptr_t)data % PAGE) && set_past_cache(fd, 1);
        if (direct) end = size / PAGE * PAGE;
        while (at < size) {
            ssize_t written = write_at(fd, data + at, end - at, at, let_go && !direct);
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
            error = write_data(work->file, work->data, work->size, work->past_cache, work->let_go);
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
        bint let_go
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
