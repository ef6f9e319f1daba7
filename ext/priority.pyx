"""The scheduling of single threads, which the standard library has no call for."""

cdef extern from *:
    """
    #if defined(__linux__)
    #include <stdint.h>
    #include <sys/resource.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    #if defined(SYS_sched_setattr)
    /* As in linux/sched/types.h, in its first version; the C library may lack it, or have it under the same name. */
    struct aiodicom_sched_attr {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    };
    #endif

    static int aiodicom_give_way(int nice, uint64_t slice) {
    #if defined(SYS_sched_setattr)
        struct aiodicom_sched_attr wanted = {.size = sizeof wanted, .nice = nice, .runtime = slice};
        if (syscall(SYS_sched_setattr, 0, &wanted, 0) == 0) return 1;
    #endif
        return setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice) == 0;
    }
    #else
    #include <stdint.h>
    static int aiodicom_give_way(int nice, uint64_t slice) { (void)nice; (void)slice; return 0; }
    #endif
    """
    bint aiodicom_give_way(int nice, unsigned long long slice) noexcept nogil


#: Nanoseconds of a turn on the processor: the longest that Linux grants.
cdef unsigned long long SLICE = 100_000_000


def give_way(int nice):
    """Gives the calling thread a nice value of its own, and long turns: from who takes long ones, a thread with shorter
    ones takes the processor as soon as it wakes up (Linux 6.12; before, the nice value alone counts).

    Returns whether that was done: not where threads have no nice value of their own, or where it would have to rise.
    """
    return aiodicom_give_way(nice, SLICE)
