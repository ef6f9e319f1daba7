# What is to be written, handed to the system at once, parts of files without their bytes coming here.  Included by transport.pyx.

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

cdef extern from *:
    """
    #include <errno.h>
    #include <sys/socket.h>
    #include <sys/types.h>
    #include <sys/uio.h>

    #ifdef __linux__
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <sys/sendfile.h>

    /* While a socket is held back, only full segments leave: the end of each file would be one of its own otherwise. */
    static void hold_back(int to, int on) { setsockopt(to, IPPROTO_TCP, TCP_CORK, &on, sizeof on); }

    /* Returns how many bytes the socket has taken, which may be none. */
    static Py_ssize_t hand_over(int to, struct iovec* pieces, int count, int has_more) {
        struct msghdr message = {0};
        int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (has_more ? MSG_MORE : 0);
        ssize_t taken;
        message.msg_iov = pieces;
        message.msg_iovlen = count;
        do taken = count == 1 ? send(to, pieces->iov_base, pieces->iov_len, flags) : sendmsg(to, &message, flags);
        while (taken < 0 && errno == EINTR);
        return taken < 0 ? 0 : taken;
    }

    static Py_ssize_t hand_over_file(int to, int file, off_t offset, Py_ssize_t size) {
        Py_ssize_t done = 0;
        while (done < size) {
            ssize_t taken = sendfile(to, file, &offset, size - done);
            if (taken > 0) done += taken;
            else if (!taken || errno != EINTR) break;
        }
        return done;
    }
    #else
    static void hold_back(int to, int on) { (void)to; (void)on; }
    static Py_ssize_t hand_over(int to, struct iovec* pieces, int count, int has_more) { return 0; }
    static Py_ssize_t hand_over_file(int to, int file, off_t offset, Py_ssize_t size) { return 0; }
    #endif
    """
    cdef struct iovec:
        void* iov_base
        size_t iov_len
    void hold_back(int to, bint on) nogil
    Py_ssize_t hand_over(int to, iovec* pieces, int count, bint has_more) nogil
    Py_ssize_t hand_over_file(int to, int file, long long offset, Py_ssize_t size) nogil

cdef enum:
    MOST_PIECES = 64
    #: What a data set that fits into one PDU is at most: its command set, a header, and a part of a file.
    ONE_PDU = 3


cdef bint has_part(list outgoing):
    """Whether there are parts of files."""
    for each in outgoing:
        if type(each) is FilePart:
            return True
    return False


cdef list in_memory(list outgoing):
    """The same with parts of files read. Raises what reading them raises."""
    return [memoryview(each) if type(each) is FilePart else each for each in outgoing]


cdef list hand_over_all(int to, list outgoing, bint has_parts):
    """Has the socket with the descriptor `to` take what it takes at once; returns what is left. `has_parts`: of files.

    What goes wrong is left to who writes the rest: a part that has been cut short cannot be read then.
    """
    cdef Py_ssize_t count = len(outgoing)
    if not has_parts or count <= ONE_PDU:
        return hand_over_each(to, outgoing, count)
    hold_back(to, True)
    try:
        return hand_over_each(to, outgoing, count)
    finally:
        hold_back(to, False)


cdef list hand_over_each(int to, list outgoing, Py_ssize_t count):
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t taken, size
    while first < count:
        each = outgoing[first]
        if type(each) is FilePart:
            size = len(each)
            taken = hand_over_file(to, each.descriptor, each.offset, size)
            if taken < size:
                return [each[taken:], *outgoing[first + 1 :]]
            first += 1
        else:
            taken, first = hand_over_some(to, outgoing, first, count)
            if first < count and taken >= 0:
                return [memoryview(outgoing[first])[taken:], *outgoing[first + 1 :]]
    return []


cdef tuple hand_over_some(int to, list outgoing, Py_ssize_t first, Py_ssize_t count):
    """Of the buffers from `first` on, up to the next part of a file: returns how much of the one that is first then was taken, -1
    where all were, and which it is.
    """
    cdef iovec pieces[MOST_PIECES]
    cdef Py_buffer views[MOST_PIECES]
    cdef int held = 0
    cdef int index
    cdef Py_ssize_t taken
    cdef bint has_file = False
    try:
        while held < MOST_PIECES and first + held < count:
            each = outgoing[first + held]
            if type(each) is FilePart:
                has_file = True
                break
            PyObject_GetBuffer(each, &views[held], PyBUF_SIMPLE)
            pieces[held].iov_base = views[held].buf
            pieces[held].iov_len = views[held].len
            held += 1
        taken = hand_over(to, pieces, held, has_file)
        for index in range(held):
            if taken < views[index].len:
                return taken, first + index
            taken -= views[index].len
        return -1, first + held
    finally:
        for index in range(held):
            PyBuffer_Release(&views[index])
