"""Runs commands in this process, or as processes of their own."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

import aiodicom
from aiodicom.cli import main
from aiodicom.net import association

#: Seconds that a command may take before the test fails.
PATIENCE = 60.0


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines on stderr."""
        return self.err.splitlines()


Invoke = Callable[..., Outcome]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Iterator[Invoke]:
    """`invoke("echoscu", host, port, ...)`: runs the command here."""
    logger = logging.getLogger("aiodicom")
    handlers, level = logger.handlers[:], logger.level

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(exit_.value.code, int)
        return Outcome(exit_.value.code, captured.out, captured.err)

    yield run
    logger.handlers[:] = handlers
    logger.setLevel(level)


def environment() -> dict[str, str]:
    """Of a command: with the package that is under test, and buffers as everywhere."""
    path = str(Path(aiodicom.__file__).parent.parent)
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | {"PYTHONPATH": path}


class Command:
    """A command in a process of its own."""

    def __init__(self, *arguments: object, prefix: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "aiodicom", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self._seen = ""
        self._seen_on_stdout = ""
        self.pid = self._process.pid

    def wait_for_line(self, start: str) -> str:
        """The first line on stderr that begins so."""
        return self._wait_for_error(lambda line: line.startswith(start))

    def wait_for_words(self, words: str, times: int = 1) -> str:
        """The first line on stderr that has these words in it, or the one that makes it so many."""
        return self._wait_for_error(lambda line: words in line, times)

    def wait_for_result(self, start: str) -> str:
        """The first line on stdout that begins so."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        line, self._seen_on_stdout = _wait_for(descriptor, self._seen_on_stdout, lambda line: line.startswith(start))
        return line

    def _wait_for_error(self, is_it: Callable[[str], bool], times: int = 1) -> str:
        assert self._process.stderr is not None
        line, self._seen = _wait_for(self._process.stderr.fileno(), self._seen, is_it, times)
        return line

    def stop_watching(self) -> None:
        """Closes stderr: nobody reads what the command says there any more."""
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._process.stderr = None

    def send_signal(self, number: int) -> None:
        """Sends a signal to the command."""
        self._process.send_signal(number)

    def wait(self) -> Outcome:
        """Waits for the end of the command."""
        out, err = self._process.communicate(timeout=PATIENCE)
        return Outcome(self._process.returncode, self._seen_on_stdout + out, self._seen + (err or ""))

    def terminate(self) -> Outcome:
        """Ends the command as a service manager does."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """Makes sure that it has ended, and its worker processes with it."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=PATIENCE)
        finally:
            self._process.kill()


def _wait_for(descriptor: int, seen: str, is_it: Callable[[str], bool], times: int = 1) -> tuple[str, str]:
    """The first line that it is, or that makes it so many, and all that has been seen until then."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = [line for line in seen.splitlines(keepends=True) if is_it(line) and line.endswith("\n")]
        if len(found) >= times:
            return found[times - 1].rstrip("\n"), seen
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no such line: {seen}"
        some = os.read(descriptor, 65536).decode()
        assert some, f"the command ended: {seen}"
        seen += some


Start = Callable[..., Command]


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that run here wait but a moment for a peer to close what has been aborted."""
    monkeypatch.setattr(association, "_CLOSE_GRACE", 0.05)


@pytest.fixture
def start() -> Iterator[Start]:
    """`start("storescp", port, ...)`: runs the command in a process of its own, which ends with the test.

    `prefix` is what starts it in its turn, such as prlimit.
    """
    with ExitStack() as stack:

        def run(*arguments: object, prefix: Sequence[str] = ()) -> Command:
            command = Command(*arguments, prefix=prefix)
            stack.callback(command.close)
            return command

        yield run
