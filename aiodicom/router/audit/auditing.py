"""The audit trail of a router: what it does, as messages to a repository."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiodicom.errors import AiodicomError
from aiodicom.router.audit.messages import Action, Outcome, Participant, StudyObject, Trail
from aiodicom.router.audit.syslog import Repository, TLSTransport, UDPTransport
from aiodicom.router.audit.transfers import Transfer, Transfers
from aiodicom.router.listening import address_of
from aiodicom.router.observing import Observer
from aiodicom.router.senders.making import context_of

if TYPE_CHECKING:
    import ssl as tls

    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.net.requests import FindRequest, RetrieveRequest
    from aiodicom.router.audit.syslog import Transport
    from aiodicom.router.config.operations import Audit
    from aiodicom.router.outcomes import Outcome as DeliveryOutcome
    from aiodicom.router.queue.objects import Incoming, Lease

__all__ = ["Auditor", "auditing"]

_log = logging.getLogger("aiodicom.router")

#: Seconds between looks at what is to be told of.
_LOOK: Final = 1.0

_PORTS: Final = {"tls": 6514, "udp": 514}


@asynccontextmanager
async def auditing(settings: Audit, ae_titles: tuple[str, ...]) -> AsyncIterator[Auditor]:
    """Tells a repository of the start, of everything between, and of the stop. Raises LocalError, OSError."""
    transport = _transport(settings)
    async with Repository(transport, settings.source_id) as repository:
        trail = Trail(settings.source_id, settings.enterprise_site_id or "", ae_titles, str(os.getpid()))
        auditor = Auditor(trail, repository.put, ae_titles)
        auditor.tell(trail.started)
        task = asyncio.get_running_loop().create_task(auditor.keep_telling())
        try:
            yield auditor
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            auditor.tell_of_transfers(math.inf)
            auditor.tell(trail.stopped)


def _transport(settings: Audit) -> Transport:
    port = settings.port or _PORTS[settings.transport]
    if settings.transport == "udp":
        return UDPTransport(settings.host, port)
    context: tls.SSLContext | None = context_of(settings.tls)
    if context is None:
        from aiodicom.net.tls import tls_client_context

        context = tls_client_context()
    name = None if settings.tls is None else settings.tls.server_name
    return TLSTransport(settings.host, port, ssl=context, server_hostname=name)


class Auditor(Observer):
    """Makes messages of what happens; transfers of one study are one message."""

    def __init__(self, trail: Trail, put: Callable[[bytes, datetime], None], ae_titles: tuple[str, ...]) -> None:
        self._trail = trail
        self._put = put
        self._us = Participant(str(os.getpid()), ae_titles=ae_titles)
        self._transfers = Transfers()

    def tell(self, make: Callable[[datetime], bytes]) -> None:
        """One message, of now."""
        when = datetime.now(UTC)
        self._put(make(when), when)

    async def keep_telling(self) -> None:
        """Tells of transfers until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK)
            try:
                self.tell_of_transfers(time.monotonic())
            except Exception:
                _log.exception("transfers could not be told of to the audit repository")

    def tell_of_transfers(self, now: float) -> None:
        """Tells of those that have come to rest."""
        for transfer in self._transfers.due(now):
            self.tell(lambda when, transfer=transfer: self._transferred(transfer, when))  # type: ignore[misc]

    def _transferred(self, transfer: Transfer, when: datetime) -> bytes:
        action = Action.CREATE if transfer.destination == self._us else Action.READ
        return self._trail.transferred(
            when, transfer.source, transfer.destination, [transfer.study], transfer.outcome, action
        )

    def received(self, incoming: Incoming, size: int, header: Dataset, association: Association) -> None:
        """An object has been taken."""
        source = Participant(incoming.calling_aet, is_requestor=True, address=address_of(association))
        study = StudyObject(
            incoming.study_instance_uid,
            incoming.patient_id,
            _text(header, "PatientName"),
            tuple(filter(None, (_text(header, "AccessionNumber"),))),
        )
        self._transfers.add(source, self._us, incoming.sop_class_uid, study, Outcome.SUCCESS, time.monotonic())

    def delivered(self, lease: Lease, size: int, seconds: float, reason: str) -> None:
        """A destination has an object."""
        self._sent(lease, Outcome.SUCCESS)

    def failed(self, lease: Lease, outcome: DeliveryOutcome, is_dead: bool) -> None:
        """An object was given up."""
        if is_dead:
            self._sent(lease, Outcome.SERIOUS_FAILURE)

    def _sent(self, lease: Lease, outcome: Outcome) -> None:
        study = StudyObject(lease.study_instance_uid, lease.patient_id)
        us = self._us._replace(is_requestor=True)
        self._transfers.add(us, Participant(lease.destination), lease.sop_class_uid, study, outcome, time.monotonic())

    def not_admitted(self, calling_aet: str, address: str, reason: str) -> None:
        """Somebody was not let in."""
        node = Participant(calling_aet, is_requestor=True, address=address)
        self.tell(lambda when: self._trail.node_refused(when, node, reason))

    def queried(self, request: FindRequest | RetrieveRequest) -> None:
        """Somebody has asked."""
        association = request.association
        source = Participant(association.calling_aet, is_requestor=True, address=address_of(association))
        query, syntax = bytes(request.data), request.context.transfer_syntax
        self.tell(lambda when: self._trail.queried(when, source, self._us, request.sop_class_uid, query, syntax))

    def logged_in(self, address: str, is_successful: bool) -> None:
        """Somebody has shown a token, the right one or not."""
        user = Participant("operator", is_requestor=True, address=address)
        outcome = Outcome.SUCCESS if is_successful else Outcome.SERIOUS_FAILURE
        self.tell(lambda when: self._trail.logged_in(when, user, outcome))


def _text(header: Dataset, keyword: str) -> str:
    try:
        value = header.get(keyword)
    except (AiodicomError, ValueError):
        return ""
    return "" if value is None else str(value)
