"""DIMSE messages in both directions on one association (PS3.7 7.5, 8): the compiled half of `aiodicom.dimse.protocol`.

An `Exchange` takes the bytes that the transport read and gives events, and turns requests, responses and data sets into PDUs.
It knows the operations in flight in both directions.  What PS3.8 says about the association is its subclass's: the
`Protocol` has the state machine and tells here whether messages may be sent.
"""

from cpython.tuple cimport PyTuple_GetItem

from aiodicom.dimse._command cimport encode_response
from aiodicom.standard._valid_uids cimport is_uid
from aiodicom.ul._pdu cimport ReceivedMessage, is_incomplete, join_data, lend
from aiodicom.ul._pdu cimport encode_command as encode_command_pdus
from aiodicom.ul._pdu cimport next_event as next_received
from named cimport named

from aiodicom.dimse.command import decode_command, encode_command
from aiodicom.dimse.events import CancelReceived, RequestReceived, RequestRefused, ResponseReceived
from aiodicom.dimse.messages import (
    CCancelRQ,
    CEchoRQ,
    CFindRQ,
    CGetRQ,
    CMoveRQ,
    CStoreRQ,
    NCreateRQ,
    NDeleteRQ,
    NEventReportRQ,
    NGetRQ,
    NSetRQ,
    Request,
    Response,
    UnrecognizedRequest,
)
from aiodicom.dimse._operations import InvokedOperations, Operation
from aiodicom.dimse.responses import response_to
from aiodicom.errors import AssociationClosed, DecodeError, ProtocolViolation
from aiodicom.standard.status import Status, StatusCategory
from aiodicom.ul._pdu import Discard, Receiver, encode_data
from aiodicom.ul.pdu import PduError

cdef enum:
    # Reasons of A-ABORT (PS3.8 table 9-26).
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6
    #: Refusals that wait until a data set of ours has been sent; who causes more meanwhile is up to no good.
    MOST_HELD = 64
    #: Where an `AcceptedContext`, a tuple, has its abstract syntax and our roles.
    ABSTRACT_SYNTAX = 1
    AS_SCU = 3
    AS_SCP = 4

#: Of C services, whose SOP class has to be the abstract syntax of their context (PS3.7 C.5.6, 0122H).
cdef frozenset COMPOSITE_REQUESTS = frozenset((CEchoRQ, CStoreRQ, CFindRQ, CGetRQ, CMoveRQ))
#: The operations that have pending responses.
cdef frozenset QUERY_RETRIEVE = frozenset((CFindRQ, CGetRQ, CMoveRQ))
#: Of N services, those with a requested SOP instance whose responses say no more than it, the SOP class and the status.
cdef frozenset REQUESTED_INSTANCE = frozenset((NGetRQ, NSetRQ, NDeleteRQ))
#: Bytes of what is copied to be written together with a short data set.
cdef enum:
    MOST_AHEAD = 1024

cdef object SUCCESS = Status.SUCCESS
cdef object FAILURE = StatusCategory.FAILURE


cdef inline bint is_pending(status) except -1:
    cdef int code = status
    return code == 0xFF00 or code == 0xFF01


