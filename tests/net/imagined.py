"""An imagined peer with an imagined clock: what it accepts, how long it takes, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationClosed, ContextNotAccepted
from aiodicom.net import pool as pool_module
from aiodicom.net.transcoding import Transcoding

ROUND_TRIP = 0.05


class Imagined:
    """An association."""

    is_blocked = False

    def __init__(self, peer: Peer, contexts: Sequence[tuple[str, Sequence[str]]]) -> None:
        self.peer = peer
        self.contexts = [(abstract, tuple(syntaxes)) for abstract, syntaxes in contexts]
        self.window = peer.window
        self.is_open = True
        self.outstanding = 0
        #: what was done on it, and when
        self.done: list[str] = []
        self.end = ""
        self.ended_at = 0.0
        self.opened_at = asyncio.get_running_loop().time()
        self.is_dead = False
        peer.associations.append(self)

    def context_for(self, abstract_syntax: str, transfer_syntaxes: tuple[str, ...] | None) -> Any:
        if not self.is_open:
            raise AssociationClosed("over")
        accepted = [
            next(syntax for syntax in syntaxes if self.peer.accepts(abstract, syntax))
            for abstract, syntaxes in self.contexts
            if abstract == abstract_syntax and any(self.peer.accepts(abstract, syntax) for syntax in syntaxes)
        ]
        for syntax in accepted if transfer_syntaxes is None else transfer_syntaxes:
            if syntax in accepted:
                return SimpleNamespace(transfer_syntax=syntax)
        raise ContextNotAccepted(abstract_syntax, None, "refused")

    async def c_echo(self) -> str:
        return await self._do("echo", aiodicom.VERIFICATION, None)

    async def c_store(self, source: Any, *, transcode: Transcoding, **options: object) -> str:
        return await self._do("store", source.sop_class_uid, source.transfer_syntaxes(transcode))

    async def _do(self, name: str, abstract_syntax: str, transfer_syntaxes: tuple[str, ...] | None) -> str:
        self.context_for(abstract_syntax, transfer_syntaxes)
        self.outstanding += 1
        self.done.append(name)
        try:
            await self.peer.answer(self, name)
        finally:
            self.outstanding -= 1
        if not self.is_open:
            raise AssociationClosed("over")
        return name

    def abort(self) -> None:
        self._end("aborted")

    async def release(self) -> None:
        while self.is_open and self.outstanding:  # noqa: ASYNC110
            await asyncio.sleep(ROUND_TRIP)
        if self.is_open:
            await asyncio.sleep(ROUND_TRIP)
            self._end("released")

    def lose(self, error: Exception) -> Exception:
        """The way to the peer ends."""
        self._end("lost")
        return error

    def _end(self, how: str) -> None:
        if self.is_open:
            self.is_open, self.end, self.ended_at = False, how, asyncio.get_running_loop().time()


class Peer:
    """Accepts what `accepts(abstract_syntax, transfer_syntax)` says, and fails as the tests have it."""

    def __init__(self, window: int = 1, accepts: Callable[[str, str], bool] = lambda *_: True) -> None:
        self.window = window
        self.accepts = accepts
        self.associations: list[Imagined] = []
        #: what becomes of the next openings: an error, or None
        self.openings: list[Exception | None] = []
        #: when an association was asked for
        self.asked: list[float] = []
        #: what becomes of the next operations: an error, which ends the association if it is no status, or None
        self.answers: list[Exception | None] = []
        self.seconds = ROUND_TRIP

    async def open(self, contexts: Sequence[tuple[str, Sequence[str]]]) -> Any:
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(ROUND_TRIP)
        error = self.openings.pop(0) if self.openings else None
        if error is not None:
            raise error
        return Imagined(self, contexts)

    async def answer(self, association: Imagined, name: str) -> None:
        await asyncio.sleep(self.seconds)
        error = self.answers.pop(0) if self.answers else None
        if error is not None:
            if not isinstance(error, aiodicom.errors.StatusError):
                association.lose(error)
            raise error

    def now_open(self) -> list[Imagined]:
        return [association for association in self.associations if association.is_open]

    def pool(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> aiodicom.Pool:
        """A pool with it."""

        class Connecting:
            def __init__(_, contexts: Any, **__: Any) -> None:
                _.contexts = [(each, ("1.2.840.10008.1.2.1",)) if isinstance(each, str) else each for each in contexts]

            def __await__(_) -> Generator[Any, None, Any]:
                return self.open(_.contexts).__await__()

        monkeypatch.setattr(pool_module, "connect", lambda host, port, **arguments: Connecting(**arguments))
        return aiodicom.Pool("peer", 104, **options)
