"""Servers for the worker processes of `test_serve`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import aiodicom


def make_server(folder: str, limit: int | None) -> aiodicom.Server:
    """A server that names its process in `folder`; it answers the calling AE title SLOW once there is a file `go`."""
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
