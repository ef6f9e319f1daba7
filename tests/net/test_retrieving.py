"""C-GET, both roles: objects as they come, one at a time, left early, failed, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, Discarded, GetRequest, Server, Spooled, Status, StoreRequest, StudyRoot, SubOperation
from aiodicom.dimse.messages import CGetRSP
from aiodicom.errors import AssociationClosed, ContextNotAccepted, DecodeError, OperationRefused, StatusError
from aiodicom.net.results import retrieve_result
from tests.net.sides import CT, DATA, IMPLICIT, LARGE, MR, part10, soon, until

assert StudyRoot.get is not None
GET = StudyRoot.get
QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")


def connect(port: int, **options: Any) -> Any:
    options = {"contexts": [GET, aiodicom.VERIFICATION], "receives": [(CT, [IMPLICIT])]} | options
    return aiodicom.connect("127.0.0.1", port, **options)


def encoded(number: int, data: bytes = DATA, sop_class: str = CT) -> SubOperation:
    return SubOperation(data, sop_class, f"1.2.{number}", IMPLICIT)


class Scp(Server):
    """Answers C-GET with these; notes what becomes of it."""

    def __init__(self, *things: Any, total: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.things = things
        self.total = total
        self.yielded = 0
        self.ends: list[str] = []
        self.on_c_get(self.get)

    async def get(self, request: GetRequest) -> AsyncIterator[Any]:
        request.total = self.total
        try:
            for thing in self.things:
                self.yielded += 1
                yield thing
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise


async def test_objects_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(part10(instance="1.2.1"))
    data_set = Dataset(SOPClassUID=CT, SOPInstanceUID="1.2.3", PatientName="C")
    server = Scp(path, part10(instance="1.2.2"), data_set, encoded(4, LARGE), total=4)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        retrieved = association.c_get(QUERY)
        found = [(each.affected_sop_instance_uid, bytes(each.data)) async for each in retrieved]
        assert [uid for uid, _ in found] == ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]
        assert found[0][1] == found[1][1] == DATA
        assert Dataset.from_bytes(found[2][1], IMPLICIT).PatientName == "C"
        assert found[3][1] == LARGE
        assert retrieved.result is not None
        assert (retrieved.result.status, retrieved.result.completed) == (Status.SUCCESS, 4)
        assert (retrieved.result.failed, retrieved.result.warning) == (0, 0)
        assert retrieved.result.remaining is None
        await association.c_echo()


async def test_the_next_object_comes_when_it_is_asked_for() -> None:
    server = Scp(*(encoded(number) for number in range(10)))
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port) as association,
        association.c_get(QUERY) as retrieved,
    ):
        await anext(retrieved)
        for _ in range(20):
            await asyncio.sleep(0)
        assert server.yielded <= 2
        await anext(retrieved)
        await until(lambda: server.yielded > 2)


async def test_answers_that_follow_one_another_leave_together() -> None:
    """But the last of them at once: the peer may wait for it."""
    server = Scp(*(encoded(number) for number in range(4)), window=4)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=4) as association:
        async with association.c_get(QUERY) as retrieved:
            await until(lambda: len(retrieved._objects.waiting) == 4)
            written: list[bytes] = []
            connection = association.transport.connection
            association.transport.divert(
                SimpleNamespace(write=written.append, writelines=lambda parts: written.append(b"".join(parts)))
            )
            try:
                uids = [(await anext(retrieved)).affected_sop_instance_uid for _ in range(4)]
                assert not written  # the first three answers wait for the end of the turn
                await asyncio.sleep(0)
                together = [len(each) for each in written]
            finally:
                association.transport.connection = connection
            for each in written:
                connection.write(each)
            uids += [each.affected_sop_instance_uid async for each in retrieved]
        assert uids == ["1.2.0", "1.2.1", "1.2.2", "1.2.3"]
        assert len(together) == 1
        assert written[0].count(b"1.2.") >= 3


@pytest.mark.parametrize("window", [1, 4])
async def test_a_window_has_several_on_their_way(window: int) -> None:
    server = Scp(*(encoded(number) for number in range(100)), window=8)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=window) as association:
        async with association.c_get(QUERY) as retrieved:
            await anext(retrieved)
            await until(lambda: server.yielded >= window)
            assert server.yielded <= window + 1
            uids = [each.affected_sop_instance_uid async for each in retrieved]
        assert sorted(uids, key=lambda uid: int(uid[4:])) == [f"1.2.{number}" for number in range(1, 100)]


async def test_what_the_receiver_answers_counts() -> None:
    server = Scp(*(encoded(number) for number in range(4)))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        retrieved = association.c_get(QUERY)
        statuses = iter([Status.SUCCESS, Status.ELEMENTS_DISCARDED, Status.OUT_OF_RESOURCES, Status.SUCCESS])
        async for each in retrieved:
            each.status = next(statuses)
        assert retrieved.result is not None
        assert retrieved.result.status is Status.SUB_OPERATIONS_COMPLETE_WITH_FAILURES
        assert (retrieved.result.completed, retrieved.result.warning, retrieved.result.failed) == (2, 1, 1)
        assert retrieved.result.failed_sop_instance_uids == ("1.2.2",)


@pytest.mark.parametrize("wrong", ["A700", 0x10000, -1, True, Status.PENDING, object()])
@pytest.mark.parametrize("is_left", [False, True], ids=["to the end", "left"])
async def test_what_is_no_status_is_answered_as_a_failure(
    wrong: Any, is_left: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = Scp(encoded(1), encoded(2))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        async with association.c_get(QUERY) as retrieved:
            (await anext(retrieved)).status = wrong
            if not is_left:
                assert [each.affected_sop_instance_uid async for each in retrieved] == ["1.2.2"]
                assert retrieved.result is not None
                assert retrieved.result.failed_sop_instance_uids == ("1.2.1",)
        await soon(association.c_echo())
    assert "C-STORE failed, log id" in caplog.text


async def test_what_can_not_be_sent_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A SOP class without a context, a file that is not there, one that is no DICOM file."""
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"nothing")
    server = Scp(encoded(1, sop_class=MR), tmp_path / "missing", garbage, encoded(4))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        retrieved = association.c_get(QUERY)
        assert [each.affected_sop_instance_uid async for each in retrieved] == ["1.2.4"]
        assert retrieved.result is not None
        assert (retrieved.result.status, retrieved.result.failed) == (0xB000, 3)
        assert retrieved.result.failed_sop_instance_uids == ("1.2.1",)
    assert "missing" not in caplog.text  # names of files are names of objects


