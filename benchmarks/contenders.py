"""The servers and clients that are compared, each as it is started from a command line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.processes import Timed, timed
from tests.interop import peers
from tests.interop.processes import Running, running
from tests.ports import free_port

ROOT = Path(__file__).parent.parent

#: Starts a fresh server that may write to the folder it is given.
Start = Callable[[Path], AbstractContextManager[Running]]

#: Has a client send every file of a folder to a port of 127.0.0.1.
Send = Callable[[int, Path], Timed]

#: The names of the contenders that several rows have.
OUR_COMMAND, OUR_SERVER = "aiodicom storescp", "aiodicom Server, async handler"
DCMTK, ORTHANC, PYNETDICOM = "DCMTK storescp --fork", "Orthanc", "pynetdicom"
LIMIT = "C epoll sink (the limit)"


def environment() -> dict[str, str]:
    # Ours needs no TCP_NODELAY from outside; the checkout is found from any working folder.
    path = os.pathsep.join(filter(None, [os.fspath(ROOT), os.environ.get("PYTHONPATH")]))
    found = peers.environment(nodelay=False) | {"PYTHONPATH": path}
    # As when it is installed: what Python has compiled once is there the next time.
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


def command(*arguments: str) -> list[str]:
    """The command `aiodicom` of this checkout."""
    return [sys.executable, "-m", "aiodicom", *arguments]


# ---- servers


def aiodicom_storescp(durability: str | None = None) -> Start:
    """The command: it throws away, or writes to its folder with a durability."""

    def start(folder: Path) -> AbstractContextManager[Running]:
        port = free_port()
        writing = ["-od", os.fspath(folder / "received"), "--durability", durability or ""]
        arguments = command("storescp", str(port), *(writing if durability else ["--discard"]))
        return running(arguments, port, log=folder / "aiodicom.log", environment=environment())

    return start


def aiodicom_server(*options: str) -> Start:
    """The public `Server` with async handlers: server_handler.py, which has the options."""

    def start(folder: Path) -> AbstractContextManager[Running]:
        port = free_port()
        arguments = [sys.executable, "-m", "benchmarks.server_handler", str(port), os.fspath(folder), *options]
        return running(arguments, port, log=folder / "server.log", environment=environment(), directory=ROOT)

    return start


def dcmtk_storescp(*options: str, nodelay: bool = True) -> Start:
    return lambda folder: peers.storescp(folder / "dcmtk", *options, nodelay=nodelay)


def orthanc(*, nodelay: bool = True) -> Start:
    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Running]:
        with peers.orthanc(folder / "orthanc", nodelay=nodelay) as server:
            yield server.server

    return start


def pynetdicom() -> Start:
    return lambda folder: peers.pynetdicom_scp(folder / "pynetdicom", "--discard")


def sink(program: Path) -> Start:
    """dimsesink: accepts all, throws away, and prints what it counted when it ends."""

    def start(folder: Path) -> AbstractContextManager[Running]:
        port = free_port()
        return running([program, str(port)], port, log=folder / "sink.log")

    return start


def sink_count(folder: Path) -> dict[str, float]:
    """What the sink printed at its end."""
    counted: dict[str, float] = json.loads((folder / "sink.log").read_text().splitlines()[-1])
    return counted


# ---- clients


def storescu_ours(port: int, folder: Path) -> Timed:
    return timed(command("storescu", "127.0.0.1", str(port), os.fspath(folder)), timeout=120, environment=environment())


def storescu_dcmtk(name: str = "storescu", *, nodelay: bool) -> Callable[[int, Path], Timed]:
    """DCMTK's storescu or dcmsend, sending every file of a folder."""

    def send(port: int, folder: Path) -> Timed:
        arguments = [peers.dcmtk(name), "127.0.0.1", str(port), "+sd", os.fspath(folder)]
        return timed(arguments, timeout=120, environment=peers.environment(nodelay=nodelay))

    return send


def storescu_pynetdicom(port: int, folder: Path) -> Timed:
    files = sorted(map(os.fspath, folder.iterdir()))
    return timed([*peers.pynetdicom_script("pynetdicom_scu.py"), str(port), "store", *files], timeout=120)
