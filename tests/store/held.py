"""Threads that a test holds up, and disks that fail."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from types import ModuleType
from typing import Any

import pytest

from aiodicom.store import committer, files, segments
from aiodicom.store._writers import AppendJob, FileJob, Job


class HeldWriters:
    """In place of `Writers`: a job is done when the test lets it be."""

    def __init__(self, _most: int) -> None:
        self._heard, self._bell = socket.socketpair()
        self._done: list[Job] = []
        self.given: deque[Job] = deque()
        self._more = asyncio.Event()

    def fileno(self) -> int:
        return self._heard.fileno()

    def give(self, job: Job) -> None:
        self.given.append(job)
        self._more.set()

    async def has(self, count: int) -> None:
        """Returns when so many jobs are given and not done."""
        while len(self.given) < count:
            self._more.clear()
            await self._more.wait()

    def let(self) -> None:
        """Has all jobs done that were given."""
        while self.given:
            job = self.given.popleft()
            job.run()
            self._done.append(job)
        self._bell.send(b"x")

    def collect(self) -> list[Job]:
        self._heard.recv(1)
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        assert not self.given
        self._heard.close()
        self._bell.close()


def holding(monkeypatch: pytest.MonkeyPatch, module: ModuleType = committer) -> list[HeldWriters]:
    """Has what a module makes of `Writers` hold its jobs; returns those that come to be."""
    made: list[HeldWriters] = []

    def make(most: int) -> HeldWriters:
        made.append(HeldWriters(most))
        return made[-1]

    monkeypatch.setattr(module, "Writers", make)
    return made


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Has every file fail with that errno: when it gets its name, or before."""

    class FailingJob(FileJob):
        def __new__(cls, folder: int, temporary: bytes, _path: tuple[bytes, ...], **options: Any) -> FailingJob:
            return super().__new__(cls, folder, temporary, (b"x" * 300,), **options)

        @property
        def result(self) -> int:
            assert super().result in (0, errno.ENAMETOOLONG)
            return number if super().result else 0

    def write(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "FileJob", FailingJob)
    monkeypatch.setattr(os, "write", write)


def failing_appends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has everything that is appended to a segment fail once it is written: as when the disk cannot sync."""

    class FailingJob(AppendJob):
        @property
        def result(self) -> int:
            return super().result or errno.EIO

    monkeypatch.setattr(segments, "AppendJob", FailingJob)
