"""What an association-acceptor answers, and what the two sides then have agreed on, as functions of the two PDUs.

Presentation contexts: PS3.8 7.1.1.13, 9.3.3.2; rejection: PS3.8 9.3.4; operations window, roles and related general SOP
classes: PS3.7 D.3.3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from aiodicom.standard.uids import APPLICATION_CONTEXT_NAME, is_valid_uid
from aiodicom.ul.pdu import (
    AssociateRJ,
    AssociateRQ,
    AsynchronousOperationsWindow,
    ContextResult,
    ProposedContext,
    ResultReason,
    RoleSelection,
    SOPClassCommonExtendedNegotiation,
)

__all__ = [
    "ANY",
    "AnySyntax",
    "Preference",
    "Support",
    "agreed_roles",
    "agreed_window",
    "check_request",
    "general_sop_classes",
    "negotiate",
    "negotiate_roles",
    "negotiate_window",
]


class AnySyntax(Enum):
    """The type of `ANY`."""

    ANY = "any"


#: in place of transfer syntaxes: whichever are proposed
ANY = AnySyntax.ANY

Syntaxes = tuple[str, ...] | AnySyntax
Preference = Literal["requestor", "acceptor"]


@dataclass(frozen=True, slots=True)
class Support:
    """What an acceptor supports."""

    #: abstract syntax -> the transfer syntaxes that are accepted with it, in order of preference
    abstract_syntaxes: Mapping[str, Syntaxes]
    #: the transfer syntaxes for every other abstract syntax; None refuses them
    default: Syntaxes | None = None
    #: whose order decides among several transfer syntaxes; of `ANY` it is always the requestor's
    preference: Preference = "requestor"
    #: abstract syntaxes that `default` does not apply to
    refused: frozenset[str] = frozenset()
    _sets: dict[tuple[str, ...], frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        listed = {syntaxes for syntaxes in self.abstract_syntaxes.values() if syntaxes is not ANY}
        if self.default is not None and self.default is not ANY:
            listed.add(self.default)
        object.__setattr__(self, "_sets", {syntaxes: frozenset(syntaxes) for syntaxes in listed})

    def choose(self, abstract_syntax: str, proposed: Collection[str]) -> str | ResultReason:
        """The transfer syntax to accept of those proposed for ``abstract_syntax``, or why there is none."""
        accepted = self.abstract_syntaxes.get(abstract_syntax)
        if accepted is None:
            accepted = self.default
            # What is accepted unseen gets into file names and headers: it has to be a UID at least.
            if accepted is None or abstract_syntax in self.refused or not is_valid_uid(abstract_syntax):
                return ResultReason.ABSTRACT_SYNTAX_NOT_SUPPORTED
        candidates: Iterable[str]
        if accepted is ANY:
            candidates = filter(is_valid_uid, proposed)
        elif self.preference == "acceptor":
            candidates = filter(set(proposed).__contains__, accepted)
        else:
            candidates = filter(self._sets[accepted].__contains__, proposed)
        return next(iter(candidates), ResultReason.TRANSFER_SYNTAXES_NOT_SUPPORTED)


def negotiate(
    proposed: Iterable[ProposedContext], support: Support, general: Mapping[str, str] | None = None
) -> tuple[ContextResult, ...]:
    """A result for each proposed context, in the same order: acceptance, abstract syntax not supported, or transfer
    syntaxes not supported. Who refuses a context for reasons of its own replaces its result by 1 (user rejection).

    ``general`` (`general_sop_classes`) says which SOP class's support counts in place of that of another."""
    results = []
    for context in proposed:
        abstract_syntax = context.abstract_syntax
        if general:
            abstract_syntax = general.get(abstract_syntax, abstract_syntax)
        choice = support.choose(abstract_syntax, context.transfer_syntaxes)
        if isinstance(choice, str):
            results.append(ContextResult(context.context_id, ResultReason.ACCEPTANCE, choice))
        else:
            results.append(ContextResult(context.context_id, choice))
    return tuple(results)


