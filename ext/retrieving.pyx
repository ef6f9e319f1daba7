"""Sub-operations of C-GET and C-MOVE that are sent without a task: the compiled half of `aiodicom.net.suboperations`."""

from collections import deque

from aiodicom.errors import ContextNotAccepted
from aiodicom.net.responses import is_failure
from aiodicom.net.sources import AheadFile, KnownFile, SubOperation, open_source
from aiodicom.net.unawaited import Withdrawn

cdef enum:
    #: So many objects are read while others are sent, if they can be.
    AHEAD = 8


cdef Py_ssize_t size_of(what) except -1:
    """About how many bytes a sub-operation has, if that is known before it is opened."""
    source = (<tuple> what)[0]
    return source.stamp.size if isinstance(source, KnownFile) else 0


cdef class SubOperations:
    """What is to be sent on its `way`, up to `way.at_once` at a time.

    What has to wait for nothing is begun, and `Begun` told of its response: that costs neither task nor future. The others are
    tasks of the subclass, whose stub names what is called of it.

    Invariants: every sub-operation that has been taken is `waiting`, one of those `running`, or counted in exactly one of
    `completed`, `failed`, `warning`; what waits is looked at again when it `is_due`, when the way is ready while `is_held_up`, or
    when one of those `running` ends.
    """

    cdef readonly object way
    cdef readonly object loop
    #: The least time between two pending responses, in seconds, and when the last one was sent.
    cdef readonly double interval
    cdef public double told
    #: What is read while others are sent.
    cdef readonly object waiting
    cdef readonly Py_ssize_t running
    #: The bytes of what has been begun and not answered.
    cdef Py_ssize_t unanswered
    #: How many have been taken, and how each of these has ended.
    cdef readonly Py_ssize_t begun
    cdef readonly Py_ssize_t completed
    cdef readonly Py_ssize_t warning
    cdef public Py_ssize_t failed
    cdef bint is_due
    cdef bint is_held_up
    #: Whether parts of files are sent without being read, as of the last time that anything was sent.
    cdef bint sends_files
    #: With so many waiting more are taken, and who is to be told then, or at the end.
    cdef Py_ssize_t enough
    cdef object wake

    def __init__(self, way, loop, double interval):
        self.way = way
        self.loop = loop
        self.interval = interval
        self.told = loop.time()
        self.waiting = deque()
        self.sends_files = way.sends_files

    # --- what is to be sent -----------------------------------------------------------------------------------------

    def take(self, thing):
        """Takes what is to be sent; returns whether there is room for more."""
        # Its fields are looked up as those of a tuple: as those of its own class each takes a call of Python's.
        what = thing if isinstance(thing, SubOperation) else tuple.__new__(SubOperation, (thing, None, None, None))
        known = (<tuple> what)[0]
        source = AheadFile.reading(known, may_stay=self.sends_files) if type(known) is KnownFile else known
        self.begun += 1
        if source is not known:
            what = tuple.__new__(SubOperation, (source, *(<tuple> what)[1:]))
        elif not self.waiting and not self.is_held_up and self.running < <Py_ssize_t> self.way.at_once and self.send(what):
            return True  # a small file, of which there is always room for one more
        self.waiting.append(what)
        self.send_soon()
        # What is in no file takes memory.
        self.enough = AHEAD // 2 if isinstance(source, KnownFile) else 0
        return len(self.waiting) < max(2 * self.enough, 1)

    @property
    def has_room(self):
        """Whether enough has left to take more."""
        return len(self.waiting) <= self.enough

    def changed(self):
        """Returns a future for the moment when there is room again, or nothing is sent any more."""
        self.wake = self.loop.create_future()
        return self.wake

    cdef int awake(self) except -1:
        wake, self.wake = self.wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)
        return 0

    # --- sending ----------------------------------------------------------------------------------------------------

    cdef int send_soon(self) except -1:
        """Sends what waits after all that has come has been read, so that it is known then what each association still takes."""
        if not self.is_due:
            self.is_due = True
            self.loop.call_soon(self._send_waiting)
        return 0

    def _send_waiting(self):
        cdef Py_ssize_t most, room
        self.is_due = False
        if not self.waiting or self.is_held_up:
            return
        most = self.way.at_once
        self.sends_files = self.way.sends_files
        room = self.way.room if self.sends_files else 0
        while self.waiting and self.running < most:
            what = self.waiting.popleft()
            if room and self.unanswered and self.unanswered + size_of(what) > room:
                self.waiting.appendleft(what)
                break
            if not self.send(what):
                self.waiting.appendleft(what)
                break
        if len(self.waiting) <= self.enough:
            self.awake()

    def _on_ready(self):
        self.is_held_up = False
        self.send_soon()

    cdef bint send(self, what) except -1:
        """Has one be sent now if it can be, else in a task; returns whether, as the way may have to be ready for either."""
        cdef bint is_begun
        self.running += 1
        try:
            is_begun = self.begin(what)
        except Exception as error:
            self.note_error(what, error)
            return True
        if not is_begun:
            if not self.way.is_ready:
                self.running -= 1
                self.is_held_up = True
                self.way.when_ready(self._on_ready)
                return False
            self.send_later(what)
        return True

    cdef bint begin(self, what) except -1:
        cdef bint is_begun = False
        cdef tuple said = <tuple> what
        source = open_source(said[0], said[1], said[2], said[3])
        cdef Begun token = Begun.__new__(Begun)
        token.operations, token.what, token.source, token.size = self, what, source, source.size
        self.unanswered += token.size
        try:
            is_begun = self.way.begin(source, token)
        except ContextNotAccepted:
            pass  # in its own transfer syntax: it may be transcoded
        finally:
            if not is_begun:
                token.end()
        return is_begun

    # --- what has come of it ----------------------------------------------------------------------------------------

    def note(self, status):
        """A sub-operation has ended, and not by a failure."""
        if status:
            self.warning += 1
        else:
            self.completed += 1
        self.end_one()
        if self.loop.time() - self.told >= self.interval:
            self.tell()

    def note_end(self):
        """One of those `running` has ended."""
        self.end_one()

    cdef int end_one(self) except -1:
        self.running -= 1
        if self.waiting:
            self.send_soon()
        elif not self.running:
            self.awake()
        return 0


cdef class Begun:
    """The token of a sub-operation that nobody awaits (`aiodicom.net.unawaited`)."""

    cdef SubOperations operations
    cdef object what
    cdef object source
    cdef Py_ssize_t size

    def done(self):
        """Something is always wanted."""
        return False

    def cancel(self):
        """The request was not sent, as who tried knows."""

    def exception(self):
        """Nothing has been told yet."""
        return None

    cdef int end(self) except -1:
        """Gives back what it holds; harmless when that has been done."""
        source, self.source = self.source, None
        if source is not None:
            self.operations.unanswered -= self.size
            source.close()
        return 0

    def set_result(self, event):
        """There is the response."""
        self.end()
        response = event.message
        status = response.status
        if status and is_failure(status):
            self.operations.note_failure(self.what, response)
        else:
            self.operations.note(status)

    def set_exception(self, error):
        """There will be none."""
        self.end()
        if isinstance(error, Withdrawn):
            self.operations.send_later(self.what)  # on another association
        else:
            self.operations.note_error(self.what, error)
