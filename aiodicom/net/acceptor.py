"""The acceptor's side of association establishment: who may associate, on which presentation contexts (PS3.8 7.1)."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

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
from aiodicom.ul.negotiation import Support, agreed_window, check_request, negotiate, negotiate_window
from aiodicom.ul.pdu import (
    AssociateRJ,
    AssociateRQ,
    AsynchronousOperationsWindow,
    ContextResult,
    ProposedContext,
    ResultReason,
    UserInformation,
)
from aiodicom.ul.table import State

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["Acceptor", "AssociationHandler", "Rejection"]

#: How many different proposals are remembered, and the most bytes of one.
_REMEMBERED = 256
_REMEMBERED_LENGTH = 8192

#: We invoke nothing on associations that we accept until a service needs it.
_INVOKED_LIMIT = 1


class Rejection(NamedTuple):
    """A-ASSOCIATE-RJ (PS3.8 table 9-21): by default permanent, by the service user, without a reason."""

    result: int = 1
    source: int = 1
    reason: int = 1


#: Decides about a requestor: None accepts. The association says who it is: `Association.calling_aet` and so on.
AssociationHandler = Callable[["Association"], Rejection | Awaitable[Rejection | None] | None]


class _Answer(NamedTuple):
    """All that follows from the variable items of a proposal and from nothing else."""

    application_context_name: str
    contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    results: tuple[ContextResult, ...]
    accepted: Mapping[int, AcceptedContext]
    #: From the requestor's side, as the A-ASSOCIATE-AC has it.
    window: AsynchronousOperationsWindow
    #: The variable items of the A-ASSOCIATE-AC.
    items: bytes


class Acceptor:
    """What all associations of a server are accepted by.

    Most requestors propose the same again and again; what was negotiated for the same bytes is remembered, but for
    proposals with a user identity. Who may associate is decided each time.
    """

    def __init__(
        self,
        *,
        ae_title: str | None,
        support: Callable[[], Support],
        maximum_length: int,
        window: int,
        handler: Callable[[], AssociationHandler | None],
        places: Callable[[], Places],
    ) -> None:
        self._ae_title = ae_title
        self._support = support
        self._maximum_length = maximum_length
        self._window = check_window(window)
        self._handler = handler
        self._places = places
        self._remembered: OrderedDict[bytes, _Answer] = OrderedDict()

    def forget(self) -> None:
        """Forgets what was negotiated: what is supported has changed."""
        self._remembered.clear()

    def answer(self, items: bytes) -> _Answer:
        """Negotiates the variable items of a proposal. Raises `PduError` for items that are none."""
        answer = self._remembered.get(items)
        if answer is not None:
            return answer
        name, contexts, user_information = decode_associate_items(items)
        results = negotiate(contexts, self._support())
        window = negotiate_window(user_information.asynchronous_operations_window, _INVOKED_LIMIT, self._window)
        abstract_syntaxes = {context.context_id: context.abstract_syntax for context in contexts}
        answer = _Answer(
            name,
            contexts,
            user_information,
            results,
            {
                result.context_id: AcceptedContext(
                    result.context_id, abstract_syntaxes[result.context_id], result.transfer_syntax
                )
                for result in results
                if result.result == ResultReason.ACCEPTANCE
            },
            agreed_window(user_information.asynchronous_operations_window, window),
            encode_associate_ac_items(
                results,
                UserInformation(
                    self._maximum_length,
                    implementation_version_name=IMPLEMENTATION_VERSION_NAME,
                    asynchronous_operations_window=window,
                ),
            ),
        )
        if len(items) <= _REMEMBERED_LENGTH and user_information.user_identity is None:
            self._remembered[items] = answer
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return answer

    def admission(self) -> Admission:
        """Returns what accepts or rejects one association."""
        return Admission(self)

    # --- for Admission -----------------------------------------------------------------------------------------------

    def decide(self, admission: Admission, association: Association, proposal: AssociateRQ) -> None:
        """Accepts or rejects, now or when the handler has decided."""
        rejection = check_request(proposal, self._ae_title)
        if rejection is None and not self._places().take():
            rejection = AssociateRJ(2, 3, 2)
        elif rejection is None:
            admission.has_place = True
        handler = self._handler()
        if rejection is not None:
            association.reject(rejection)
        elif handler is None:
            self._accept(admission, association)
        else:
            self._ask(handler, admission, association)

    def end(self, admission: Admission) -> None:
        """The association is over, or has never come to be."""
        if admission.is_over:
            return
        admission.is_over = True
        places = self._places()
        places.end()
        if admission.has_place:
            places.give()

    def _ask(self, handler: AssociationHandler, admission: Admission, association: Association) -> None:
        try:
            verdict = handler(association)
        except (Exception, asyncio.CancelledError) as error:
            self._refuse_for(error, association)
            return
        if inspect.isawaitable(verdict):
            task = association.loop.create_task(self._wait(verdict, admission, association))
            association.own(task)
        else:
            self._conclude(verdict, admission, association)

    async def _wait(self, verdict: Awaitable[Rejection | None], admission: Admission, association: Association) -> None:
        try:
            decided = await verdict
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._refuse_for(error, association)  # the handler's own affair: the requestor still wants an answer
        except Exception as error:
            self._refuse_for(error, association)
        else:
            self._conclude(decided, admission, association)

    def _conclude(self, verdict: Rejection | None, admission: Admission, association: Association) -> None:
        if association.state is not State.Sta3:
            return  # the requestor has gone in the meantime
        if verdict is None:
            self._accept(admission, association)
        elif isinstance(verdict, Rejection) and all(0 <= number <= 0xFF for number in verdict):
            association.reject(AssociateRJ(*verdict))
        else:
            self._refuse_for(TypeError(f"{verdict!r} is neither None nor a Rejection"), association)

    def _accept(self, admission: Admission, association: Association) -> None:
        assert association.proposal is not None
        assert admission.answer is not None
        answer = admission.answer
        response = encode_associate_ac(association.proposal.received_header, answer.items)
        # The sub-item speaks of the requestor: what it performs is what we may invoke.
        window = AsynchronousOperationsWindow(answer.window.performed, answer.window.invoked)
        maximum_length = association.proposal.user_information.maximum_length
        association.context_results = answer.results
        try:
            association.establish(answer.accepted, maximum_length, window, response)
        except ProtocolViolation as error:
            association.violated(error)

    def _refuse_for(self, error: BaseException, association: Association) -> None:
        association.log(logging.ERROR, "the association handler failed: rejected", error=error)
        if association.state is State.Sta3:
            association.reject(AssociateRJ(2, 3, 1))


class Admission:
    """One association's way through the `Acceptor`."""

    __slots__ = ("_acceptor", "answer", "has_place", "is_over")

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        #: What was negotiated, once there is a proposal.
        self.answer: _Answer | None = None
        #: Whether the association counts towards the limit.
        self.has_place = False
        self.is_over = False

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
