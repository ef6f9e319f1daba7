"""The peer of an SCU command, and how an association with it is opened."""

from __future__ import annotations

from typing import Any

import aiodicom
from aiodicom.cli import options, output
from aiodicom.cli.security import ClientTLS, Identity
from aiodicom.values import Value, frozen

__all__ = ["AssociationOptions", "Peer"]


@frozen
class AssociationOptions(Value):
    """The options of an association, as a group: see `options.grouped`."""

    calling_aet: options.CallingAet = "AIODICOM"
    called_aet: options.CalledAet = "ANY-SCP"
    max_pdu: options.MaxPdu = 131072
    connect_timeout: options.ConnectTimeout = 15
    acse_timeout: options.AcseTimeout = 30
    dimse_timeout: options.DimseTimeout = 60
    local_address: options.LocalAddress = None


class Peer:
    """Whom a command talks to."""

    def __init__(
        self,
        command: str,
        host: str,
        port: int,
        association: AssociationOptions,
        security: ClientTLS,
        identity: Identity,
    ) -> None:
        """Raises `LocalError` or `OSError` for the files that the options name."""
        self._command = command
        self.calling_aet = association.calling_aet
        self.called_aet = association.called_aet
        self._where = (host, port)
        self._options: dict[str, Any] = {
            "calling_aet": association.calling_aet,
            "called_aet": association.called_aet,
            "max_pdu": association.max_pdu,
            "timeouts": aiodicom.Timeouts(
                connect=options.timeout(association.connect_timeout),
                acse=options.timeout(association.acse_timeout),
                dimse=options.timeout(association.dimse_timeout),
            ),
            "local_addr": None if association.local_address is None else (association.local_address, 0),
            "ssl": security.context(),
            "server_hostname": security.server_name,
            "user_identity": identity.user_identity(),
        }

        #: Whether the peer is to say that it has accepted the user, and nobody has been told yet that it does not.
        self._asks_for_response = identity.positive_response

    async def connect(self, **more: Any) -> aiodicom.Association:
        """`aiodicom.connect` with these options, and more."""
        host, port = self._where
        association = await aiodicom.connect(host, port, **self._options, **more)
        if self._asks_for_response and association.user_identity_response is None:
            self._asks_for_response = False
            output.note(self._command, "the peer does not say that it has accepted the user: it may not have looked")
        return association
