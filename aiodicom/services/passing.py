"""What is asked here is asked of another SCP, and its answers are given: queries, worklists, performed procedure steps.

async with aiodicom.Pool("pacs", 104, called_aet="PACS") as pool:
    Passing(pool, queries=True, worklist=True, mpps=True).attach(server)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from aiodicom.dataset import Dataset
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
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP, MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE

if TYPE_CHECKING:
    from aiodicom.net.handlers import Handlers
    from aiodicom.net.pool import Pool
    from aiodicom.net.requests import FindRequest, MoveRequest, NCreateRequest, NGetRequest, NSetRequest
    from aiodicom.net.results import Result

__all__ = ["Passing"]

#: The longest Error Comment (0000,0902), a VR of LO.
_MOST_COMMENT: Final = 64

#: Hears of each query, and of each C-MOVE, before it is passed on.
Asked = Callable[["FindRequest | MoveRequest"], None]

#: Hears of what a performed procedure step has become: its SOP Instance UID, and what was created or set.
Stepped = Callable[[str, Dataset], None]


class Passing:
    """Passes requests on to the peer of `pool`, or of the pool that it gives when it is called: C-FIND and C-MOVE of
    both query roots, C-FIND of worklists, and MPPS's N-CREATE, N-SET and N-GET, as they came; data sets may get another
    transfer syntax. What a C-MOVE asks for goes from the peer to the destination, whose AE title is for the peer to
    know.

    A failure is answered as the peer has answered it. What it cannot be asked for is answered with 0122H where it does
    not accept the SOP class, else with A700H (C-FIND), A702H (C-MOVE) or 0110H (N services): C-CANCEL goes on to it.
    """

    def __init__(
        self,
        pool: Pool | Callable[[], Pool],
        *,
        queries: bool = False,
        worklist: bool = False,
        mpps: bool = False,
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

    def attach(self, handlers: Handlers) -> None:
        """Has this perform what is asked in contexts of those SOP classes."""
        if self._found:
            attach(handlers, self._found, on_c_find=self.find)
        if self._moved:
            attach(handlers, self._moved, on_c_move_relayed=self.move)
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
            raise _refusal(error, Status.OUT_OF_RESOURCES) from error

    async def move(self, request: MoveRequest) -> AsyncIterator[RetrieveResult]:
        """Answers a C-MOVE, for a handler of your own (`Handlers.on_c_move_relayed`). Raises `OperationRefused`."""
        if self._on_query is not None:
            self._on_query(request)
        query = identifier_of(request)
        progress = _Progress()
        moving = asyncio.ensure_future(
            self._pool().c_move(
                query,
                request.move_destination,
                request.sop_class_uid,
                priority=request.priority,
                on_progress=progress.tell,
            )
        )
        moving.add_done_callback(progress.end)
        try:
            async for result in progress:
                yield result
            yield await moving
        except StatusError as error:
            yield cast(RetrieveResult, error.response)  # as the peer has ended it
        except AiodicomError as error:
            raise _refusal(error, Status.UNABLE_TO_PERFORM_SUB_OPERATIONS) from error
        finally:
            moving.cancel()
            with suppress(asyncio.CancelledError, AiodicomError):
                await moving

    async def create(self, request: NCreateRequest) -> Answer:
        """Answers an N-CREATE, for a handler of your own. Raises `OperationRefused`."""
        step = request.dataset or Dataset()
        result = await _asked(self._pool().n_create(request.sop_class_uid, step, request.sop_instance_uid))
        uid = result.sop_instance_uid or request.sop_instance_uid
        if self._on_step is not None:
            self._on_step(uid, step)
        return Answer(result.status, result.dataset, sop_instance_uid=uid)

    async def set(self, request: NSetRequest) -> Answer:
        """Answers an N-SET, for a handler of your own. Raises `OperationRefused`."""
        step = request.dataset or Dataset()
        result = await _asked(self._pool().n_set(request.sop_class_uid, request.sop_instance_uid, step))
        if self._on_step is not None:
            self._on_step(request.sop_instance_uid, step)
        return Answer(result.status, result.dataset)

    async def get(self, request: NGetRequest) -> Answer:
        """Answers an N-GET, for a handler of your own. Raises `OperationRefused`."""
        result = await _asked(
            self._pool().n_get(
                request.sop_class_uid,
                request.sop_instance_uid,
                request.attributes,
                abstract_syntax=request.context.abstract_syntax,
            )
        )
        return Answer(result.status, result.dataset)


class _Progress:
    """The latest of the pending responses that nobody has seen: who takes them slowly misses some."""

    def __init__(self) -> None:
        self._latest: RetrieveResult | None = None
        self._has_ended = False
        self._changed = asyncio.Event()

    def tell(self, result: RetrieveResult) -> None:
        self._latest = result
        self._changed.set()

    def end(self, _: object) -> None:
        self._has_ended = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[RetrieveResult]:
        while not self._has_ended:
            await self._changed.wait()
            self._changed.clear()
            latest, self._latest = self._latest, None
            if latest is not None:
                yield latest


async def _asked(operation: Awaitable[Result]) -> Result:
    try:
        return await operation
    except AiodicomError as error:
        raise _refusal(error, Status.PROCESSING_FAILURE) from error


def _refusal(error: AiodicomError, otherwise: Status) -> OperationRefused:
    if isinstance(error, OperationRefused):
        return error
    if isinstance(error, StatusError):
        return OperationRefused(error.status, error.error_comment)
    if isinstance(error, ContextNotAccepted):
        return OperationRefused(Status.SOP_CLASS_NOT_SUPPORTED)
    why = "no answer in time" if isinstance(error, DeadlineExceeded) else "cannot be asked"
    return OperationRefused(otherwise, f"who this is passed on to: {why}"[:_MOST_COMMENT])
