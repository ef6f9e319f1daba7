"""The end of a study: a command for each study of which no object has come for some time."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from collections import OrderedDict, deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from aiodicom.services.naming import parse

__all__ = ["Studies", "StudyCommand", "StudyEnds"]

_log = logging.getLogger(__name__)

#: Placeholders of a command that are no keywords.
_OTHERS: Final = ("path",)


class StudyCommand:
    """A program with its arguments, in which placeholders stand for attributes of the study's last object.

    ``{path}`` is the absolute path of the folder where the study is. Each argument stays one argument, whatever the
    values have in them; no shell sees them. Raises ValueError for a command that cannot be.
    """

    def __init__(self, command: str) -> None:
        self._arguments = [parse(word, _OTHERS) for word in shlex.split(command)]
        if not self._arguments or not self._arguments[0] or any(part.keyword for part in self._arguments[0]):
            raise ValueError("a program's name is to come first, without placeholders")
        #: The keywords that are used, and the one that tells studies apart.
        self.keywords = frozenset(
            {part.keyword for parts in self._arguments for part in parts if part.keyword} - {*_OTHERS}
            | {"StudyInstanceUID"}
        )

    def arguments(self, values: Mapping[str, str], path: str) -> list[str]:
        """The program and its arguments, for `naming.values_of` an object."""
        known = {**values, "path": os.path.abspath(path)}
        return ["".join(part.text(known) for part in parts) for parts in self._arguments]


class Studies(Protocol):
    """Who is told of every object of a study that has been stored."""

    command: StudyCommand

    def stored(self, study: str, values: Mapping[str, str], path: str) -> None:
        """An object of a study has been stored, the study being in the folder `path`."""

    async def drain(self) -> None:
        """No object will come any more: returns when all is done that was to be done about those that came."""


class _Waiting(NamedTuple):
    deadline: float
    values: Mapping[str, str]
    path: str


class StudyEnds:
    """Runs a command when no object of a study has come for `after` seconds, or at `drain`.

    At most `processes` run at once. A command that cannot be run, or ends with another exit code than 0, is logged. Its
    output goes to stderr. When objects of a study come after all, the command runs for it again.
    """

    def __init__(self, command: StudyCommand, *, after: float = 30.0, processes: int = 4) -> None:
        self.command = command
        self._after = after
        self._processes = processes
        #: In the order of their deadlines, since all wait for the same time.
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._due: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def stored(self, study: str, values: Mapping[str, str], path: str) -> None:
        """An object of a study has been stored, the study being in the folder `path`."""
        loop = asyncio.get_running_loop()
        self._waiting[study] = _Waiting(loop.time() + self._after, values, path)
        self._waiting.move_to_end(study)
        if self._timer is None:
            self._timer = loop.call_at(loop.time() + self._after, self._look)

    async def drain(self) -> None:
        """Runs the command for every study that waits, and returns when all have ended. Cancelled, kills them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due += self._waiting.values()
        self._waiting.clear()
        self._start()
        try:
            while self._running:
                await asyncio.wait(self._running)
        except asyncio.CancelledError:
            self._due.clear()
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running)
            raise

    def _look(self) -> None:
        """Starts what is due, and comes again for the next one."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._waiting:
            study, first = next(iter(self._waiting.items()))
            if first.deadline > loop.time():
                self._timer = loop.call_at(first.deadline, self._look)
                break
            del self._waiting[study]
            self._due.append(first)
        self._start()

    def _start(self) -> None:
        while self._due and len(self._running) < self._processes:
            task = asyncio.get_running_loop().create_task(self._run(self._due.popleft()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            self._start()

    async def _run(self, study: _Waiting) -> None:
        arguments = self.command.arguments(study.values, study.path)
        name = study.values["StudyInstanceUID"]
        # A session of its own: Ctrl-C at our terminal is for us alone, and we wait for it.
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=2, start_new_session=True
            )
        )
        try:
            # Once begun, a start is not cancelled: that would leave a process that nobody knows.
            process = await asyncio.shield(starting)
            code = await process.wait()
        except (OSError, ValueError) as error:
            _log.error("the command for study %s could not be run: %s", name, error)
        except asyncio.CancelledError:
            with suppress(OSError, ValueError):
                process = await starting
                process.kill()
                await process.wait()
            raise
        else:
            if code:
                _log.error("the command for study %s ended with exit code %d: %s", name, code, arguments[0])
