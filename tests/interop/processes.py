"""Peers as child processes: started on a port, known to be ready, ended by their process id with what they forked."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds until a peer must listen, and seconds in which it must end after SIGTERM.
START_TIMEOUT, STOP_TIMEOUT = 30.0, 10.0


class PeerMissing(Exception):
    """A program or package that is not installed on this machine."""


class PeerFailed(Exception):
    """A peer that did not start, or a command that ended with the wrong exit code; its output is in the message."""


@dataclass(frozen=True)
class Running:
    """A peer that listens on `port` of 127.0.0.1."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def running(
    arguments: Sequence[str | os.PathLike[str]],
    *ports: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[Running]:
    """Starts a server, waits until it accepts connections on all `ports`, and ends it with all that it forked."""
    with log.open("wb") as output:
        # A session of its own: its process id then names the group of everything that it forks, and nothing else.
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            cwd=directory,
            start_new_session=True,
        )
    server = Running(Path(arguments[0]).name, process, ports[0], log)
    try:
        for port in ports:
            _wait_until_listening(server, port)
        yield server
    finally:
        stop(process, end)


def _wait_until_listening(server: Running, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = server.process.wait(timeout=0.02)
            raise PeerFailed(f"{server.name} ended with exit code {code} before it listened:\n{server.output()}")
    raise PeerFailed(f"{server.name} does not listen on port {port} after {START_TIMEOUT} s:\n{server.output()}")


def stop(process: subprocess.Popen[bytes], end: signal.Signals = signal.SIGTERM) -> None:
    """This signal to the process and what it forked; SIGKILL to what then remains."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, end)
    try:
        process.wait(timeout=STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=STOP_TIMEOUT)


def run_command(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    exit_code: int | None = 0,
    timeout: float = 60.0,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; PeerFailed with its output when the exit code is another (None: any is fine)."""
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=None if environment is None else dict(environment),
            cwd=directory,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise PeerFailed(f"{Path(arguments[0]).name} is not done after {timeout} s: {late.output!r}") from late
    if exit_code is not None and done.returncode != exit_code:
        command = " ".join(os.fspath(each) for each in arguments)
        raise PeerFailed(f"exit code {done.returncode}, not {exit_code}: {command}\n{done.stdout}{done.stderr}")
    return done
