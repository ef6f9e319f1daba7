"""Requests that go out at once, and the responses to them: the compiled half of `aiodicom.net.invoker.Invoker`, and of the turns that
are taken for each of them.
"""

from aiodicom.dimse.command import make_message
from aiodicom.dimse.messages import CStoreRQ

cdef enum:
    #: How many presentation contexts are remembered by what was asked for.
    MOST_FOUND = 128


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
        if self.begin_at_once(context, build, source, waiter):
            return waiter
        return self.invoke_later(context, build, source, waiter)

    def begin_now(self, context, build, source, token):
        """Sends a request, and its data set, if that has to wait for nothing and is there at once; returns whether it
        did. `token` is told of the response, or why there is none, from within the event loop's callbacks.

        It is what `begin` is at the cost of neither task nor future: of use to who invokes tens of thousands a second.
        Raises `AssociationClosed`, and what the source raises.
        """
        return self.begin_at_once(context, build, source, token)

    cdef bint begin_at_once(self, context, build, source, token) except -1:
        cdef bint is_sent = False
        if not self.turns.take_one():
            return False
        if not self.take_sending():
            self.turns.give_back()
            return False
        try:
            pieces = () if source is None else source.at_once()
            if pieces is not None:
                self.outbox.send_whole(context.context_id, build, token, pieces)
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
        return invoker.begin_at_once(context, self, self.source, token)
