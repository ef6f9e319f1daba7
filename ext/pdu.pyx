"""PDU framing, PDV fragmentation and reassembly (PS3.8 9.3, annex E), over buffers that the caller owns.

A `Receiver` is fed what the transport read and gives one event per DIMSE message and one per PDU of another kind.  It looks
at every byte once: what is incomplete stays with it (a header of at most six bytes, a command set, a small PDU), data set
fragments go on to the message's sink at once.  Nothing is allocated by a length that the peer stated.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromObject
from cython cimport freelist, no_gc_clear
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset

from aiodicom.errors import DecodeError
from aiodicom.ul.pdu import PduError

cdef enum:
    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    P_DATA_TF = 4
    ABORT = 7
    HEADER = 6
    #: The flags of a message control header (PS3.8 E.2).
    IS_COMMAND = 1
    IS_LAST = 2
    # Reasons of A-ABORT (PS3.8 table 9-26).
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6
    #: Bounds on what a peer can make us hold.
    MAXIMUM_ASSOCIATE_LENGTH = 1 << 20
    MAXIMUM_COMMAND_LENGTH = 1 << 16
    #: A peer that states no maximum length gets PDUs of this size.
    UNLIMITED_LENGTH = 1 << 18
    #: Copying so many bytes costs less than writing them from a place of their own.
    JOINED = 1 << 13


cdef inline uint32_t get_u32(const uint8_t* p) noexcept nogil:
    return (<uint32_t> p[0] << 24) | (<uint32_t> p[1] << 16) | (<uint32_t> p[2] << 8) | p[3]


cdef inline void put_u32(uint8_t* p, uint32_t v) noexcept nogil:
    p[0] = v >> 24
    p[1] = (v >> 16) & 0xFF
    p[2] = (v >> 8) & 0xFF
    p[3] = v & 0xFF


cdef class ControlPdu:
    """A PDU other than P-DATA-TF, or the header of a P-DATA-TF that may not come now (its `body` is then None)."""

    cdef readonly int pdu_type
    cdef readonly bytes body

    def __repr__(self):
        return f"ControlPdu(pdu_type={self.pdu_type}, body={self.body!r})"


cdef class ReceivedMessage:
    """One whole DIMSE message: its context, its command set as `message`, and the finished sink of its data set or None."""

    def __repr__(self):
        return f"ReceivedMessage(context_id={self.context_id}, message={self.message!r}, body={self.body!r})"


include "body.pxi"
include "placing.pxi"


cdef class Receiver:
    """Turns the bytes of one association into events.

    `decode(bytes)` gives the message of a command set, with its `has_data_set`; `open_body(context_id, message)` chooses the
    sink of a data set that follows: an object with `write(view)`, where the view is only valid during the call, and then
    either `finish()` or `abandon()`.

    Invariants:
    - `head_size` of the six bytes of the PDU header are in `head`; once there are six, `left` bytes of the PDU's body are
      still to come and the header is not looked at again.
    - Inside a P-DATA-TF, `item_size` of the six bytes before a fragment are in `item`; once there are six, `item_left`
      bytes of the fragment are still to come, and `item_left` <= `left`.
    - `context_id` is the context of the message under way, or 0; `message` is its command set once that is whole.
    - While `is_parsing`, the buffer is in use: nothing but the end of `next_event()` gives it back.
    - `view` is held exactly while `position` < `size`, that is between `receive()` and the `next_event()` that gives None; it is
      nobody's while `placed` has what is looked at.
    """

    cdef Py_buffer view
    cdef const uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t position
    cdef uint8_t head[HEADER]
    cdef uint8_t item[HEADER]
    cdef int head_size
    cdef int item_size
    cdef uint32_t left
    cdef uint32_t item_left
    cdef int context_id
    cdef bint broken
    cdef bint is_parsing
    cdef bint skipping
    cdef uint8_t accepted[32]
    cdef object decode
    cdef object open_body
    cdef object message
    cdef object body
    cdef bytearray control
    cdef bytearray command
    cdef Placed placed
    #: The largest P-DATA-TF that we announced, 0 for any.
    cdef public uint32_t maximum_length
    #: Whether a P-DATA-TF may come in the present state (PS3.8 table 9-10, DT-2 and AR-6).
    cdef public bint allows_data

    def __cinit__(self, decode, open_body, uint32_t maximum_length):
        self.decode = decode
        self.open_body = open_body
        self.maximum_length = maximum_length
        memset(self.accepted, 0, 32)

    def __dealloc__(self):
        if self.data != NULL:
            PyBuffer_Release(&self.view)

    @property
    def is_incomplete(self):
        """Whether a PDU or a message has begun and not ended, or bytes lent are still to be looked at."""
        return self.has_begun()

    cdef bint has_begun(self) noexcept:
        return self.head_size != 0 or self.context_id != 0 or (self.data != NULL and self.position < self.size)

    def announces_abort(self, data):
        """Whether an A-ABORT begins somewhere in `data`, bytes that are next to be received; they are only looked at."""
        cdef const uint8_t[::1] view = data
        cdef Py_ssize_t size = view.shape[0]
        cdef Py_ssize_t offset = 0
        cdef Py_ssize_t k
        cdef uint8_t head[HEADER]
        if self.head_size == HEADER:
            # Of the six bytes before a fragment, those that are here already are still counted as left.
            offset = self.left - (self.item_size if self.item_size < HEADER else 0)
        elif self.head_size:
            if size < HEADER - self.head_size:
                return False
            for k in range(HEADER):
                head[k] = self.head[k] if k < self.head_size else view[k - self.head_size]
            if head[0] == ABORT:
                return True
            offset = HEADER - self.head_size + <Py_ssize_t> get_u32(head + 2)
        while offset + HEADER <= size:
            if view[offset] == ABORT:
                return True
            offset += HEADER + <Py_ssize_t> get_u32(&view[offset + 2])
        return False

    def commands_announced(self, data):
        """Returns the commands of whole P-DATA-TF PDUs in `data`, bytes that are next to be received; they are only looked at.

        Commands in several fragments are left out, and so is what is malformed: it will be refused when it is received.
        """
        cdef bytes ahead = bytes(data)
        cdef Py_ssize_t offset = 0
        if self.head_size == HEADER:
            offset = self.left - (self.item_size if self.item_size < HEADER else 0)
        elif self.head_size:
            ahead = PyBytes_FromStringAndSize(<char*> self.head, self.head_size) + ahead
        cdef const uint8_t[::1] view = ahead
        cdef Py_ssize_t size = view.shape[0]
        cdef Py_ssize_t end, item
        cdef list commands = []
        while offset + HEADER <= size:
            end = offset + HEADER + <Py_ssize_t> get_u32(&view[offset + 2])
            if view[offset] == P_DATA_TF and end <= size:
                offset += HEADER
                while offset + HEADER <= end:
                    item = 4 + <Py_ssize_t> get_u32(&view[offset])
                    if item < HEADER or offset + item > end:
                        break
                    if view[offset + 5] & (IS_COMMAND | IS_LAST) == IS_COMMAND | IS_LAST:
                        try:
                            commands.append(self.decode(ahead[offset + HEADER : offset + item]))
                        except DecodeError:
                            pass
                    offset += item
            offset = end
        return commands

    def accept_contexts(self, context_ids):
        """Names the presentation contexts on which data may come."""
        cdef int context_id
        for context_id in context_ids:
            self.accepted[context_id >> 3] |= 1 << (context_id & 7)

    def receive(self, buffer, Py_ssize_t size):
        """Lends the first `size` bytes of `buffer` until `next_event()` gives None."""
        self.lend(buffer, size)

    cdef int lend(self, buffer, Py_ssize_t size) except -1:
        if self.data != NULL:
            raise BufferError("the last bytes are not consumed: call next_event() until it gives None")
        PyObject_GetBuffer(buffer, &self.view, PyBUF_SIMPLE)
        if not 0 <= size <= self.view.len:
            length = self.view.len
            PyBuffer_Release(&self.view)
            raise ValueError(f"{size} bytes of a buffer of {length}")
        self.data = <const uint8_t*> self.view.buf
        self.size = size
        self.position = 0
        return 0

    def read_in_place(self, int fd):
        """Reads what comes next of a data set that a `Body` gathers from the socket with the descriptor `fd` to where it does, or
        has the system throw away what comes next of one that is discarded. What has come is then as if it had been given to
        `receive()`.

        Returns how many bytes came, how many there was room for, and how many are to be read in the ordinary way before the next
        call; None where nothing can be read like this.
        """
        cdef Py_ssize_t following = 0
        cdef Py_ssize_t asked, came
        if self.data != NULL or self.broken or self.item_size < HEADER or self.message is None:
            return None
        if type(self.body) is Discard:
            return self.drop_in_place(fd)
        if type(self.body) is not Body:
            return None
        if self.item_left == self.left and not self.item[5] & IS_LAST:
            following = <Py_ssize_t> get_u32(self.item) - 2
        if self.placed is None:
            self.placed = Placed.__new__(Placed)
        asked = self.placed.read(fd, <Body> self.body, self.item_left, following)
        came = self.placed.left
        if not self.take_placed():
            self.release()
        return (came, asked, BEFORE_PLACED) if asked else None

    cdef object drop_in_place(self, int fd):
        """Throws away what has come of a fragment but for its last byte: that and what follows is to be looked at."""
        cdef Py_ssize_t most = min(self.item_left - 1, <Py_ssize_t> MOST_PLACED)
        cdef Py_ssize_t came
        if most < LEAST_PLACED:
            return None
        with nogil:
            came = drop_bytes(fd, most)
        if came < 0:
            return None
        (<Discard> self.body).total += came
        self.left -= came
        self.item_left -= came
        return (came, most, BEFORE_DROPPED)

    cdef bint take_placed(self) except -1:
        """Goes on to the next of the pieces that were read in place; false when there are no more."""
        cdef Py_ssize_t size = 0 if self.placed is None else self.placed.take(&self.data, self.head_size == 0)
        if size:
            self.size = size
            self.position = 0
        return size > 0

    def discard(self):
        """Forgets the bytes lent and all that comes after, and abandons a data set under way.

        Called by a sink or by `open_body` in the middle of `next_event()`, it takes effect when that ends.
        """
        self.broken = True
        if self.is_parsing:
            return
        self.release()
        body, self.body = self.body, None
        self.message = self.control = self.command = None
        self.decode = self.open_body = None  # often bound to what owns this receiver: a cycle that ends here
        self.context_id = self.head_size = 0
        if body is not None:
            abandon(body)

    cdef void release(self) noexcept:
        if self.placed is not None:
            self.placed.drop()
            if self.context_id == 0:
                self.placed = None  # which is larger than all the rest, and many associations may be idle
        if self.data != NULL:
            self.data = NULL
            PyBuffer_Release(&self.view)

    def next_event(self):
        """Returns the next `ReceivedMessage` or `ControlPdu`, or None when more bytes are needed.

        Raises `PduError` for what PS3.8 forbids; what follows it is ignored.
        """
        return self.event()

    cdef object event(self):
        if self.is_parsing:
            raise RuntimeError("next_event() is called by what it has called")
        self.is_parsing = True
        try:
            event = self.parse()
            while event is None and not self.broken and self.take_placed():
                event = self.parse()
        except BaseException:
            self.is_parsing = False
            self.discard()
            raise
        self.is_parsing = False
        if self.broken:
            if type(event) is ReceivedMessage and event.body is not None:
                abandon(event.body)
            self.discard()
            return None
        if event is None:
            self.release()
        return event

    cdef object parse(self):
        if self.data == NULL or self.broken:
            return None
        while True:
            if self.head_size < HEADER:
                if not self.gather(self.head, &self.head_size):
                    return None
                event = self.start_pdu()
                if event is not None:
                    return event
            if self.skipping:
                self.skip()
            elif self.head[0] == P_DATA_TF:
                event = self.parse_items()
                if event is not None:
                    if self.left == 0:
                        self.head_size = 0
                    return event
                if self.broken:
                    return None
            else:
                body = self.take_control()
                if body is not None:
                    self.head_size = 0
                    return control_pdu(self.head[0], body)
            if self.left:
                return None
            self.head_size = 0
            self.skipping = False

    cdef bint gather(self, uint8_t* into, int* have) noexcept:
        """Completes a header of six bytes; false when there are not enough."""
        while have[0] < HEADER and self.position < self.size:
            into[have[0]] = self.data[self.position]
            have[0] += 1
            self.position += 1
        return have[0] == HEADER

    cdef object start_pdu(self):
        cdef int pdu_type = self.head[0]
        self.left = get_u32(self.head + 2)
        if pdu_type == P_DATA_TF:
            if not self.allows_data:
                # The state table decides what becomes of it; should the association survive that, its body is passed over.
                self.skipping = True
                return control_pdu(P_DATA_TF, None)
            if self.maximum_length and self.left > self.maximum_length:
                raise PduError(
                    INVALID_PARAMETER, f"P-DATA-TF of {self.left} bytes, {self.maximum_length} were announced"
                )
            if self.left == 0:
                raise PduError(INVALID_PARAMETER, "P-DATA-TF without a presentation data value")
        elif pdu_type == ASSOCIATE_RQ or pdu_type == ASSOCIATE_AC:
            if self.left > MAXIMUM_ASSOCIATE_LENGTH:
                raise PduError(INVALID_PARAMETER, f"A-ASSOCIATE PDU of {self.left} bytes, {MAXIMUM_ASSOCIATE_LENGTH} is the limit")
        elif pdu_type == 0 or pdu_type > ABORT:
            raise PduError(UNRECOGNIZED_PDU, f"unrecognized PDU type {pdu_type:02X}H")
        elif self.left != 4:
            raise PduError(INVALID_PARAMETER, f"PDU of type {pdu_type:02X}H with {self.left} bytes, not 4")
        return None

    cdef void skip(self) noexcept:
        cdef Py_ssize_t size = min(<Py_ssize_t> self.left, self.size - self.position)
        self.position += size
        self.left -= size

    cdef bytes take_control(self):
        """Takes what is there of the body of a PDU that isn't P-DATA-TF; gives it once it is whole."""
        cdef Py_ssize_t size = min(<Py_ssize_t> self.left, self.size - self.position)
        taken = PyBytes_FromStringAndSize(<char*> self.data + self.position, size)
        self.skip()
        if self.control is None and self.left == 0:
            return taken
        if self.control is None:
            self.control = bytearray()
        self.control += taken
        if self.left:
            return None
        taken, self.control = bytes(self.control), None
        return taken

    cdef object parse_items(self):
        """Goes through the presentation data values that are there (PS3.8 9.3.5.1)."""
        while self.left:
            if self.item_size < HEADER:
                if self.left < HEADER:
                    raise PduError(INVALID_PARAMETER, f"{self.left} bytes after the last presentation data value")
                if not self.gather(self.item, &self.item_size):
                    return None
                self.left -= HEADER
                self.start_item()
            if not self.take_fragment() or self.broken:
                return None
            self.item_size = 0
            if self.item[5] & IS_LAST:
                event = self.end_fragments(self.item[5] & IS_COMMAND)
                if event is not None or self.broken:
                    return event
        return None

    cdef int start_item(self) except -1:
        cdef uint32_t length = get_u32(self.item)
        cdef int context_id = self.item[4]
        cdef bint is_command = self.item[5] & IS_COMMAND
        if length < 2:
            raise PduError(INVALID_PARAMETER, f"presentation data value of length {length}")
        if length - 2 > self.left:
            raise PduError(INVALID_PARAMETER, f"presentation data value of length {length} overruns its PDU")
        if not self.accepted[context_id >> 3] & (1 << (context_id & 7)):
            raise PduError(INVALID_PARAMETER, f"presentation context ID {context_id} was not accepted")
        if self.context_id == 0:
            if not is_command:
                raise PduError(UNEXPECTED_PARAMETER, "data set fragment without a command set before it")
            self.context_id = context_id
        elif context_id != self.context_id:
            raise PduError(
                UNEXPECTED_PARAMETER,
                f"fragment on presentation context {context_id} inside a message on {self.context_id}",
            )
        elif is_command != (self.message is None):
            raise PduError(
                UNEXPECTED_PARAMETER,
                "command fragment inside a data set" if is_command else "data set fragment inside a command set",
            )
        self.item_left = length - 2
        return 0

    cdef bint take_fragment(self) except -1:
        """Hands on what is there of the present fragment; true when that is all of it."""
        cdef Py_ssize_t size = min(<Py_ssize_t> self.item_left, self.size - self.position)
        cdef const uint8_t* start = self.data + self.position
        if self.message is None:
            self.take_command(start, size)
        elif size:
            try:
                if type(self.body) is Body:
                    (<Body> self.body).append(start, size)
                elif type(self.body) is Discard:
                    (<Discard> self.body).total += size
                else:
                    write_view(self.body, start, size)
            except Exception as error:
                self.fail_body(error)
        self.position += size
        self.left -= size
        self.item_left -= size
        return self.item_left == 0

    cdef int take_command(self, const uint8_t* start, Py_ssize_t size) except -1:
        """Decodes a command set that came in one piece where it lies, and gathers one that didn't."""
        if self.command is None:
            if size == self.item_left and self.item[5] & IS_LAST:
                self.message = self.decode(PyBytes_FromStringAndSize(<char*> start, size))
                return 0
            self.command = bytearray()
        if len(self.command) + size > MAXIMUM_COMMAND_LENGTH:
            raise PduError(INVALID_PARAMETER, f"command set of over {MAXIMUM_COMMAND_LENGTH} bytes")
        self.command += PyBytes_FromStringAndSize(<char*> start, size)
        return 0

    cdef int fail_body(self, error) except -1:
        """The peer isn't to blame for a sink that fails: the rest of the data set is passed over, the association goes on."""
        body, self.body = self.body, Discard(error)
        if body is not None:
            abandon(body)
        return 0

    cdef object end_fragments(self, bint is_command):
        """The last fragment of a command set or of a data set has come."""
        cdef ReceivedMessage event
        if is_command:
            if self.message is None:
                command, self.command = bytes(self.command), None
                self.message = self.decode(command)
            if self.message.has_data_set:
                try:
                    self.body = self.open_body(self.context_id, self.message)
                except Exception as error:
                    self.fail_body(error)
                return None
        else:
            try:
                if type(self.body) is Body:
                    (<Body> self.body).end()
                else:
                    self.body.finish()
            except Exception as error:
                self.fail_body(error)
        event = ReceivedMessage.__new__(ReceivedMessage)
        event.context_id = self.context_id
        event.message = self.message
        event.body = self.body
        self.context_id = 0
        self.message = None
        self.body = None
        return event


cdef int lend(receiver, buffer, Py_ssize_t size) except -1:
    return (<Receiver?> receiver).lend(buffer, size)


cdef object next_event(receiver):
    return (<Receiver?> receiver).event()


cdef bint is_incomplete(receiver) except -1:
    return (<Receiver?> receiver).has_begun()


cdef ControlPdu control_pdu(int pdu_type, bytes body):
    cdef ControlPdu event = ControlPdu.__new__(ControlPdu)
    event.pdu_type = pdu_type
    event.body = body
    return event


include "pdu_encode.pxi"
