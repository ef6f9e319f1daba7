"""How long an object is in a router: from the byte that it has to wait for to the byte that it then sends.

Sender and destination are one process, which has one clock; its own time counts as the router's. The sender writes to
raw sockets, so that it knows what was the last byte in and when; the destination is our `Server`. It says so when the
command set of an object has arrived, which is with the first byte out, and when the data set is complete.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import statistics
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import uvloop

from aiodicom import Server, Spooled, Status, StoreRequest
from aiodicom.net.sinks import BodySink
from benchmarks import forwarding
from benchmarks.bench import LARGE, SMALL, Bench, Planned
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.loads import PER_SECOND, Load, load
from tests.interop import objects
from tests.net.hostile import Requestor, proposal, requestor
from tests.ports import free_port
from tests.rawpeer import P_DATA_TF, command_set, p_data, pdu, ui, us

C_STORE_RQ = 0x0001
#: Bytes of an object in which its header ends; and how long the sender waits behind them, in seconds.
HEADER, PAUSE = 4096, 0.01
#: Bytes of a PDU.
_PDU = 65536


class Passed(NamedTuple):
    """When what happened to one object, in seconds of one clock."""

    #: The header was sent, and the last byte.
    header_in: float
    last_in: float
    #: The destination had the first byte, and the last.
    first_out: float
    last_out: float


def messages(count: int, side: int) -> Iterator[tuple[str, bytes, bytes, bytes]]:
    """Objects by their UIDs: what is sent of each at first, with its header; the rest; and the PDU with its end."""
    encoded, offset = objects.ct_data_set(1, side)
    encoded = encoded.replace(f"{objects.ROOT}.3".encode(), f"{objects.ROOT}.7".encode())  # a study of their own
    for number in range(1, count + 1):
        uid = objects.ct_uid(number)
        data = encoded[:offset] + uid.encode() + encoded[offset + 64 :]
        command = {
            0x0002: ui(objects.CT_IMAGE_STORAGE),
            0x0100: us(C_STORE_RQ),
            0x0110: us(number % 65535 + 1),
            0x0700: us(0),
            0x0800: us(1),
            0x1000: ui(uid),
        }
        first = p_data(1, command_set(command)) + _fragment(data[:HEADER], is_last=False)
        *rest, last = (
            _fragment(data[at : at + _PDU], is_last=at + _PDU >= len(data)) for at in range(HEADER, len(data), _PDU)
        )
        yield uid, first, b"".join(rest), last


def _fragment(data: bytes, *, is_last: bool) -> bytes:
    return pdu(P_DATA_TF, struct.pack(">IBB", len(data) + 2, 1, 2 if is_last else 0) + data)


class Destination:
    """Notes when objects come."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self._gathered = Spooled()
        self._more = asyncio.Event()

    def server(self) -> Server:
        """A server that does."""
        server = Server()
        server.on_c_store(self._complete, body=self._begin)
        return server

    def _begin(self, request: StoreRequest) -> BodySink:
        self.first.setdefault(request.affected_sop_instance_uid, time.perf_counter())
        return self._gathered(request)

    def _complete(self, request: StoreRequest) -> Status:
        self.last.setdefault(request.affected_sop_instance_uid, time.perf_counter())
        self._more.set()
        return Status.SUCCESS

    async def had(self, uids: Collection[str], others: int) -> None:
        """Returns when these objects have come, and so many others."""
        while len(self.last) < len(uids) + others or not all(uid in self.last for uid in uids):
            self._more.clear()
            await self._more.wait()


async def pass_through(
    router: int,
    port: int,
    *,
    associations: int,
    count: int,
    side: int,
    rate: float,
    pause: float = 0.0,
    destination: Destination | None = None,
    others: int = 0,
) -> list[Passed]:
    """Sends objects to the router's port at random moments, `rate` a second over all associations, listens on the
    destination's, and returns what became of them. `pause`: seconds behind the header;
    `others`: objects that are to come there besides.
    """
    destination = destination or Destination()
    sent: dict[str, tuple[float, float]] = {}
    waiting = messages(count, side)
    chosen = random.Random(1)

    async def send(peer: Requestor) -> None:
        due = time.perf_counter()
        peer.writer.transport.set_write_buffer_limits(0)  # what was sent has left
        for uid, first, rest, last in waiting:
            due += chosen.expovariate(rate / associations)
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            header_in = time.perf_counter()
            peer.writer.write(first)
            if pause:
                await asyncio.sleep(pause)
            if rest:
                await peer.send(rest)
            last_in = time.perf_counter()
            await peer.send(last)
            await peer.expect(P_DATA_TF)
            sent[uid] = header_in, last_in

    async with destination.server().listen("127.0.0.1", port):
        await asyncio.gather(*(_with_association(router, send) for _ in range(associations)))
        async with asyncio.timeout(30):
            await destination.had(sent, others)
    return [Passed(*sent[uid], destination.first[uid], destination.last[uid]) for uid in sent]


