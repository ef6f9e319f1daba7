"""C-MOVE, both roles: where objects go, what becomes of those that do not arrive, and what is told of it meanwhile."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import (
    Dataset,
    Destination,
    MoveRequest,
    Rejection,
    RetrieveResult,
    Server,
    Status,
    StoreRequest,
    StudyRoot,
    SubOperation,
    Timeouts,
)
from aiodicom.errors import LocalError, StatusError
from aiodicom.net.failures import Failures
from aiodicom.net.sources import prepare
from tests.net.raw_scu import C_MOVE_RQ, COMPLETED, FAILED, REMAINING, WARNING, raw_scu
from tests.net.sides import CT, DATA, IMPLICIT, LARGE, MR, part10, soon, until
from tests.rawpeer import A_ABORT, P_DATA_TF, Connection, RawPeer, response

assert StudyRoot.move is not None
MOVE = StudyRoot.move
QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")


def encoded(number: int, data: bytes = DATA, sop_class: str = CT) -> SubOperation:
    return SubOperation(data, sop_class, f"1.2.{number}", IMPLICIT)


class Archive(Server):
    """Answers C-MOVE with these; `sent` of them have been asked for."""

    def __init__(self, *things: Any, total: int | None = None, **options: Any) -> None:
        super().__init__(ae_title="ARCHIVE", **options)
        self.things = things
        self.total = len(things) if total is None else total
        self.yielded = 0
        self.ends: list[str] = []
        self.on_c_move(self.move)

    async def move(self, request: MoveRequest) -> AsyncIterator[Any]:
        request.total = self.total
        try:
            for thing in self.things:
                self.yielded += 1
                yield thing
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise


class Receiver(Server):
    """Keeps what it is sent, and answers with a status by SOP Instance UID."""

    def __init__(self, statuses: dict[str, int] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.statuses = statuses or {}
        self.received: dict[str, bytes] = {}
        self.originators: set[tuple[str | None, int | None]] = set()
        self.on_c_store(self.keep)

    async def keep(self, request: StoreRequest) -> int:
        message = request.message
        self.originators.add((message.move_originator_ae_title, message.move_originator_message_id))
        uid = request.affected_sop_instance_uid
        self.received[uid] = bytes(request.data)
        return self.statuses.get(uid, 0)


@asynccontextmanager
async def moving(archive: Archive) -> AsyncIterator[Any]:
    """An association with the archive."""
    async with (
        archive.listen("127.0.0.1", 0) as listening,
        aiodicom.connect(
            "127.0.0.1",
            listening.port,
            calling_aet="WORKSTATION",
            called_aet="ARCHIVE",
            contexts=[MOVE, aiodicom.VERIFICATION],
        ) as association,
    ):
        yield association


def at(port: int, **options: Any) -> dict[str, Destination]:
    return {"RECEIVER": Destination("127.0.0.1", port, **options)}


async def test_objects_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(part10(instance="1.2.1"))
    data_set = Dataset(SOPClassUID=MR, SOPInstanceUID="1.2.3", PatientName="C")
    receiver = Receiver()
    async with receiver.listen("127.0.0.1", 0) as listening:
        things = (path, part10(instance="1.2.2"), data_set, encoded(4, LARGE))
        async with moving(Archive(*things, destinations=at(listening.port))) as association:
            result = await soon(association.c_move(QUERY, "RECEIVER"))
            await association.c_echo()
    assert (result.status, result.completed, result.failed, result.warning) == (Status.SUCCESS, 4, 0, 0)
    assert result.remaining is None
    assert result.failed_sop_instance_uids == ()
    found = receiver.received
    assert found["1.2.1"] == found["1.2.2"] == DATA
    assert found["1.2.4"] == LARGE
    assert Dataset.from_bytes(found["1.2.3"], "1.2.840.10008.1.2.1").PatientName == "C"
    assert receiver.originators == {("WORKSTATION", 1)}
    assert not receiver.associations


async def test_who_is_told_of_the_progress_may_wait() -> None:
    receiver, told = Receiver(), []

    async def tell(result: RetrieveResult) -> None:
        await asyncio.sleep(0)
        told.append(result.status)

    async with receiver.listen("127.0.0.1", 0) as listening:
        archive = Archive(encoded(1), pending_interval=0, destinations=at(listening.port))
        async with moving(archive) as association:
            await soon(association.c_move(QUERY, "RECEIVER", on_progress=tell))
    assert set(told) == {Status.PENDING}


@pytest.mark.parametrize("kind", ["mapping", "function", "coroutine function"])
async def test_an_unknown_destination(kind: str) -> None:
    asked = []

    def find(title: str, association: aiodicom.Association) -> Destination | None:
        asked.append((title, association.calling_aet))
        return None

    async def find_later(title: str, association: aiodicom.Association) -> Destination | None:
        await asyncio.sleep(0)
        return find(title, association)

    destinations: Any = {"mapping": {}, "function": find, "coroutine function": find_later}[kind]
    archive = Archive(encoded(1), destinations=destinations)
    async with moving(archive) as association:
        with pytest.raises(StatusError, match="move destination unknown") as caught:
            await soon(association.c_move(QUERY, "NOWHERE"))
        assert caught.value.status == Status.MOVE_DESTINATION_UNKNOWN == 0xA801
        await association.c_echo()
    assert archive.yielded == 0
    assert asked == ([] if kind == "mapping" else [("NOWHERE", "WORKSTATION")])


async def all_failed(archive: Archive, count: int) -> None:
    async with moving(archive) as association:
        with pytest.raises(StatusError) as caught:
            await soon(association.c_move(QUERY, "RECEIVER"))
        assert caught.value.status == Status.UNABLE_TO_PERFORM_SUB_OPERATIONS == 0xA702
        result = caught.value.response
        assert isinstance(result, RetrieveResult)
        assert (result.completed, result.failed, result.warning) == (0, count, 0)
        assert sorted(result.failed_sop_instance_uids) == sorted(f"1.2.{number}" for number in range(count))
        await association.c_echo()


async def test_a_destination_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """The log says so once, and at the end how often that was."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    await all_failed(Archive(*map(encoded, range(6)), destinations=at(port)), 6)
    first, last = (record.getMessage().partition("] ")[2] for record in caplog.records)
    why = f"sub-operation of C-MOVE failed: no connection to 127.0.0.1 port {port}: Connection refused"
    assert (first, last) == (f"a {why}", f"6 {why.replace('operation', 'operations')}")


