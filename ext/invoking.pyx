"""Requests that go out at once, and the responses to them: the compiled half of `aiodicom.net.invoker.Invoker`, and of the turns that
are taken for each of them.
"""

from cpython.tuple cimport PyTuple_GetItem

from cython cimport freelist

from aiodicom.net._data_sets cimport MOST_AT_ONCE, encode
from aiodicom.net._outbox cimport send_request
from aiodicom.standard._valid_uids cimport is_uid
from named cimport named

from aiodicom.dimse.command import make_message
from aiodicom.dimse.messages import CStoreRQ, NCreateRQ
from aiodicom.errors import LocalError
from aiodicom.net.responses import check, dataset_of
from aiodicom.net.results import Result
from aiodicom.net.sources import EncodedIdentifier
from aiodicom.standard.status import Status

cdef enum:
    # Where the fields of an `AcceptedContext` and a `ResponseReceived`, which are tuples, are.
    CONTEXT_ID = 0
    TRANSFER_SYNTAX = 2
    EVENT_MESSAGE = 1
    #: Where the fields of an N-CREATE have it.
    SOP_INSTANCE_UID = 1
    #: How many presentation contexts are remembered by what was asked for.
    MOST_FOUND = 128

cdef object SUCCESS = Status.SUCCESS


def result_of(event, context):
    """What a response of the DIMSE-N services, in this context, says. Raises `StatusError` for a failure, and `DecodeError` for a data
    set that is none.
    """
    message = <object> PyTuple_GetItem(event, EVENT_MESSAGE)
    if message.status is not SUCCESS:
        check(message)
    data_set = dataset_of(event, <object> PyTuple_GetItem(context, TRANSFER_SYNTAX)) if message.has_data_set else None
    return named(Result, (message, data_set))


@freelist(8)
cdef class Making:
    """Makes a request of this kind and with these fields once its message ID is known."""

    cdef object kind
    cdef tuple fields

    def __call__(self, message_id):
        return make_message(self.kind, self.fields, message_id)


cdef class Turns:
    """Turns that are taken and given back: the compiled half of `aiodicom.net.window.Window`.

    Invariants: `taken` <= `limit` (0 is no limit); nobody waits while a turn is free. `waiters` are futures of those who wait, if
    there ever were any, `drained` is one of who waits for all turns to be given back.
    """

    #: How many there are at a time.
    cdef public Py_ssize_t limit
    #: Turns taken and not given back.
    cdef public Py_ssize_t taken
    cdef public object waiters
    cdef public object drained

    def __init__(self, Py_ssize_t limit=1):
        self.limit = limit

    cdef bint take_one(self) except -1:
        if self.limit == 0 or (self.taken < self.limit and not self.waiters):
            self.taken += 1
            return True
        return False

    cdef int give_back(self) except -1:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return 0
        self.taken -= 1
        if self.taken == 0 and self.drained is not None:
            self.drained.set_result(None)
            self.drained = None
        return 0

    def take_now(self):
        """Takes a turn if there is one and nobody waits for it."""
        return self.take_one()

    def give(self):
        """Gives a turn back: the first who waits has it then."""
        self.give_back()


