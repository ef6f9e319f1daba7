"""The acceptor's side of association establishment: who may associate, on which presentation contexts (PS3.8 7.1)."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aiodicom.dimse.events import AcceptedContext
from aiodicom.errors import LocalError, ProtocolViolation
from aiodicom.net.limits import Places
from aiodicom.standard.ae_titles import ae_title
from aiodicom.standard.uids import IMPLEMENTATION_VERSION_NAME
from aiodicom.ul.codec import (
    ASSOCIATE_HEADER_LENGTH,
    decode_associate_items,
    decode_associate_rq_header,
    encode_associate_ac,
    encode_associate_ac_items,
)
from aiodicom.ul.extended import ApplicationInformation, answer_to
from aiodicom.ul.negotiation import (
    Support,
    agreed_roles,
    agreed_window,
    check_request,
    general_sop_classes,
    negotiate,
    negotiate_roles,
    negotiate_window,
)
from aiodicom.ul.pdu import (
    AssociateRJ,
    AssociateRQ,
    AsynchronousOperationsWindow,
    ContextResult,
    ProposedContext,
    ResultReason,
    SOPClassExtendedNegotiation,
    UserIdentity,
    UserIdentityResponse,
    UserIdentityType,
    UserInformation,
)
from aiodicom.ul.table import State

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = [
    "Acceptor",
    "AssociationHandler",
    "Deciders",
    "ExtendedNegotiationHandler",
    "Offer",
    "Rejection",
    "Roles",
    "UserIdentityHandler",
]

#: How many different proposals are remembered, and the most bytes of one.
_REMEMBERED = 256
_REMEMBERED_LENGTH = 8192

#: A user who is not permitted to associate (PS3.7 D.3.3.7.3): permanent, by the service provider's ACSE function.
_NOT_AUTHORIZED = AssociateRJ(1, 2, 1)

_NO_RESPONSE = frozenset((UserIdentityType.USERNAME, UserIdentityType.USERNAME_AND_PASSCODE))


class Rejection(NamedTuple):
    """A-ASSOCIATE-RJ (PS3.8 table 9-21): by default permanent, by the service user, without a reason."""

    result: int = 1
    source: int = 1
    reason: int = 1


#: Decides about a requestor: None accepts. The association says who it is: `Association.calling_aet` and so on.
AssociationHandler = Callable[["Association"], Rejection | Awaitable[Rejection | None] | None]

#: What a verifier of user identities says: None or True to accept, the server response to accept with it, False or a
#: `Rejection` to refuse.
Verdict = Rejection | bool | bytes | None
UserIdentityHandler = Callable[[UserIdentity, "Association"], Verdict | Awaitable[Verdict]]

#: Answers what a requestor says of a SOP class: (association, SOP class UID, its application information).
ExtendedNegotiationHandler = Callable[["Association", str, bytes], ApplicationInformation | None]

#: SOP class -> whether a requestor that proposes it may be SCU, and SCP.
Roles = Mapping[str, tuple[bool, bool]]


class Deciders:
    """Who decides about each requestor."""

    __slots__ = ("association", "extended_negotiation", "user_identity", "wants_user_identity")

    def __init__(self) -> None:
        self.association: AssociationHandler | None = None
        self.user_identity: UserIdentityHandler | None = None
        #: Whether who does not say who its user is is refused as well.
        self.wants_user_identity = False
        self.extended_negotiation: ExtendedNegotiationHandler | None = None


class Offer(NamedTuple):
    """What is negotiated alike with every requestor."""

    support: Support
    roles: Roles
    #: The roles in other SOP classes; None leaves the default ones.
    other_roles: tuple[bool, bool] | None
    #: Answers to what is proposed for a SOP class (PS3.7 D.3.3.5).
    extended_negotiation: Mapping[str, ApplicationInformation]
    #: Whether a SOP class is accepted for the sake of a related general one (PS3.7 D.3.3.6).
    accepts_specialized: bool


class _Answer(NamedTuple):
    """All that follows from the variable items of a proposal and from nothing else."""

    application_context_name: str
    contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    results: tuple[ContextResult, ...]
    accepted: Mapping[int, AcceptedContext]
    #: From the requestor's side, as the A-ASSOCIATE-AC has it.
    window: AsynchronousOperationsWindow
    #: What is proposed for accepted SOP classes in extended negotiation, and answered.
    proposed_extended: Mapping[str, bytes]
    extended: Mapping[str, bytes]
    #: The user information of the A-ASSOCIATE-AC, and all its variable items.
    answered: UserInformation
    items: bytes


class _Question(NamedTuple):
    """Something that is decided for each association, now or later."""

    #: Who is asked, for the log.
    who: str
    ask: Callable[[Association], Any]
    #: Gives the rejection that a verdict means, if it means one. Raises `TypeError` for what is no verdict.
    judge: Callable[[Admission, Any], AssociateRJ | None]


class Acceptor:
    """What all associations of a server are accepted by.

    Most requestors propose the same again and again; what was negotiated for the same bytes is remembered, but for
    proposals with a user identity. Who may associate is decided each time, and so is what a handler answers in extended
    negotiation.
    """

    def __init__(
        self,
        *,
        ae_title: str | None,
        offer: Callable[[], Offer],
        maximum_length: int,
        window: int,
        deciders: Deciders,
        places: Callable[[], Places],
    ) -> None:
        self._ae_title = ae_title
        self._offer = offer
        self._maximum_length = maximum_length
        self._window = check_window(window)
        self._deciders = deciders
        self._places = places
        self._remembered: OrderedDict[bytes, _Answer] = OrderedDict()

    def forget(self) -> None:
        """Forgets what was negotiated: what is offered has changed."""
        self._remembered.clear()

    def answer(self, items: bytes) -> _Answer:
        """Negotiates the variable items of a proposal. Raises `PduError` for items that are none."""
        answer = self._remembered.get(items)
        if answer is not None:
            return answer
        name, contexts, proposed = decode_associate_items(items)
        answer = self._negotiate(name, contexts, proposed)
        if len(items) <= _REMEMBERED_LENGTH and proposed.user_identity is None:
            self._remembered[items] = answer
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return answer

    def _negotiate(self, name: str, contexts: tuple[ProposedContext, ...], proposed: UserInformation) -> _Answer:
        offer = self._offer()
        support = offer.support
        general = general_sop_classes(proposed.common_extended, support) if offer.accepts_specialized else {}
        results = negotiate(contexts, support, general)
        abstract_syntaxes = {
            result.context_id: context.abstract_syntax
            for context, result in zip(contexts, results, strict=True)
            if result.result == ResultReason.ACCEPTANCE
        }
        # The other items speak of SOP classes of the proposal (PS3.7 D.3.3.4, D.3.3.5); where none of their contexts is
        # accepted there is nothing to agree on.
        sop_classes = frozenset(abstract_syntaxes.values())
        roles = negotiate_roles(
            (role for role in proposed.roles if role.sop_class_uid in sop_classes),
            {uid: offer.roles[general.get(uid, uid)] for uid in sop_classes if general.get(uid, uid) in offer.roles},
            offer.other_roles,
        )
        proposed_extended: dict[str, bytes] = {}
        for item in proposed.extended:
            if item.sop_class_uid in sop_classes:
                proposed_extended.setdefault(item.sop_class_uid, item.application_information)
        extended = {
            uid: answer_to(information, offer.extended_negotiation[uid])
            for uid, information in proposed_extended.items()
            if uid in offer.extended_negotiation
        }
        window = negotiate_window(proposed.asynchronous_operations_window, self._window, self._window)
        answered = UserInformation(
            self._maximum_length,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            asynchronous_operations_window=window,
            roles=roles,
            extended=_items(extended),
        )
        requestor = agreed_roles(proposed.roles, roles)
        accepted = {}
        for result in results:
            if result.result == ResultReason.ACCEPTANCE:
                abstract_syntax = abstract_syntaxes[result.context_id]
                scu, scp = requestor.get(abstract_syntax, (True, False))
                accepted[result.context_id] = AcceptedContext(
                    result.context_id, abstract_syntax, result.transfer_syntax, as_scu=scp, as_scp=scu
                )
        return _Answer(
            name,
            contexts,
            proposed,
            results,
            accepted,
            agreed_window(proposed.asynchronous_operations_window, window),
            proposed_extended,
            extended,
            answered,
            encode_associate_ac_items(results, answered),
        )

    def admission(self) -> Admission:
        """Returns what accepts or rejects one association."""
        return Admission(self)

    # --- for Admission -----------------------------------------------------------------------------------------------

    def decide(self, admission: Admission, association: Association, proposal: AssociateRQ) -> None:
        """Accepts or rejects, now or when the handlers have decided."""
        rejection = check_request(proposal, self._ae_title)
        if rejection is None and not self._places().take():
            rejection = AssociateRJ(2, 3, 2)
        elif rejection is None:
            admission.has_place = True
            if self._deciders.wants_user_identity and association.user_identity is None:
                rejection = _NOT_AUTHORIZED
        if rejection is not None:
            association.reject(rejection)
        else:
            self._ask(self._questions(association), admission, association)

    def end(self, admission: Admission) -> None:
        """The association is over, or has never come to be."""
        if admission.is_over:
            return
        admission.is_over = True
        places = self._places()
        places.end()
        if admission.has_place:
            places.give()

    def _questions(self, association: Association) -> Iterator[_Question]:
        """Who it is comes before whether that is somebody to associate with."""
        verify = self._deciders.user_identity
        identity = association.user_identity
        if verify is not None and identity is not None:
            yield _Question("user identity handler", lambda association: verify(identity, association), _judge_identity)
        admit = self._deciders.association
        if admit is not None:
            yield _Question("association handler", admit, _judge_association)

    def _ask(self, questions: Iterator[_Question], admission: Admission, association: Association) -> None:
        """Asks one after the other; accepts when nobody objects."""
        for question in questions:
            try:
                verdict = question.ask(association)
                if inspect.isawaitable(verdict):
                    waiting = self._wait(question, verdict, questions, admission, association)
                    association.own(association.loop.create_task(waiting))
                    return
                rejection = question.judge(admission, verdict)
            except (Exception, asyncio.CancelledError) as error:
                self._refuse_for(question.who, error, association)
                return
            if not self._is_still_wanted(rejection, association):
                return
        self._accept(admission, association)

    async def _wait(
        self,
        question: _Question,
        verdict: Awaitable[Any],
        questions: Iterator[_Question],
        admission: Admission,
        association: Association,
    ) -> None:
        try:
            rejection = question.judge(admission, await verdict)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The handler's own affair: the requestor still wants an answer.
            self._refuse_for(question.who, error, association)
        except Exception as error:
            self._refuse_for(question.who, error, association)
        else:
            if self._is_still_wanted(rejection, association):
                self._ask(questions, admission, association)

    def _is_still_wanted(self, rejection: AssociateRJ | None, association: Association) -> bool:
        if association.state is not State.Sta3:
            return False  # the requestor has gone in the meantime
        if rejection is not None:
            association.reject(rejection)
        return rejection is None

    def _accept(self, admission: Admission, association: Association) -> None:
        assert association.proposal is not None
        assert admission.answer is not None
        answer = admission.answer
        try:
            items = self._final_items(answer, admission, association)
        except Exception as error:
            self._refuse_for("negotiation", error, association)
            return
        response = encode_associate_ac(association.proposal.received_header, items)
        # The sub-item speaks of the requestor: what it performs is what we may invoke.
        window = AsynchronousOperationsWindow(answer.window.performed, answer.window.invoked)
        maximum_length = association.proposal.user_information.maximum_length
        association.context_results = answer.results
        try:
            association.establish(answer.accepted, maximum_length, window, response)
        except ProtocolViolation as error:
            association.violated(error)

    def _final_items(self, answer: _Answer, admission: Admission, association: Association) -> bytes:
        """The variable items of the A-ASSOCIATE-AC, with what is answered to this requestor alone."""
        association.extended_negotiation = answer.extended
        handler = self._deciders.extended_negotiation
        answered = answer.answered
        if handler is not None and answer.proposed_extended:
            extended = {}
            for uid, information in answer.proposed_extended.items():
                supported = handler(association, uid, information)
                if supported is not None:
                    extended[uid] = answer_to(information, supported)
            association.extended_negotiation = extended
            answered = replace(answered, extended=_items(extended))
        identity = association.user_identity
        if admission.server_response is not None and identity is not None and identity.positive_response_requested:
            association.user_identity_response = admission.server_response
            answered = replace(answered, user_identity_response=UserIdentityResponse(admission.server_response))
        return answer.items if answered is answer.answered else encode_associate_ac_items(answer.results, answered)

    def _refuse_for(self, who: str, error: BaseException, association: Association) -> None:
        association.log(logging.ERROR, "the %s failed: rejected", who, error=error)
        if association.state is State.Sta3:
            association.reject(AssociateRJ(2, 3, 1))


class Admission:
    """One association's way through the `Acceptor`."""

    __slots__ = ("_acceptor", "answer", "has_place", "is_over", "server_response")

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        #: What was negotiated, once there is a proposal.
        self.answer: _Answer | None = None
        #: Whether the association counts towards the limit.
        self.has_place = False
        self.is_over = False
        #: What the verifier of its user identity has to say to the requestor; None where nothing was verified.
        self.server_response: bytes | None = None

    def decode_request(self, body: bytes) -> AssociateRQ:
        """Returns the proposal in the body of an A-ASSOCIATE-RQ. Raises `PduError`."""
        version, called, calling = decode_associate_rq_header(body)
        self.answer = answer = self._acceptor.answer(body[ASSOCIATE_HEADER_LENGTH:])
        return AssociateRQ(
            called,
            calling,
            answer.contexts,
            answer.user_information,
            answer.application_context_name,
            version,
            body[4:ASSOCIATE_HEADER_LENGTH],
        )

    def on_proposal(self, association: Association, proposal: AssociateRQ, _now: float) -> None:
        """Accepts or rejects the association."""
        association.proposal = proposal
        association.calling_aet = proposal.calling_ae_title
        association.called_aet = proposal.called_ae_title
        self._acceptor.decide(self, association, proposal)

    def end(self) -> None:
        """The association is over, or has never come to be. Harmless when that is known."""
        self._acceptor.end(self)


