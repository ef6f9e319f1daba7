# Files that a thread reads before it is their turn to be sent, for the module that includes this.  The thread knows nothing of
# Python: it takes its jobs from a queue, fills the memory that was set aside for them, and never waits for a disk.
cdef extern from *:
    """
    #include <pthread.h>
    #include <stdlib.h>
    #include <string.h>

    enum { JOB_QUEUED, JOB_RUNNING, JOB_DONE };

    typedef struct job {
        struct job *next;
        char *path;
        long long stamp[4];
        long long offset;
        void *into;
        Py_ssize_t size, got;
        int state;
    } job;

    static pthread_mutex_t jobs_lock = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t jobs_come = PTHREAD_COND_INITIALIZER, job_done = PTHREAD_COND_INITIALIZER;
    static job *first_job = NULL, **last_job = &first_job;
    static job *running_job = NULL;
    static int has_reader = 0, reader_waits = 0, knows_of_forks = 0;
    static Py_ssize_t read_file_as(const char *, const long long *, long long, void *, Py_ssize_t);

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
            Py_ssize_t got = read_file_as(one->path, one->stamp, one->offset, one->into, one->size);
            pthread_mutex_lock(&jobs_lock);
            one->got = got;
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
    """
    ctypedef struct job:
        char* path
        long long* stamp
        long long offset
        void* into
        Py_ssize_t size
        Py_ssize_t got
    bint queue_job(job* one) nogil
    bint end_job(job* one) nogil
