"""Answers the operations of a bad PACS as they were decided about: late, with another status, wrongly, or never."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from aiodicom.errors import OperationRefused
from aiodicom.load.target.behaviour import Behaviour, OperationPlan, Standing
from aiodicom.load.target.counts import Counts
from aiodicom.load.target.faults import Fault, wrong_answer
from aiodicom.load.target.matches import match
from aiodicom.load.target.slow import PacedSink
from aiodicom.net.sources import SubOperation
from aiodicom.standard.models import ModalityWorklist
from aiodicom.standard.status import Status
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP
from aiodicom.ul._pdu import fragment_size

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.net.requests import (
        CancellableRequest,
        EchoRequest,
        FindRequest,
        NormalizedRequest,
        RetrieveRequest,
        ServiceRequest,
        StoreRequest,
    )

__all__ = ["Answering"]

#: A status, or when there will be one, if ever.
Verdict = Status | asyncio.Future[Status]


class Answering:
    """The handlers.

    `elapsed()` is the time since the start, `make_instance()` makes what is retrieved on an association.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        counts: Counts,
        elapsed: Callable[[], float],
        make_instance: Callable[[Association], SubOperation],
        *,
        matches: int | None,
        instances: int,
        read_rate: float | None,
    ) -> None:
        self._behaviour = behaviour
        self._counts = counts
        self._elapsed = elapsed
        self._make_instance = make_instance
        self._matches = matches
        self._instances = instances
        self._read_rate = read_rate
        #: The associations that are open, by `Association.id`.
        self.standings: dict[int, Standing] = {}

    # --- handlers ----------------------------------------------------------------------------------------------------

    def echo(self, request: EchoRequest) -> Verdict:
        """Answers C-ECHO."""
        return self._answer(request, self._plan(request, "echo"))

    def open_body(self, request: StoreRequest) -> StoreSink:
        """Takes the data set of a C-STORE."""
        plan = self._plan(request, "store")
        on_first = None
        if plan.fault is Fault.ABORT_IN_DATA_SET:
            # Not while the association reads.
            on_first = partial(request.association.loop.call_soon, self._abort, request.association, plan.fault)
        return StoreSink(request.association, self._counts, self._read_rate, on_first, plan)

    def store(self, request: StoreRequest) -> Verdict:
        """Answers C-STORE."""
        sink: StoreSink = request.body
        plan = sink.plan
        return self._answer(request, plan._replace(delay=max(plan.delay, sink.lag)))

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        """Answers C-FIND, of the worklist too."""
        is_worklist = request.context.abstract_syntax == ModalityWorklist.find
        plan = await self._begin(request, "worklist" if is_worklist else "find")
        standing = self._standing(request.association)
        query = request.identifier
        for number in itertools.count(1) if self._matches is None else range(1, self._matches + 1):
            if delay := self._behaviour.interval(standing, plan.number, number, self._elapsed()):
                await asyncio.sleep(delay)
            self._counts.matches += 1
            yield match(query, number)

    async def get(self, request: RetrieveRequest) -> AsyncIterator[SubOperation]:
        """Answers C-GET."""
        await self._begin(request, "get")
        request.total = self._instances
        for _ in range(self._instances):
            yield self._make_instance(request.association)

    async def move(self, request: RetrieveRequest) -> AsyncIterator[SubOperation]:
        """Answers C-MOVE."""
        await self._begin(request, "move")
        request.total = self._instances
        for _ in range(self._instances):
            yield self._make_instance(request.association)

    def normalized(self, request: NormalizedRequest) -> Verdict:
        """Answers DIMSE-N, but for storage commitment."""
        is_step = request.sop_class_uid == MODALITY_PERFORMED_PROCEDURE_STEP
        return self._answer(request, self._plan(request, "mpps" if is_step else "other"))

    async def commitment(self, request: NormalizedRequest) -> Status:
        """Decides about a request for storage commitment; what follows success is for the caller."""
        return await self.awaited(self._answer(request, self._plan(request, "commitment")))

    # --- what is done ------------------------------------------------------------------------------------------------

    def _standing(self, association: Association) -> Standing:
        return self.standings[association.id]

    def _plan(self, request: ServiceRequest, kind: str) -> OperationPlan:
        self._counts.operations[kind] += 1
        return self._behaviour.operate(self._standing(request.association), kind, self._elapsed())

    async def _begin(self, request: CancellableRequest, kind: str) -> OperationPlan:
        """Waits until there is something to answer; raises what is not success."""
        plan = self._plan(request, kind)
        status = await self.awaited(self._answer(request, plan))
        if status:
            raise OperationRefused(status)
        return plan

    async def awaited(self, verdict: Verdict) -> Status:
        """Returns the status, once there is one."""
        return await verdict if isinstance(verdict, asyncio.Future) else verdict

    def _answer(self, request: ServiceRequest, plan: OperationPlan) -> Verdict:
        """Returns the status to answer with; or a future of it, which never comes where there is a fault instead."""
        if not plan.delay and plan.fault is None:
            return self._counted(plan.status)
        loop = request.association.loop
        verdict: asyncio.Future[Status] = loop.create_future()
        # Never at once: while the association reads, what it has to say is not written yet.
        timer = loop.call_later(plan.delay, self._act, request, plan, verdict)
        verdict.add_done_callback(lambda _: timer.cancel())
        return verdict

    def _act(self, request: ServiceRequest, plan: OperationPlan, verdict: asyncio.Future[Status]) -> None:
        if verdict.done():
            return  # the association has ended in the meantime
        if plan.fault is not None:
            self._misbehave(request, plan.fault, plan.status)
        if plan.fault in (None, Fault.TWICE):
            verdict.set_result(self._counted(plan.status))

    def _counted(self, status: Status) -> Status:
        self._counts.statuses[f"{status:04X}H"] += 1
        return status

    def _misbehave(self, request: ServiceRequest, fault: Fault, status: Status) -> None:
        association = request.association
        if fault in (Fault.ABORT, Fault.ABORT_IN_DATA_SET):
            self._abort(association, fault)
            return
        self._counts.faults[fault] += 1
        connection = association.transport.connection
        if fault is Fault.CLOSE:
            association.transport.close_now()
        elif fault is Fault.HALF_CLOSE and connection.can_write_eof():
            connection.write_eof()
        elif fault is Fault.HALF_CLOSE:
            association.transport.close_now()  # TLS has no half
        elif data := wrong_answer(
            fault,
            request.context.context_id,
            request.message,
            status,
            accepted=association.contexts,
            fragment_size=fragment_size(association.max_pdu),
        ):
            association.transport.write_as_it_is(data)

    def _abort(self, association: Association, fault: Fault) -> None:
        if association.is_open:
            self._counts.faults[fault] += 1
            association.abort()


class StoreSink(PacedSink):
    """Takes a data set, and remembers what is to be done about its operation."""

    __slots__ = ("plan",)

    def __init__(
        self,
        association: Association,
        counts: Counts,
        rate: float | None,
        on_first: Callable[[], Any] | None,
        plan: OperationPlan,
    ) -> None:
        super().__init__(association, counts, rate, on_first)
        self.plan = plan