cdef class Exchange:
    """The messages of one association.

    `outgoing` gathers encoded PDUs in the order in which they are to be written. `counters` has `operations` and `failures`:
    the operations of the peer that have been answered, and those of them with a failure status. `open_body(context, message)`
    chooses the sink for the data set of a message that is to come.

    Invariants: `can_send` and `is_closing` follow the state machine; `sending` is the operation whose data set is being sent, and then no
    other message may be: refusals wait in `held`. `refusal` is the answer to the request whose data set arrives now, if it is
    not to be performed.
    """

    cdef readonly object receiver
    #: Whether the state machine allows messages to be sent.
    cdef public bint can_send
    #: Whether the transport is to be closed once all is written.
    cdef public bint is_closing
    #: Whether C-ECHO is answered with success here while nothing else is performed, so that nobody is told of it: PS3.4
    #: annex A asks for no more.
    cdef public bint answers_verification
    #: The accepted presentation contexts by their ID.
    cdef public object contexts
    #: How many bytes of a data set go into one P-DATA-TF.
    cdef public Py_ssize_t fragment_size
    #: Message IDs of the operations that we are performing.
    cdef readonly set performing
    #: The operations that we invoked.
    cdef readonly object invoked
    #: The C-GET that we invoked, whose sub-operations are signs of the peer as its responses are (PS3.7 9.1.3).
    cdef readonly object retrieval
    #: When the peer was last heard, or the association last did something.
    cdef public object last_activity
    cdef public object tracer
    cdef list outgoing
    cdef list held
    cdef object counters
    #: Chooses sinks, or None when no data set will come any more.
    cdef public object body_of
    cdef object refusal
    cdef object sending

    def __init__(self, list outgoing, counters, open_body, tracer, maximum_length):
        self.receiver = Receiver(decode_command, self._open_body, maximum_length)
        self.contexts = {}
        self.performing = set()
        self.invoked = InvokedOperations()
        self.last_activity = 0.0
        self.tracer = tracer
        self.outgoing = outgoing
        self.counters = counters
        self.body_of = open_body

    # --- bytes ------------------------------------------------------------------------------------------------------

    def receive(self, buffer, Py_ssize_t size, now):
        """Lends the first `size` bytes of `buffer` until `next_event()` gives None."""
        self.take_in(buffer, size, now)

    cdef int take_in(self, buffer, Py_ssize_t size, now) except -1:
        self.last_activity = now
        if self.retrieval is not None:
            self.invoked.touch(self.retrieval, now)
        if self.tracer is not None:
            self.tracer.received(memoryview(buffer)[:size])
        lend(self.receiver, buffer, size)
        return 0

    def read_in_place(self, int fd):
        """Has the receiver read from a socket what comes next of a data set, as `Receiver.read_in_place` says; what is traced has to
        be seen first.
        """
        return None if self.tracer is not None else self.receiver.read_in_place(fd)

    def next_event(self, now):
        """Returns the next event in the bytes received, or None when all are consumed."""
        return self.event(now)

    cdef object event(self, now):
        cdef ReceivedMessage received
        while True:
            try:
                event = next_received(self.receiver)
            except ProtocolViolation as error:
                return self.violated(error, now)
            except DecodeError as error:
                return self.violated(PduError(INVALID_PARAMETER, f"malformed command set: {error}"), now)
            if event is None:
                return None
            if type(event) is ReceivedMessage:
                received = <ReceivedMessage> event
                result = self.on_message(received.context_id, received.message, received.body, now)
            else:
                result = self._on_control(event, now)
            if result is not None:
                return result

    def take_outgoing(self):
        """Returns what is to be written now, oldest first, and forgets it."""
        return self.taken()

    cdef list taken(self):
        cdef list outgoing = self.outgoing
        if not outgoing:
            return outgoing
        taken = outgoing[:]
        outgoing.clear()
        if self.tracer is not None:
            for buffer in taken:
                self.tracer.sent(buffer)
        return taken

    # --- messages to the peer ---------------------------------------------------------------------------------------

    def next_message_id(self):
        """Returns a message ID for the next request."""
        return self.invoked.next_message_id()

    def take_tokens(self):
        """Returns the tokens of the operations in flight, and forgets them: no response will come."""
        return [operation.token for operation in self.invoked.take()]

    def send_request(self, int context_id, request, token, now):
        """Sends a request whose message ID came from `next_message_id()`; `token` comes back with its responses.

        Where it `has_data_set`, `send_data()` has to follow before anything else is sent.
        """
        self.send(context_id, encode_command(request))
        operation = self.begin(context_id, request, token, now)
        if request.has_data_set:
            self.sending = operation

    def send_whole(self, int context_id, request, tuple pieces, token, now):
        """Sends a request as `send_request` does, and its data set, which `pieces` are in order: none for a request without.

        All pieces but the last are of an even number of bytes. Returns how many bytes they have.
        """
        return self.send_request_whole(context_id, request, pieces, token, now)

    cdef Py_ssize_t send_request_whole(self, int context_id, request, tuple pieces, token, now) except -1:
        cdef Py_ssize_t count = len(pieces)
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t before = len(self.outgoing)
        cdef Py_ssize_t k
        self.send(context_id, encode_command(request))
        try:
            for k in range(count):
                self.put_data(context_id, pieces[k], k == count - 1)
                size += len(pieces[k])
        except BaseException:  # a short part of a file is read for this, which may have been cut short
            del self.outgoing[before:]
            raise
        self.begin(context_id, request, token, now)
        return size

    cdef object begin(self, int context_id, request, token, now):
        operation = Operation(context_id, request, token, now)
        self.invoked.begin(operation)
        if type(request) is CGetRQ:
            self.retrieval = operation
        return operation

    def send_response(self, int context_id, response, now):
        """Sends a response; unless its status is pending, the operation is then over."""
        self.send(context_id, encode_command(response))
        self.answered(response.message_id_being_responded_to, response.status, now)

    def respond(self, int context_id, request, status, now):
        """Sends the response that says no more than this status; unless that is pending, the operation is then over."""
        self.send_status(context_id, request, status, now)

    cdef int send_status(self, int context_id, request, status, now) except -1:
        kind = type(request)
        message_id = request.message_id
        sop_class = sop_instance = None
        cdef bint is_known = kind is CEchoRQ or kind is CStoreRQ  # whose UIDs have been looked at before (`refuse`)
        if is_known or kind is NCreateRQ:
            sop_class = request.affected_sop_class_uid
            if kind is not CEchoRQ:
                sop_instance = request.affected_sop_instance_uid
        elif kind in REQUESTED_INSTANCE:
            sop_class, sop_instance = request.requested_sop_class_uid, request.requested_sop_instance_uid
        if is_known or (sop_instance and is_uid(sop_class) and (kind is NCreateRQ or is_uid(sop_instance))):
            command = encode_response(kind.COMMAND_FIELD, message_id, status, sop_class, sop_instance)
        else:
            command = encode_command(response_to(request, status))
        self.send(context_id, command)
        return self.answered(message_id, status, now)

    cdef int answered(self, message_id, status, now) except -1:
        self.last_activity = now
        if self.retrieval is not None:
            self.invoked.touch(self.retrieval, now)
        if not is_pending(status):
            if self.performing:
                self.performing.discard(message_id)
            self.counters.operations += 1
            if status is not SUCCESS and status.category is FAILURE:
                self.counters.failures += 1
        return 0

    def encode_response(self, int context_id, response):
        """Returns the PDU of a response that a data set follows, for `send_pending`."""
        return encode_command_pdus(context_id, encode_command(response), self.fragment_size)

    def send_pending(self, int context_id, encoded, data, now):
        """Sends a pending response that has been encoded, and its data set."""
        self.require_sending()
        self.last_activity = now
        joined = join_data(context_id, encoded, data, self.fragment_size)
        if joined is not None:
            self.outgoing.append(joined)
        else:
            self.outgoing.append(encoded)
            self.outgoing += encode_data(context_id, data, self.fragment_size, True)

    def send_cancel(self, int context_id, message_id, now):
        """Sends C-CANCEL for an operation in flight (PS3.7 9.3.2.3), which has to end in the time for one response now."""
        self.send(context_id, encode_command(CCancelRQ(message_id)))
        operation = self.invoked.find(message_id)
        if operation is not None:
            self.invoked.touch(operation, now)
            operation.is_cancelled = True
            if operation is self.retrieval:
                self.retrieval = None

    def send_data(self, int context_id, data, *, bint is_last, now):
        """Sends bytes of the data set of the message begun; their number is even unless `is_last`."""
        self.require_sending()
        self.put_data(context_id, data, is_last)
        if self.sending is not None:
            self.invoked.touch(self.sending, now)  # the peer can't answer before it has everything
            if is_last:
                self.sending = None
                held, self.held = self.held, None
                for held_context_id, refusal in held or ():
                    self.send(held_context_id, encode_command(refusal))

    cdef int put_data(self, int context_id, data, bint is_last) except -1:
        cdef list outgoing = self.outgoing
        cdef Py_ssize_t last = len(outgoing) - 1
        joined = None
        if is_last and last >= 0:
            ahead = outgoing[last]  # the command set, as a rule
            if type(ahead) is bytes and len(<bytes> ahead) <= MOST_AHEAD:
                joined = join_data(context_id, ahead, data, self.fragment_size)
        if joined is None:
            outgoing += encode_data(context_id, data, self.fragment_size, is_last)
        else:
            outgoing[last] = joined
        return 0

    cdef int send(self, int context_id, command) except -1:
        self.require_sending()
        self.outgoing.append(encode_command_pdus(context_id, command, self.fragment_size))
        return 0

    cdef int require_sending(self) except -1:
        if not self.can_send:
            raise AssociationClosed(f"the association is not open: {self.state.description}")
        return 0

    # --- messages from the peer -------------------------------------------------------------------------------------

    cdef object on_message(self, context_id, message, body, now):
        if not isinstance(message, Request):
            if isinstance(message, Response):
                return self.on_response(context_id, message, body, now)
            return CancelReceived(message.message_id_being_responded_to)
        if not self.can_send:
            return None  # we have asked for release: what the peer still asks of us can't be answered
        context = self.contexts[context_id]
        refusal, self.refusal = (self.refuse(context, message) if body is None else self.refusal), None
        if refusal is not None:
            return self.send_refusal(context_id, message, refusal, now)
        if self.answers_verification and type(message) is CEchoRQ and not self.performing and self.sending is None:
            self.send_status(context_id, message, SUCCESS, now)
            return None
        self.performing.add(message.message_id)
        return named(RequestReceived, (context, message, body))

    cdef object send_refusal(self, int context_id, message, refusal, now):
        """Answers a request that is not performed, after the data set that may be on its way."""
        # Not as an operation's response: one with this message ID may be in flight.
        if self.sending is None:
            self.send(context_id, encode_command(refusal))
        else:
            if self.held is None:
                self.held = []
            if len(self.held) >= MOST_HELD:
                return self.violated(unexpected("more refused requests than we answer at a time"), now)
            self.held.append((context_id, refusal))
        self.counters.operations += 1
        self.counters.failures += 1
        return RequestRefused(message, refusal.status)

    cdef object on_response(self, context_id, response, body, now):
        message_id = response.message_id_being_responded_to
        operation = self.invoked.find(message_id)
        if operation is None:
            return self.violated(unexpected(f"a response to message ID {message_id}, which is not in flight"), now)
        if response.SERVICE != operation.request.SERVICE:
            text = f"a {response.SERVICE} response to a {operation.request.SERVICE} request"
            return self.violated(unexpected(text), now)
        if context_id != operation.context_id:
            text = f"a response on presentation context {context_id} to a request on {operation.context_id}"
            return self.violated(unexpected(text), now)
        cdef bint is_final = not is_pending(response.status)
        if is_final:
            self.invoked.end(operation)
            if operation is self.retrieval:
                self.retrieval = None
        elif type(operation.request) not in QUERY_RETRIEVE:
            return self.violated(unexpected(f"a pending response to a {response.SERVICE} request"), now)
        elif not operation.is_cancelled:
            self.invoked.touch(operation, now)
        return named(ResponseReceived, (operation, response, body, is_final))

    def _open_body(self, context_id, message):
        """The receiver's call when a command set announces a data set."""
        context = self.contexts[context_id]
        if isinstance(message, Request):
            self.refusal = self.refuse(context, message)
            if self.refusal is not None or not self.can_send:
                return Discard()  # it will not be performed
        return self.body_of(context, message)

    cdef object refuse(self, context, request):
        """Returns the response to a request that is not to be performed at all (PS3.7 annex C)."""
        if self.performing and request.message_id in self.performing:
            return response_to(request, Status.DUPLICATE_INVOCATION)
        # An SCU invokes operations, an SCP reports events: what is not in the peer's role is "not one of those agreed"
        # (0211H, PS3.7 9.1 and 10.1).
        if not <object>PyTuple_GetItem(context, AS_SCU if type(request) is NEventReportRQ else AS_SCP):
            return response_to(request, Status.UNRECOGNIZED_OPERATION)
        kind = type(request)
        if kind in COMPOSITE_REQUESTS:
            if request.affected_sop_class_uid != <object> PyTuple_GetItem(context, ABSTRACT_SYNTAX):
                return response_to(request, Status.SOP_CLASS_NOT_SUPPORTED)
            if kind is CStoreRQ:
                if not is_uid(request.affected_sop_instance_uid):
                    return response_to(request, Status.INVALID_SOP_INSTANCE)
                if not request.has_data_set:
                    return response_to(request, Status.CANNOT_UNDERSTAND, error_comment="C-STORE-RQ without a data set")
        elif kind is NCreateRQ:
            # Nothing is to be made under what is no UID. What is asked of an instance that is there is its handler's matter,
            # whatever it is called: some devices call theirs 1.02.3.
            if request.affected_sop_instance_uid and not is_uid(request.affected_sop_instance_uid):
                return response_to(request, Status.INVALID_SOP_INSTANCE)
        elif kind is UnrecognizedRequest:
            return response_to(request, Status.UNRECOGNIZED_OPERATION)
        return None


cdef int receive(exchange, buffer, Py_ssize_t size, now) except -1:
    return (<Exchange?> exchange).take_in(buffer, size, now)


cdef object next_event(exchange, now):
    return (<Exchange?> exchange).event(now)


cdef list take_outgoing(exchange):
    return (<Exchange?> exchange).taken()


cdef Py_ssize_t send_whole(exchange, int context_id, request, tuple pieces, token, now) except -1:
    return (<Exchange?> exchange).send_request_whole(context_id, request, pieces, token, now)


cdef int respond(exchange, int context_id, request, status, now) except -1:
    return (<Exchange?> exchange).send_status(context_id, request, status, now)


cdef bint has_begun(exchange) except -1:
    return is_incomplete((<Exchange?> exchange).receiver)


cdef bint is_closing(exchange) except -1:
    return (<Exchange?> exchange).is_closing


cdef bint may_send(exchange) except -1:
    return (<Exchange?> exchange).can_send


cdef object unexpected(str text):
    return PduError(UNEXPECTED_PARAMETER, f"the peer sent {text}")
