"""Many files to a peer that is only imagined: which file goes on which association, and what is heard of each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ConnectionLost,
    ContextNotAccepted,
    StatusError,
)
from aiodicom.net.sources import FileStamp, KnownFile
from aiodicom.net.transcoding import Transcoding, alternatives
from aiodicom.part10.meta import FileMeta
from aiodicom.services import sending
from aiodicom.services.scan import Unusable
from aiodicom.services.sending import StoreJob
from aiodicom.services.stopping import Interrupted
from aiodicom.standard.status import Status

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT, DEFLATED, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
#: What is proposed for a native object besides explicit VR little endian.
OTHERS = (IMPLICIT, DEFLATED, BIG)
LOSSLESS = alternatives(EXPLICIT, Transcoding.LOSSLESS)[1]
JPEG = "1.2.840.10008.1.2.4.50"
STAMP = FileStamp(device=1, inode=1, size=1000, changed=0)

Answer = Callable[[str, "FakeAssociation"], Awaitable[Status]]


def files(count: int, kinds: int = 1) -> list[KnownFile | Unusable]:
    """So many files of so many pairs of SOP class and transfer syntax, in turn."""
    return [
        KnownFile(f"file{number}", FileMeta(f"{CT}.{number % kinds}", f"1.2.{number}", EXPLICIT, 300), STAMP)
        for number in range(count)
    ]


async def succeed(path: str, association: FakeAssociation) -> Status:
    await asyncio.sleep(0)
    return Status.SUCCESS


class FakeAssociation:
    """An association whose peer is the function `answer`."""

    is_blocked = sends_files = False

    def __init__(self, contexts: Sequence[tuple[str, Sequence[str]]], answer: Answer, window: int = 1) -> None:
        self.contexts = [(abstract, *syntaxes) for abstract, syntaxes in contexts]
        self.window = window
        self.is_open = True
        self.error: BaseException | None = None
        self.stored: list[str] = []
        self.outstanding = 0
        self.most_outstanding = 0
        self.end = ""
        self.ended = asyncio.Event()
        self._answer = answer
        self.begun: dict[asyncio.Task[None], Any] = {}

    def begin(self, file: KnownFile, token: Any) -> bool:
        task = asyncio.create_task(self._tell(file, token))
        self.begun[task] = token
        return True

    async def _tell(self, file: KnownFile, token: Any) -> None:
        task = asyncio.current_task()
        try:
            response = await self.c_store(file, transcode="")
        except StatusError as error:
            response = SimpleNamespace(
                status=Status(error.status), error_comment=error.error_comment, SERVICE="C-STORE"
            )
        except Exception as error:
            if task in self.begun:
                token.set_exception(error)
            return
        finally:
            assert task is not None
            is_awaited = self.begun.pop(task, None) is not None
        if is_awaited:
            token.set_result(SimpleNamespace(message=response))

    async def c_store(self, file: KnownFile, *, transcode: str) -> Any:
        assert self.is_open
        self.outstanding += 1
        self.most_outstanding = max(self.most_outstanding, self.outstanding)
        try:
            status = await self._answer(file.path, self)
        finally:
            self.outstanding -= 1
        self.stored.append(file.path)
        return SimpleNamespace(status=status)

    def die(self, error: Exception) -> Exception:
        self.is_open = False
        self.error = error
        return error

    async def release(self) -> None:
        self.ended.set()
        if self.end != "aborted":
            self.end = "died" if self.error is not None else "released"
        self.is_open = False
        if self.error is not None:
            raise self.error

    def abort(self) -> None:
        self.is_open = False
        self.end = "aborted"
        while self.begun:
            task, token = self.begun.popitem()
            task.cancel()
            token.set_exception(AssociationClosed("aborted"))


@pytest.fixture(autouse=True, params=["awaited", "begun"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether every file has a task that awaits its response, as if it had to wait for something, or most have none."""
    if request.param == "begun":
        opened = type("Opened", (KnownFile,), {"close": lambda self: None})
        monkeypatch.setattr(sending, "open_source", lambda file: opened(*file))
        monkeypatch.setattr(sending, "_begin_store", lambda file, association, token: association.begin(file, token))
    return str(request.param)


