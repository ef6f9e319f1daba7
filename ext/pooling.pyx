"""Turns of a pool that are taken and given back without waiting: the compiled half of `aiodicom.net.pooling.AssociationPool`, and of
the members that have them.
"""

from aiodicom.net.responses import is_failure


cdef class TurnsOfMember:
    """The turns on one association: the compiled half of `aiodicom.net.member.Member`, which says what each of these is."""

    cdef readonly object association
    cdef public Py_ssize_t granted
    cdef public Py_ssize_t taken
    cdef public Py_ssize_t turns
    cdef public bint is_lent
    cdef public bint is_listed
    cdef public bint is_leaving
    cdef public bint is_spent
    cdef public bint is_outdated
    cdef public bint is_proven
    cdef public double used
    cdef public double heard
    cdef public object begun
    cdef public object size
    #: What was found to be met last. What an association has does not change.
    cdef object met

    def __init__(self, association, double now):
        self.association = association
        self.granted = association.window
        self.used = self.heard = now
        self.size = 0

    def meets(self, need):
        """Whether an operation that needs this can be on it."""
        return self.has(need)

    cdef bint has(self, need) except -1:
        if need is None or need is self.met:
            return True
        if self.refusal(need) != "":
            return False
        self.met = need
        return True

    cdef Py_ssize_t left(self, Py_ssize_t window) noexcept:
        """How many turns are left of a window of the pool."""
        if self.is_lent or self.is_spent:
            return 0
        if 0 < self.granted < window:
            window = self.granted
        return max(window - self.taken, 0)


