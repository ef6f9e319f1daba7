"""What is asked here is asked of another SCP, and its answers are given: queries, retrievals, worklists, performed
procedure steps.

async with aiodicom.Pool("pacs", 104, called_aet="PACS") as pool:
    Passing(pool, queries=True, worklist=True, mpps=True).attach(server)

C-GET needs associations of its own, which offer the peer to take what the requestor takes:

    Passing(pool, queries=True, retrievals=lambda receives: aiodicom.Pool("pacs", 104, size=1, receives=receives))
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, cast

from aiodicom.dataset import Dataset
from aiodicom.dimse.responses import response_to
from aiodicom.errors import (
    AiodicomError,
    ContextNotAccepted,
    DeadlineExceeded,
    OperationRefused,
    StatusError,
)
from aiodicom.net.answers import Answer
from aiodicom.net.results import RetrieveResult
from aiodicom.services.decoding import identifier_of
from aiodicom.services.dispatch import attach
from aiodicom.standard.models import ModalityWorklist, PatientRoot, StudyRoot
from aiodicom.standard.status import Status
from aiodicom.standard.uids import (
    MODALITY_PERFORMED_PROCEDURE_STEP,
    MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
    storage_sop_classes,
)

if TYPE_CHECKING:
    from aiodicom.dimse.messages import CGetRSP, CMoveRSP
    from aiodicom.net.handlers import Handlers
    from aiodicom.net.pool import Pool
    from aiodicom.net.requests import (
        FindRequest,
        GetRequest,
        MoveRequest,
        NCreateRequest,
        NGetRequest,
        NSetRequest,
        RetrieveRequest,
        ServiceRequest,
        StoreRequest,
    )
    from aiodicom.net.results import Result

__all__ = ["Passing"]

#: The longest Error Comment (0000,0902), a VR of LO.
_MOST_COMMENT: Final = 64

#: C-GETs that are passed on at once, and the seconds that further ones wait.
_MOST_RETRIEVALS: Final = 16
_PATIENCE: Final = 60.0

#: Hears of each query, and of each retrieval, before it is passed on.
Asked = Callable[["FindRequest | RetrieveRequest"], None]

#: Gives a pool of its own to a C-GET; its associations are to propose these contexts with us as SCP: SOP class, and
#: transfer syntaxes.
Retrievals = Callable[[Sequence[tuple[str, Sequence[str]]]], "Pool"]

_Tell = Callable[[RetrieveResult], object]

#: Hears of what a performed procedure step has become: its SOP Instance UID, and what was created or set.
Stepped = Callable[[str, Dataset], None]


class Passing:
    """Passes requests on to the peer of `pool`, or of the pool that it gives when it is called: C-FIND and C-MOVE of
    both query roots (C-GET as well with `retrievals`), C-FIND of worklists, and MPPS's N-CREATE, N-SET and N-GET, as
    they came; data sets may get another transfer syntax. What a C-MOVE asks for goes from the peer to the destination,
    whose AE title is for the peer to know. What a C-GET asks for comes by here, an object at a time (8 MiB of it in
    memory, the rest in a file): the peer is offered the SOP classes and transfer syntaxes that the requestor takes, and
    each object is answered as the requestor has answered it. 16 C-GETs are passed on at once, further ones wait for up
    to a minute.

    A failure is answered as the peer has answered it. What it cannot be asked for is answered with 0122H where it does
    not accept the SOP class, else with A700H (C-FIND), A702H (C-GET, C-MOVE) or 0110H (N services); a retrieval in the
    middle of which the peer goes ends so too, with the latest numbers. C-CANCEL goes on to it.
    """

    def __init__(
        self,
        pool: Pool | Callable[[], Pool],
        *,
        queries: bool = False,
        worklist: bool = False,
        mpps: bool = False,
        retrievals: Retrievals | None = None,
        on_query: Asked | None = None,
        on_step: Stepped | None = None,
    ) -> None:
        self._pool = pool if callable(pool) else lambda: pool
        self._has_mpps = mpps
        self._on_query = on_query
        self._on_step = on_step
        models = [*([PatientRoot, StudyRoot] if queries else []), *([ModalityWorklist] if worklist else [])]
        self._found = [model.find for model in models if model.find is not None]
        self._moved = [model.move for model in models if model.move is not None]
        self._retrievals = retrievals
        self._retrieved = [model.get for model in models if model.get is not None and retrievals is not None]
        self._turns = asyncio.Semaphore(_MOST_RETRIEVALS)

    def attach(self, handlers: Handlers) -> None:
        """Has this perform what is asked in contexts of those SOP classes."""
        if self._found:
            attach(handlers, self._found, on_c_find=self.find)
        if self._moved:
            attach(handlers, self._moved, on_c_move_relayed=self.move)
        if self._retrieved:
            attach(handlers, self._retrieved, on_c_get_relayed=self.retrieve)
        if self._has_mpps:
            attach(handlers, [MODALITY_PERFORMED_PROCEDURE_STEP], on_n_create=self.create, on_n_set=self.set)
            attach(handlers, [MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE], on_n_get=self.get)

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset | tuple[Status, Dataset]]:
        """Answers a C-FIND, for a handler of your own. Raises `OperationRefused`."""
        if self._on_query is not None:
            self._on_query(request)
        query, model = identifier_of(request), request.sop_class_uid
        try:
            async with self._pool().c_find(query, model, priority=request.priority) as matches:
                async for match in matches:
                    yield (Status.PENDING_WARNING, match) if matches.keys_unsupported else match
        except AiodicomError as error:
            raise _refusal(request, error, Status.OUT_OF_RESOURCES) from error

    def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResult]:
        """Answers a C-MOVE, for a handler of your own (`Handlers.on_c_move_relayed`). Raises `OperationRefused`."""
        return self._followed(
            request,
            lambda tell: self._pool().c_move(
                identifier_of(request),
                request.move_destination,
                request.sop_class_uid,
                priority=request.priority,
                on_progress=tell,
            ),
        )

    def retrieve(self, request: GetRequest) -> AsyncIterator[RetrieveResult]:
        """Answers a C-GET, for a handler of your own (`Handlers.on_c_get_relayed`). Raises `OperationRefused`."""
        return self._followed(request, lambda tell: self._retrieve(request, tell))

    async def _followed(
        self, request: RetrieveRequest, begin: Callable[[_Tell], Coroutine[Any, Any, RetrieveResult]]
    ) -> AsyncIterator[RetrieveResult]:
        """The responses to a retrieval, which is begun, and cancelled when nobody wants them any more."""
        if self._on_query is not None:
            self._on_query(request)
        progress = _Progress()
        task = asyncio.ensure_future(begin(progress.tell))
        task.add_done_callback(progress.end)
        try:
            async for result in progress:
                yield result
            yield await task
        except asyncio.CancelledError:
            if not request.is_cancelled:
                raise
            task.cancel()
            yield await task  # which may have heard from the peer how far it has come
        except StatusError as error:
            yield cast(RetrieveResult, error.response)  # as the peer has ended it
        except AiodicomError as error:
            if progress.latest is None:
                raise _refusal(request, error, Status.UNABLE_TO_PERFORM_SUB_OPERATIONS) from error
            refusal = _refusal(request, error, Status.UNABLE_TO_PERFORM_SUB_OPERATIONS, "its association has ended")
            yield _broken_off(request, refusal, progress.latest)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, AiodicomError):
                await task

    async def _retrieve(self, request: GetRequest, tell: _Tell) -> RetrieveResult:
        """Has the peer send what is asked for, and sends it on. Cancelled by the requestor's C-CANCEL, it returns what
        the peer says to that.
        """
        assert self._retrievals is not None
        receives = [
            (context.abstract_syntax, (context.transfer_syntax,))
            for context in request.association.contexts.values()
            if context.as_scu and context.abstract_syntax in storage_sop_classes()
        ]
        request.association.transport.expect_objects()
        async with self._turn(), self._retrievals(receives) as pool:
            query, model = identifier_of(request), request.sop_class_uid
            async with pool.c_get(query, model, priority=request.priority, on_progress=tell) as retrieved:
                try:
                    async for instance in retrieved:
                        await _to_its_end(_sent_on(instance, request))
                except asyncio.CancelledError:
                    if not request.is_cancelled:
                        raise
                    return await retrieved.cancel()
            assert retrieved.result is not None
            return retrieved.result

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turns.acquire()
        except TimeoutError:
            raise OperationRefused(Status.UNABLE_TO_PERFORM_SUB_OPERATIONS, "too many C-GETs are passed on") from None
        try:
            yield
        finally:
            self._turns.release()

    async def create(self, request: NCreateRequest) -> Answer:
        """Answers an N-CREATE, for a handler of your own. Raises `OperationRefused`."""
        step = request.dataset or Dataset()
        result = await _asked(request, self._pool().n_create(request.sop_class_uid, step, request.sop_instance_uid))
        uid = result.sop_instance_uid or request.sop_instance_uid
        if self._on_step is not None:
            self._on_step(uid, step)
        return Answer(result.status, result.dataset, sop_instance_uid=uid)

    async def set(self, request: NSetRequest) -> Answer:
        """Answers an N-SET, for a handler of your own. Raises `OperationRefused`."""
        step = request.dataset or Dataset()
        result = await _asked(request, self._pool().n_set(request.sop_class_uid, request.sop_instance_uid, step))
        if self._on_step is not None:
            self._on_step(request.sop_instance_uid, step)
        return Answer(result.status, result.dataset)

    async def get(self, request: NGetRequest) -> Answer:
        """Answers an N-GET, for a handler of your own. Raises `OperationRefused`."""
        result = await _asked(
            request,
            self._pool().n_get(
                request.sop_class_uid,
                request.sop_instance_uid,
                request.attributes,
                abstract_syntax=request.context.abstract_syntax,
            ),
        )
        return Answer(result.status, result.dataset)


class _Progress:
    """The latest of the pending responses that nobody has seen: who takes them slowly misses some."""

    def __init__(self) -> None:
        #: The latest of all.
        self.latest: RetrieveResult | None = None
        self._unseen: RetrieveResult | None = None
        self._has_ended = False
        self._changed = asyncio.Event()

    def tell(self, result: RetrieveResult) -> None:
        self.latest = self._unseen = result
        self._changed.set()

    def end(self, _: object) -> None:
        self._has_ended = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[RetrieveResult]:
        while not self._has_ended:
            await self._changed.wait()
            self._changed.clear()
            unseen, self._unseen = self._unseen, None
            if unseen is not None:
                yield unseen


async def _sent_on(instance: StoreRequest, request: GetRequest) -> None:
    """Sends an object that has come to who has asked for it; what that says is what is answered."""
    try:
        response = await request.association.c_store(
            instance.data,
            priority=request.priority,
            sop_class_uid=instance.affected_sop_class_uid,
            sop_instance_uid=instance.affected_sop_instance_uid,
            transfer_syntax=instance.context.transfer_syntax,
        )
        instance.status = response.status
    except StatusError as error:
        instance.status = Status(error.status)


async def _to_its_end(operation: Coroutine[Any, Any, None]) -> None:
    """Waits for an operation that is not cancelled: to stop in the middle of an object would end its association."""
    task = asyncio.ensure_future(operation)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # who has cancelled this has no use for it
        raise


def _broken_off(request: RetrieveRequest, refusal: OperationRefused, latest: RetrieveResult) -> RetrieveResult:
    """The final response to a retrieval in the middle of which the peer has gone."""
    response = response_to(
        request.message,
        Status(refusal.status),
        number_of_completed_suboperations=latest.completed,
        number_of_failed_suboperations=latest.failed,
        number_of_warning_suboperations=latest.warning,
        error_comment=refusal.error_comment,
    )
    return RetrieveResult(cast("CGetRSP | CMoveRSP", response))


async def _asked(request: ServiceRequest, operation: Awaitable[Result]) -> Result:
    try:
        return await operation
    except AiodicomError as error:
        raise _refusal(request, error, Status.PROCESSING_FAILURE) from error


def _refusal(
    request: ServiceRequest, error: AiodicomError, otherwise: Status, why: str = "cannot be asked"
) -> OperationRefused:
    """What is answered when the peer has failed. Where the answer does not say why, the log does."""
    if isinstance(error, OperationRefused):
        return error
    if isinstance(error, StatusError):
        return OperationRefused(error.status, error.error_comment)
    if isinstance(error, ContextNotAccepted):
        return OperationRefused(Status.SOP_CLASS_NOT_SUPPORTED)
    request.association.log(logging.WARNING, "%s could not be passed on: %s", request.message.SERVICE, error)
    if isinstance(error, DeadlineExceeded):
        why = "no answer in time"
    return OperationRefused(otherwise, f"who this is passed on to: {why}"[:_MOST_COMMENT])