async def _with_association(port: int, send: Callable[[Requestor], Awaitable[None]]) -> None:
    syntaxes = ((1, objects.CT_IMAGE_STORAGE, (objects.EXPLICIT_VR_LITTLE_ENDIAN,)),)
    async with requestor(port) as peer:
        await peer.associate(proposal(syntaxes))
        await send(peer)


@contextmanager
def syncing(folder: Path, size: int, took: list[float]) -> Iterator[None]:
    """Meanwhile asks the disk what it takes to have so many bytes on it, fifty times a second."""
    ended = threading.Event()

    def ask() -> None:
        with mmap.mmap(-1, size) as data, (folder / "probe").open("wb", buffering=0) as file:
            while not ended.wait(0.02):
                began = time.perf_counter()
                file.write(data)
                os.fdatasync(file.fileno())
                took.append(time.perf_counter() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def percentile(seconds: list[float], percent: int) -> float:
    """In milliseconds."""
    return statistics.quantiles(seconds, n=100)[percent - 1] * 1e3


# ---- rows

IN_QUEUE_P50, IN_QUEUE_P99 = "p50 ms", "p99 ms"
SYNC_P50, SYNC_P99 = "fdatasync p50 ms", "fdatasync p99 ms"
IN_SYNCS, IN_SLOW_SYNCS = "p99 in median fdatasyncs", "p99 in p99 fdatasyncs"
FIRST, LAST = "first byte p50 ms", "last byte p50 ms"


def at_half_load(bench: Bench, work: Load, rounds: int, folder: Path) -> Metrics:
    """From the last byte in to the first byte out, at half the rate that the router has just shown."""
    port = free_port()
    took: list[float] = []
    with forwarding.ours()(folder, port) as router:
        with forwarding.sink(folder, port, work.associations * work.operations):
            rate = work.on(router.port)["steady_ops_per_s"] / 2
        with syncing(folder, 12_288, took):
            sending = pass_through(router.port, port, associations=20, count=rounds, side=SMALL.side, rate=rate)
            passed = uvloop.run(sending)
    stayed = [max(each.first_out - each.last_in, 0.0) for each in passed]
    p99 = percentile(stayed, 99)
    sync, slow_sync = percentile(took, 50), percentile(took, 99)
    return {
        PER_SECOND: rate,
        IN_QUEUE_P50: percentile(stayed, 50),
        IN_QUEUE_P99: p99,
        SYNC_P50: sync,
        SYNC_P99: slow_sync,
        IN_SYNCS: p99 / sync,
        IN_SLOW_SYNCS: p99 / slow_sync,
    }


def cut_through(count: int, folder: Path) -> Metrics:
    """From the header in to the first byte out, and from the last byte in to the last byte out, one at a time."""
    port = free_port()
    with forwarding.ours(destination="cut_through = true")(folder, port) as router:
        sending = pass_through(router.port, port, associations=1, count=count, side=LARGE.side, rate=20.0, pause=PAUSE)
        passed = uvloop.run(sending)[2:]  # the first ones open associations
    return {
        FIRST: percentile([each.first_out - each.header_in for each in passed], 50),
        LAST: percentile([each.last_out - each.last_in for each in passed], 50),
    }


def rows(bench: Bench) -> Iterator[Planned]:
    title = "9 kB, from the last byte in to the first byte out, at half load"
    columns = (IN_QUEUE_P50, IN_QUEUE_P99, SYNC_P50, SYNC_P99, IN_SYNCS, IN_SLOW_SYNCS)

    def half() -> Row:
        work = load(bench, "store", *bench.size((10, 200), (4, 10)), SMALL)
        doing = bench.in_folder(partial(at_half_load, bench, work, bench.size(3000, 200)))
        metrics = tuple(
            Metric(name, higher=name == PER_SECOND, digits=0 if name == PER_SECOND else 2) for name in columns
        )
        who = (Contender(forwarding.OURS, doing, ours=True),)
        targets = (Target(IN_SYNCS, 3.0, None), Target(IN_SLOW_SYNCS, 3.0, None))
        return Row(title, metrics, who, forwarding.OURS, targets)

    yield Planned(title, half, ("dimseblast",))
    cut = "525 kB cut through, one at a time: header in to first byte out, last byte in to last byte out"

    def through() -> Row:
        doing = bench.in_folder(partial(cut_through, bench.size(200, 20)))
        metrics = tuple(Metric(name, higher=False, digits=2) for name in (FIRST, LAST))
        who = (Contender(forwarding.OURS, doing, ours=True),)
        return Row(cut, metrics, who, forwarding.OURS, (Target(FIRST, 1.0, None), Target(LAST, 1.0, None)))

    yield Planned(cut, through)
