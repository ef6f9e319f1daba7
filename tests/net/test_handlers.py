"""What handlers are given, and what becomes of what they return and raise."""

from __future__ import annotations

import asyncio
import copy
import errno
import functools
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import aiodicom
from aiodicom.dimse.messages import CEchoRQ
from aiodicom.errors import LocalError, OperationRefused, StatusError
from tests.net.sides import CT, CT_UIDS, DATA, IMPLICIT, Requestor, connect, echo, soon, store, until

KINDS = pytest.mark.parametrize("kind", ["plain", "async", "future"])


def of_kind(kind: str, function: Any) -> Any:
    """The function as it is; or as a coroutine function that first lets others run; or as one that returns a future."""
    if kind == "plain":
        return function

    if kind == "future":

        @functools.wraps(function)
        def promising(request: Any) -> asyncio.Future[Any]:
            loop = asyncio.get_running_loop()
            answer = loop.create_future()

            def keep_promise() -> None:
                try:
                    answer.set_result(function(request))
                except asyncio.CancelledError:
                    answer.cancel()
                except Exception as error:
                    answer.set_exception(error)

            loop.call_soon(keep_promise)
            return answer

        return promising

    @functools.wraps(function)
    async def asynchronous(request: Any) -> Any:
        await asyncio.sleep(0)
        return function(request)

    return asynchronous


@KINDS
async def test_handlers_see_the_request_and_the_association(kind: str) -> None:
    server = aiodicom.Server("STORE")
    seen: list[Any] = []

    def on_echo(request: aiodicom.EchoRequest) -> None:
        seen.append((request.message_id, request.context.abstract_syntax, request.message.affected_sop_class_uid))

    def on_store(request: aiodicom.StoreRequest) -> aiodicom.Status:
        association = request.association
        seen.append((association.calling_aet, association.called_aet, association.peer.split(":")[0]))
        seen.append((request.affected_sop_class_uid, request.affected_sop_instance_uid, request.priority))
        seen.append((request.context.transfer_syntax, bytes(request.data), request.file))
        assert association in server.associations
        return aiodicom.Status.SUCCESS

    server.on_c_echo(of_kind(kind, on_echo))
    server.on_c_store(of_kind(kind, on_store))
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, calling_aet="ME", called_aet="STORE") as association,
    ):
        assert (await association.c_echo()).status == 0
        response = await association.c_store(DATA, priority=2, **CT_UIDS)
    assert (response.status, response.affected_sop_class_uid, response.affected_sop_instance_uid) == (0, CT, "1.2.3")
    verification = aiodicom.VERIFICATION
    assert seen == [
        (1, verification, verification),
        ("ME", "STORE", "127.0.0.1"),
        (CT, "1.2.3", 2),
        (IMPLICIT, DATA, None),
    ]


@KINDS
async def test_a_handler_that_raises_tells_the_peer_a_log_id_only(kind: str, caplog: Any) -> None:
    server = aiodicom.Server()

    def fail(request: Any) -> None:
        raise KeyError("DOE^JOHN")

    server.on_c_echo(of_kind(kind, fail))
    server.on_c_store(of_kind(kind, fail))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        for operation in (association.c_echo, lambda: association.c_store(DATA, **CT_UIDS)):
            caplog.clear()
            with pytest.raises(StatusError) as failure:
                await operation()
            assert failure.value.status == 0x0110
            comment = failure.value.error_comment or ""
            assert "DOE" not in comment
            assert "KeyError" not in comment
            log_id = comment.rpartition(" ")[2]
            assert len(log_id) == 8
            (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
            assert log_id in record.getMessage()
            assert record.exc_info[0] is KeyError
        assert association.is_open
    assert (server.counters.operations, server.counters.failures, server.counters.aborts) == (2, 2, 0)


@KINDS
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
async def test_a_lack_of_resources_has_its_own_status(kind: str, number: int) -> None:
    server = aiodicom.Server()

    def fail(request: Any) -> None:
        raise OSError(number, "full")

    server.on_c_store(of_kind(kind, fail))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError) as failure:
            await association.c_store(DATA, **CT_UIDS)
        assert failure.value.status == 0xA700
        assert (await association.c_echo()).status == 0


@KINDS
async def test_a_cancellation_of_the_handlers_own_is_a_failure_of_it(kind: str) -> None:
    server = aiodicom.Server()

    def fail(request: Any) -> None:
        cancelled = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        cancelled.result()

    server.on_c_echo(of_kind(kind, fail))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        for _ in range(2):
            with pytest.raises(StatusError) as failure:
                await soon(association.c_echo())
            assert failure.value.status == 0x0110


@KINDS
@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB123])
async def test_a_warning_is_returned(kind: str, status: int) -> None:
    server = aiodicom.Server()
    server.on_c_store(of_kind(kind, lambda request: status))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        response = await association.c_store(DATA, **CT_UIDS)
    assert response.status == status
    assert server.counters.failures == 0


@KINDS
async def test_a_failure_status_is_answered_as_it_is(kind: str) -> None:
    server = aiodicom.Server()
    server.on_c_store(of_kind(kind, lambda request: aiodicom.Status(0xC123)))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError, match="C123H") as failure:
            await association.c_store(DATA, **CT_UIDS)
        assert failure.value.error_comment is None
    assert server.counters.failures == 1


@KINDS
@pytest.mark.parametrize("answer", ["fine", -1, 0x10000, 1.5, (0,), 0xFF00], ids=str)
async def test_an_answer_that_is_no_final_status_is_a_failure(kind: str, answer: Any) -> None:
    server = aiodicom.Server()
    server.on_c_store(of_kind(kind, lambda request: answer))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError) as failure:
            await soon(association.c_store(DATA, **CT_UIDS))
        assert failure.value.status == 0x0110
        assert (await association.c_echo()).status == 0