class Logged:
    """An association that keeps what it is to log."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []

    def log(self, level: int, message: str, *arguments: object, error: BaseException | None = None) -> None:
        self.lines.append((level, message % arguments + ("" if error is None else f" ({type(error).__name__})")))


def test_failures_are_logged_by_their_reasons() -> None:
    logged = Logged()
    failures = Failures(logged, "C-GET")  # type: ignore[arg-type]
    refused = StatusError(0xA700, "out of resources")
    full = OSError(28, "No space left on device", "/in/1.2.3.dcm")
    for error in (full, KeyError("PatientName"), refused, full, KeyError("PatientID"), full):
        failures.note(error)
    assert logged.lines == [
        (logging.WARNING, "a sub-operation of C-GET failed: No space left on device"),
        (logging.ERROR, "a sub-operation of C-GET failed (KeyError)"),
        (logging.INFO, f"a sub-operation of C-GET failed: {refused}"),
    ]
    logged.lines.clear()
    failures.end()
    failures.end()
    assert logged.lines == [
        (logging.WARNING, "3 sub-operations of C-GET failed: No space left on device"),
        (logging.ERROR, "2 sub-operations of C-GET failed: KeyError"),
    ]


def test_many_reasons_are_one() -> None:
    logged = Logged()
    failures = Failures(logged, "C-GET")  # type: ignore[arg-type]
    for number in range(2000):
        failures.note(LocalError(f"reason {number}"))
    failures.end()
    assert len(logged.lines) == 18
    assert [text for _, text in logged.lines[-3:]] == [
        "a sub-operation of C-GET failed: reason 15",
        "a sub-operation of C-GET failed: other reasons",
        "1,984 sub-operations of C-GET failed: other reasons",
    ]


async def test_a_destination_that_refuses_the_association() -> None:
    receiver = Receiver()
    receiver.on_association(lambda association: Rejection.CALLING_AE_TITLE_NOT_RECOGNIZED)
    async with receiver.listen("127.0.0.1", 0) as listening:
        await all_failed(Archive(*map(encoded, range(6)), destinations=at(listening.port)), 6)


async def test_a_destination_that_refuses_the_sop_class() -> None:
    receiver = Receiver(contexts=aiodicom.Support({MR: aiodicom.ANY}))
    async with receiver.listen("127.0.0.1", 0) as listening:
        await all_failed(Archive(*map(encoded, range(6)), destinations=at(listening.port)), 6)


async def test_a_destination_that_is_out_of_resources() -> None:
    receiver = Receiver({f"1.2.{number}": Status.OUT_OF_RESOURCES for number in range(6)})
    async with receiver.listen("127.0.0.1", 0) as listening:
        await all_failed(Archive(*map(encoded, range(6)), destinations=at(listening.port)), 6)
    assert len(receiver.received) == 6


async def test_a_destination_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        while peer.receive_pdu()[0] != A_ABORT:
            pass

    with RawPeer(script) as peer:
        destinations = at(peer.port, associations=2, timeouts=Timeouts(dimse=0.05))
        await all_failed(Archive(*map(encoded, range(3)), destinations=destinations), 3)
    assert "3 sub-operations of C-MOVE failed: no C-STORE response within 0.05 s" in caplog.text


async def test_some_fail() -> None:
    """Each for a reason of its own, and what is stored with a warning."""
    receiver = Receiver(
        {"1.2.2": 0xA700, "1.2.3": 0xB007, "1.2.4": 0xC123}, contexts=aiodicom.Support({CT: (IMPLICIT,)})
    )
    things = (
        encoded(1),
        encoded(2),
        encoded(3),
        encoded(4),
        encoded(5, sop_class=MR),
        Path("missing"),
        SubOperation(part10(instance="1.2.6")[:-4], CT, "1.2.6", "1.2.840.10008.1.2.4.50"),
        encoded(7),
    )
    async with (
        receiver.listen("127.0.0.1", 0) as listening,
        moving(Archive(*things, destinations=at(listening.port))) as association,
    ):
        result = await soon(association.c_move(QUERY, "RECEIVER"))
    assert result.status is Status.SUB_OPERATIONS_COMPLETE_WITH_FAILURES == 0xB000
    assert (result.completed, result.failed, result.warning) == (2, 5, 1)
    assert set(result.failed_sop_instance_uids) == {"1.2.2", "1.2.4", "1.2.5", "1.2.6"}
    assert set(receiver.received) == {"1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.7"}


async def test_warnings_alone_are_no_success() -> None:
    receiver = Receiver({"1.2.0": 0xB000, "1.2.1": 0xB000})
    async with (
        receiver.listen("127.0.0.1", 0) as listening,
        moving(Archive(encoded(0), encoded(1), destinations=at(listening.port))) as association,
    ):
        result = await soon(association.c_move(QUERY, "RECEIVER"))
    assert result.status is Status.SUB_OPERATIONS_COMPLETE_WITH_FAILURES
    assert (result.completed, result.failed, result.warning) == (0, 0, 2)
    assert result.failed_sop_instance_uids == ()


class Unreadable:
    """Raises what nobody expects."""

    def tobytes(self) -> bytes:
        raise ZeroDivisionError


async def test_what_fails_unexpectedly_is_no_success(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    things = (encoded(1), SubOperation(Unreadable(), CT, "1.2.2", IMPLICIT))
    async with (
        receiver.listen("127.0.0.1", 0) as listening,
        moving(Archive(*things, destinations=at(listening.port))) as association,
    ):
        result = await soon(association.c_move(QUERY, "RECEIVER"))
    assert (result.status, result.completed, result.failed) == (0xB000, 1, 1)
    assert result.failed_sop_instance_uids == ("1.2.2",)
    assert "ZeroDivisionError" in caplog.text


async def test_more_failures_than_a_short_length_has_room_for() -> None:
    """Two thousand UIDs are more than 64 KiB, which the length of a UI is too short for in explicit VR."""
    receiver = Receiver(contexts=aiodicom.Support({MR: aiodicom.ANY}))
    uids = [f"1.2.840.10008.99999.1234567890.1234567890.1234567890.{number}" for number in range(1, 2001)]
    things = (SubOperation(DATA, CT, uid, IMPLICIT) for uid in uids)
    async with receiver.listen("127.0.0.1", 0) as listening:
        archive = Archive(*things, destinations=at(listening.port))
        async with (
            archive.listen("127.0.0.1", 0) as theirs,
            aiodicom.connect(
                "127.0.0.1", theirs.port, called_aet="ARCHIVE", contexts=[(MOVE, ["1.2.840.10008.1.2.1"])]
            ) as association,
        ):
            with pytest.raises(StatusError) as caught:
                await soon(association.c_move(QUERY, "RECEIVER"))
    assert isinstance(caught.value.response, RetrieveResult)
    assert sorted(caught.value.response.failed_sop_instance_uids) == sorted(uids)


async def test_a_destination_that_dies_within_an_object() -> None:
    """The association is reset when a part of the second object has come: what was on it fails, the rest goes on."""
    received = []

    def script(peer: Connection) -> None:
        peer.accept()
        is_first = theirs.connections == 1
        while (request := peer.message()) is not None:
            received.append(request.text(0x1000))
            peer.send(response(request))
            if is_first:
                pdu_type, _ = peer.receive_pdu()
                assert pdu_type == P_DATA_TF
                peer.receive_pdu()
                peer.reset()
                return

    with RawPeer(script) as theirs:
        things = [encoded(number, LARGE) for number in range(5)]
        archive = Archive(*things, destinations=at(theirs.port, associations=1))
        async with moving(archive) as association:
            result = await soon(association.c_move(QUERY, "RECEIVER"))
    assert (result.status, result.completed, result.failed) == (0xB000, 4, 1)
    assert result.failed_sop_instance_uids == ("1.2.1",)
    assert received == ["1.2.0", "1.2.2", "1.2.3", "1.2.4"]


class Slow(Receiver):
    """Answers when it is told to."""

    def __init__(self, **options: Any) -> None:
        self.tickets = asyncio.Semaphore(0)
        self.waiting = self.most = 0
        super().__init__(**options)

    async def keep(self, request: StoreRequest) -> int:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.tickets.acquire()
        self.waiting -= 1
        return await super().keep(request)


@pytest.mark.parametrize("window", [1, 8])
async def test_cancelled(window: int) -> None:
    """What has begun ends, nothing else is begun, and the numbers say so."""
    receiver = Slow(window=window)
    told: list[RetrieveResult] = []
    async with receiver.listen("127.0.0.1", 0) as listening:
        archive = Archive(
            *map(encoded, range(100)), destinations=at(listening.port, associations=2), pending_interval=0.001
        )
        async with moving(archive) as association:
            task = asyncio.create_task(association.c_move(QUERY, "RECEIVER", on_progress=told.append))
            receiver.tickets.release()  # one answer, and then as many at a time as go
            await until(lambda: receiver.waiting == 2 * window and told)
            task.cancel()
            await asyncio.wait([task])
            await until(lambda: archive.ends)
            assert len(receiver.received) == 1
            for _ in range(2 * window):
                receiver.tickets.release()
            await until(lambda: not receiver.associations)
            await soon(association.c_echo())
            assert len(receiver.received) == 2 * window + 1
            assert archive.yielded == 2 * window + 2
            assert all((each.completed, each.failed) in ((0, 0), (1, 0)) for each in told)
            assert all(each.completed + each.remaining == 100 for each in told)


@pytest.mark.parametrize(("are_files", "most"), [(True, 1 + 8 + 1), (False, 1 + 1)])
async def test_what_is_in_files_is_asked_for_ahead(are_files: bool, most: int, tmp_path: Path) -> None:
    """So that it can be read meanwhile; what is not takes memory."""
    things: list[Any] = [encoded(number) for number in range(30)]
    if are_files:
        for number in range(30):
            path = tmp_path / f"{number}.dcm"
            path.write_bytes(part10(bytes(100_000) if number % 2 else DATA, instance=f"1.2.{number}"))
            things[number] = prepare(path).source
    receiver = Slow(window=1)
    async with receiver.listen("127.0.0.1", 0) as listening:
        archive = Archive(*things, destinations=at(listening.port, associations=1))
        async with moving(archive) as association:
            task = asyncio.create_task(association.c_move(QUERY, "RECEIVER"))
            await until(lambda: receiver.waiting == 1)
            for _ in range(20):
                await asyncio.sleep(0)
            assert archive.yielded <= most
            for _ in things:
                receiver.tickets.release()
            assert (await soon(task)).completed == 30
        assert list(receiver.received) == [f"1.2.{number}" for number in range(30)]


async def test_the_numbers_when_cancelled() -> None:
    """FE00H with how many were sent, failed and were not."""
    receiver = Slow(window=1)
    receiver.statuses["1.2.0"] = Status.OUT_OF_RESOURCES
    for _ in range(3):
        receiver.tickets.release()
    async with receiver.listen("127.0.0.1", 0) as listening:
        archive = Archive(*map(encoded, range(100)), destinations=at(listening.port, associations=1))
        cancelled = asyncio.Event()
        archive.on_c_cancel(lambda request: cancelled.set())
        async with archive.listen("127.0.0.1", 0) as theirs, raw_scu(theirs.port, MOVE, called_aet="ARCHIVE") as scu:
            await scu.ask(C_MOVE_RQ, 7, "RECEIVER")
            await until(lambda: len(receiver.received) == 3 and receiver.waiting == 1)
            await scu.cancel(7)
            await soon(cancelled.wait())
            receiver.tickets.release()
            final = await scu.final()
    assert final.number(0x0900) == Status.CANCEL == 0xFE00
    assert (final.number(COMPLETED), final.number(FAILED), final.number(WARNING)) == (3, 1, 0)
    assert final.number(REMAINING) == 96
    failed = Dataset.from_bytes(final.data, IMPLICIT)
    assert failed.FailedSOPInstanceUIDList == "1.2.0"


@pytest.mark.parametrize("wrong", [{"port": 0}, {"port": 65536}, {"associations": 0}])
def test_a_destination_that_can_not_be(wrong: dict[str, int]) -> None:
    with pytest.raises(LocalError):
        Destination("127.0.0.1", **wrong)  # type: ignore[arg-type]
