"""How associations are spread over the workers, and what is known of all of them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

import aiodicom
from aiodicom.errors import AiodicomError, AssociationRejected, LocalError
from aiodicom.net.serve import Serving
from tests.conftest import LOOPS
from tests.net.hostile import until
from tests.net.workers import Without

pytestmark = pytest.mark.usefixtures("bare_workers")

MODULE = "tests.net.workers"
OPENED = 100
ROUNDS = 2


@asynccontextmanager
async def serving(*arguments: Any, factory: str = "make_plain", **options: Any) -> AsyncIterator[Serving]:
    """What `serve` says of its workers; it is cancelled at the end."""
    ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    where = options if {"path", "sock"} & options.keys() else {"host": "127.0.0.1", "port": 0} | options
    task = asyncio.create_task(
        aiodicom.serve(f"{MODULE}:{factory}", arguments=arguments, on_ready=ready.set_result, **where)
    )
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def pids(folder: Path) -> list[int]:
    """The processes that have answered a C-ECHO."""
    return [int(path.name.rpartition("-")[2]) for path in folder.glob("worker-*")]


async def at_once(open_one: Callable[[], Any]) -> list[aiodicom.Association]:
    return await asyncio.gather(*(open_one() for _ in range(OPENED)))


async def in_turn(open_one: Callable[[], Any]) -> list[aiodicom.Association]:
    return [await open_one() for _ in range(OPENED)]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("workers", [2, 4, 8])
def test_no_worker_has_many_more_than_the_mean(workers: int, loop: str) -> None:
    async def main() -> None:
        async with serving("uvloop" if loop == "uvloop" else Without(), workers=workers) as all_workers:

            async def open_one() -> aiodicom.Association:
                return await aiodicom.connect("127.0.0.1", all_workers.port)

            for opening in (at_once, in_turn) * ROUNDS:
                associations = await opening(open_one)
                counts = [counters.associations_open for counters in all_workers.workers]
                assert sum(counts) == OPENED
                assert max(counts) <= 1.3 * OPENED / workers, counts
                await asyncio.gather(*(association.release() for association in associations))
                await until(lambda: all_workers.counters.associations_open == 0)

    aiodicom.run(main())


def test_a_worker_that_is_stuck_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            serving(str(tmp_path), None, factory="make_server", workers=3) as all_workers,
            AsyncExitStack() as stack,
        ):

            async def open_one() -> None:
                association = await stack.enter_async_context(aiodicom.connect("127.0.0.1", all_workers.port))
                await association.c_echo()

            await open_one()
            (stuck,) = pids(tmp_path)
            os.kill(stuck, signal.SIGSTOP)
            try:
                for _ in range(60):
                    await open_one()
            finally:
                os.kill(stuck, signal.SIGCONT)
            counts = sorted(counters.associations_open for counters in all_workers.workers)
            assert sum(counts) == 61
            assert counts[0] == 1
            assert counts[1] >= 25

    aiodicom.run(main())


def test_the_limit_is_exact_over_all_workers_and_after_the_death_of_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(str(tmp_path), 20, factory="make_server", workers=4) as all_workers:

            async def try_one() -> aiodicom.Association | None:
                with suppress(AssociationRejected):
                    return await aiodicom.connect("127.0.0.1", all_workers.port)
                return None

            async def open_as_many_as_go(attempts: int = 60) -> list[aiodicom.Association]:
                tried = await asyncio.gather(*(try_one() for _ in range(attempts)))
                return [association for association in tried if association is not None]

            for _ in range(5):
                associations = await open_as_many_as_go()
                assert len(associations) == 20
                await asyncio.gather(*(association.release() for association in associations))
                await until(lambda: all_workers.counters.associations_open == 0)
            before = all_workers.counters
            assert (before.associations, before.associations_peak, before.rejections) == (100, 20, 200)
            associations = await open_as_many_as_go()
            await associations[0].c_echo()
            (killed,) = pids(tmp_path)
            os.kill(killed, signal.SIGKILL)
            # Its associations are over, and are counted so; the others stay, and the limit holds with them.
            await until(lambda: all_workers.counters.aborts > 0)
            lost = all_workers.counters.aborts
            associations += await open_as_many_as_go()
            assert all_workers.counters.associations_open == 20
            assert len(associations) == 20 + lost
            total = all_workers.counters
            assert (total.associations, total.operations) == (120 + lost, 1)
            for association in associations:
                with suppress(AiodicomError):
                    await association.release()

    aiodicom.run(main())


def test_they_listen_where_a_server_would(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "dicom"
        with socket.create_server(("127.0.0.1", 0)) as sock:
            places: list[tuple[dict[str, Any], dict[str, Any]]] = [
                ({"path": path}, {"path": path}),
                ({"sock": sock}, {"host": "127.0.0.1", "port": sock.getsockname()[1]}),
            ]
            for options, target in places:
                async with serving("uvloop", workers=1, **options), aiodicom.connect(**target) as association:
                    await association.c_echo()
            assert sock.fileno() < 0
        async with serving("uvloop", workers=1, host=None) as all_workers:
            for host in ("127.0.0.1", "::1"):
                async with aiodicom.connect(host, all_workers.port) as association:
                    await association.c_echo()

    aiodicom.run(main())


def test_tls_by_the_name_of_what_makes_the_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    monkeypatch.setenv("CERTIFICATE", str(tmp_path / "server.pem"))
    client = ssl.create_default_context()
    authority.configure_trust(client)

    async def main() -> None:
        async with (
            serving("uvloop", workers=2, ssl=f"{MODULE}:make_context") as all_workers,
            aiodicom.connect("127.0.0.1", all_workers.port, ssl=client) as association,
        ):
            await association.c_echo()
        with pytest.raises(LocalError, match="module:function"):
            await aiodicom.serve(f"{MODULE}:make_plain", workers=1, ssl=client)  # type: ignore[arg-type]

    aiodicom.run(main())


def test_a_port_in_use_is_an_error_of_the_system() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(OSError, match="in use"):
            await aiodicom.serve(f"{MODULE}:make_plain", *sock.getsockname(), workers=1)

    aiodicom.run(main())
