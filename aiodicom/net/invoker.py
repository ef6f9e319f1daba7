"""The SCU's side of an association: requests go out in their turn, responses come back to who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from aiodicom.dimse.events import AcceptedContext, ResponseReceived
from aiodicom.dimse.messages import Request
from aiodicom.errors import ContextNotAccepted
from aiodicom.net.outbox import Outbox
from aiodicom.net.performer import Performer
from aiodicom.net.responses import ResponseStream, Token
from aiodicom.net.sources import Encoded, Source
from aiodicom.net.window import Window
from aiodicom.standard.uids import uid_name

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["Invoker"]

#: How many presentation contexts are remembered by what was asked for.
_MOST_FOUND: Final = 128


class Invoker:
    """Invokes operations of the peer, as many at a time as were agreed on.

    Invariants: a turn of `turns` is held from before a request is sent until its final response has come, whether or
    not anybody waits for that.
    """

    __slots__ = ("_association", "_found", "_outbox", "_performer", "_sending", "_streams", "turns")

    def __init__(self, association: Association, performer: Performer, outbox: Outbox, window: int) -> None:
        self._association = association
        self._performer = performer
        self._outbox = outbox
        self._streams: set[ResponseStream] | None = None
        #: The context for what has been asked for before.
        self._found: dict[tuple[str, tuple[str, ...] | None, bool], AcceptedContext] | None = None
        #: The asynchronous operations window of our side.
        self.turns = Window(window)
        #: One request is sent at a time, and one waits while the peer takes less than is written: the others for it.
        self._sending = Window(1)

    def context_for(
        self, abstract_syntax: str, transfer_syntaxes: tuple[str, ...] | None, *, as_scp: bool = False
    ) -> AcceptedContext:
        """Returns the context of the first of `transfer_syntaxes` that the peer has accepted, in which we have the
        role; None stands for any.

        Raises `ContextNotAccepted`, or why the association is over.
        """
        association = self._association
        if not association.is_open:
            raise association.why_closed()
        wanted = (abstract_syntax, transfer_syntaxes, as_scp)
        if self._found is None:
            self._found = {}
        found = self._found.get(wanted)
        if found is None:
            found = self._find_context(*wanted)
            if len(self._found) < _MOST_FOUND:
                self._found[wanted] = found
        return found

    def _find_context(
        self, abstract_syntax: str, transfer_syntaxes: tuple[str, ...] | None, as_scp: bool
    ) -> AcceptedContext:
        association = self._association
        accepted = association.accepted(abstract_syntax)
        candidates = [context for context in accepted if (context.as_scp if as_scp else context.as_scu)]
        if transfer_syntaxes is None and candidates:
            return candidates[0]
        for transfer_syntax in transfer_syntaxes or ():
            for context in candidates:
                if context.transfer_syntax == transfer_syntax:
                    return context
        wanted = transfer_syntaxes[0] if transfer_syntaxes else None
        if accepted and not candidates:
            role = "SCP" if as_scp else "SCU"
            why = f"we are not {role} of {uid_name(abstract_syntax)} on this association: see roles"
        else:
            why = self._why_no_context(abstract_syntax, wanted, candidates)
        raise ContextNotAccepted(abstract_syntax, wanted, why)

    def _why_no_context(
        self, abstract_syntax: str, transfer_syntax: str | None, accepted: Sequence[AcceptedContext]
    ) -> str:
        association = self._association
        assert association.proposal is not None
        name = uid_name(abstract_syntax)
        proposed = {
            each.context_id for each in association.proposal.contexts if each.abstract_syntax == abstract_syntax
        }
        if not proposed:
            return f"no presentation context was proposed for {name}: name it in the contexts of the association"
        text = f"the peer accepted no presentation context for {name}"
        if transfer_syntax is not None:
            text += f" in {uid_name(transfer_syntax)}"
        if accepted:
            return f"{text}, only in " + ", ".join(uid_name(context.transfer_syntax) for context in accepted)
        reasons = dict.fromkeys(each.result for each in association.context_results if each.context_id in proposed)
        told = ", ".join(reason.name.lower().replace("_", " ") for reason in reasons)
        return f"{text}: {told}" if told else text

    def invoke(
        self, context: AcceptedContext, build: Callable[[int], Request], source: Source | None
    ) -> Awaitable[ResponseReceived]:
        """Sends a request when it is its turn; what is returned, to be awaited at once, gives the response, whatever
        its status.
        """
        waiter: asyncio.Future[ResponseReceived] = self._association.loop.create_future()
        if self.begin_now(context, build, source, waiter):
            return waiter
        return self._invoke_later(context, build, source, waiter)

    async def _invoke_later(
        self,
        context: AcceptedContext,
        build: Callable[[int], Request],
        source: Source | None,
        waiter: asyncio.Future[ResponseReceived],
    ) -> ResponseReceived:
        await self.begin(context, build, source, waiter)
        return await waiter

    async def begin(
        self, context: AcceptedContext, build: Callable[[int], Request], source: Source | None, token: Token
    ) -> None:
        """Sends a request when it is its turn; `token` gets its responses, or why none will come.

        Cancelled while a data set is being sent, the association is aborted.
        """
        if not self.turns.take_now():
            try:
                await self._take_turn()
            except BaseException:
                token.cancel()
                raise
        try:
            if isinstance(source, Encoded):
                await source.encode()
            if not self._association.is_open:
                raise self._association.why_closed()
            if not self._take_sending_now():
                await self._take_sending()
            try:
                rest = self._outbox.send_request(context.context_id, build, token, source)
                if rest is not None:
                    await rest
            finally:
                self._sending.give()
            self._performer.on_sent()
        except BaseException as error:
            ended = token.exception() if token.done() else None
            token.cancel()
            if self._outbox.is_broken:
                self._association.abort()
            self.turns.give()
            if ended is not None and isinstance(error, Exception):
                raise ended from None
            raise
        # From here the turn is held until the final response comes, also when nobody waits for that any more.

    def begin_now(
        self, context: AcceptedContext, build: Callable[[int], Request], source: Source | None, token: Token
    ) -> bool:
        """Sends a request, and its data set, if that has to wait for nothing and is there at once; returns whether it
        did. `token` is told of the response, or why there is none, from within the event loop's callbacks.

        It is what `begin` is at the cost of neither task nor future: of use to who invokes tens of thousands a second.
        Raises `AssociationClosed`, and what the source raises.
        """
        if not self.turns.take_now():
            return False
        if not self._take_sending_now():
            self.turns.give()
            return False
        is_sent = False
        try:
            pieces = () if source is None else source.at_once()
            if pieces is not None:
                self._outbox.send_whole(context.context_id, build, token, pieces)
                is_sent = True
        finally:
            self._sending.give()
            if not is_sent:
                self.turns.give()
        if is_sent:
            self._performer.on_sent()
        return is_sent

    async def _take_turn(self) -> None:
        if not self._association.is_open:
            raise self._association.why_closed()  # what was in flight at the end gives no turn back
        for stream in tuple(self._streams or ()):
            stream.make_room()  # whoever reads it may be the one who waits here
        await self.turns.take()

    def _take_sending_now(self) -> bool:
        """Takes the turn to send a request, if the peer takes what is written and nobody else sends one."""
        return not self._association.transport.is_blocked and self._sending.take_now()

    async def _take_sending(self) -> None:
        """Takes the turn to send a request, when there is one. Cancelled, it is not taken. Raises what `fail()` got."""
        await self._sending.take()
        try:
            await self._association.transport.drain()
        except BaseException:
            self._sending.give()
            raise

    def cancel(self, context: AcceptedContext, message_id: int) -> None:
        """Sends C-CANCEL for an operation in flight (PS3.7 9.3.2.3)."""
        if self._association.is_open:
            self._outbox.send_cancel(context.context_id, message_id)

    def follow(self, stream: ResponseStream) -> None:
        """Has a stream of responses make room when an operation has to wait."""
        if self._streams is None:
            self._streams = set()
        self._streams.add(stream)

    def unfollow(self, stream: ResponseStream) -> None:
        """Forgets a stream of responses."""
        if self._streams is not None:
            self._streams.discard(stream)

    def on_response(self, event: ResponseReceived) -> None:
        """A response has come."""
        if not event.is_final:
            event.operation.token.on_pending(event)  # a `ResponseStream`: others get no such response past the protocol
            return
        self.turns.give()
        token = event.operation.take_token()
        if not token.done():
            token.set_result(event)

    def fail(self, reason: Exception) -> None:
        """The association is over: whoever waits for a turn learns why."""
        self.turns.fail(reason)
        self._sending.fail(reason)