class Peer:
    """Makes associations and remembers them."""

    def __init__(self, answer: Answer = succeed, window: int = 1) -> None:
        self.associations: list[FakeAssociation] = []
        self.opened = asyncio.Event()
        self.answer = answer
        self.window = window

    async def connect(self, contexts: Sequence[tuple[str, Sequence[str]]]) -> Any:
        await asyncio.sleep(0)
        association = FakeAssociation(contexts, self.answer, self.window)
        self.associations.append(association)
        self.opened.set()
        return association

    @property
    def stored(self) -> list[str]:
        return [path for association in self.associations for path in association.stored]


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.stored: dict[str, Status] = {}
        self.errors: dict[str, BaseException] = {}
        self.not_tried: dict[str, BaseException] = {}
        self.no_dicom: dict[str, str] = {}
        self.associations: list[BaseException] = []

    def sent(self, file: KnownFile, status: Status) -> None:
        self.once(file.path)
        self.stored[file.path] = status

    def failed(self, path: str, error: BaseException) -> None:
        self.once(path)
        self.errors[path] = error

    def unsent(self, path: str, error: BaseException) -> None:
        self.once(path)
        self.not_tried[path] = error

    def skipped(self, path: str, reason: str) -> None:
        self.once(path)
        self.no_dicom[path] = reason

    def association_failed(self, error: BaseException) -> None:
        self.associations.append(error)

    def once(self, path: str) -> None:
        assert path not in self.stored.keys() | self.errors.keys() | self.not_tried.keys() | self.no_dicom.keys()

    @property
    def count(self) -> int:
        return len(self.stored) + len(self.errors) + len(self.not_tried) + len(self.no_dicom)


async def job(
    peer: Peer, entries: Sequence[KnownFile | Unusable], *, stop: asyncio.Event | None = None, **options: Any
) -> Heard:
    heard = Heard()
    work = StoreJob(iter(entries), peer.connect, heard, **options)
    await work.run(stop or asyncio.Event())
    assert heard.count == len(entries)
    assert work.is_scanned or (stop is not None and stop.is_set())
    return heard


async def test_every_file_once_and_in_order() -> None:
    peer = Peer()
    heard = await job(peer, files(1000))
    (association,) = peer.associations
    assert association.stored == [f"file{number}" for number in range(1000)]
    assert association.end == "released"
    assert association.contexts == [(f"{CT}.0", EXPLICIT), (f"{CT}.0", *OTHERS), (f"{CT}.0", *LOSSLESS)]
    assert set(heard.stored.values()) == {Status.SUCCESS}


async def test_nothing_to_send_opens_nothing() -> None:
    peer = Peer()
    heard = await job(peer, [Unusable("a", "no", False), Unusable("b", "Permission denied", True)])
    assert peer.associations == []
    assert heard.no_dicom == {"a": "no"}
    assert list(heard.errors) == ["b"]


@pytest.mark.parametrize(("associations", "count", "expected"), [(4, 1000, 4), (4, 3, 3), (1, 3, 1)])
async def test_associations_share_the_files(associations: int, count: int, expected: int) -> None:
    peer = Peer()
    await job(peer, files(count), associations=associations)
    assert len(peer.associations) == expected
    assert sorted(peer.stored) == sorted(f"file{number}" for number in range(count))
    assert all(association.stored for association in peer.associations)


@pytest.mark.parametrize(
    ("wanted", "granted", "most"), [(1, 1, 1), (8, 8, 8), (8, 3, 3), (2, 16, 2), (8, 0, 8), (8, 1, 1)]
)
async def test_the_window(wanted: int, granted: int, most: int) -> None:
    peer = Peer(window=granted)
    await job(peer, files(100), window=wanted)
    assert peer.associations[0].most_outstanding == most


@pytest.mark.parametrize("window", [1, 16])
async def test_numbers_that_are_found(window: int) -> None:
    peer = Peer(window=window)
    heard = await job(peer, files(3000), associations="auto", window="auto")
    assert len(heard.stored) == 3000
    assert heard.associations == []
    assert 24 <= len(peer.associations) <= 64
    assert max(association.most_outstanding for association in peer.associations) <= window


