"""Operations that are begun without being awaited: a token is told of the response from within the event loop.

`await association.c_echo()` costs a coroutine, a future and a turn of the event loop; who sends many objects, or
invokes tens of thousands of operations a second, can do without. What would have to wait is not begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodicom.dimse.messages import CEchoRQ, Request
from aiodicom.errors import AssociationClosed
from aiodicom.net._invoking import StoreRequest
from aiodicom.standard.uids import VERIFICATION

if TYPE_CHECKING:
    from aiodicom.net.association import Association
    from aiodicom.net.responses import Token
    from aiodicom.net.sources import DataSource
    from aiodicom.net.suboperations import MoveOriginator

__all__ = ["Unawaited", "Withdrawn", "begin_echo", "begin_store"]


class Unawaited:
    """The base of tokens that are told by a call: `set_result` or `set_exception`, once, from within the event loop's
    callbacks. What these raise would end more than their operation: they must not.
    """

    __slots__ = ()

    def done(self) -> bool:
        """Something is always wanted."""
        return False

    def cancel(self) -> None:
        """The request was not sent: who tried knows, and gives back what it holds."""

    def exception(self) -> BaseException | None:
        """Nothing has been told yet."""
        return None


class Withdrawn(AssociationClosed):
    """The association of an operation was aborted, as it answered nothing while others of its pool were answered."""


def begin_echo(association: Association, token: Token) -> bool:
    """Begins C-ECHO (PS3.7 9.1.5) if it can be sent now; returns whether it was.

    `token` gets the `ResponseReceived`, whatever its status, or the error that ended the association. Raises
    `ContextNotAccepted`, or `AssociationClosed`.
    """
    context = association.context_for(VERIFICATION, None)
    return association.invoker.begin_now(context, _echo, None, token)


def begin_store(
    association: Association,
    source: DataSource,
    token: Token,
    *,
    priority: int = 0,
    move_originator: MoveOriginator | None = None,
) -> bool:
    """Begins C-STORE (PS3.7 9.1.1) if it can be sent now, in the transfer syntax that the data set has, and is small
    enough for one piece; returns whether it was. The data set must not change before `token` has been told.

    `token` and what is raised: see `begin_echo`; the other parameters: see `Association.c_store`.
    """
    return StoreRequest(source, priority, move_originator).begin(association, token)


def _echo(message_id: int) -> Request:
    return CEchoRQ(message_id, VERIFICATION)
