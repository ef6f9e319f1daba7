"""What comes in: C-STORE requests, held against the routes, queued, answered."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aiodicom.dataset import Dataset
from aiodicom.errors import AiodicomError, DecodeError, OperationRefused, RoutingFailed
from aiodicom.net.sinks import Spooled
from aiodicom.router.config.queueing import Durability
from aiodicom.router.cut_through import Tee
from aiodicom.router.listening import address_of
from aiodicom.router.origin import Origin
from aiodicom.router.queue.objects import Delivery, Incoming
from aiodicom.router.queue.source import data_of
from aiodicom.standard.status import Status
from aiodicom.ul._pdu import Body

if TYPE_CHECKING:
    from aiodicom.net.requests import StoreRequest
    from aiodicom.net.server import Server
    from aiodicom.net.sinks import BodySink
    from aiodicom.router.config.queueing import Queue
    from aiodicom.router.cut_through import CutThrough, Forward
    from aiodicom.router.forwarded import Forwarding
    from aiodicom.router.observing import Observer
    from aiodicom.router.queue.objects import Receipt
    from aiodicom.router.queue.protocol import Queue as QueueProtocol
    from aiodicom.router.routing import Plan, Routing

__all__ = ["Intake"]

_log = logging.getLogger("aiodicom.router")

#: What the routes may look at, as text, at the most: longer values are not kept beside the object.
_LONGEST: Final = 64
#: With `received`: bytes of objects that were answered and wait for the disk; beyond them who sends waits as well.
_BACKLOG: Final = 128 << 20


class Intake:
    """The C-STORE handler of a listener. `routing` gives the routes as they are now.

    Success means what the queue's durability says. An object that no route means is refused (A900H), or dropped; one
    whose header cannot be decoded is refused (C000H); when the disk is nearly full all are (A700H), before their data
    sets are taken.
    """

    def __init__(
        self,
        queue: QueueProtocol,
        routing: Callable[[], Routing],
        settings: Queue,
        observer: Observer,
        forwarding: Forwarding,
        cut_through: CutThrough,
        *,
        drops_unrouted: Callable[[], bool],
    ) -> None:
        self._queue = queue
        self._routing = routing
        self._settings = settings
        self._observer = observer
        self._forwarding = forwarding
        self._cut_through = cut_through
        self._drops_unrouted = drops_unrouted
        self._body = Spooled()
        #: Objects taken and refused since the start, and the bytes of those that were taken.
        self.received = 0
        self.bytes = 0
        self.refused = 0
        #: Bytes of objects that were answered and are not queued yet.
        self._backlog = 0
        #: Whether it was told that nothing is taken.
        self._is_refusing = False

    def attach(self, server: Server) -> None:
        """Makes this the C-STORE handler of a server."""
        server.on_c_store(self.store, body=self.body)

    def body(self, request: StoreRequest) -> BodySink:
        """Where the data set of a request goes while it arrives. Raises OperationRefused when nothing can be queued."""
        if not self._queue.accepts(request.expected_body_size):
            obstacle = self._queue.obstacle
            if not self._is_refusing:  # a line for each object would be thousands a second
                self._is_refusing = True
                _log.warning("objects are refused (A700H): %s", obstacle)
            status = self._refuse(request, Status.OUT_OF_RESOURCES, obstacle, logging.INFO)
            raise OperationRefused(status, "nothing can be queued now")
        if self._is_refusing:
            self._is_refusing = False
            _log.warning("objects are taken again")
        body = self._body(request)
        if self._cut_through.is_wanted():
            assert isinstance(body, Body)
            return Tee(body, request.message, _origin_of(request), self._cut_through)
        return body

    def store(self, request: StoreRequest) -> Status | asyncio.Future[Status]:
        """Answers a C-STORE."""
        origin = _origin_of(request)
        forwards: list[Forward] = []
        body = request.body
        if isinstance(body, Tee):
            forwards, body = body.forwards, body.body
        try:
            data = data_of(body)
            header = Dataset.from_bytes(data, origin.transfer_syntax)
            plans = self._routing().plan(header, origin)
        except BaseException as error:
            for forward in forwards:
                forward.lose()
            if not isinstance(error, DecodeError | RoutingFailed):
                raise
            return self._refuse(request, Status.CANNOT_UNDERSTAND, str(error))
        for forward in forwards:
            forward.finish(data)
        incoming = self._incoming(request, header, origin, plans, forwards)
        if not incoming.deliveries and not self._is_dropped(plans):
            return self._refuse(request, Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "no route means it")
        if not incoming.deliveries:
            return Status.SUCCESS
        return self._enqueue(request, incoming, data, header, forwards)

    def _incoming(
        self,
        request: StoreRequest,
        header: Dataset,
        origin: Origin,
        plans: list[Plan],
        forwards: list[Forward],
    ) -> Incoming:
        begun = {(forward.route, forward.destination): forward.group for forward in forwards}
        now = self._queue.now()
        expires = None if self._settings.expire is None else now + self._settings.expire
        deliveries = tuple(
            Delivery(
                destination,
                plan.route,
                plan.priority,
                expires,
                begun.get((plan.route, destination)) or group_of(plan, header),
            )
            for plan in plans
            for destination in plan.destinations
        )
        return Incoming(
            request.affected_sop_class_uid,
            request.affected_sop_instance_uid,
            origin.transfer_syntax,
            _text(header, "StudyInstanceUID"),
            _text(header, "SeriesInstanceUID"),
            _text(header, "PatientID"),
            origin.calling_aet,
            origin.called_aet,
            origin.peer,
            now,
            deliveries,
        )

    def _is_dropped(self, plans: list[Plan]) -> bool:
        """Whether an object without deliveries is meant to have none."""
        return bool(plans) or self._drops_unrouted()

    def _enqueue(
        self, request: StoreRequest, incoming: Incoming, data: memoryview, header: Dataset, forwards: list[Forward]
    ) -> Status | asyncio.Future[Status]:
        queued = self._queue.enqueue(incoming, data)
        answer: asyncio.Future[Status] | None = None
        if self._settings.durability is Durability.RECEIVED and self._backlog + len(data) <= _BACKLOG:
            self._backlog += len(data)
        else:
            answer = asyncio.get_running_loop().create_future()
        told = functools.partial(self._queued, request, incoming, len(data), header, forwards, answer)
        queued.add_done_callback(told)
        return Status.SUCCESS if answer is None else answer

    def _queued(
        self,
        request: StoreRequest,
        incoming: Incoming,
        size: int,
        header: Dataset,
        forwards: list[Forward],
        answer: asyncio.Future[Status] | None,
        queued: asyncio.Future[Receipt],
    ) -> None:
        """`answer`: what the sender waits for, if it was not answered before."""
        if answer is None:
            self._backlog -= size
        if queued.cancelled():
            return
        error = queued.exception()
        if error is not None:
            status = self._refuse(request, Status.OUT_OF_RESOURCES, str(error))
            if answer is None:
                _log.error("%s was answered with success and is lost: %s", incoming.sop_instance_uid, error)
            _finish(answer, status)
            return
        receipt = queued.result()
        self.received += 1
        self.bytes += size
        if not receipt.is_duplicate:
            self._observer.received(incoming, size, header, request.association)
        if answer is not None and self._settings.durability is Durability.FORWARDED:
            self._forwarding.wait(receipt.object, incoming.sop_instance_uid, len(incoming.deliveries), answer)
        else:
            _finish(answer, Status.SUCCESS)
        if forwards and not receipt.is_duplicate:
            self._cut_through.settle(self._queue, self._observer, receipt.object, incoming, size, forwards)

    def _refuse(self, request: StoreRequest, status: Status, reason: str, level: int = logging.WARNING) -> Status:
        self.refused += 1
        association = request.association
        _log.log(
            level,
            "%s from %s is refused (%04XH): %s",
            request.affected_sop_instance_uid,
            association.calling_aet,
            status,
            reason,
        )
        self._observer.refused(association, status, reason)
        return status


def group_of(plan: Plan, header: Dataset) -> str:
    """The series or study with which an object waits to be complete; empty where it need not."""
    if plan.completion is None:
        return ""
    return _text(header, "SeriesInstanceUID" if plan.completion.level == "series" else "StudyInstanceUID")


def _text(header: Dataset, keyword: str) -> str:
    """The value of an attribute, as far as it is kept beside the object."""
    try:
        value = header.get(keyword)
    except (AiodicomError, ValueError):
        return ""
    return str(value)[:_LONGEST] if isinstance(value, str) else ""


def _origin_of(request: StoreRequest) -> Origin:
    association = request.association
    return Origin(
        association.calling_aet, association.called_aet, address_of(association), request.context.transfer_syntax
    )


def _finish(answer: asyncio.Future[Status] | None, status: Status) -> None:
    if answer is not None and not answer.done():
        answer.set_result(status)