def _items(extended: Mapping[str, bytes]) -> tuple[SOPClassExtendedNegotiation, ...]:
    return tuple(SOPClassExtendedNegotiation(uid, information) for uid, information in extended.items())


def _rejection(verdict: Any) -> AssociateRJ:
    if isinstance(verdict, Rejection) and all(0 <= number <= 0xFF for number in verdict):
        return AssociateRJ(*verdict)
    # Not what it is: it may hold credentials.
    raise TypeError(f"a verdict of type {type(verdict).__name__} that is no Rejection of three bytes")


def _judge_association(_admission: Admission, verdict: Any) -> AssociateRJ | None:
    return None if verdict is None else _rejection(verdict)


def _judge_identity(admission: Admission, verdict: Any) -> AssociateRJ | None:
    if verdict is False:
        return _NOT_AUTHORIZED
    if verdict is None or verdict is True:
        admission.server_response = b""
        return None
    if not isinstance(verdict, bytes):
        return _rejection(verdict)
    assert admission.answer is not None
    identity = admission.answer.user_information.user_identity
    assert identity is not None
    if verdict and identity.identity_type in _NO_RESPONSE:
        raise TypeError("a user name has no server response (PS3.7 table D.3-15)")
    admission.server_response = verdict
    return None


def check_window(window: int) -> int:
    """Returns a number of operations that PS3.7 D.3.3.3 has a field for, 0 for any number, or raises `LocalError`."""
    if not 0 <= window <= 0xFFFF:
        raise LocalError(f"a window of {window} is none: 0 for any number, or up to 65535")
    return window


def check_ae_title(title: str) -> str:
    """Returns `title` as an AE title (PS3.8 9.3.2), or raises `LocalError`."""
    try:
        return ae_title(title)
    except ValueError as error:
        raise LocalError(str(error)) from None
