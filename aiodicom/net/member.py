"""An association of a pool."""

from __future__ import annotations

from aiodicom.errors import AssociationClosed, ContextNotAccepted
from aiodicom.net._pooling import TurnsOfMember
from aiodicom.net.association import Association
from aiodicom.net.proposing import Need

__all__ = ["Member"]

#: Of how many needs it is remembered whether they are met.
_MOST_REMEMBERED = 512


class Member(TurnsOfMember):
    """An association of a pool, and what it is doing. What every operation asks for is compiled.

    Invariants: `taken` turns on it are taken, all of them when it is lent as a whole; `is_listed` while it is among
    those that have turns left; once `is_spent` or `is_leaving`, nobody gets another turn on it.

    `granted` is the window that the peer has granted, 0 for any; `turns` are all that ever were taken. One that
    `is_spent` is released when all its turns have been given back; beside one that `is_outdated` there is one that
    proposed all that it did, and more. It was `used` when its last turn was given back, and `heard` when it was last
    known to live. Whether it has ever answered is `is_proven`; until then, while turns are taken, the first `begun` at
    that time, and all have `size` bytes.
    """

    __slots__ = ("_refusals", "ends", "is_withdrawn", "mark", "opened", "proposed", "why")

    def __init__(self, association: Association, proposed: frozenset[tuple[str, str]], now: float, ends: float) -> None:
        super().__init__(association, now)
        #: the pairs of abstract and transfer syntax that it proposed
        self.proposed = proposed
        #: when it was opened, and when it is too old
        self.opened = now
        self.ends = ends
        #: how many operations the pool had completed at the first of those that it has not answered
        self.mark = 0
        #: aborted because it answered nothing
        self.is_withdrawn = False
        #: what was raised when it ended, if that is known
        self.why: BaseException | None = None
        #: for each need, why it is not met; "" when it is
        self._refusals: dict[Need, str] = {}

    def refuses(self, need: Need) -> str:
        """Returns why this is refused where it was proposed and is; else an empty string."""
        return (self.refusal(need) or "") if need.is_met_by(self.proposed) else ""

    def refusal(self, need: Need) -> str | None:
        """Returns why a need is not met, an empty string where it is, None when the association is over."""
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