cdef class TurnsOfPool:
    """Gives out turns while nobody waits for one.

    What is rare is done by its subclass, which also says what each of these is: its stub names what it calls of that.
    """

    cdef public object _loop
    cdef public object _members
    cdef public object _listed
    cdef public object _queue
    cdef public object _tuner
    cdef public object _proposals
    cdef public object _upkeep
    cdef public Py_ssize_t _window
    cdef public Py_ssize_t _settled
    cdef public Py_ssize_t _completed
    cdef public bint _is_over

    def begin_now(self, begin, token, *, need=None, size=None):
        """Has `begin(association, token)` begin one operation if there is a turn for it; returns whether it was begun.

        It is what `perform` is, with the same `need` and `size`, at the cost of neither task nor future; see
        `aiodicom.net.unawaited`. `token` is told of the final response, whatever its status, or why there is none, from
        within the event loop's callbacks, once the turn has been given back: `Withdrawn` where `perform` would call its
        operation once more. Raises what `begin` raises, and `AssociationClosed` when the pool is closed.
        """
        cdef TurnsOfMember member = self.take_one(need, False, True)
        cdef Turn turn
        cdef bint is_begun
        if member is None:
            return False
        turn = Turn.__new__(Turn)
        turn.pool, turn.member, turn.size, turn.token = self, member, size, token
        turn.begun = self._loop.time()
        try:
            is_begun = begin(member.association, turn)
        except BaseException:
            self.give_back(member, None)
            raise
        if not is_begun:
            # A turn that was of no use does not count.
            member.taken -= 1
            member.turns -= 1
            member.is_spent = False  # else there would have been no turn
            if not member.is_listed:
                self._list(member)
        elif size is not None and not member.is_proven:
            self._watch(member, turn.begun, size)
        return is_begun

    def _take_now(self, wish):
        """Takes a turn if there is one and nobody waits."""
        return self.take_one(wish.need, wish.is_whole, False)

    cdef TurnsOfMember take_one(self, need, bint is_whole, bint is_hurried):
        if self._loop is None or self._is_over:
            raise self._why_none()
        if need is not None and need is not self._proposals.latest:
            self._proposals.touch(need)
        return None if self._queue.count else self.pick(need, is_whole, is_hurried)

    def _pick(self, wish):
        """Takes a turn if there is one."""
        return self.pick(wish.need, wish.is_whole, False)

    cdef TurnsOfMember pick(self, need, bint is_whole, bint is_hurried):
        """Takes a turn; who `is_hurried` waits for no peer that takes less than is written."""
        cdef TurnsOfMember member
        cdef Py_ssize_t turns
        listed = self._listed
        for _ in range(len(listed)):
            member = listed.pop()
            if member.is_leaving or not member.association.is_open:
                member.is_listed = False
                self._retire(member)
                continue
            turns = member.left(self._window)
            if turns == 0:
                member.is_listed = False
            elif (is_whole and member.taken) or not member.has(need) or (is_hurried and member.association.is_blocked):
                listed.appendleft(member)
            else:
                member.taken += 1
                member.turns += 1
                member.is_lent = is_whole
                if self._upkeep.operations is not None and self._upkeep.is_last(member.turns):
                    member.is_spent = True
                # To the other end: operations spread over the associations.
                member.is_listed = turns > 1 and not (member.is_lent or member.is_spent)
                if member.is_listed:
                    listed.appendleft(member)
                return member
        return None

    def _turns_of(self, TurnsOfMember member not None):
        """How many turns are left on an association."""
        return member.left(self._window)

    def give(self, TurnsOfMember member not None, error=None):
        """Gives a turn back; `error` is what came of it."""
        self.give_back(member, error)

    cdef int give_back(self, TurnsOfMember member, error) except -1:
        cdef double now = self._loop.time()
        member.taken -= 1
        member.is_lent = False
        member.used = member.heard = now
        if not member.taken:
            member.begun, member.size = None, 0
        if not member.is_leaving:
            if not member.association.is_open:
                (<object> member).why = error
                self._retire(member)
            elif error is not None and not isinstance(error, Exception):
                # Cancelled, its response may still be on the way: that turn is not free.
                self._retire(member)
            elif (self._is_over or member.is_spent) and not member.taken:
                self._retire(member)
            elif not member.is_listed and not member.is_spent:
                self._list(member)
        if self._queue.count or not self.is_settled(now):
            self._adjust()
        if member.is_outdated and not member.taken:
            self._retire(member)
        return 0

    cdef bint is_settled(self, now) except -1:
        """Whether nothing is to be adjusted but for those who wait: all is as it was when all was there last."""
        cdef Py_ssize_t count = len(self._members)
        tuner = self._tuner
        return count == self._settled and self._window == <Py_ssize_t> tuner.window and count == <Py_ssize_t> tuner.associations(now)

    def _succeeded(self, TurnsOfMember member not None, double begun, size):
        """An operation that began at this time was answered, and not by a failure."""
        self.note_success(member, begun, size)

    cdef int note_success(self, TurnsOfMember member, double begun, size) except -1:
        member.is_proven = True
        if size is not None:
            self._completed += 1
            self._tuner.completed(begun, self._loop.time(), size)
        return 0

    @property
    def is_blocked(self):
        """Whether the peer takes less than is written, on each association with a turn: `begin_now` begins nothing."""
        cdef TurnsOfMember member
        for each in self._listed:
            member = each
            if not member.association.is_blocked:
                return False
        return bool(self._listed)

    @property
    def sends_files(self):
        """Whether the associations, as far as there are any, send parts of files without reading them."""
        cdef TurnsOfMember member
        for each in self._members:
            member = each
            if member.association.sends_files:
                return True
        return False


cdef class Turn:
    """The token of an operation that nobody awaits (`aiodicom.net.unawaited`): gives its turn back, and passes on what came of it."""

    cdef TurnsOfPool pool
    cdef TurnsOfMember member
    cdef double begun
    cdef object size
    cdef readonly object token

    def done(self):
        """Something is always wanted."""
        return False

    def cancel(self):
        """The request was not sent, as who tried knows."""

    def exception(self):
        """Nothing has been told yet."""
        return None

    def set_result(self, event):
        """There is the final response."""
        status = event.message.status
        if status and is_failure(status):
            self.member.is_proven = True
        else:
            self.pool.note_success(self.member, self.begun, self.size)
        self.pool.give_back(self.member, None)
        self.token.set_result(event)

    def set_exception(self, error):
        """There will be none."""
        self.pool.give_back(self.member, error)
        self.token.set_exception(self.pool._passed_on(self.member, self.size, error))