def general_sop_classes(related: Iterable[SOPClassCommonExtendedNegotiation], support: Support) -> dict[str, str]:
    """SOP classes that ``support`` says nothing about -> for each the first of its related general SOP classes that it
    does list, as the requestor relates them (PS3.7 D.3.3.6). Of several items for one SOP class the first counts."""
    found: dict[str, str | None] = {}
    for item in related if support.default is None else ():
        uid = item.sop_class_uid
        if uid in found or uid in support.abstract_syntaxes or uid in support.refused or not is_valid_uid(uid):
            continue
        candidates = filter(support.abstract_syntaxes.__contains__, item.related_general_sop_class_uids)
        found[uid] = next(candidates, None)
    return {uid: general for uid, general in found.items() if general is not None}


def check_request(request: AssociateRQ, ae_title: str | None) -> AssociateRJ | None:
    """The rejection that ``request`` deserves of an acceptor that is called ``ae_title``, None for any title, if any.

    All are permanent. Who calls, and whether there is room for another association, is for the caller to decide
    after that: a transient reason would have the peer try again.
    """
    # Only bit 0 counts: a peer may know other versions as well (PS3.8 table 9-11).
    if not request.protocol_version & 1:
        return AssociateRJ(1, 2, 2)
    if request.application_context_name != APPLICATION_CONTEXT_NAME:
        return AssociateRJ(1, 1, 2)
    if ae_title is not None and request.called_ae_title != ae_title:
        return AssociateRJ(1, 1, 7)
    return None


def negotiate_window(
    proposed: AsynchronousOperationsWindow | None, invoked_limit: int, performed_limit: int
) -> AsynchronousOperationsWindow | None:
    """The window that the acceptor answers, or None where none was proposed (PS3.7 D.3.3.3).

    ``invoked_limit`` and ``performed_limit`` are our own: how many operations we would have outstanding with the peer,
    and how many of the peer's we perform at once; 0 is unlimited. The sub-item speaks of the requestor in both
    directions, so what the peer may invoke is bounded by what we perform, and the reverse.
    """
    if proposed is None:
        return None
    return AsynchronousOperationsWindow(
        _smaller(proposed.invoked, performed_limit), _smaller(proposed.performed, invoked_limit)
    )


def agreed_window(
    proposed: AsynchronousOperationsWindow | None, answered: AsynchronousOperationsWindow | None
) -> AsynchronousOperationsWindow:
    """What holds once the A-ASSOCIATE-AC is there: ``invoked`` outstanding for the requestor, ``performed`` for the
    acceptor; 0 is unlimited. Synchronous unless both sides sent the sub-item, and never more than was proposed."""
    if proposed is None or answered is None:
        return AsynchronousOperationsWindow(1, 1)
    return AsynchronousOperationsWindow(
        _smaller(proposed.invoked, answered.invoked), _smaller(proposed.performed, answered.performed)
    )


def _smaller(first: int, second: int) -> int:
    """The smaller of two limits of which 0 is none."""
    return min(first, second) if first and second else first or second


def negotiate_roles(
    proposed: Iterable[RoleSelection], supported: Mapping[str, tuple[bool, bool]]
) -> tuple[RoleSelection, ...]:
    """The role selections that the acceptor answers (PS3.7 D.3.3.4).

    ``supported`` says for each SOP class whether the requestor may be its SCU, and its SCP. All others are left
    unanswered, so that the default roles hold: the requestor is SCU. A role that was not proposed is never accepted.
    One item for a SOP class is allowed; of several the first counts.
    """
    answers: dict[str, RoleSelection] = {}
    for role in proposed:
        allowed = supported.get(role.sop_class_uid)
        if allowed is not None and role.sop_class_uid not in answers:
            scu, scp = allowed
            answers[role.sop_class_uid] = RoleSelection(role.sop_class_uid, role.scu and scu, role.scp and scp)
    return tuple(answers.values())


def agreed_roles(proposed: Iterable[RoleSelection], answered: Iterable[RoleSelection]) -> dict[str, tuple[bool, bool]]:
    """SOP class -> whether the requestor is SCU, and SCP, for the SOP classes whose roles were negotiated. For all
    others the requestor is SCU only.

    What is answered without having been proposed is ignored; of several items for a SOP class the first counts."""
    answers: dict[str, RoleSelection] = {}
    for role in answered:
        answers.setdefault(role.sop_class_uid, role)
    agreed: dict[str, tuple[bool, bool]] = {}
    for role in proposed:
        answer = answers.get(role.sop_class_uid)
        if answer is not None:
            agreed.setdefault(role.sop_class_uid, (role.scu and answer.scu, role.scp and answer.scp))
    return agreed
