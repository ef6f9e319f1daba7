# Data sets that the system puts where they gather, without a copy of ours, and those that it throws away.  Included by pdu.pyx,
# whose Receiver goes through what has come like this as through any other bytes: to append what lies already where it belongs
# moves nothing.

cdef extern from *:
    """
    #include <errno.h>
    #include <sys/socket.h>
    #include <sys/uio.h>

    /* Returns how many bytes the socket had; none as well where it has ended or failed: whoever reads it next finds that it
       has, though not that it was reset. */
    static Py_ssize_t read_pieces(int fd, struct iovec* pieces, int count) {
        struct msghdr message = {0};
        ssize_t got;
        message.msg_iov = pieces;
        message.msg_iovlen = count;
        do got = recvmsg(fd, &message, MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
        return got < 0 ? 0 : got;
    }

    /* Has the system throw away up to so many bytes that have come, without a copy of them; returns how many, -1 where it can't. */
    static Py_ssize_t drop_bytes(int fd, Py_ssize_t most) {
    #ifdef __linux__
        struct sockaddr_storage local;
        socklen_t length = sizeof local;
        ssize_t got;
        /* Of other sockets than TCP's it would lose what was sent together. */
        if (getsockname(fd, (struct sockaddr*)&local, &length) || (local.ss_family != AF_INET && local.ss_family != AF_INET6)) return -1;
        do got = recv(fd, NULL, most, MSG_TRUNC | MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
        if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
        return got;
    #else
        (void)fd; (void)most;
        return -1;
    #endif
    }
    """
    cdef struct iovec:
        void* iov_base
        size_t iov_len
    Py_ssize_t read_pieces(int fd, iovec* pieces, int count) nogil
    Py_ssize_t drop_bytes(int fd, Py_ssize_t most) nogil

cdef enum:
    #: Of a P-DATA-TF with one presentation data value: two times HEADER.
    HEADERS = 12
    #: Bytes that are read at once at most: others wait meanwhile.
    MOST_PLACED = 1 << 19
    #: And so many where the memory has first to be had from the system, by page after page.
    MOST_FRESH = 1 << 17
    #: Less than this is read and copied sooner. With fragments of this size the following is as much as is read otherwise.
    LEAST_PLACED = 1 << 15
    MOST_FRAGMENTS = MOST_PLACED // LEAST_PLACED
    #: So much is read before what follows is placed: the beginning of an object, where its length is not known yet. What is
    #: smaller comes by one read as it did.
    BEFORE_PLACED = 1 << 16
    #: So much before what follows is thrown away.
    BEFORE_DROPPED = 1 << 12


cdef class Placed:
    """What one read brought of the rest of a fragment of a data set, and of what follows: taken to be fragments as long, of which
    each has a PDU of its own. So each comes to lie behind the one before, and their headers elsewhere.

    Whether it was so is for the receiver to see, which takes the pieces in their order, each second one a header. Where a
    fragment was shorter, what follows lies too far behind, and is moved from there: what is moved ends before what has not been
    looked at. Where one was longer, its next bytes are taken for a header: there is no room for them before what follows, so
    that all of the rest is `gathered` elsewhere first.

    Invariants: of the bytes that came, `left` have not been taken, from `pieces[next]` on; until they are dropped, `body` is
    exported, and so stays where it is, unless all of the rest is gathered.
    """

    cdef iovec pieces[2 * MOST_FRAGMENTS + 1]
    cdef uint8_t heads[MOST_FRAGMENTS][HEADERS]
    cdef int count
    cdef int next
    cdef Py_ssize_t left
    cdef Body body
    cdef bytes gathered

    cdef void add(self, void* memory, Py_ssize_t size) noexcept:
        self.pieces[self.count].iov_base = memory
        self.pieces[self.count].iov_len = size
        self.count += 1

    cdef Py_ssize_t read(self, int fd, Body body, Py_ssize_t here, Py_ssize_t following) noexcept:
        """Reads the `here` bytes that are left of a fragment to where `body` gathers them, and behind them fragments of
        `following` bytes, or none. Returns how many it asked for, 0 when so few are not worth it; `left` came.
        """
        cdef Py_ssize_t room = min(body.room(), <Py_ssize_t> (MOST_PLACED if body.size < body.ready else MOST_FRESH))
        cdef Py_ssize_t placed = min(here, room)
        cdef Py_ssize_t size
        cdef int fragments = 0
        self.count = self.next = 0
        self.add(body.data + body.size, placed)
        while following >= LEAST_PLACED and room - placed >= LEAST_PLACED and fragments < MOST_FRAGMENTS:
            size = min(following, room - placed)
            self.add(self.heads[fragments], HEADERS)
            self.add(body.data + body.size + placed, size)
            placed += size
            fragments += 1
        if placed < LEAST_PLACED:
            return 0
        self.body = body
        body.exports += 1
        with nogil:
            self.left = read_pieces(fd, self.pieces, self.count)
        return placed + fragments * HEADERS

    cdef Py_ssize_t take(self, const uint8_t** data, bint is_between) except -1:
        """Gives the next bytes, 0 when there are no more. `is_between`: they are the first of a PDU."""
        cdef Py_ssize_t size = 0
        if self.left:
            if self.next & 1 and not is_between:
                self.gather()
            size = min(self.left, <Py_ssize_t> self.pieces[self.next].iov_len)
            data[0] = <const uint8_t*> self.pieces[self.next].iov_base
            self.next += 1
            self.left -= size
        return size

    cdef int gather(self) except -1:
        """Has all that has not been taken in one piece."""
        gathered = PyBytes_FromStringAndSize(NULL, self.left)
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t size
        while at < self.left:
            size = min(self.left - at, <Py_ssize_t> self.pieces[self.next].iov_len)
            memcpy(PyBytes_AS_STRING(gathered) + at, self.pieces[self.next].iov_base, size)
            at += size
            self.next += 1
        self.gathered = gathered
        # What was taken for headers may be more than there is room for: then the body has to move.
        self.body.exports -= 1
        self.body = None
        self.count = self.next = 0
        self.add(PyBytes_AS_STRING(gathered), at)
        return 0

    cdef void drop(self) noexcept:
        """Forgets what has not been taken."""
        self.left = 0
        self.gathered = None
        if self.body is not None:
            self.body.exports -= 1
            self.body = None
