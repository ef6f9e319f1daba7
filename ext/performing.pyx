"""A request's way through its handler: the compiled half of `aiodicom.net.performer.Performer`, and of the requests in
`aiodicom.net.requests`.
"""

from asyncio import CancelledError

from cpython.object cimport PyObject, PyTypeObject
from cpython.tuple cimport PyTuple_GetItem

from aiodicom.dimse._exchange cimport may_send
from aiodicom.net._data_sets cimport decode, gather
from aiodicom.net._outbox cimport send_status
from aiodicom.net._steps cimport FirstSteps
from aiodicom.ul._pdu cimport is_in_memory

from aiodicom.dimse.messages import CEchoRQ, CFindRQ, CGetRQ, CMoveRQ, CStoreRQ, NCreateRQ, NEventReportRQ
from aiodicom.net.sinks import Spooled
from aiodicom.standard.status import Status
from aiodicom.ul._pdu import Body, Discard

cdef enum:
    # Where the fields of an `AcceptedContext`, a `RequestReceived` and a `Handler` are, which are tuples.
    CONTEXT_ID = 0
    TRANSFER_SYNTAX = 2
    EVENT_CONTEXT = 0
    EVENT_MESSAGE = 1
    EVENT_BODY = 2
    FUNCTION = 0
    IS_ASYNCHRONOUS = 1
    BODY = 2
    DRIVER = 3

cdef extern from "Python.h":
    bint PyType_IsSubtype(PyTypeObject* kind, PyTypeObject* base)

cdef object SUCCESS = Status.SUCCESS
cdef object UNRECOGNIZED_OPERATION = Status.UNRECOGNIZED_OPERATION
#: The requests that the peer may cancel.
cdef frozenset CANCELLABLE = frozenset((CFindRQ, CGetRQ, CMoveRQ))


cdef class Performing


def told(Received request not None, answer, error):
    """The handler of a request has ended."""
    cdef Performing performing = request.performing
    if performing is None:
        raise RuntimeError("no handler of this request runs")
    request.performing = None  # which has the request: a cycle that ends here
    performing.done(request, answer, error)


cdef class Received:
    """A request as it came: the association, the `AcceptedContext` and the message.

    `body` is the sink that took the data set, None where there is none. `data_set` is what has been decoded of it.
    """

    cdef public object association
    cdef public object context
    cdef public object message
    cdef public object body
    cdef object data_set
    #: Who is told that its handler, which runs, has ended.
    cdef Performing performing

    def __cinit__(self, association, context, message):
        self.association = association
        self.context = context
        self.message = message

    def __init__(self, *arguments):
        """What a subclass that has more calls; `__cinit__` has seen to the arguments."""

    def __reduce__(self):
        raise TypeError(f"{type(self).__name__} belongs to its association: it is neither copied nor pickled")

    def decoded(self):
        """The data set, decoded when it is first asked for. Raises what getting at its bytes raises, and `DecodeError`."""
        return self.decode(False)

    def whole(self):
        """The data set, decoded. Raises `DecodeError` also for one that ends too early: what is asked is another thing then."""
        return self.decode(True)

    cdef object decode(self, bint is_whole):
        if self.data_set is None:
            data = self.body if is_in_memory(self.body) else self.data
            self.data_set = decode(data, <object> PyTuple_GetItem(self.context, TRANSFER_SYNTAX), is_whole)
        elif is_whole and self.data_set.truncated is not None:
            raise self.data_set.truncated
        return self.data_set

    def close(self):
        """Gives back what the request holds outside of memory; the association does it when the handler has ended."""
        if type(self.body) is Body and not is_in_memory(self.body):
            file = self.file
            if file is not None:
                file.close()


cdef class Normalized(Received):
    """What requests of the DIMSE-N services say (PS3.7 10.1)."""

    @property
    def sop_instance_uid(self):
        """The affected or requested SOP instance. Where the requestor of an N-CREATE leaves its UID to the SCP it is a new
        one, and answered.
        """
        message = self.message
        if type(message) is NCreateRQ:
            return message.affected_sop_instance_uid or self.new_uid()
        if type(message) is NEventReportRQ:
            return message.affected_sop_instance_uid
        return message.requested_sop_instance_uid

    @property
    def dataset(self):
        """The data set that came with the request, decoded when it is first asked for; None where there is none.

        Raises `DecodeError` for what is no data set, or ends too early.
        """
        return self.decode(True) if self.message.has_data_set else None


