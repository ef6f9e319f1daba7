"""A TCP proxy that adds latency, as a long way does: python -m tests.delay PORT TARGET [MILLISECONDS].

It adds so many milliseconds (25) each way, between 127.0.0.1:PORT and 127.0.0.1:TARGET. Bandwidth is not limited, the
order of bytes is kept, and an end arrives as late as what was sent before it. A connection itself is made at once:
there is no handshake to wait for, and what follows it is what counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from types import TracebackType
from typing import Any, NamedTuple

DELAY = 0.025

#: Bytes under way in one direction of a connection, above which no more are taken from the sender: in 25 ms, this is
#: 1.3 GB/s.
MOST_UNDER_WAY = 32 << 20


class Late(NamedTuple):
    """Something that has set out and not arrived: bytes, or the end (None)."""

    due: float
    data: bytes | None


class Half(asyncio.Protocol):
    """One connection of the proxy: what is read here is written to the `other` half, later."""

    def __init__(self, proxy: DelayingProxy, other: Half | None = None) -> None:
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[Late] = deque()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        # Until there is somebody to give it to, nothing arrives.
        self._is_stuck = other is None
        self.other = other
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._proxy.halves.add(self)
        if self.other is None:
            self._proxy.connect(self)
        else:
            self.other.other = self
            if self.other.transport is None:
                transport.close()  # it has gone in the meantime
            else:
                self.other.hold(False)

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        self._put(data)
        if self._bytes > MOST_UNDER_WAY and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._put(None)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._proxy.halves.discard(self)
        self._proxy.is_less.set()
        self._put(None)

    def _put(self, data: bytes | None) -> None:
        self._under_way.append(Late(self._loop.time() + self._proxy.delay, data))
        self._wait()

    def _wait(self) -> None:
        if self._timer is None and self._under_way and not self._is_stuck:
            self._timer = self._loop.call_at(self._under_way[0].due, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        arrived: list[bytes] = []
        is_end = False
        now = self._loop.time() + 0.0005  # timers of event loops are no finer than a millisecond
        while self._under_way and self._under_way[0].due <= now and not is_end:
            data = self._under_way.popleft().data
            if data is None:
                is_end = True
            else:
                arrived.append(data)
        peer = self.other.transport if self.other is not None else None
        if arrived:
            self._bytes -= sum(map(len, arrived))
            if peer is not None:
                peer.writelines(arrived)
            if self._is_paused and self._bytes <= MOST_UNDER_WAY // 2 and self.transport is not None:
                self._is_paused = False
                self.transport.resume_reading()
        if is_end and peer is not None:
            # Half of it while the other direction goes on, all of it when this half is gone.
            if self.transport is None:
                peer.close()
            elif peer.can_write_eof():
                peer.write_eof()
        self._wait()

    # The transport of this half does not take what the other one gives it.

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.hold(True)

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.hold(False)

    def hold(self, is_stuck: bool) -> None:
        """Lets nothing arrive for a time."""
        self._is_stuck = is_stuck
        if is_stuck and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wait()

    def abort(self) -> None:
        """Ends at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._under_way.clear()
        if self.transport is not None:
            self.transport.abort()


class DelayingProxy:
    """`async with DelayingProxy(target_port) as proxy`: what connects to `proxy.port` is far from the target."""

    def __init__(self, target: int, port: int = 0, delay: float = DELAY) -> None:
        self.port = port
        self.delay = delay
        #: connections that have been made through it
        self.connections = 0
        self.halves: set[Half] = set()
        #: set when one of them has ended
        self.is_less = asyncio.Event()
        self._target = target
        self._connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    def connect(self, half: Half) -> None:
        """Connects onward for a half that has been accepted."""
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._connect(half))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, half: Half) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Half(self, half), "127.0.0.1", self._target)
        except OSError:
            half.abort()

    async def __aenter__(self) -> DelayingProxy:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Half(self), "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for half in tuple(self.halves):
            half.abort()
        while self.halves:
            self.is_less.clear()
            await self.is_less.wait()


async def _serve(port: int, target: int, delay: float) -> None:
    async with DelayingProxy(target, port, delay):
        await asyncio.Event().wait()


if __name__ == "__main__":
    _port, _target, *_more = map(int, sys.argv[1:])
    with contextlib.suppress(KeyboardInterrupt):
        import uvloop

        uvloop.run(_serve(_port, _target, (_more or [25])[0] / 1e3))
