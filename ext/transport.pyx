"""From a read of the socket to the write that answers it: the compiled half of `aiodicom.net.transport.Transport`."""

from aiodicom.dimse._exchange cimport has_begun, is_closing, next_event, receive, take_outgoing

from aiodicom.errors import LocalError
from aiodicom.store._files import FilePart

include "handing.pxi"

cdef enum:
    #: A read of fewer bytes than this that leaves a PDU incomplete looks like a peer whose Nagle algorithm waits for our
    #: acknowledgement before it sends the rest.
    WAITS_FOR_ACK = 4096
    #: What is gathered for one write is written when it is this many bytes: beyond, a write costs its bytes alone, and the
    #: peer could have begun.
    GATHERED = 65536
    #: After so many reads that left more, others have their turn, and after one while others wait for theirs: libuv
    #: would read up to 32 times, 8 MiB, before it looks at another socket. Each end of a turn costs two calls of epoll_ctl.
    TURN = 3
    #: A socket that has not been asked for.
    NOT_ASKED = -2
    # Who asks something of whom.
    WE_ASK = 0
    THEY_ASK = 1
    THEY_ASK_HERE = 2
    #: Bytes that are read without anybody who sends little, until none is expected.
    READ_ALONE = 1 << 26

ALONE = READ_ALONE


cdef class Turns:
    """What those who are read on one event loop say of it, for who gives them turns (`aiodicom.net.loops.ReadingTurns`).

    It leads to nothing else: the data sets that look at it are kept out of the garbage collector's sight.
    """

    #: Bytes that they brought.
    cdef public Py_ssize_t brought
    #: Whether somebody was read who asks of us, had sent whole messages, and left nothing behind.
    cdef public bint has_little
    #: Whether one of them is on this machine.
    cdef public bint is_here

    @property
    def may_wait(self):
        """Whether somebody who sends little may wait to be read: there was one not long ago, or little was read yet."""
        return self.has_little or self.brought < READ_ALONE