cdef class Performing:
    """Takes requests as they arrive to their handlers, and has what those return answered. What is rare is done by its subclass:
    its stub names what it calls of that.

    `limit` is how many requests are performed at a time, 0 for any number; `performing` counts those that handlers have and
    that are not answered; further ones are in `waiting`, and then nothing more is read. `incoming` is the request whose data
    set is arriving. `last_body_size` is how many bytes the last object had, from which the next one's buffer takes its size.
    `retrieval` takes the objects of a C-GET of ours in place of the handler of C-STORE. `tasks` are what runs for the
    association, by the request that it performs, or by itself.

    `kinds` are the classes of requests by those of their messages, `other` is that of further messages.
    """

    cdef public Py_ssize_t limit
    cdef public Py_ssize_t performing
    cdef public Py_ssize_t last_body_size
    cdef public object association
    cdef readonly object loop
    cdef readonly object protocol
    cdef readonly object handlers
    cdef FirstSteps starter
    cdef readonly object outbox
    #: Where the memory of data sets comes from, and who else is read meanwhile.
    cdef object budget
    cdef object turns
    #: The choice of a body that was looked at last, and what it says.
    cdef object choice
    cdef Py_ssize_t above
    cdef object spill
    cdef dict by_kind
    cdef dict kinds
    cdef object other
    cdef public object retrieval
    cdef public object incoming
    cdef public object waiting
    cdef public dict tasks
    cdef public bint is_over
    cdef public bint is_released
    cdef public bint is_finishing

    def __init__(self, association, protocol, handlers, outbox, dict kinds, other):
        self.limit = 1
        self.association = association
        self.loop = association.loop
        self.protocol = protocol
        self.handlers = handlers
        self.starter = <FirstSteps?> handlers.starter
        self.outbox = outbox
        self.budget = association.budget
        self.turns = association.transport.turns
        self.by_kind = handlers.by_kind
        self.kinds = kinds
        self.other = other

    cdef object handler_of(self, kind):
        if kind is CStoreRQ and self.retrieval is not None:
            return self.retrieval
        return self.by_kind.get(kind)

    cdef Received request_for(self, context, message):
        kind = self.kinds.get(type(message), self.other)
        arguments = (self.association, context, message)
        if PyType_IsSubtype(<PyTypeObject*> kind, <PyTypeObject*> Normalized):  # which have nothing for an __init__ to do
            return (<PyTypeObject*> kind).tp_new(kind, <PyObject*> arguments, NULL)
        return kind(*arguments)

    # --- what arrives -----------------------------------------------------------------------------------------------

    def open_body(self, context, message):
        """Returns the sink for the data set that follows `message`, which may be a response."""
        cdef Received request
        handler = self.handler_of(type(message))
        choice = None if handler is None else <object> PyTuple_GetItem(handler, BODY)
        if choice is None:
            return self.open_other(message)
        self.incoming = request = self.request_for(context, message)
        if type(choice) is Spooled:
            request.body = self.gather(choice, self.last_body_size if type(message) is CStoreRQ else 0)
        else:
            request.body = choice(request)
        if type(request.body) is not Body:
            self.stream(request)
        return request.body

    cdef object gather(self, choice, Py_ssize_t expected):
        """Returns the sink of an object that may have as many bytes as `expected`."""
        if choice is not self.choice:
            self.above = choice.above
            self.spill = choice.spill
            self.choice = choice
        return gather(expected, self.above, self.spill, self.budget, self.turns, False)

    def on_request(self, event):
        """A request is complete."""
        cdef Received request = self.incoming
        body = <object> PyTuple_GetItem(event, EVENT_BODY)
        if request is None:
            request = self.request_for(
                <object> PyTuple_GetItem(event, EVENT_CONTEXT), <object> PyTuple_GetItem(event, EVENT_MESSAGE)
            )
        else:
            self.incoming = None
            if type(request.message) is CStoreRQ:
                if request.is_streamed:
                    request.complete()
                    return
                if type(body) is Body:
                    self.last_body_size = body.total
            if type(body) is Discard:
                request.body = body  # in place of a sink that has failed, perhaps
        self.perform(request)

    def begin(self, Received request not None):
        """Has a request performed, when it is its turn."""
        self.perform(request)

    cdef perform(self, Received request):
        if self.performing >= self.limit > 0:
            # More than was agreed on, or sent ahead of our answer: read no more until this one has its turn.
            self.put_off(request)
            return
        self.performing += 1
        message = request.message
        handler = self.handler_of(type(message))
        if handler is None:
            self.answer_status(request, SUCCESS if type(message) is CEchoRQ else UNRECOGNIZED_OPERATION)
        elif type(request.body) is Discard and request.body.error is not None:
            error, request.body = request.body.error, None  # which has frames that have the request: a cycle ends here
            self.answer_failure(request, error)
        elif type(message) in CANCELLABLE and (request.is_cancelled or not message.has_data_set):
            self.answer_without_handler(request)
        elif <object> PyTuple_GetItem(handler, IS_ASYNCHRONOUS):
            self.start(handler, request)
        else:
            self.call(handler, request)

    # --- what is done with it ---------------------------------------------------------------------------------------

    cdef call(self, handler, Received request):
        """Calls a plain handler."""
        try:
            answer = (<object> PyTuple_GetItem(handler, FUNCTION))(request)
        except (Exception, CancelledError) as error:
            self.answer_failure(request, error)
        else:
            if answer is not None and not isinstance(answer, int) and self.is_promised(request, answer):
                return
            self.answer_with(request, answer)
        self.close(request)

    cdef start(self, handler, Received request):
        """Starts an asynchronous handler; it is cancelled when the association ends."""
        function = <object> PyTuple_GetItem(handler, FUNCTION)
        driver = <object> PyTuple_GetItem(handler, DRIVER)
        try:
            if driver is not None:
                coroutine = driver(function, request, self.outbox)
            elif type(request.message) is CStoreRQ and request.is_streamed:
                coroutine = self.take_fragments(function, request)
            else:
                coroutine = function(request)
        except Exception as error:  # a function that can't be called with a request
            self.answer_failure(request, error)
            self.close(request)
            return
        request.performing = self
        task = self.starter.start(coroutine, self.loop, told, request)
        if task is not None:
            self.keep_task(request, task)

    def run(self, request, answer):
        """Has what will be the answer cancelled when the association ends."""
        self.keep_task(request, answer)

    cdef keep_task(self, request, answer):
        if self.tasks is None:
            self.tasks = {}
        self.tasks[request] = answer
        if self.is_over:  # the handler itself has ended the association
            answer.cancel()

    cpdef done(self, Received request, answer, error):
        """A handler that was waited for has ended."""
        if self.tasks is not None:
            self.tasks.pop(request, None)
        if error is None:
            self.answer_with(request, answer)
        else:
            self.answer_error(request, error)
        self.close(request)

    cdef int close(self, Received request) except -1:
        if request.body is not None and not is_in_memory(request.body):
            request.close()
        return 0

    # --- answers ----------------------------------------------------------------------------------------------------

    cdef answer_with(self, Received request, answer):
        """Answers with what a handler has returned."""
        if (answer is None or answer is SUCCESS or (type(answer) is int and answer == 0)) and (
            type(request.message) is not NCreateRQ or request.message.affected_sop_instance_uid
        ):
            self.answer_status(request, SUCCESS)
        else:
            self.answer_more(request, answer)

    def answer(self, Received request not None, status):
        """Answers with a status alone."""
        self.answer_status(request, status)

    cdef answer_status(self, Received request, status):
        self.performing -= 1
        if may_send(self.protocol):
            send_status(self.outbox, <object> PyTuple_GetItem(request.context, CONTEXT_ID), request.message, status)
        self.go_on()

    def answered(self):
        """A request has been answered: the next one has its turn, and what waits for the last has it."""
        self.go_on()

    cdef go_on(self):
        if self.waiting:
            self.take_waiting()
        if self.is_released or self.is_finishing:
            self.settle()