async def test_a_file_that_breaks_its_association_does_not_end_the_job() -> None:
    async def answer(path: str, association: FakeAssociation) -> Status:
        await asyncio.sleep(0)
        if path == "file5":
            association.die(AssociationClosed("aborted on this side"))
            raise OSError(5, "Input/output error", path)
        return Status.SUCCESS

    peer = Peer(answer)
    heard = await job(peer, files(20))
    assert list(heard.errors) == ["file5"]
    assert len(heard.stored) == 19
    assert len(peer.associations) == 2


@pytest.mark.parametrize("kinds", [127, 128, 129, 300])
@pytest.mark.parametrize("associations", [1, 2])
async def test_more_contexts_than_an_association_takes(kinds: int, associations: int) -> None:
    peer = Peer()
    entries = files(kinds * 3, kinds)
    heard = await job(peer, entries, associations=associations)
    assert len(heard.stored) == len(entries)
    assert len(peer.associations) == -(-kinds // 128) * associations
    class_of = {entry.path: entry.meta.sop_class_uid for entry in entries if isinstance(entry, KnownFile)}
    for association in peer.associations:
        assert len(association.contexts) <= 128
        proposed = {abstract for abstract, *_ in association.contexts}
        assert {class_of[path] for path in association.stored} <= proposed


async def test_a_pair_that_turns_up_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_FIRST", 10)
    monkeypatch.setattr(sending, "_BATCH", 10)
    peer = Peer()
    entries = [*files(50), KnownFile("other", FileMeta("1.2.3", "1.2.4", EXPLICIT, 300), STAMP), *files(99)[50:]]
    heard = await job(peer, entries)
    assert [association.contexts for association in peer.associations] == [
        [(f"{CT}.0", EXPLICIT), (f"{CT}.0", *OTHERS), (f"{CT}.0", *LOSSLESS)],
        [("1.2.3", EXPLICIT), ("1.2.3", *OTHERS), ("1.2.3", *LOSSLESS)],
    ]
    assert len(heard.stored) == 100


async def test_only_so_many_files_are_looked_at_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_FIRST", 20), ("_BATCH", 10), ("_LOW", 15)):
        monkeypatch.setattr(sending, name, value)
    peer, most_ahead, looked_at = Peer(), 0, 0

    def entries() -> Iterator[KnownFile | Unusable]:
        nonlocal looked_at, most_ahead
        for entry in files(500):
            looked_at += 1
            most_ahead = max(most_ahead, looked_at - len(peer.stored))
            yield entry

    heard = Heard()
    await StoreJob(entries(), peer.connect, heard).run(asyncio.Event())
    assert len(heard.stored) == 500
    assert most_ahead <= 20 + 10


async def test_failures_of_files_do_not_end_the_job() -> None:
    errors = {
        "file1": StatusError(0xA700, "out of resources"),
        "file2": ContextNotAccepted(CT, EXPLICIT, "no context"),
        "file3": FileNotFoundError(2, "No such file", "file3"),
    }

    async def answer(path: str, _association: FakeAssociation) -> Status:
        if path in errors:
            raise errors[path]
        return Status.COERCION_OF_DATA_ELEMENTS if path == "file4" else Status.SUCCESS

    heard = await job(Peer(answer), files(10))
    assert {path: type(error) for path, error in heard.errors.items()} == {
        path: type(error) for path, error in errors.items()
    }
    assert getattr(heard.errors["file1"], "status", None) == 0xA700
    assert heard.stored["file4"] == 0xB000
    assert len(heard.stored) == 7
    assert heard.associations == []


@pytest.mark.parametrize("window", [1, 4])
async def test_the_peer_dies(window: int) -> None:
    async def answer(path: str, association: FakeAssociation) -> Status:
        await asyncio.sleep(0)
        if association.error is not None or path == "file5":
            raise association.error or association.die(ConnectionLost("gone"))
        return Status.SUCCESS

    peer = Peer(answer, window=window)
    heard = await job(peer, files(100), window=window)
    assert len(peer.associations) == 1
    assert len(heard.stored) in range(3, 6 + window)
    assert 1 <= len(heard.errors) <= window
    assert len(heard.associations) == 1
    assert {type(error) for error in heard.not_tried.values()} == {ConnectionLost}


async def test_one_association_dies_and_the_others_go_on() -> None:
    async def answer(path: str, association: FakeAssociation) -> Status:
        await asyncio.sleep(0)
        if path == "file5":
            raise association.die(AssociationAborted(0, 0))
        return Status.SUCCESS

    peer = Peer(answer)
    heard = await job(peer, files(100), associations=3)
    assert list(heard.errors) == ["file5"]
    assert len(heard.stored) == 99
    assert heard.not_tried == {}
    assert [type(error) for error in heard.associations] == [AssociationAborted]


async def test_files_found_after_the_peer_died(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_FIRST", 10), ("_BATCH", 10), ("_LOW", 5)):
        monkeypatch.setattr(sending, name, value)

    async def answer(path: str, association: FakeAssociation) -> Status:
        raise association.die(ConnectionLost("gone"))

    peer = Peer(answer)
    heard = await job(peer, files(200))
    assert len(peer.associations) == 1
    assert (len(heard.errors), len(heard.not_tried)) == (1, 199)


async def test_no_association_at_all() -> None:
    async def refuse(contexts: object) -> Any:
        raise AssociationRejected(1, 1, 7)

    heard = Heard()
    await StoreJob(iter(files(10)), refuse, heard, associations=2).run(asyncio.Event())
    assert len(heard.not_tried) == 10
    assert len(heard.associations) == 2


async def test_one_association_is_refused() -> None:
    peer = Peer()
    made = 0

    async def connect(contexts: Sequence[tuple[str, Sequence[str]]]) -> Any:
        nonlocal made
        made += 1
        if made == 1:
            raise AssociationRejected(2, 3, 2)
        return await peer.connect(contexts)

    heard = Heard()
    await StoreJob(iter(files(10)), connect, heard, associations=2).run(asyncio.Event())
    assert len(heard.stored) == 10
    assert len(heard.associations) == 1


async def test_a_peer_that_releases_at_once() -> None:
    class Releasing(Peer):
        async def connect(self, contexts: Sequence[tuple[str, Sequence[str]]]) -> Any:
            association = await super().connect(contexts)
            association.is_open = False
            return association

    peer = Releasing()
    heard = await job(peer, files(10))
    assert len(peer.associations) == 1
    assert len(heard.not_tried) == 10


async def test_stop_finishes_what_has_begun() -> None:
    stop = asyncio.Event()

    async def answer(path: str, _association: FakeAssociation) -> Status:
        if path == "file3":
            stop.set()
        await asyncio.sleep(0)
        return Status.SUCCESS

    peer = Peer(answer)
    heard = await job(peer, files(10), stop=stop)
    assert list(heard.stored) == ["file0", "file1", "file2", "file3"]
    assert {type(error) for error in heard.not_tried.values()} == {Interrupted}
    assert peer.associations[0].end == "released"


async def test_stop_while_associations_are_opened() -> None:
    stop, connecting = asyncio.Event(), asyncio.Event()

    async def connect(contexts: object) -> Any:
        connecting.set()
        await asyncio.Event().wait()

    heard = Heard()
    running = asyncio.create_task(StoreJob(iter(files(10)), connect, heard).run(stop))
    await connecting.wait()
    stop.set()
    await running
    assert len(heard.not_tried) == 10
    assert heard.associations == []


async def test_cancelled_it_aborts() -> None:
    storing = asyncio.Event()

    async def answer(path: str, association: FakeAssociation) -> Status:
        storing.set()
        await asyncio.Event().wait()
        raise AssertionError

    peer = Peer(answer)
    running = asyncio.create_task(StoreJob(iter(files(10)), peer.connect, Heard()).run(asyncio.Event()))
    await storing.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert peer.associations[0].end == "aborted"


async def test_an_idle_association_is_released_and_another_opened_when_there_are_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("_FIRST", 2), ("_BATCH", 1), ("_IDLE", 0.01)):
        monkeypatch.setattr(sending, name, value)
    peer = Peer()
    loop = asyncio.get_running_loop()

    def entries() -> Iterator[KnownFile | Unusable]:
        first, second, third = files(3)
        yield first
        yield second
        # This runs in the thread that looks for files.
        asyncio.run_coroutine_threadsafe(peer.opened.wait(), loop).result(60)
        asyncio.run_coroutine_threadsafe(peer.associations[0].ended.wait(), loop).result(60)
        yield third

    heard = Heard()
    await StoreJob(entries(), peer.connect, heard).run(asyncio.Event())
    assert [association.stored for association in peer.associations] == [["file0", "file1"], ["file2"]]
    assert len(heard.stored) == 3