cdef class BufferedTransport:
    """What the event loop calls for every read (`asyncio.BufferedProtocol`).

    `protocol` is the association's, `scratch` the buffer that all associations of the loop are read into, `owner` is told of
    events, `time` tells the time, `call_soon` is the loop's.

    Invariants: while `is_reading` the owner's events are being handled and what they want written is gathered, to leave in
    one write when all is consumed. About `gathered` bytes wait for the flush at the end of the event loop's turn, which is
    asked for while `is_due`. `connection` is asyncio's transport, None before there is one. `is_impatient` is whether
    an acknowledgement that may be waited for is to be sent at once. `descriptor` is the socket's where what is read and written there is
    what is said, -1 where not. `sends_files` is whether the system is to send parts of files by itself. `is_behind` is whether
    `connection` may have what is to leave before all else. `full_reads` is how many reads have left more since the last that didn't, or
    since others had their turn. `lent` is the part of `scratch` that the next read goes to: a short one while data sets are read to
    where they gather. `turns` are the event loop's; `asking` is who asks on this association; `is_amid` is whether the last read was in the
    middle of a message or ended there.
    """

    cdef readonly object protocol
    cdef public object owner
    cdef readonly object time
    cdef object scratch
    cdef object lent
    cdef readonly object call_soon
    cdef Py_ssize_t gathered
    cdef bint is_due
    cdef public object connection
    cdef public bint is_impatient
    cdef public int descriptor
    #: Of the event loop, None where there is none. One that closes may close its sockets, whose transports do not tell: the system
    #: gives their descriptors to others.
    cdef public object is_loop_closed
    cdef public bint sends_files
    cdef bint is_behind
    cdef bint is_reading
    cdef bint is_amid
    cdef int asking
    cdef int full_reads
    cdef readonly Turns turns

    def __init__(self, protocol, owner, time, call_soon, scratch, Turns turns not None):
        self.protocol = protocol
        self.owner = owner
        self.time = time
        self.call_soon = call_soon
        self.scratch = self.lent = scratch
        self.turns = turns
        self.descriptor = self.asking = NOT_ASKED

    @property
    def is_blocked(self):
        """Whether the peer takes less than is written, and it matters."""
        protocol = self.protocol
        return protocol.blocked_since is not None and not protocol.is_over and not self.connection.is_closing()

    def get_buffer(self, sizehint):
        """Returns the memory that the next read goes to."""
        return self.lent

    def buffer_updated(self, nbytes):
        """A read has filled so many bytes."""
        protocol = self.protocol
        now = self.time()
        cdef Py_ssize_t came = nbytes
        cdef bint is_full = came == len(self.lent)
        self.turns.brought += came
        self.is_reading = True
        try:
            receive(protocol, self.scratch, came, now)
            self.tell_events(now)
            if is_full:
                is_full = self.read_in_place(now, &came)
        finally:
            self.is_reading = False
        self.write_out()
        if is_full:
            self.is_amid = True
            self.full_reads += 1
            if self.full_reads == TURN or self.others_wait():
                self.full_reads = 0
                self.end_turn()
            return
        self.full_reads = 0
        cdef bint was_amid = self.is_amid
        self.is_amid = has_begun(protocol)
        if self.is_amid:
            if self.is_impatient and came < WAITS_FOR_ACK:
                self.acknowledge()
        elif not was_amid:
            self.note_little()

    cdef int note_little(self) except -1:
        """All that this peer had sent was read."""
        if self.asking == NOT_ASKED:
            asks_here = self.peer_asks_here()
            self.asking = WE_ASK if asks_here is None else THEY_ASK_HERE if asks_here else THEY_ASK
        if self.asking != WE_ASK:
            self.turns.has_little = True
            if self.asking == THEY_ASK_HERE:
                self.turns.is_here = True
        return 0

    cdef int tell_events(self, now) except -1:
        """Tells the owner of what is in the bytes received."""
        protocol = self.protocol
        while True:
            event = next_event(protocol, now)
            if event is None:
                return 0
            self.owner.on_event(event, now)

    cdef bint read_in_place(self, now, Py_ssize_t* came) except -1:
        """After a read that filled its buffer in the middle of a data set: has what the system has of that read to where it gathers,
        or thrown away, and says how many bytes came, unless none did. Returns whether there may be more to read.
        """
        cdef Py_ssize_t got, asked, before
        read = None
        if self.has_descriptor() and self.connection.is_reading():
            read = self.protocol.read_in_place(self.descriptor)
        if read is None:
            self.lent = self.scratch
            return True
        got, asked, before = read
        if len(self.lent) != before:
            self.lent = self.scratch[:before]
        self.tell_events(now)
        if got:
            came[0] = got
            self.turns.brought += got
        return got == asked

    def flush_soon(self, Py_ssize_t size):
        """Flushes, with what else is said in this turn of the event loop: `size` bytes are to be written, about."""
        self.write_out_soon(size)

    cdef int write_out_soon(self, Py_ssize_t size) except -1:
        self.gathered += size
        if self.gathered >= GATHERED:
            self.write_out()
        elif not self.is_due:
            self.is_due = True
            self.call_soon(self._flush_gathered)
        return 0

    def _flush_gathered(self):
        self.is_due = False
        self.write_out()

    def flush(self):
        """Writes what the protocol has to say, and closes when it is done."""
        self.write_out()

    cdef int write_out(self) except -1:
        if self.is_reading:
            return 0
        self.gathered = 0
        protocol, connection = self.protocol, self.connection
        cdef list outgoing
        try:
            outgoing = take_outgoing(protocol)
            if outgoing and connection is not None and not self.write(outgoing):
                return 0
        except (OSError, LocalError) as error:  # of a file whose beginning is on its way
            connection.abort()
            self.connection_lost(error)
            return 0
        if connection is None:
            return 0
        if is_closing(protocol):
            if connection.get_write_buffer_size():
                connection.abort()  # what is unsent is for nobody, and a graceful close would wait for it
            else:
                self.close()
        return 0

    cdef inline bint has_descriptor(self) except -1:
        if self.descriptor == NOT_ASKED:
            self.descriptor = self.plain_socket()
        return self.descriptor >= 0

    cdef inline bint has_lost_loop(self) except -1:
        return self.is_loop_closed is not None and self.is_loop_closed()

    cdef bint has_all_left(self) except -1:
        """Whether nothing is left that `connection` has to write first."""
        if self.is_behind:
            self.is_behind = self.connection.get_write_buffer_size() > 0
        return not self.is_behind

    def write_as_it_is(self, data):
        """Writes what the protocol knows nothing of, behind what has been written."""
        self.write([data])

    cdef bint write(self, list outgoing) except -1:
        """Writes these, by way of `connection` what the system does not take at once. Returns false where there is no connection any
        more, which is then told. Raises what reading a file raises.
        """
        connection = self.connection
        cdef bint has_parts = has_part(outgoing)
        if has_parts and not self.sends_files:
            outgoing, has_parts = in_memory(outgoing), False
        if self.has_descriptor() and not connection.is_closing() and not self.has_lost_loop() and self.has_all_left():
            outgoing = hand_over_all(self.descriptor, outgoing, has_parts)
            if not outgoing:
                return True
            if has_parts:
                # The next ones are to find nothing here that they would have to follow.
                connection.set_write_buffer_limits(0)
        self.is_behind = True
        try:
            connection.writelines(in_memory(outgoing) if has_parts else outgoing)
        except RuntimeError:
            # So uvloop says that it has closed the connection of a connect that was cancelled; it says no more.
            self.connection_lost(None)
            return False
        return True


cdef int flush(transport) except -1:
    return (<BufferedTransport?> transport).write_out()


cdef int flush_soon(transport, Py_ssize_t size) except -1:
    return (<BufferedTransport?> transport).write_out_soon(size)
