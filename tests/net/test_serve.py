"""Several processes on one listening socket; slow to start, and indifferent to the loop of their supervisor."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

import aiodicom
from aiodicom.errors import AiodicomError, AssociationRejected, LocalError
from aiodicom.net import supervisor
from tests.leaks import child_processes
from tests.net.hostile import until

pytestmark = pytest.mark.usefixtures("bare_workers")

MODULE = "tests.net.workers"

# multiprocessing keeps the first piece of shared memory for the rest of the process's life: no test's leak.
multiprocessing.get_context("spawn").Array("q", 1, lock=False)


@asynccontextmanager
async def serving(
    folder: Path, workers: int, limit: int | None = None
) -> AsyncIterator[tuple[int, asyncio.Task[None]]]:
    """The port and the task of `serve`, which is cancelled at the end."""
    async with served("make_server", workers, str(folder), limit) as running:
        yield running


@asynccontextmanager
async def served(factory: str, workers: int, *arguments: object) -> AsyncIterator[tuple[int, asyncio.Task[None]]]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        ready = asyncio.Event()
        task = asyncio.create_task(
            aiodicom.serve(
                f"{MODULE}:{factory}",
                workers=workers,
                sock=sock,
                arguments=arguments,
                on_ready=lambda _: ready.set(),
            )
        )
        starting = asyncio.create_task(ready.wait())
        await asyncio.wait((task, starting), return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        try:
            yield sock.getsockname()[1], task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def echo(port: int, calling_aet: str = "TEST") -> int:
    async with aiodicom.connect("127.0.0.1", port, calling_aet=calling_aet) as association:
        return (await association.c_echo()).status


def pids(folder: Path) -> set[int]:
    """The processes that have answered a C-ECHO."""
    return {int(path.name.rpartition("-")[2]) for path in folder.glob("worker-*")}


async def meet(count: int, port: int, folder: Path) -> None:
    """Opens associations until so many processes have answered."""
    while len(pids(folder)) < count:
        async with AsyncExitStack() as stack:
            for _ in range(6):
                await (await stack.enter_async_context(aiodicom.connect("127.0.0.1", port))).c_echo()


def test_workers_share_the_work_and_the_limit_and_are_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving(tmp_path, 2, limit=6) as (port, _):
            await meet(2, port, tmp_path)
            # The limit holds over both.
            associations = []
            while len(associations) < 6:
                associations.append(await aiodicom.connect("127.0.0.1", port))
            for _ in range(4):
                with pytest.raises(AssociationRejected) as rejection:
                    await aiodicom.connect("127.0.0.1", port)
                assert (rejection.value.result, rejection.value.source, rejection.value.reason) == (2, 3, 2)
            await associations.pop().release()
            associations.append(await aiodicom.connect("127.0.0.1", port))
            for association in associations:
                await association.release()
            # One is killed: logged, replaced, and its places are free again.
            killed = min(pids(tmp_path))
            associations = [await aiodicom.connect("127.0.0.1", port) for _ in range(6)]
            os.kill(killed, signal.SIGKILL)
            await until(lambda: any(f"process {killed}" in message for message in caplog.messages))
            for association in associations:
                with suppress(AiodicomError):
                    await association.release()
            await meet(3, port, tmp_path)
            associations = [await aiodicom.connect("127.0.0.1", port) for _ in range(6)]
            for association in associations:
                await association.release()
        assert killed not in child_processes()

    with caplog.at_level(logging.ERROR, "aiodicom.serve"):
        aiodicom.run(main())
    (message,) = caplog.messages
    assert "died with exit code -9: replaced in 0.5 s" in message


def test_cancelled_it_drains(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(tmp_path, 1) as (port, task):
            pending = asyncio.create_task(echo(port, "SLOW"))
            await until((tmp_path / "waiting").exists)
            task.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(task), 0.2)
            assert not task.done()  # it waits for the operation that runs
            (tmp_path / "go").touch()
            assert await pending == 0
            with pytest.raises(asyncio.CancelledError):
                await task

    with caplog.at_level(logging.INFO, "aiodicom.serve"):
        aiodicom.run(main())
    assert not caplog.messages  # an exit while draining is no death


def test_cancelled_twice_it_kills(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, 2) as (port, task):
            pending = asyncio.create_task(echo(port, "SLOW"))
            await until((tmp_path / "waiting").exists)
            task.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(AiodicomError):
                await pending

    aiodicom.run(main())


def test_a_worker_that_is_sent_sigterm_drains_and_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(tmp_path, 1) as (port, _):
            pending = asyncio.create_task(echo(port, "SLOW"))
            await until((tmp_path / "waiting").exists)
            (old,) = pids(tmp_path)
            os.kill(old, signal.SIGTERM)
            (tmp_path / "go").touch()
            assert await pending == 0
            await until(lambda: bool(caplog.messages))
            assert await echo(port) == 0
            assert len(pids(tmp_path)) == 2

    with caplog.at_level(logging.INFO, "aiodicom.serve"):
        aiodicom.run(main())
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "has drained: replaced" in record.message


def test_each_death_is_seen_to_on_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervisor, "_LONGEST_DELAY", 0.04)
    broken = tmp_path / "broken"

    def deaths(number: int) -> list[str]:
        return [message for message in caplog.messages if message.startswith(f"worker {number} ")]

    async def main() -> None:
        async with serving(tmp_path, 2) as (port, _):
            await meet(2, port, tmp_path)
            broken.touch()  # from here on no worker can start
            first, second = pids(tmp_path)
            os.kill(first, signal.SIGKILL)
            await until(lambda: len(caplog.messages) >= 5)
            assert await echo(port) == 0  # the other one goes on
            os.kill(second, signal.SIGKILL)
            await until(lambda: bool(deaths(0) and deaths(1)))
            broken.unlink()
            await meet(4, port, tmp_path)

    with caplog.at_level(logging.ERROR, "aiodicom.serve"):
        aiodicom.run(main())
    # Later and later, up to the longest.
    tries = [message.rpartition(" in ")[2] for message in caplog.messages[:5]]
    assert tries == ["0.01 s", "0.02 s", "0.04 s", "0.04 s", "0.04 s"]
    assert "no such thing as a server" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (f"{MODULE}:fail", "Traceback"),
        (f"{MODULE}:make_nothing", f"worker 0: {MODULE}:make_nothing gave a object, not a Server\n"),
        (f"{MODULE}:missing", f"worker 0: {MODULE}:missing: the module has no missing\n"),
        ("no.such.module:f", "worker 0: no.such.module:f: there is no module no\n"),
    ],
)
def test_a_factory_that_makes_no_server(factory: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            async with asyncio.timeout(20):
                with pytest.raises(LocalError, match="could not start"):
                    await aiodicom.serve(factory, workers=1, sock=sock)

    aiodicom.run(main())
    assert said in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [{"factory": "nonsense"}, {"factory": ":f"}, {"ssl": "module:"}])
async def test_what_names_no_function(arguments: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(LocalError, match="names no function"):
        await aiodicom.serve(**{"factory": f"{MODULE}:make_server"} | arguments, workers=1, sock=sock)


async def test_memory_is_shared_out_to_the_workers() -> None:
    async with served("make_frugal", 2, 1 << 19) as (port, _):
        await echo(port)


async def test_no_workers_can_not_serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(LocalError):
        await aiodicom.serve(f"{MODULE}:make_server", workers=0, sock=sock)


def test_workers_end_with_a_supervisor_that_was_killed() -> None:
    command = [sys.executable, "-m", "aiodicom", "storescp", "0", "--workers", "2", "--discard"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stderr is not None
        assert supervisor.stderr.readline().startswith("listening on ")
        children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()
        assert len(children) >= 2
        ends = [os.pidfd_open(int(child)) for child in children]
        supervisor.kill()
        supervisor.wait()
        try:
            for end in ends:
                assert select.select([end], [], [], 30)[0], "a worker outlives its supervisor"
        finally:
            for end in ends:
                os.close(end)
