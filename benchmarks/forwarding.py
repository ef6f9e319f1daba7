"""Routers that are compared, each as it is started: all that comes goes on to one DIMSE destination."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks import contenders as c
from tests.interop import peers
from tests.interop.processes import Running, running
from tests.ports import free_port

OURS, ORTHANC, DCMTK = "aiodicom route", "Orthanc, autorouting by Lua", "DCMTK storescp + storescu by exec-on-reception"

#: Starts a fresh router that may write to the folder it is given, and sends to a port of 127.0.0.1.
Start = Callable[[Path, int], AbstractContextManager[Running]]

_ROUTER_TOML = """\
[listen]
port = {port}

[queue]
directory = "queue"
{queue}

[destinations.sink]
type = "dimse"
host = "127.0.0.1"
port = {destination}
called_aet = "SINK"
{settings}

{routes}
"""

_ROUTE = '[[routes]]\nto = ["sink"]\n'

#: After the script of Orthanc's own book for this.
_LUA = """\
function OnStoredInstance(instance, tags, metadata)
   SendToModality(instance, 'sink')
end
"""


def ours(queue: str = "", routes: str = _ROUTE, destination: str = "") -> Start:
    """The command `route`, with these keys of its queue and its destination, and these routes."""

    def start(folder: Path, to: int) -> AbstractContextManager[Running]:
        port = free_port()
        text = _ROUTER_TOML.format(port=port, destination=to, queue=queue, settings=destination, routes=routes)
        (folder / "router.toml").write_text(text)
        arguments = c.command("route", os.fspath(folder / "router.toml"))
        return running(arguments, port, log=folder / "router.log", environment=c.environment(), directory=folder)

    return start


@contextlib.contextmanager
def orthanc(folder: Path, destination: int) -> Iterator[Running]:
    """Orthanc with a script that sends on what is stored; its jobs run several at a time, as by default."""
    script = folder / "route.lua"
    script.write_text(_LUA)
    settings: dict[str, Any] = {
        "LuaScripts": [os.fspath(script)],
        "DicomModalities": {"sink": {"AET": "SINK", "Host": "127.0.0.1", "Port": destination}},
        "ConcurrentJobs": os.cpu_count() or 2,
    }
    with peers.orthanc(folder / "orthanc", **settings) as server:
        yield server.server


def sink(folder: Path, port: int, count: int) -> AbstractContextManager[Running]:
    """A destination that counts, and says when it has had so many objects."""
    arguments = [sys.executable, "-m", "benchmarks.counting_scp", str(port), str(count)]
    return running(arguments, port, log=folder / "destination.log", environment=c.environment(), directory=c.ROOT)


def dcmtk(folder: Path, destination: int) -> AbstractContextManager[Running]:
    """DCMTK's storescp, which starts a storescu for each object that it has received."""
    send = f"{shlex.quote(peers.dcmtk('storescu'))} 127.0.0.1 {destination} #p/#f"
    return peers.storescp(folder / "dcmtk", "--fork", "--exec-on-reception", send)
