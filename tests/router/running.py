"""A router in this process, between senders and destinations that do as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.errors import StatusError
from aiodicom.router.config.reading import load
from aiodicom.router.control import Control
from aiodicom.router.observing import Observer
from aiodicom.router.router import Router
from tests.router.objects import ct

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

#: Seconds until a test fails that waits for what does not come.
PATIENCE = 10.0

Answer = Callable[[aiodicom.StoreRequest], int | Awaitable[int]]


class Changes:
    """Wakes those who wait for something to hold that only changes now and then."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Returns when it holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def soon(condition: Callable[[], object]) -> None:
    """Returns when something holds that nobody is told of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Archive(Changes):
    """A destination: keeps what comes, and answers as it is told. To be entered."""

    def __init__(self, answer: Answer | None = None, **options: Any) -> None:
        super().__init__()
        #: SOP Instance UIDs and encoded data sets in the order in which they were answered with success or a warning.
        self.received: list[tuple[str, bytes]] = []
        #: How often was asked, by SOP Instance UID.
        self.asked: dict[str, int] = {}
        self.answer = answer
        self.server = aiodicom.Server(**options)
        self.server.on_c_store(self._store)
        self.port = 0

    async def _store(self, request: aiodicom.StoreRequest) -> aiodicom.Status:
        uid = request.affected_sop_instance_uid
        self.asked[uid] = self.asked.get(uid, 0) + 1
        status = 0
        self.tell()
        if self.answer is not None:
            given = self.answer(request)
            status = given if isinstance(given, int) else await given
        if status == 0 or status >> 12 == 0xB:
            self.received.append((uid, bytes(request.data)))
        self.tell()
        return aiodicom.Status(status)

    @property
    def uids(self) -> list[str]:
        """What came, by SOP Instance UID."""
        return [uid for uid, _ in self.received]

    async def got(self, *uids: str) -> None:
        """Returns when these have come."""
        await self.until(lambda: set(uids) <= set(self.uids))

    async def __aenter__(self) -> Archive:
        self._listening = await self.server.listen("127.0.0.1", self.port)
        self.port = self._listening.port
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()


class Watch(Observer, Changes):
    """Notes what a router tells of."""

    def __init__(self) -> None:
        Changes.__init__(self)
        self.events: list[tuple[Any, ...]] = []

    def _note(self, *event: Any) -> None:
        self.events.append(event)
        self.tell()

    def received(self, incoming: Any, size: int, header: Dataset, association: Any) -> None:
        self._note("received", incoming.sop_instance_uid, size)

    def refused(self, association: Any, status: int, reason: str) -> None:
        self._note("refused", int(status), reason)

    def delivered(self, lease: Any, size: int, seconds: float, reason: str) -> None:
        self._note("delivered", lease.sop_instance_uid, lease.destination, reason)

    def failed(self, lease: Any, outcome: Any, is_dead: bool) -> None:
        self._note("dead" if is_dead else "failed", lease.sop_instance_uid, lease.destination, outcome.reason)

    def dropped(self, lease: Any) -> None:
        self._note("dropped", lease.sop_instance_uid, lease.destination)

    def breaker_changed(self, destination: str, is_open: bool, reason: str) -> None:
        self._note("left alone" if is_open else "tried again", destination)

    def not_admitted(self, calling_aet: str, address: str, reason: str) -> None:
        self._note("not admitted", calling_aet, reason)

    def count(self, kind: str) -> int:
        """How many events of a kind there were."""
        return sum(event[0] == kind for event in self.events)

    async def saw(self, *event: Any) -> None:
        """Returns when there was an event that begins so."""
        await self.until(lambda: any(each[: len(event)] == event for each in self.events))


#: What nearly every router of a test has; failures are tried again at once.
HEAD = """
[listen]
port = 0
ae_title = "ROUTER"

[queue]
directory = "queue"
refuse_below = 0
resume_above = 0
"""
IMPATIENT = 'retry = { first = "1ms", most = "2ms", jitter = 0.0 }, breaker = { pause = "1ms" }'


def destination(name: str, port: int, more: str = "") -> str:
    """A line of TOML for an AE here."""
    return f'destinations.{name} = {{ type = "dimse", host = "127.0.0.1", port = {port}, called_aet = "{name.upper()}", {IMPATIENT}{more and ", "}{more} }}\n'  # noqa: E501


def write(folder: Path, text: str, head: str = HEAD) -> Path:
    """The configuration as a file: dotted keys of `text` first, then `head`, then what is behind a line of three
    dashes.
    """
    before, _, behind = text.partition("---\n")
    path = folder / "router.toml"
    path.write_text(before + head + behind)
    return path


class Running:
    """A router that runs, with who watches and controls it."""

    def __init__(self, router: Router, watch: Watch) -> None:
        self.router = router
        self.watch = watch
        self.control = Control(router, "1", 1)

    @property
    def port(self) -> int:
        """Where it listens first."""
        return self.router.listeners.addresses[0][1]

    async def steps(self, uid: str) -> dict[str, tuple[str, str]]:
        """State and reason of the deliveries of an instance, by destination."""
        await self.router.queue.flush()
        (way,) = await self.control.search(uid)
        return {step.destination: (step.state, step.reason) for step in way.steps}


@asynccontextmanager
async def routing(path: Path, **options: Any) -> AsyncIterator[Running]:
    """Runs the router of a configuration."""
    router = Router(load(path), path=path, **options)
    watch = Watch()
    router.observers.add(watch)
    # What does not come to its end need not be waited for by a test.
    with mock.patch("aiodicom.router.router.DRAIN", 1.0):
        async with router:
            yield Running(router, watch)


async def store(
    port: int,
    objects: Iterable[Dataset | bytes],
    *,
    calling_aet: str = "CT1",
    called_aet: str = "ROUTER",
    **options: Any,
) -> list[int]:
    """Sends objects on one association; returns the statuses."""
    contexts = [(CT, [EXPLICIT])]
    async with aiodicom.connect(
        "127.0.0.1", port, contexts=contexts, calling_aet=calling_aet, called_aet=called_aet, **options
    ) as association:
        return [await _stored(association, each) for each in objects]


async def _stored(association: aiodicom.Association, data_set: Dataset | bytes) -> int:
    try:
        return (await association.c_store(data_set)).status
    except StatusError as error:
        return error.status


def image(number: int, study: int = 1, **values: Any) -> Dataset:
    """A CT image of its own."""
    study_uid = f"1.2.3.{study}"
    series = f"{study_uid}.1"
    uid = f"{series}.{number}"
    return ct(**{"SOPInstanceUID": uid, "SeriesInstanceUID": series, "StudyInstanceUID": study_uid, **values})


def uid_of(number: int, study: int = 1) -> str:
    """The SOP Instance UID of `image`."""
    return f"1.2.3.{study}.1.{number}"
