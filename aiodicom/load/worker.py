"""One of the processes that share a load: see `load.workers`."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from typing import Final, NamedTuple

import aiodicom
from aiodicom.errors import AiodicomError
from aiodicom.load.channel import (
    Begin,
    Channel,
    Done,
    Failed,
    FromParent,
    Opened,
    Over,
    Reported,
    SoFar,
    Stop,
    Unusable,
)
from aiodicom.load.results import Interval
from aiodicom.load.run import Run
from aiodicom.load.scenario import Scenario
from aiodicom.load.scripted import load_user
from aiodicom.load.share import Share
from aiodicom.services import scan
from aiodicom.services.storage_commitment import Commitment

__all__ = ["Job", "Script", "work"]

#: How often it says what it has done, in seconds.
_EVERY: Final = 1.0


class Script(NamedTuple):
    """A class of a scenario in Python."""

    path: Path
    name: str


class Job(NamedTuple):
    """What a worker is given."""

    scenario: Scenario
    script: Script | None
    share: Share
    #: Of a pair; the parent has the other.
    sock: socket.socket


def work(job: Job) -> None:
    """A worker's life."""
    # The terminal sends Ctrl-C to the whole group; the parent alone decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    aiodicom.run(_work(job))


async def _work(job: Job) -> None:
    parent: Channel[FromParent] = await Channel.on(job.sock, FromParent)
    begin, over, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    intervals: list[Interval] = []

    def on_unusable(file: scan.Unusable) -> None:
        loop.call_soon_threadsafe(parent.send, Unusable(str(file.path), file.reason, file.broken))

    async def before_load() -> None:
        parent.send(Opened())
        await begin.wait()

    async def before_end() -> None:
        parent.send(Over())
        await over.wait()

    async def on_report(commitment: Commitment) -> None:
        parent.send(Reported(commitment))

    async def listen(run: Run) -> None:
        while (message := await parent.receive()) is not None:
            match message:
                case Begin():
                    begin.set()
                case Over():
                    over.set()
                case Reported(commitment):
                    run.reported(commitment)
                case Stop():
                    stop.set()
        stop.set()  # a parent that was killed wants nothing any more

    async def tell(run: Run) -> None:
        while True:
            new = intervals.copy()
            intervals.clear()
            parent.send(SoFar(run.so_far(with_histograms=True), new))
            await asyncio.sleep(_EVERY)

    loop = asyncio.get_running_loop()
    beside: list[asyncio.Task[None]] = []
    try:
        run = Run(
            job.scenario,
            user=None if job.script is None else load_user(*job.script),
            on_unusable=on_unusable if job.share.number == 0 else None,
            share=job.share,
            before_load=before_load,
            before_end=before_end,
            on_interval=intervals.append,
            on_report=on_report,
        )
        beside += asyncio.ensure_future(listen(run)), asyncio.ensure_future(tell(run))
        parent.send(Done(await run.run(stop)))
    except (AiodicomError, OSError, ValueError) as error:
        parent.send(Failed(f"{error}"))
    finally:
        for task in beside:
            task.cancel()
        await parent.close()
