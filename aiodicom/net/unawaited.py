"""Operations that are begun without being awaited: a token is told of the response from within the event loop.

`await association.c_echo()` costs a coroutine, a future and a turn of the event loop; a generator of load that invokes
tens of thousands a second can do without. What would have to wait is not begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodicom.dimse.command import make_message
from aiodicom.dimse.messages import CEchoRQ, CStoreRQ, Request
from aiodicom.standard.uids import VERIFICATION

if TYPE_CHECKING:
    from aiodicom.net.association import Association
    from aiodicom.net.responses import Token
    from aiodicom.net.sources import DataSource

__all__ = ["begin_echo", "begin_store"]


def begin_echo(association: Association, token: Token) -> bool:
    """Begins C-ECHO (PS3.7 9.1.5) if it can be sent now; returns whether it was.

    `token` gets the `ResponseReceived`, whatever its status, or the error that ended the association. Raises
    `ContextNotAccepted`, or `AssociationClosed`.
    """
    context = association.context_for(VERIFICATION, None)
    return association.invoker.begin_now(context, _echo, None, token)


def begin_store(association: Association, source: DataSource, token: Token) -> bool:
    """Begins C-STORE (PS3.7 9.1.1) if it can be sent now, in the transfer syntax that the data set has, and is small
    enough for one piece; returns whether it was. The data set must not change before `token` has been told.

    `token` and what is raised: see `begin_echo`.
    """
    context = association.context_for(source.sop_class_uid, (source.transfer_syntax,))
    sop_class_uid, sop_instance_uid = source.sop_class_uid, source.sop_instance_uid

    def build(message_id: int) -> Request:
        return make_message(CStoreRQ, (message_id, sop_class_uid, sop_instance_uid, 0, True, None, None))

    return association.invoker.begin_now(context, build, source, token)


def _echo(message_id: int) -> Request:
    return CEchoRQ(message_id, VERIFICATION)
