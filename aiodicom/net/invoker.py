"""The SCU's side of an association: requests go out in their turn, responses come back to who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aiodicom.dimse.events import AcceptedContext, ResponseReceived
from aiodicom.dimse.messages import Request
from aiodicom.errors import ContextNotAccepted
from aiodicom.net._invoking import Invoking
from aiodicom.net.outbox import Outbox
from aiodicom.net.performer import Performer
from aiodicom.net.responses import ResponseStream, Token
from aiodicom.net.sources import Encoded, Source
from aiodicom.net.window import Window
from aiodicom.standard.uids import uid_name

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["Invoker"]


class Invoker(Invoking):
    """Invokes operations of the peer, as many at a time as were agreed on. What most need is compiled."""

    __slots__ = ("_streams",)

    def __init__(self, association: Association, performer: Performer, outbox: Outbox, window: int) -> None:
        super().__init__(association, performer, outbox, Window(window), Window(1))
        self._streams: set[ResponseStream] | None = None

    def find_context(
        self, abstract_syntax: str, transfer_syntaxes: tuple[str, ...] | None, as_scp: bool
    ) -> AcceptedContext:
        """Looks among the accepted contexts for that of `context_for`. Raises `ContextNotAccepted`, with the reason."""
        association = self.association
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
        association = self.association
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

    async def invoke_later(
        self,
        context: AcceptedContext,
        build: Callable[[int], Request],
        source: Source | None,
        waiter: asyncio.Future[ResponseReceived],
    ) -> ResponseReceived:
        """Waits for its turn, and then for the response, which `waiter` gets."""
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
            if not self.association.is_open:
                raise self.association.why_closed()
            if not self.take_sending_now():
                await self._take_sending()
            try:
                rest = self.outbox.send_request(context.context_id, build, token, source)
                if rest is not None:
                    await rest
            finally:
                self.sending.give()
            self.performer.on_sent()
        except BaseException as error:
            ended = token.exception() if token.done() else None
            token.cancel()
            if self.outbox.is_broken:
                self.association.abort()
            self.turns.give()
            if ended is not None and isinstance(error, Exception):
                raise ended from None
            raise
        # From here the turn is held until the final response comes, also when nobody waits for that any more.

    async def _take_turn(self) -> None:
        if not self.association.is_open:
            raise self.association.why_closed()  # what was in flight at the end gives no turn back
        for stream in tuple(self._streams or ()):
            stream.make_room()  # whoever reads it may be the one who waits here
        await self.turns.take()

    async def _take_sending(self) -> None:
        """Takes the turn to send a request, when there is one. Cancelled, it is not taken. Raises what `fail()` got."""
        await self.sending.take()
        try:
            await self.association.transport.drain()
        except BaseException:
            self.sending.give()
            raise

    def cancel(self, context: AcceptedContext, message_id: int) -> None:
        """Sends C-CANCEL for an operation in flight (PS3.7 9.3.2.3)."""
        if self.association.is_open:
            self.outbox.send_cancel(context.context_id, message_id)

    def follow(self, stream: ResponseStream) -> None:
        """Has a stream of responses make room when an operation has to wait."""
        if self._streams is None:
            self._streams = set()
        self._streams.add(stream)

    def unfollow(self, stream: ResponseStream) -> None:
        """Forgets a stream of responses."""
        if self._streams is not None:
            self._streams.discard(stream)

    def fail(self, reason: Exception) -> None:
        """The association is over: whoever waits for a turn learns why."""
        self.turns.fail(reason)
        self.sending.fail(reason)
