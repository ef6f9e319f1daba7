"""The acceptor's side of association establishment: who may associate, on which presentation contexts (PS3.8 7.1)."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiodicom.errors import LocalError, ProtocolViolation
from aiodicom.net.limits import Places
from aiodicom.net.offer import Answer, Offer, answer_proposal, extended_items
from aiodicom.standard.ae_titles import ae_title
from aiodicom.ul.codec import (
    ASSOCIATE_HEADER_LENGTH,
    decode_associate_items,
    decode_associate_rq_header,
    encode_associate_ac,
    encode_associate_ac_items,
)
from aiodicom.ul.extended import ApplicationInformation, answer_to
from aiodicom.ul.negotiation import check_request
from aiodicom.ul.pdu import (
    AssociateRJ,
    AssociateRQ,
    UserIdentity,
    UserIdentityResponse,
    UserIdentityType,
)
from aiodicom.ul.table import State

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = [
    "Acceptor",
    "Admission",
    "AssociationHandler",
    "Deciders",
    "ExtendedNegotiationHandler",
    "Rejection",
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


class Deciders:
    """Who decides about each requestor."""

    __slots__ = ("association", "extended_negotiation", "user_identity", "wants_user_identity")

    def __init__(self) -> None:
        self.association: AssociationHandler | None = None
        self.user_identity: UserIdentityHandler | None = None
        #: Whether who does not say who its user is is refused as well.
        self.wants_user_identity = False
        self.extended_negotiation: ExtendedNegotiationHandler | None = None


class _Question(NamedTuple):
    """Something that is decided for each association, now or later."""

    #: Who is asked, for the log.
    who: str
    ask: Callable[[Association], Any]
    #: Gives the rejection that a verdict means, if it means one. Raises `TypeError` for what is no verdict.
    judge: Callable[[Admission, Any], AssociateRJ | None]


class _LookedAt(NamedTuple):
    """All that follows from a proposal and from what is offered, and from nothing else."""

    request: AssociateRQ
    rejection: AssociateRJ | None
    answer: Answer
    #: The A-ASSOCIATE-AC, unless a handler has something to say in it.
    response: bytes


_Known = TypeVar("_Known")


def _remember(known: OrderedDict[bytes, _Known], proposed: bytes, found: _Known, answer: Answer) -> None:
    if len(proposed) <= _REMEMBERED_LENGTH and answer.user_information.user_identity is None:
        known[proposed] = found
        if len(known) > _REMEMBERED:
            known.popitem(last=False)


class Acceptor:
    """What all associations of a server are accepted by.

    Most requestors propose the same again and again; what follows from the same bytes is remembered, but for proposals
    with a user identity. Who may associate is decided each time, and so is what a handler answers in extended
    negotiation.
    """

    def __init__(
        self,
        *,
        ae_title: str | None,
        offer: Callable[[], Offer],
        deciders: Deciders,
    ) -> None:
        self._ae_title = ae_title
        self._offer = offer
        self._deciders = deciders
        #: By all bytes of a proposal, and by those that are the same whoever calls whom.
        self._looked_at: OrderedDict[bytes, _LookedAt] = OrderedDict()
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()

    def forget(self) -> None:
        """Forgets what was negotiated: what is offered has changed."""
        self._looked_at.clear()
        self._answers.clear()

    def look_at(self, body: bytes) -> _LookedAt:
        """Says what follows from the body of an A-ASSOCIATE-RQ. Raises `PduError` for one that is none."""
        known = self._looked_at.get(body)
        if known is not None:
            return known
        version, called, calling = decode_associate_rq_header(body)
        header = body[4:ASSOCIATE_HEADER_LENGTH]
        answer = self._answer(body[ASSOCIATE_HEADER_LENGTH:])
        request = AssociateRQ(
            called,
            calling,
            answer.contexts,
            answer.user_information,
            answer.application_context_name,
            version,
            header,
        )
        rejection = check_request(request, self._ae_title)
        known = _LookedAt(request, rejection, answer, encode_associate_ac(header, answer.items))
        _remember(self._looked_at, body, known, answer)
        return known

    def _answer(self, items: bytes) -> Answer:
        """Negotiates the variable items of a proposal. Raises `PduError` for items that are none."""
        answer = self._answers.get(items)
        if answer is None:
            name, contexts, proposed = decode_associate_items(items)
            answer = answer_proposal(self._offer(), name, contexts, proposed)
            _remember(self._answers, items, answer, answer)
        return answer

    # --- for Admission -----------------------------------------------------------------------------------------------

    def decide(self, admission: Admission, association: Association) -> None:
        """Accepts or rejects, now or when the handlers have decided."""
        assert admission.looked_at is not None
        deciders = self._deciders
        rejection = admission.looked_at.rejection
        if rejection is None and not admission.take_place():
            rejection = AssociateRJ(2, 3, 2)
        elif rejection is None and deciders.wants_user_identity and association.user_identity is None:
            association.log(logging.WARNING, "no user identity, and one is required: rejected")
            rejection = _NOT_AUTHORIZED
        if rejection is not None:
            association.reject(rejection)
        elif deciders.association is None and deciders.user_identity is None:
            self._accept(admission, association)
        else:
            self._ask(self._questions(association), admission, association)

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
        assert admission.looked_at is not None
        request, _, answer, response = admission.looked_at
        try:
            items = self._final_items(answer, admission, association)
        except Exception as error:
            self._refuse_for("negotiation", error, association)
            return
        if items is not answer.items:
            response = encode_associate_ac(request.received_header, items)
        association.context_results = answer.results
        try:
            association.establish(
                answer.accepted, request.user_information.maximum_length, answer.acceptors_window, response
            )
        except ProtocolViolation as error:
            association.violated(error)

    def _final_items(self, answer: Answer, admission: Admission, association: Association) -> bytes:
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
            answered = replace(answered, extended=extended_items(extended))
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
    """One association's way through the `Acceptor`: what accepts or rejects it."""

    __slots__ = ("_acceptor", "_has_place", "_is_over", "_places", "looked_at", "server_response")

    def __init__(self, acceptor: Acceptor, places: Places) -> None:
        self._acceptor = acceptor
        self._places = places
        #: Whether the association counts towards the limit.
        self._has_place = False
        self._is_over = False
        #: What is proposed and what follows from that, once there is a proposal.
        self.looked_at: _LookedAt | None = None
        #: What the verifier of its user identity has to say to the requestor; None where nothing was verified.
        self.server_response: bytes | None = None

    def decode_request(self, body: bytes) -> AssociateRQ:
        """Returns the proposal in the body of an A-ASSOCIATE-RQ. Raises `PduError`."""
        self.looked_at = looked_at = self._acceptor.look_at(body)
        return looked_at.request

    def on_proposal(self, association: Association, proposal: AssociateRQ, _now: float) -> None:
        """Accepts or rejects the association."""
        association.proposal = proposal
        association.calling_aet = proposal.calling_ae_title
        association.called_aet = proposal.called_ae_title
        self._acceptor.decide(self, association)

    def take_place(self) -> bool:
        """Has the association count; false when there are as many as may be."""
        self._has_place = self._places.take()
        return self._has_place

    def end(self) -> None:
        """The association is over, or has never come to be. Harmless when that is known."""
        if self._is_over:
            return
        self._is_over = True
        self._places.end()
        if self._has_place:
            self._places.give()


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
    assert admission.looked_at is not None
    identity = admission.looked_at.request.user_information.user_identity
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
