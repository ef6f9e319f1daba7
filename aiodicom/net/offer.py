"""What a server offers to every requestor, and what follows from that for a proposal, as a function of the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiodicom.dimse.events import AcceptedContext
from aiodicom.standard.uids import IMPLEMENTATION_VERSION_NAME
from aiodicom.ul.codec import encode_associate_ac_items
from aiodicom.ul.extended import ApplicationInformation, answer_to
from aiodicom.ul.negotiation import (
    Support,
    agreed_roles,
    agreed_window,
    general_sop_classes,
    negotiate,
    negotiate_roles,
    negotiate_window,
)
from aiodicom.ul.pdu import (
    AsynchronousOperationsWindow,
    ContextResult,
    ProposedContext,
    ResultReason,
    SOPClassExtendedNegotiation,
    UserInformation,
)

__all__ = ["Answer", "Offer", "Roles", "answer_proposal", "extended_items"]

#: SOP class -> whether a requestor may be SCU, and SCP.
Roles = Mapping[str, tuple[bool, bool]]

#: The roles of a requestor that has proposed none (PS3.7 D.3.3.4).
_DEFAULT_ROLES = (True, False)


class Offer(NamedTuple):
    """What is negotiated alike with every requestor."""

    support: Support
    roles: Roles
    #: The roles in other SOP classes; None for those that hold without a proposal.
    other_roles: tuple[bool, bool] | None
    #: Answers to what is proposed for a SOP class (PS3.7 D.3.3.5).
    extended_negotiation: Mapping[str, ApplicationInformation]
    #: Whether a SOP class is accepted for the sake of a related general one (PS3.7 D.3.3.6).
    accepts_specialized: bool
    #: Of a P-DATA-TF that we receive.
    maximum_length: int
    #: Operations at once in each direction, 0 for any number.
    window: int
    #: SOP classes of which a requestor that proposes no role may report events as well: many that report a storage
    #: commitment on an association of their own propose none (against PS3.4 J.3.3), and no other SCU insists on it.
    reported: frozenset[str] = frozenset()


class Answer(NamedTuple):
    """All that follows from the variable items of a proposal and from nothing else."""

    application_context_name: str
    contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    results: tuple[ContextResult, ...]
    accepted: Mapping[int, AcceptedContext]
    #: From our side: how many operations we may have outstanding, and how many we perform at once.
    acceptors_window: AsynchronousOperationsWindow
    #: What is proposed for accepted SOP classes in extended negotiation, and answered.
    proposed_extended: Mapping[str, bytes]
    extended: Mapping[str, bytes]
    #: The user information of the A-ASSOCIATE-AC, and all its variable items.
    answered: UserInformation
    items: bytes


def answer_proposal(
    offer: Offer, name: str, contexts: tuple[ProposedContext, ...], proposed: UserInformation
) -> Answer:
    """Negotiates what a proposal with this application context name, these contexts and this user information says."""
    general = general_sop_classes(proposed.common_extended, offer.support) if offer.accepts_specialized else {}
    results = negotiate(contexts, offer.support, general)
    abstract_syntaxes = {
        result.context_id: context.abstract_syntax
        for context, result in zip(contexts, results, strict=True)
        if result.result == ResultReason.ACCEPTANCE
    }
    # The other items speak of SOP classes of the proposal (PS3.7 D.3.3.4, D.3.3.5); where none of their contexts is
    # accepted there is nothing to agree on.
    allowed = {}
    for uid in abstract_syntaxes.values():
        may_be = offer.roles.get(general.get(uid, uid), offer.other_roles)
        if may_be is not None:
            allowed[uid] = may_be
    roles = negotiate_roles(proposed.roles, allowed)
    requestor = {uid: (scu, False) for uid, (scu, _) in allowed.items()} | agreed_roles(proposed.roles, roles)
    said = {role.sop_class_uid for role in proposed.roles}
    requestor |= {uid: (requestor[uid][0], True) for uid in offer.reported if uid in requestor and uid not in said}
    useless = {uid for uid, has in requestor.items() if not any(has)}
    if useless:
        roles = tuple(role for role in roles if role.sop_class_uid not in useless)
        abstract_syntaxes = {number: uid for number, uid in abstract_syntaxes.items() if uid not in useless}
        results = tuple(
            ContextResult(context.context_id, ResultReason.USER_REJECTION)
            if context.abstract_syntax in useless and result.result == ResultReason.ACCEPTANCE
            else result
            for context, result in zip(contexts, results, strict=True)
        )
    sop_classes = frozenset(abstract_syntaxes.values())
    proposed_extended: dict[str, bytes] = {}
    for item in proposed.extended:
        if item.sop_class_uid in sop_classes:
            proposed_extended.setdefault(item.sop_class_uid, item.application_information)
    extended = {
        uid: answer_to(information, offer.extended_negotiation[uid])
        for uid, information in proposed_extended.items()
        if uid in offer.extended_negotiation
    }
    window = negotiate_window(proposed.asynchronous_operations_window, offer.window, offer.window)
    agreed = agreed_window(proposed.asynchronous_operations_window, window)
    answered = UserInformation(
        offer.maximum_length,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        asynchronous_operations_window=window,
        roles=roles,
        extended=extended_items(extended),
    )
    return Answer(
        name,
        contexts,
        proposed,
        results,
        {
            result.context_id: _accepted(result, abstract_syntaxes[result.context_id], requestor)
            for result in results
            if result.result == ResultReason.ACCEPTANCE
        },
        # The sub-item speaks of the requestor: what it performs is what we may invoke.
        AsynchronousOperationsWindow(agreed.performed, agreed.invoked),
        proposed_extended,
        extended,
        answered,
        encode_associate_ac_items(results, answered),
    )


def extended_items(extended: Mapping[str, bytes]) -> tuple[SOPClassExtendedNegotiation, ...]:
    """The sub-items that say so."""
    return tuple(SOPClassExtendedNegotiation(uid, information) for uid, information in extended.items())


def _accepted(result: ContextResult, abstract_syntax: str, requestor: Roles) -> AcceptedContext:
    scu, scp = requestor.get(abstract_syntax, _DEFAULT_ROLES)
    return AcceptedContext(result.context_id, abstract_syntax, result.transfer_syntax, as_scu=scp, as_scp=scu)
