"""Servers for the worker processes of `test_serve`."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from multiprocessing.synchronize import Event
from pathlib import Path

import aiodicom
from aiodicom.net.board import Board


def make_server(folder: str, limit: int | None) -> aiodicom.Server:
    """A server that names its process in `folder`; it answers the calling AE title SLOW once there is a file `go`.

    None can be made while there is a file `broken`.
    """
    if (Path(folder) / "broken").exists():
        fail()
    server = aiodicom.Server(max_associations=limit)

    @server.on_c_echo
    async def answer(request: aiodicom.EchoRequest) -> None:
        (Path(folder) / f"worker-{os.getpid()}").touch()
        if request.association.calling_aet == "SLOW":
            (Path(folder) / "waiting").touch()
            while not (Path(folder) / "go").exists():  # noqa: ASYNC110 (another process makes it)
                await asyncio.sleep(0.01)

    return server


def fail() -> aiodicom.Server:
    """Can't make a server."""
    raise RuntimeError("no such thing as a server")


def make_nothing() -> object:
    """Makes something else."""
    return object()


def keep_board(board: Board, has_it: Event, end: Event) -> None:
    """Takes the board as if it had been stopped just then."""
    with board:
        has_it.set()
        end.wait(60)


class Without:
    """An argument that makes a worker do without uvloop, before it has begun to run."""

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return without_uvloop, ()


def without_uvloop() -> str:
    """Has `aiodicom.run` find no uvloop."""
    sys.modules["uvloop"] = None  # type: ignore[assignment]
    return "asyncio"


def make_plain(loop: str, limit: int | None = None) -> aiodicom.Server:
    """A server; `loop` is for its side effect on the way here."""
    running = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    assert running == loop, running
    return aiodicom.Server(max_associations=limit)


def make_frugal(wanted: int) -> aiodicom.Server:
    """A server with 1 MiB of memory for what arrives; it fails a C-ECHO when its process may not have `wanted`."""
    server = aiodicom.Server(max_memory=1 << 20)

    @server.on_c_echo
    def answer(request: aiodicom.EchoRequest) -> int:
        return 0 if request.association.budget.limit == wanted else 0x0110

    return server


def make_context() -> ssl.SSLContext:
    """The TLS context of a server whose certificate is where the environment says."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(os.environ["CERTIFICATE"])
    return context
