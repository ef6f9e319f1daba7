"""What the associations of a pool propose: what operations need of them, and what the peer is known to refuse.

Knows neither sockets nor clocks: it is told what is needed, and when.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from aiodicom.errors import ContextNotAccepted, LocalError
from aiodicom.net.connect import DEFAULT_TRANSFER_SYNTAXES, ContextProposal
from aiodicom.net.transcoding import NATIVE, Transcoding, alternatives
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.pdu import MOST_CONTEXTS

__all__ = ["REFUSED_FOR", "Context", "Need", "Proposals", "pairs", "proposal"]

#: An abstract syntax with its transfer syntaxes in order of preference.
Context: TypeAlias = tuple[str, tuple[str, ...]]

#: Seconds until the peer is asked again for what it has refused, and of how much that is remembered.
REFUSED_FOR: Final = 300.0
_MOST_REFUSED: Final = 1024


class Need(NamedTuple):
    """The presentation context that an operation needs."""

    abstract_syntax: str
    #: those that will do, the first one first; none for any
    transfer_syntaxes: tuple[str, ...] = ()
    #: whether the data set is encoded in the first one, so that it would have to be encoded anew for the others
    is_encoded: bool = False

    @property
    def transfer_syntax(self) -> str | None:
        """The transfer syntax that is wanted, None where any will do."""
        return self.transfer_syntaxes[0] if self.transfer_syntaxes else None

    def is_met_by(self, proposed: frozenset[tuple[str, str]]) -> bool:
        """Whether an association that proposes these pairs of abstract and transfer syntax asks for what is needed."""
        if self.transfer_syntaxes:
            wanted = self.transfer_syntaxes[:1] if self.is_encoded else self.transfer_syntaxes
            return any((self.abstract_syntax, syntax) in proposed for syntax in wanted)
        return any(abstract_syntax == self.abstract_syntax for abstract_syntax, _ in proposed)


class Proposals:
    """The presentation contexts that the next association proposes, 128 at most (PS3.8 9.3.2.2).

    `given` ones always; and what `need()` has asked for besides, without what has been needed least recently where
    there is no room for all, nor for `reserved` others.

    Invariants: `contexts()` gives 128 contexts at most, and those for the latest need among them; what is refused is
    not proposed, unless it is given.
    """

    def __init__(
        self,
        given: Iterable[ContextProposal] = (),
        kinds: Sequence[tuple[str, str]] = (),
        *,
        reserved: int = 0,
        transcoding: Transcoding = Transcoding.LOSSLESS,
    ) -> None:
        self._transcoding = transcoding
        #: of 128, without those that somebody else adds
        self._most = MOST_CONTEXTS - reserved
        self._given: list[Context] = [
            (context, DEFAULT_TRANSFER_SYNTAXES) if isinstance(context, str) else (context[0], tuple(context[1]))
            for context in given
        ]
        self._given_pairs = pairs(self._given)
        #: pairs of abstract and transfer syntax, "" for any, the least recently needed one first
        self._learned: OrderedDict[tuple[str, str], None] = OrderedDict.fromkeys(kinds)
        self._refused: OrderedDict[Need, tuple[float, str]] = OrderedDict()
        #: What was touched last, and need not be again.
        self.latest: Need | None = None

    def contexts(self) -> list[Context]:
        """Returns what an association is to propose now: Verification where nothing is known."""
        plain: list[Context] = [(abstract, DEFAULT_TRANSFER_SYNTAXES) for abstract, own in self._learned if not own]
        contexts = self._given + plain
        kinds = [kind for kind in self._learned if kind[1]]
        contexts += proposal(kinds, self._most - len(contexts), self._transcoding)
        return contexts or [(VERIFICATION, DEFAULT_TRANSFER_SYNTAXES)]

    def need(self, need: Need) -> None:
        """Has it proposed from now on. Raises `LocalError` where the given contexts leave no room for it."""
        self.latest = None
        kind = (need.abstract_syntax, need.transfer_syntax or "")
        if kind in self._learned:
            self._learned.move_to_end(kind)
            return
        if need.is_met_by(self._given_pairs):
            return
        room = self._most - len(self._given)
        if room <= 0:
            received = MOST_CONTEXTS - self._most
            more = f" and {received} more to receive in" if received else ""
            raise LocalError(
                f"the pool was given {len(self._given)} presentation contexts{more}: no more can be proposed, and "
                f"{need.abstract_syntax} is not among them"
            )
        self._learned[kind] = None
        if len(self._learned) > room:
            self._learned.popitem(last=False)

    def touch(self, need: Need) -> None:
        """It is needed and an association has it."""
        self.latest = need
        if self._learned:
            kind = (need.abstract_syntax, need.transfer_syntax or "")
            if kind in self._learned:
                self._learned.move_to_end(kind)

    def refuse(self, need: Need, why: str, until: float) -> None:
        """The peer has refused it: it is not asked again until then."""
        self._learned.pop((need.abstract_syntax, need.transfer_syntax or ""), None)
        self._refused[need] = (until, why)
        if len(self._refused) > _MOST_REFUSED:
            self._refused.popitem(last=False)

    def refusal(self, need: Need, now: float) -> ContextNotAccepted | None:
        """Returns what to raise where the peer is known to refuse it."""
        until, why = self._refused.get(need, (now, ""))
        if until > now:
            return ContextNotAccepted(need.abstract_syntax, need.transfer_syntax, why)
        self._refused.pop(need, None)
        return None


def pairs(contexts: Iterable[Context]) -> frozenset[tuple[str, str]]:
    """Returns the pairs of abstract and transfer syntax in them."""
    return frozenset((abstract_syntax, syntax) for abstract_syntax, syntaxes in contexts for syntax in syntaxes)


def proposal(
    kinds: Sequence[tuple[str, str]], most: int = MOST_CONTEXTS, transcoding: Transcoding = Transcoding.LOSSLESS
) -> list[Context]:
    """The presentation contexts, at most so many, for objects of no more kinds, pairs of SOP class and transfer syntax.

    A peer that does not accept an object's transfer syntax gets it in another one: those that it may be brought into
    are proposed too, the native ones in one context for a SOP class, and compressed ones in further contexts where
    there is room.
    """
    contexts: list[Context] = [(sop_class, (syntax,)) for sop_class, syntax in kinds]
    numbers: dict[str, list[int]] = {}
    for number, (sop_class, _) in enumerate(kinds):
        numbers.setdefault(sop_class, []).append(number)
    further: list[Context] = []
    for sop_class, theirs in numbers.items():
        own = [kinds[number][1] for number in theirs]
        groups = [alternatives(syntax, transcoding) for syntax in own]
        for level in range(max(map(len, groups))):
            # A SOP class has one context of each level, whatever its objects are in.
            wanted = dict.fromkeys(each for group in groups if len(group) > level for each in group[level])
            others = tuple(each for each in wanted if each not in own)
            if not others:
                continue
            if level:
                further.append((sop_class, others))
            # Alone as long as there is room: together with the objects' own, the peer might choose another than that.
            elif len(contexts) < most:
                contexts.append((sop_class, others))
            else:
                number = next((number for number in theirs if kinds[number][1] in NATIVE), theirs[0])
                contexts[number] = (sop_class, (kinds[number][1], *others))
    return contexts + further[: most - len(contexts)]