@pytest.mark.parametrize(
    ("element", "uids"),
    [
        (b"UI\0\0", ()),
        (b"UI\4\x001.2\0", ("1.2",)),
        (b"UI\x08\x001.2\\1.3\0", ("1.2", "1.3")),
        (b"US\2\0\1\0", None),
        (b"US\4\0\1\0\2\0", None),
        (b"OB\0\0\2\0\0\0ab", None),
        (b"SQ\0\0\0\0\0\0", None),
    ],
)
def test_what_a_response_says_has_failed(element: bytes, uids: tuple[str, ...] | None) -> None:
    response = CGetRSP(1, Status.SUB_OPERATIONS_COMPLETE_WITH_FAILURES, number_of_failed_suboperations=2)
    data_set = Dataset.from_bytes(b"\x08\0\x58\0" + element, "1.2.840.10008.1.2.1")
    if uids is None:
        with pytest.raises(DecodeError, match=r"Failed SOP Instance UID List is none of UIDs in \(0008,0058\)"):
            retrieve_result(response, data_set)
    else:
        result = retrieve_result(response, data_set)
        assert result.failed_sop_instance_uids == uids
        assert "C-GET B000H SUB_OPERATIONS_COMPLETE_WITH_FAILURES, remaining=None" in repr(result)


async def test_all_have_failed() -> None:
    server = Scp(encoded(1, sop_class=MR), encoded(2, sop_class=MR))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        retrieved = association.c_get(QUERY)
        with pytest.raises(StatusError) as caught:
            await anext(retrieved)
        assert caught.value.status == Status.UNABLE_TO_PERFORM_SUB_OPERATIONS
        assert retrieved.result is caught.value.response
        assert retrieved.result.failed_sop_instance_uids == ("1.2.1", "1.2.2")
        await association.c_echo()


async def test_nothing_to_send_is_success() -> None:
    server = Scp()
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        retrieved = association.c_get(QUERY)
        assert [each async for each in retrieved] == []
        assert retrieved.result is not None
        assert retrieved.result.status is Status.SUCCESS


async def by_break(association: Any) -> None:
    async for _ in association.c_get(QUERY):
        break


async def by_block(association: Any) -> None:
    async with association.c_get(QUERY) as retrieved:
        await anext(retrieved)


