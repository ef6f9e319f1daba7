"""An association of a pool."""

from __future__ import annotations

from aiodicom.errors import AssociationClosed, ContextNotAccepted
from aiodicom.net.association import Association
from aiodicom.net.proposing import Need

__all__ = ["Member"]

#: Of how many needs it is remembered whether they are met.
_MOST_REMEMBERED = 512


class Member:
    """An association of a pool, and what it is doing.

    Invariants: `taken` turns on it are taken, all of them when it is lent as a whole; `is_listed` while it is among
    those that have turns left; once `is_spent` or `is_leaving`, nobody gets another turn on it.
    """

    __slots__ = (
        "_refusals",
        "association",
        "begun",
        "ends",
        "granted",
        "heard",
        "is_leaving",
        "is_lent",
        "is_listed",
        "is_outdated",
        "is_proven",
        "is_spent",
        "is_withdrawn",
        "mark",
        "opened",
        "proposed",
        "size",
        "taken",
        "turns",
        "used",
        "why",
    )

    def __init__(self, association: Association, proposed: frozenset[tuple[str, str]], now: float, ends: float) -> None:
        self.association = association
        #: the pairs of abstract and transfer syntax that it proposed
        self.proposed = proposed
        #: the window that the peer has granted, 0 for any
        self.granted = association.window
        #: turns that are taken, and all that ever were
        self.taken = 0
        self.turns = 0
        self.is_lent = False
        self.is_listed = False
        self.is_leaving = False
        #: it is released when all its turns have been given back
        self.is_spent = False
        #: there is one that proposed all that this one did, and more
        self.is_outdated = False
        #: when it was opened, when its last turn was given back, when it was last known to live, when it is too old
        self.opened = self.used = self.heard = now
        self.ends = ends
        #: whether it has ever answered. Until then, while turns are taken: when the first began, the bytes of all,
        #: and how many operations the pool had completed at the first
        self.is_proven = False
        self.begun: float | None = None
        self.size = 0
        self.mark = 0
        #: aborted because it answered nothing
        self.is_withdrawn = False
        #: what was raised when it ended, if that is known
        self.why: BaseException | None = None
        #: for each need, why it is not met; "" when it is
        self._refusals: dict[Need, str] = {}

    def meets(self, need: Need | None) -> bool:
        """Whether an operation that needs this can be on it."""
        return need is None or self._refusal(need) == ""

    def refuses(self, need: Need) -> str:
        """Returns why this is refused where it was proposed and is; else an empty string."""
        return (self._refusal(need) or "") if need.is_met_by(self.proposed) else ""

    def _refusal(self, need: Need) -> str | None:
        """Why a need is not met, an empty string where it is, None when the association is over."""
        refusal = self._refusals.get(need)
        if refusal is None:
            try:
                refusal = self._look(need)
            except AssociationClosed:
                return None
            if len(self._refusals) >= _MOST_REMEMBERED:
                self._refusals.clear()
            self._refusals[need] = refusal
        return refusal

    def _look(self, need: Need) -> str:
        try:
            context = self.association.context_for(need.abstract_syntax, need.transfer_syntaxes or None)
        except ContextNotAccepted as error:
            return str(error)
        if need.is_encoded and context.transfer_syntax != need.transfer_syntax and not need.is_met_by(self.proposed):
            return "the peer was not asked for the transfer syntax that the data set is encoded in"
        return ""
