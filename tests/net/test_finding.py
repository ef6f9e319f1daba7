"""C-FIND, both roles: matches as they come, held up, left early, cancelled, refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, FindRequest, ModalityWorklist, PatientRoot, Server, Status, StudyRoot
from aiodicom.errors import AssociationAborted, AssociationClosed, LocalError, OperationRefused, StatusError
from tests.net.sides import soon, until

assert StudyRoot.find is not None
FIND = StudyRoot.find
#: How names are written.
UTF_8 = {"SpecificCharacterSet": "ISO_IR 192"}
QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientName="")


def connect(port: int, **options: Any) -> Any:
    return aiodicom.connect("127.0.0.1", port, **({"contexts": [FIND, aiodicom.VERIFICATION]} | options))


def study(number: int) -> Dataset:
    return Dataset(
        QueryRetrieveLevel="STUDY", StudyInstanceUID=f"1.2.{number}", PatientName=f"Müller^{number}", **UTF_8
    )


async def asynchronous(request: FindRequest) -> AsyncIterator[Dataset]:
    for number in range(100):
        yield study(number)


def plain(request: FindRequest) -> Iterator[Dataset]:
    for number in range(100):
        yield study(number)


async def waiting(request: FindRequest) -> AsyncIterator[Dataset]:
    for number in range(100):
        await asyncio.sleep(0)
        yield study(number)


async def a_list(request: FindRequest) -> list[Dataset]:
    return [study(number) for number in range(100)]


@pytest.mark.parametrize("handler", [asynchronous, plain, waiting, a_list])
async def test_matches_in_their_order(handler: Any) -> None:
    server = Server()
    seen = []

    def find(request: FindRequest) -> Any:
        seen.append((request.level, request.identifier.PatientName, request.priority, request.sop_class_uid))
        return handler(request)

    server.on_c_find(find)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        matches = association.c_find(QUERY, priority=1)
        found = [match.StudyInstanceUID async for match in matches]
        assert found == [f"1.2.{number}" for number in range(100)]
        assert matches.response is not None
        assert matches.response.status is Status.SUCCESS
        assert not matches.keys_unsupported
        assert [match.PatientName async for match in association.c_find(QUERY, StudyRoot)][7] == "Müller^7"
    assert seen[0] == ("STUDY", "", 1, FIND)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
async def test_identifiers_are_in_the_transfer_syntax_of_the_context(syntax: str) -> None:
    server = Server()
    server.on_c_find(plain)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, contexts=[(FIND, [syntax])]) as association,
    ):
        found = [match async for match in association.c_find(QUERY)]
        assert {match.transfer_syntax for match in found} == {syntax}
        assert found[99].PatientName == "Müller^99"


async def test_a_warning_with_a_match() -> None:
    server = Server()

    @server.on_c_find
    async def find(request: FindRequest) -> AsyncIterator[Any]:
        yield Status.PENDING_WARNING, study(1)
        yield study(2)

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        matches = association.c_find(QUERY)
        assert [match.StudyInstanceUID async for match in matches] == ["1.2.1", "1.2.2"]
        assert matches.keys_unsupported


class Endless:
    """A handler that yields until it is stopped, and notes how."""

    def __init__(self, server: Server, **values: Any) -> None:
        self.match = Dataset(StudyInstanceUID="1.2.3", **values)
        self.ends: list[str] = []
        self.cancelled: list[int] = []
        self.yielded = 0
        server.on_c_find(self.find)
        server.on_c_cancel(lambda request: self.cancelled.append(request.message_id))

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        try:
            while True:
                await asyncio.sleep(0)
                self.yielded += 1
                yield self.match
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise


async def by_break(association: Any) -> None:
    async for _ in association.c_find(QUERY):
        break


async def by_block(association: Any) -> None:
    async with association.c_find(QUERY) as matches:
        async for _ in matches:
            break


async def by_exception(association: Any) -> None:
    async def fail() -> None:
        async with association.c_find(QUERY) as matches:
            async for _ in matches:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


async def by_cancel(association: Any) -> None:
    matches = association.c_find(QUERY)
    await anext(matches)
    response = await matches.cancel()
    assert response.status is Status.CANCEL
    assert [match async for match in matches] == []


async def by_cancellation(association: Any) -> None:
    started = asyncio.Event()

    async def consume() -> None:
        async for _ in association.c_find(QUERY):
            started.set()

    task = asyncio.create_task(consume())
    await soon(started.wait())
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("leave", [by_break, by_block, by_exception, by_cancel, by_cancellation])
async def test_left_early_it_is_cancelled_and_the_association_goes_on(leave: Any) -> None:
    server = Server()
    endless = Endless(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await soon(leave(association))
        await soon(association.c_echo())  # whose turn comes when the final response is there
        assert len(endless.ends) == len(endless.cancelled) == 1
        assert endless.ends[0] in ("CancelledError", "GeneratorExit")


async def test_a_handler_that_waits_is_interrupted_by_c_cancel() -> None:
    server = Server()
    ended = []

    @server.on_c_find
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield study(1)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(request.is_cancelled)
            raise

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        matches = association.c_find(QUERY)
        await anext(matches)
        assert (await soon(matches.cancel())).status is Status.CANCEL
        assert ended == [True]


async def test_c_cancel_reaches_a_request_that_waits_for_its_turn() -> None:
    server = Server(window=0)
    endless = Endless(server)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, window=2) as association,
    ):
        first, second = association.c_find(QUERY), association.c_find(QUERY)
        await anext(first)
        await anext(second)
        assert (await soon(second.cancel())).status is Status.CANCEL
        await anext(first)
        assert (await soon(first.cancel())).status is Status.CANCEL
        assert sorted(endless.cancelled) == [1, 2]


async def test_a_c_cancel_for_nothing_changes_nothing() -> None:
    server = Server()
    server.on_c_find(plain)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        association.invoker.cancel(association.accepted(FIND)[0], 77)
        assert len([match async for match in association.c_find(QUERY)]) == 100


async def test_one_query_within_another() -> None:
    server = Server()
    server.on_c_find(lambda request: (study(number) for number in range(3000)))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        count = 0
        async for _ in association.c_find(QUERY):
            count += 1
            if count == 1:
                assert len([match async for match in association.c_find(QUERY)]) == 3000
        assert count == 3000


async def test_a_peer_whose_matches_are_not_taken_is_held_up() -> None:
    server = Server()
    endless = Endless(server, TextValue="x" * 500_000)  # so that the system's buffers are full soon
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        async with association.c_find(QUERY):
            await until(lambda: association.transport.protocol.paused_since is not None)
            [theirs] = server.associations
            await until(lambda: theirs.transport.is_blocked)
            held = -1
            async with asyncio.timeout(10):
                while held != endless.yielded:  # from one buffer of the system to the other more may still go
                    held = endless.yielded
                    for _ in range(20):
                        await asyncio.sleep(0)
            await until(lambda: theirs.transport.is_blocked)
            assert held < 256  # some 128 MB, more than the system's buffers have
        await soon(association.c_echo())


async def test_refused_by_the_handler() -> None:
    server = Server()

    @server.on_c_find
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield study(1)
        raise OperationRefused(Status.OUT_OF_RESOURCES, "too many", (0x00100010,))

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        matches = association.c_find(QUERY)
        assert (await anext(matches)).StudyInstanceUID == "1.2.1"
        with pytest.raises(StatusError) as caught:
            await anext(matches)
        assert (caught.value.status, caught.value.error_comment) == (Status.OUT_OF_RESOURCES, "too many")
        assert caught.value.response.offending_elements == (0x00100010,)  # type: ignore[attr-defined]
        await association.c_echo()


@pytest.mark.parametrize("match", ["text", (Status.SUCCESS, study(1)), 7])
async def test_what_is_no_match_fails(match: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = Server()

    @server.on_c_find
    async def find(request: FindRequest) -> AsyncIterator[Any]:
        yield match

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError) as caught:
            await anext(association.c_find(QUERY))
        assert caught.value.status == Status.UNABLE_TO_PROCESS
    assert "C-FIND failed" in caplog.text


async def test_handlers_end_with_their_association() -> None:
    server = Server()
    endless = Endless(server)
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        matches = association.c_find(QUERY)
        await anext(matches)
        association.abort()
        with pytest.raises(AssociationClosed):
            [match async for match in matches]
        await association.wait_closed()
        await until(lambda: endless.ends)
        assert endless.cancelled == []


async def test_the_peer_dies_between_matches() -> None:
    server = Server()

    @server.on_c_find
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield study(1)
        request.association.abort()
        await asyncio.Event().wait()

    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        matches = association.c_find(QUERY)
        assert (await anext(matches)).StudyInstanceUID == "1.2.1"
        with pytest.raises(AssociationAborted):
            await soon(anext(matches))
        await association.wait_closed()


async def test_what_can_not_be_asked() -> None:
    server = Server()
    server.on_c_find(plain)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(LocalError, match="no presentation context was proposed for"):
            association.c_find(QUERY, PatientRoot)
        with pytest.raises(LocalError, match="has no C-MOVE"):
            await association.c_move(QUERY, "ME", ModalityWorklist)
        with pytest.raises(LocalError, match="priority"):
            association.c_find(QUERY, priority=3)
        with pytest.raises(TypeError):
            association.c_find("STUDY")


async def test_default_contexts_follow_the_handlers() -> None:
    server = Server()
    assert server.sop_classes() == {aiodicom.VERIFICATION}
    server.on_c_find(plain)
    assert {FIND, PatientRoot.find, ModalityWorklist.find} < server.sop_classes()
    assert StudyRoot.move not in server.sop_classes()
    server.on_n_create(lambda request: None)
    assert "1.2.840.10008.3.1.2.3.3" in server.sop_classes()
    assert "1.2.840.10008.5.1.4.1.1.2" not in server.sop_classes()


async def test_names_that_the_character_set_lacks_are_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    asked = []

    @server.on_c_find
    def find(request: FindRequest) -> Iterator[Dataset]:
        asked.append(request.identifier)
        yield Dataset(QueryRetrieveLevel="STUDY", PatientName="Müller^山田")

    advice = r"PatientName .*set SpecificCharacterSet=\"ISO_IR 192\""
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(LocalError, match=advice):
            [match async for match in association.c_find(Dataset(QueryRetrieveLevel="STUDY", PatientName="山*"))]
        assert not asked
        with pytest.raises(StatusError):
            [match async for match in association.c_find(QUERY)]
    assert re.search(advice, caplog.text)
