"""A router and its destinations as processes, to be killed and started again in the same places."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.faults.ledger import ROUTER, Arrival, Kill, Sent
from tests.interop.processes import Running, running, stop
from tests.ports import free_port

__all__ = ["Site", "destinations_of", "until"]

_TOP = Path(__file__).parents[2]
#: So that a destination that was away is tried again at once.
_DESTINATION = """
[destinations.{name}]
type = "dimse"
host = "127.0.0.1"
port = {port}
called_aet = "{title}"
dimse_timeout = {timeout}
retry = {{ first = "50ms", most = "200ms" }}
breaker = {{ pause = "100ms" }}
"""

ROUTES = """
[[routes]]
to = ["a"]

[[routes]]
when = 'Modality == "CT"'
to = ["b"]
"""


def destinations_of(modality: str) -> frozenset[str]:
    """Where those routes lead."""
    return frozenset(("a", "b") if modality == "CT" else ("a",))


class Site:
    """To be entered, which starts the destinations and the router; leaving it ends them.

    `queue` are more keys of its queue, `directory` where that is, below `folder` by default; `options` those of
    `tests.faults.pacs`, by the names of destinations.
    """

    def __init__(
        self,
        folder: Path,
        *,
        destinations: Iterable[str] = ("a", "b"),
        routes: str = ROUTES,
        queue: str = "",
        directory: Path | None = None,
        options: Mapping[str, Sequence[str]] | None = None,
        workers: int = 1,
        dimse_timeout: float = 60,
    ) -> None:
        self.folder = folder
        self.workers = workers
        self.environment = os.environ | {"PYTHONPATH": os.fspath(_TOP)}
        self.port = free_port()
        self.ports = {name: free_port() for name in destinations}
        self.options = dict(options or {})
        self.kills: list[Kill] = []
        self._running: dict[str, tuple[Running, ExitStack]] = {}
        self._read: dict[str, tuple[int, list[Arrival]]] = {}
        self.file = folder / "router.toml"
        where = directory or "queue"
        self._text = f'workers = {workers}\n[listen]\nport = {self.port}\n[queue]\ndirectory = "{where}"\n{queue}\n'
        self.directory = directory or folder / "queue"
        for name, port in self.ports.items():
            self._text += _DESTINATION.format(name=name, port=port, title=name.upper(), timeout=dimse_timeout)
        self.configure(routes)

    def configure(self, routes: str) -> None:
        """Writes the router's configuration."""
        self.file.write_text(self._text + routes)

    def __enter__(self) -> Self:
        try:
            for name in (*self.ports, ROUTER):
                self.start(name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all that runs."""
        for name in [ROUTER, *self.ports]:
            self.stop(name)

    # --- processes --------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Starts the router or a destination, where it was before. Raises PeerFailed."""
        if name == ROUTER:
            arguments = [sys.executable, "-m", "aiodicom", "route", os.fspath(self.file)]
            port = self.port
        else:
            port = self.ports[name]
            arguments = [sys.executable, "-m", "tests.faults.pacs", str(port), os.fspath(self._log(name))]
            arguments += self.options.get(name, ())
        stack = ExitStack()
        log = self.folder / f"{name}-{len(self.kills)}.log"
        process = stack.enter_context(running(arguments, port, log=log, environment=self.environment, directory=_TOP))
        self._running[name] = process, stack

    def kill(self, *names: str) -> None:
        """SIGKILL to these at once, with all their processes; returns when they are gone."""
        for name in names:
            os.killpg(self._running[name][0].pid, signal.SIGKILL)
            self.kills.append(Kill(name, time.monotonic()))
        for name in names:
            self._end(name)

    def kill_worker(self, chosen: random.Random) -> None:
        """SIGKILL to one of the router's worker processes; it is for the others to make that good."""
        supervisor = self._running[ROUTER][0].pid
        children = sorted(
            int(pid)
            for task in Path(f"/proc/{supervisor}/task").iterdir()
            for pid in (task / "children").read_text().split()
            if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(chosen.choice(children), signal.SIGKILL)
        self.kills.append(Kill(ROUTER, time.monotonic()))

    def stop(self, name: str) -> None:
        """Ends one in good order, if it runs."""
        if name in self._running:
            self._end(name)

    def _end(self, name: str) -> None:
        server, stack = self._running.pop(name)
        with suppress(ProcessLookupError):
            stop(server.process)
        stack.close()

    def hang_up(self) -> None:
        """SIGHUP to the router."""
        os.kill(self._running[ROUTER][0].pid, signal.SIGHUP)

    def output(self, name: str) -> str:
        """What one that runs has said since it was started."""
        return self._running[name][0].output()

    def is_running(self, name: str) -> bool:
        """Whether it is alive."""
        return name in self._running and self._running[name][0].process.poll() is None

    # --- what has arrived -------------------------------------------------------------------------------------------

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.arrivals"

    def arrivals(self, name: str) -> list[Arrival]:
        """What a destination has had since it was first started, in its order."""
        offset, found = self._read.get(name, (0, []))
        if self._log(name).exists():
            with self._log(name).open("rb") as file:
                file.seek(offset)
                lines = file.read()
            whole = lines[: lines.rfind(b"\n") + 1]
            for line in whole.decode().splitlines():
                uid, digest, at = line.split()
                found.append(Arrival(uid, digest, float(at)))
            self._read[name] = offset + len(whole), found
        return found

    async def until_arrived(
        self, sent: Mapping[str, Sent], acknowledged: Iterable[str], patience: float, *names: str
    ) -> bool:
        """Waits until these destinations (all) have what was acknowledged of theirs; returns whether they have."""
        wanted = {name: {uid for uid in acknowledged if name in sent[uid].destinations} for name in names or self.ports}

        def have_arrived() -> bool:
            for name, uids in wanted.items():
                uids -= {arrival.uid for arrival in self.arrivals(name)}
            return not any(wanted.values())

        return await until(have_arrived, patience)

    async def until_said(self, text: str, patience: float = 30) -> bool:
        """Waits until the router has said something since its start; returns whether it has."""
        return await until(lambda: text in self.output(ROUTER), patience)


async def until(condition: Callable[[], bool], patience: float) -> bool:
    """Waits until something in another process holds, up to `patience` seconds; returns whether it does."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True