async def test_a_handler_of_c_store_may_come_after_the_first_association() -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port) as association:
            assert association.accepted(CT) == []
        server.on_c_store(lambda request: None)
        async with connect(listening.port) as association:
            assert len(association.accepted(CT)) == 1


async def test_what_nobody_handles_is_an_unrecognized_operation() -> None:
    support = aiodicom.Support({CT: aiodicom.ANY, aiodicom.VERIFICATION: aiodicom.ANY})
    server = aiodicom.Server(contexts=support)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError) as failure:
            await association.c_store(DATA, **CT_UIDS)
        assert failure.value.status == 0x0211
        assert (await association.c_echo()).status == 0


async def test_handlers_are_cancelled_when_their_association_dies() -> None:
    server = aiodicom.Server()
    started, cancelled = asyncio.Event(), asyncio.Event()

    @server.on_c_echo
    async def wait(request: aiodicom.EchoRequest) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with server.listen("127.0.0.1", 0) as listening, await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(echo())
        await soon(started.wait())
        requestor.reset()
        await soon(cancelled.wait())
        await until(lambda: not server.associations)
    assert server.counters.operations == 0


async def test_a_request_whose_association_dies_before_its_handler_begins_leaves_nothing(tmp_path: Any) -> None:
    server = aiodicom.Server()
    bodies: list[Any] = []

    def spool(request: aiodicom.StoreRequest) -> Any:
        body = aiodicom.Spooled(above=100, directory=tmp_path)(request)
        bodies.append(body)
        return body

    @server.on_c_store(body=spool)
    async def never(request: aiodicom.StoreRequest) -> None:
        raise AssertionError("the association is over")

    async with server.listen("127.0.0.1", 0) as listening, await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(store(data=bytes(1000)), b"\x07\0\0\0\0\4\0\0\0\0")  # A-ABORT in the same segment
        await until(lambda: bodies and not server.associations)
    assert bodies[0].spilled.file.closed


def test_a_handler_that_streams_has_to_be_async() -> None:
    with pytest.raises(LocalError):
        aiodicom.Server().on_c_store(lambda request: None, body=aiodicom.Streamed())


async def test_refused_requests_are_counted_with_those_that_failed() -> None:
    server = aiodicom.Server()
    server.on_c_store(lambda request: None)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await association.c_store(DATA, **CT_UIDS)
        with pytest.raises(StatusError, match="0117H"):
            await association.c_store(DATA, **(CT_UIDS | {"sop_instance_uid": ".."}))
        assert (server.counters.operations, server.counters.failures) == (2, 1)


@KINDS
async def test_who_hears_of_refusals(kind: str) -> None:
    server = aiodicom.Server()
    heard: list[aiodicom.Refusal] = []
    errors = [OperationRefused(0xA900, "no"), ValueError("no"), OSError(errno.ENOSPC, "no room")]

    def refuse(request: aiodicom.StoreRequest) -> None:
        raise errors[len(heard) - 1]

    server.on_c_store(of_kind(kind, refuse))

    @server.on_refusal
    def hear(refusal: aiodicom.Refusal) -> None:
        heard.append(refusal)
        raise ValueError("who hears fails")

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        for uid in ("..", "1.2.1", "1.2.2", "1.2.3"):
            with pytest.raises(StatusError):
                await association.c_store(DATA, **(CT_UIDS | {"sop_instance_uid": uid}))
    assert [each.message.affected_sop_instance_uid for each in heard] == ["..", "1.2.1", "1.2.2", "1.2.3"]
    assert [each.status for each in heard] == [0x0117, 0xA900, 0x0110, 0xA700]
    assert [each.error for each in heard] == [None, *errors]
    assert all(each.association.is_acceptor for each in heard)


def test_who_hears_of_refusals_is_a_plain_function() -> None:
    async def hear(refusal: aiodicom.Refusal) -> None: ...

    with pytest.raises(LocalError, match="plain"):
        aiodicom.Server().on_refusal(hear)


@pytest.mark.parametrize("wrong", [5, None, aiodicom.Streamed(), aiodicom.Discarded()])
def test_what_is_no_handler(wrong: Any) -> None:
    server = aiodicom.Server()
    with pytest.raises(LocalError, match="body="):
        server.on_c_echo(wrong)
    if wrong is not None:  # None registers what is decorated
        with pytest.raises(LocalError, match="body="):
            server.on_c_store(wrong)


async def test_a_promised_answer_is_cancelled_when_the_association_ends() -> None:
    server = aiodicom.Server()
    promised: list[asyncio.Future[aiodicom.Status]] = []

    @server.on_c_store
    def promise(request: aiodicom.StoreRequest) -> asyncio.Future[aiodicom.Status]:
        promised.append(asyncio.get_running_loop().create_future())
        return promised[-1]

    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        storing = asyncio.create_task(association.c_store(DATA, **CT_UIDS))
        await until(lambda: bool(promised))
        association.abort()
        await until(promised[0].cancelled)
        with pytest.raises(aiodicom.errors.AssociationClosed):
            await storing


async def nothing(request: aiodicom.EchoRequest) -> None:
    """Found by its name when it is unpickled."""


@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda handlers: pickle.loads(pickle.dumps(handlers))])
def test_copies_of_handlers_start_tasks_of_their_own(
    make_copy: Callable[[aiodicom.Handlers], aiodicom.Handlers],
) -> None:
    handlers = aiodicom.Handlers()
    handlers.on_c_echo(nothing)
    copied = make_copy(handlers)
    assert copied.starter is not handlers.starter
    assert copied.by_kind[CEchoRQ].function is nothing