async def by_cancel(association: Any) -> None:
    retrieved = association.c_get(QUERY)
    await anext(retrieved)
    result = await retrieved.cancel()
    assert result.status is Status.CANCEL
    assert result.completed >= 1
    assert result.remaining == 1000 - result.completed - result.failed
    assert [each async for each in retrieved] == []


async def by_cancellation(association: Any) -> None:
    started = asyncio.Event()

    async def consume() -> None:
        async for _ in association.c_get(QUERY):
            started.set()

    task = asyncio.create_task(consume())
    await soon(started.wait())
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("leave", [by_break, by_block, by_cancel, by_cancellation])
@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
async def test_left_early_it_is_cancelled_and_the_association_goes_on(leave: Any, data: bytes) -> None:
    server = Scp(*(encoded(number, data) for number in range(1000)), total=1000)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await soon(leave(association))
        await soon(association.c_echo())
        assert server.yielded < 1000
        assert len(server.ends) == 1
        # and another one takes its turn
        await soon(by_cancel(association))


async def test_one_retrieval_after_another() -> None:
    server = Scp(*(encoded(number) for number in range(10)))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=4) as association:

        async def retrieve() -> list[str]:
            return [each.affected_sop_instance_uid async for each in association.c_get(QUERY)]

        both = await soon(asyncio.gather(retrieve(), retrieve()))
        assert both[0] == both[1] == [f"1.2.{number}" for number in range(10)]


async def test_where_objects_go_while_they_arrive() -> None:
    server = Scp(encoded(1, LARGE))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        async for each in association.c_get(QUERY, body=Spooled(above=1000)):
            assert each.file is not None
            assert each.file.read() == LARGE
        async for each in association.c_get(QUERY, body=Discarded()):
            assert each.affected_sop_instance_uid == "1.2.1"


async def test_handlers_of_c_store_get_what_no_retrieval_wants() -> None:
    server, handlers = Server(), aiodicom.Handlers()
    stored = []

    @server.on_n_action
    async def act(request: aiodicom.NActionRequest) -> None:
        await request.association.c_store(part10())

    @handlers.on_c_store
    async def store(request: StoreRequest) -> None:
        stored.append(bytes(request.data))

    async with (
        server.listen("127.0.0.1", 0, backlog=1) as listening,
        connect(listening.port, contexts=["1.2.840.10008.1.20.1"], handlers=handlers) as association,
    ):
        with pytest.raises(StatusError):  # this server accepts no role of SCP for objects
            await association.n_action("1.2.840.10008.1.20.1", "1.2.3", 1)
    assert stored == []
    server = Server(roles=(True, True), contexts=aiodicom.Support({}, default=aiodicom.ANY))
    server.on_n_action(act)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, contexts=["1.2.840.10008.1.20.1"], handlers=handlers) as association,
    ):
        await soon(association.n_action("1.2.840.10008.1.20.1", "1.2.3", 1))
    assert stored == [DATA]


async def test_refused_by_the_handler() -> None:
    server = Server()

    @server.on_c_get
    async def get(request: GetRequest) -> AsyncIterator[Any]:
        yield encoded(1)
        raise OperationRefused(Status.OUT_OF_RESOURCES, "no more")

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        retrieved = association.c_get(QUERY)
        assert (await anext(retrieved)).affected_sop_instance_uid == "1.2.1"
        with pytest.raises(StatusError, match="no more"):
            await anext(retrieved)
        await association.c_echo()


async def test_the_peer_dies_between_objects() -> None:
    server = Scp(encoded(1), encoded(2, LARGE))
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        retrieved = association.c_get(QUERY)
        await anext(retrieved)
        [theirs] = server.associations
        theirs.abort()
        with pytest.raises(aiodicom.errors.RemoteError):
            await soon(anext(retrieved))
        with pytest.raises((AssociationClosed, aiodicom.errors.RemoteError)):
            await soon(anext(association.c_get(QUERY)))
        await association.wait_closed()


async def test_the_receiver_dies_with_an_object_in_hand() -> None:
    server = Scp(*(encoded(number, LARGE) for number in range(3)))
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        retrieved = association.c_get(QUERY)
        await anext(retrieved)
        association.abort()
        with pytest.raises(AssociationClosed):
            await soon(anext(retrieved))
        await association.wait_closed()
        await until(lambda: not server.associations and server.ends)


async def test_without_a_context_nothing_is_asked() -> None:
    server = Scp()
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(ContextNotAccepted):
            association.c_get(QUERY, aiodicom.PatientRoot)
