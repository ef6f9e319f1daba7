"""aiodicom's own side of the interop tests: a server that remembers, and the commands as processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiodicom
from tests.interop.objects import Part10
from tests.interop.processes import Running, run_command, running
from tests.ports import free_port


class DataSet(bytes):
    """An encoded data set; when a comparison fails, what it shows of one is short."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes, SHA-1 {hashlib.sha1(self).hexdigest()}>"


class Arrived(NamedTuple):
    """What a C-STORE brought."""

    sop_class_uid: str
    transfer_syntax: str
    data_set: DataSet


def as_it_is(each: Part10) -> Arrived:
    """The data set of this file as it stands there."""
    return Arrived(each.sop_class_uid, each.transfer_syntax, DataSet(each.data_set()))


def sent(each: Part10) -> Arrived:
    """What has to arrive when this file is sent.

    It is as it stands in the file; but a deflated data set of odd length is padded (PS3.5 A.5), since fragments are
    even (PS3.8 E.1): DCMTK and Orthanc abort on odd ones.
    """
    data_set = each.data_set()
    return Arrived(each.sop_class_uid, each.transfer_syntax, DataSet(data_set + bytes(len(data_set) % 2)))


@dataclass
class Receiving:
    """A running server, and what it has got: by SOP Instance UID, and the number of C-ECHOs."""

    port: int
    server: aiodicom.Server
    objects: dict[str, Arrived] = field(default_factory=dict)
    echoes: int = 0


@contextlib.asynccontextmanager
async def receiving(**options: Any) -> AsyncIterator[Receiving]:
    """An aiodicom server on this loop, listening with these options."""
    server = aiodicom.Server()

    @server.on_c_echo
    async def answer(request: aiodicom.EchoRequest) -> aiodicom.Status:
        state.echoes += 1
        return aiodicom.Status.SUCCESS

    @server.on_c_store
    async def keep(request: aiodicom.StoreRequest) -> aiodicom.Status:
        state.objects[request.affected_sop_instance_uid] = Arrived(
            request.affected_sop_class_uid, request.context.transfer_syntax, DataSet(request.data)
        )
        return aiodicom.Status.SUCCESS

    async with server.listen("127.0.0.1", 0, **options) as listening:
        state = Receiving(listening.port, server)
        yield state


def command(*arguments: str | os.PathLike[str], exit_code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Runs `aiodicom ...` to its end."""
    return run_command([sys.executable, "-m", "aiodicom", *arguments], exit_code=exit_code)


@contextlib.contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Running]:
    """Runs `aiodicom storescp`, writing to `folder`."""
    port = free_port()
    arguments = [sys.executable, "-m", "aiodicom", "storescp", str(port), "-od", os.fspath(folder), *options]
    with running(arguments, port, log=folder.with_name(folder.name + ".log")) as server:
        yield server


def contexts(*objects: Part10) -> list[tuple[str, list[str]]]:
    """Presentation contexts for these objects as they are."""
    pairs = sorted({(each.sop_class_uid, each.transfer_syntax) for each in objects})
    return [(sop_class, [syntax]) for sop_class, syntax in pairs]
