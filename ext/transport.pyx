"""From a read of the socket to the write that answers it: the compiled half of `aiodicom.net.transport.Transport`."""

cdef enum:
    #: A read of fewer bytes than this that leaves a PDU incomplete looks like a peer whose Nagle algorithm waits for our
    #: acknowledgement before it sends the rest.
    WAITS_FOR_ACK = 4096


cdef class BufferedTransport:
    """What the event loop calls for every read (`asyncio.BufferedProtocol`).

    `protocol` is the association's, `scratch` the buffer that all associations of the loop are read into, `owner` is told of
    events, `time` tells the time.

    Invariants: while `is_reading` the owner's events are being handled and what they want written is gathered, to leave in
    one write when all is consumed. `connection` is asyncio's transport, None before there is one. `is_impatient` is whether
    an acknowledgement that may be waited for is to be sent at once.
    """

    cdef readonly object protocol
    cdef public object owner
    cdef readonly object time
    cdef object scratch
    cdef public object connection
    cdef public bint is_impatient
    cdef bint is_reading

    def __init__(self, protocol, owner, time, scratch):
        self.protocol = protocol
        self.owner = owner
        self.time = time
        self.scratch = scratch

    def get_buffer(self, sizehint):
        """Returns the memory that the next read goes to."""
        return self.scratch

    def buffer_updated(self, nbytes):
        """A read has filled so many bytes."""
        protocol = self.protocol
        now = self.time()
        self.is_reading = True
        try:
            protocol.receive(self.scratch, nbytes, now)
            while True:
                event = protocol.next_event(now)
                if event is None:
                    break
                self.owner.on_event(event, now)
        finally:
            self.is_reading = False
        self.flush()
        if self.is_impatient and <Py_ssize_t> nbytes < WAITS_FOR_ACK and protocol.receiver.is_incomplete:
            self.acknowledge()

    cpdef flush(self):
        """Writes what the protocol has to say, and closes when it is done."""
        if self.is_reading:
            return
        protocol, connection = self.protocol, self.connection
        cdef list outgoing = protocol.take_outgoing()
        if connection is None:
            return
        if outgoing:
            try:
                if len(outgoing) == 1:
                    connection.write(outgoing[0])
                else:
                    connection.writelines(outgoing)
            except RuntimeError:
                # So uvloop says that it has closed the connection of a connect that was cancelled; it says no more.
                self.connection_lost(None)
                return
        if protocol.is_closing:
            if connection.get_write_buffer_size():
                connection.abort()  # what is unsent is for nobody, and a graceful close would wait for it
            else:
                connection.close()