cdef class Invoking:
    """Invokes operations that have to wait for nothing.

    Invariants: a turn of `turns` is held from before a request is sent until its final response has come, whether or not anybody
    waits for that. One request is sent at a time, and one waits while the peer takes less than is written: the others for it, by
    the one turn of `sending`. What is rare is done by its subclass: its stub names what it calls of that.
    """

    cdef readonly object association
    cdef readonly object performer
    cdef readonly object outbox
    #: The asynchronous operations window of our side.
    cdef readonly Turns turns
    cdef readonly Turns sending
    #: The context for what has been asked for before.
    cdef dict found

    def __init__(self, association, performer, outbox, Turns turns not None, Turns sending not None):
        self.association = association
        self.performer = performer
        self.outbox = outbox
        self.turns = turns
        self.sending = sending
        self.found = {}

    def context_for(self, abstract_syntax, transfer_syntaxes, *, bint as_scp=False):
        """Returns the context of the first of `transfer_syntaxes` that the peer has accepted, in which we have the
        role; None stands for any.

        Raises `ContextNotAccepted`, or why the association is over.
        """
        return self.context(abstract_syntax, transfer_syntaxes, as_scp)

    cdef object context(self, abstract_syntax, transfer_syntaxes, bint as_scp):
        if not self.association.is_open:
            raise self.association.why_closed()
        wanted = (abstract_syntax, transfer_syntaxes, as_scp)
        found = self.found.get(wanted)
        if found is None:
            found = self.find_context(abstract_syntax, transfer_syntaxes, as_scp)
            if len(self.found) < MOST_FOUND:
                self.found[wanted] = found
        return found

    def invoke(self, context, build, source):
        """Sends a request when it is its turn; what is returned, to be awaited at once, gives the response, whatever
        its status.
        """
        waiter = self.association.loop.create_future()
        if self.begin_at_once(context, build, source, () if source is None else None, waiter):
            return waiter
        return self.invoke_later(context, build, source, waiter)

    def ask(self, context, kind, tuple fields, data_set):
        """Sends a request of the DIMSE-N services, of this kind and with these fields after its message ID, and `data_set` where
        that is not None: as `invoke` does. What only has to be there while it waits for its turn is made where it does.

        Raises `LocalError` for a SOP Instance UID, of an N-CREATE the second of the fields, that is none, and for a data set that
        cannot be encoded in this context. What is asked of an instance that is there is the peer's matter, whatever it is called.
        """
        instance = <object> PyTuple_GetItem(fields, SOP_INSTANCE_UID) if kind is NCreateRQ else None
        if instance is not None and not (isinstance(instance, str) and is_uid(instance)):
            raise LocalError(f"{instance!r:.80} is no UID of a SOP instance (PS3.5 9.1)")
        cdef Making build = Making.__new__(Making)
        cdef tuple pieces = ()
        data = None
        build.kind = kind
        build.fields = fields
        if data_set is not None:
            data = encode(data_set, <object> PyTuple_GetItem(context, TRANSFER_SYNTAX))
            pieces = (data,)
        waiter = self.association.loop.create_future()
        if (data is None or len(<bytes> data) <= MOST_AT_ONCE) and self.begin_at_once(context, build, None, pieces, waiter):
            return waiter
        return self.invoke_later(context, build, None if data is None else EncodedIdentifier(data), waiter)

    def begin_now(self, context, build, source, token):
        """Sends a request, and its data set, if that has to wait for nothing and is there at once; returns whether it
        did. `token` is told of the response, or why there is none, from within the event loop's callbacks.

        It is what `begin` is at the cost of neither task nor future: of use to who invokes tens of thousands a second.
        Raises `AssociationClosed`, and what the source raises.
        """
        return self.begin_at_once(context, build, source, () if source is None else None, token)

    cdef bint begin_at_once(self, context, build, source, tuple pieces, token) except -1:
        """`begin_now`; where `pieces` is None, `source` is asked for them when it is its turn."""
        cdef bint is_sent = False
        if not self.turns.take_one():
            return False
        if not self.take_sending():
            self.turns.give_back()
            return False
        try:
            if pieces is None:
                pieces = source.at_once()
            if pieces is not None:
                send_request(self.outbox, <object> PyTuple_GetItem(context, CONTEXT_ID), build, token, pieces)
                is_sent = True
        finally:
            self.sending.give_back()
            if not is_sent:
                self.turns.give_back()
        if is_sent:
            self.performer.on_sent()
        return is_sent

    cdef bint take_sending(self) except -1:
        return not self.association.transport.is_blocked and self.sending.take_one()

    def take_sending_now(self):
        """Takes the turn to send a request, if the peer takes what is written and nobody else sends one."""
        return self.take_sending()

    def on_response(self, event):
        """A response has come."""
        operation = event.operation
        if not event.is_final:
            operation.token.on_pending(event)  # a `ResponseStream`: others get no such response past the protocol
            return
        self.turns.give_back()
        token = operation.take_token()
        if not token.done():
            token.set_result(event)


cdef class StoreRequest:
    """C-STORE of a source (PS3.7 9.1.1): as a function, makes the request of a message ID, when the source has its UIDs."""

    cdef object source
    cdef object priority
    cdef object originator

    def __init__(self, source, priority, move_originator):
        self.source = source
        self.priority = priority
        self.originator = move_originator

    def __call__(self, message_id):
        source = self.source
        title, originating = (None, None) if self.originator is None else self.originator
        values = (source.sop_class_uid, source.sop_instance_uid, self.priority, True, title, originating)
        return make_message(CStoreRQ, values, message_id)

    def begin(self, association, token):
        """Begins it if it can be sent now: see `aiodicom.net.unawaited.begin_store`."""
        cdef Invoking invoker = association.invoker
        context = invoker.context(self.source.sop_class_uid, (self.source.transfer_syntax,), False)
        return invoker.begin_at_once(context, self, self.source, None, token)
