"""A timer that is punctual: event loops round to milliseconds, which is longer than many an operation takes."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Final

__all__ = ["Alarm"]

#: linux/time.h, sys/timerfd.h
_CLOCK_MONOTONIC: Final = 1
_TFD_TIMER_ABSTIME: Final = 1


class _Times(ctypes.Structure):
    """struct itimerspec: the interval, then the time."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "at_s", "at_ns")]


class Alarm:
    """Calls `ring` at a time of `time.perf_counter`, in the event loop.

    On Linux by a file descriptor of its own (timerfd), of the same clock; elsewhere by the event loop's timer. To be
    closed.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._descriptor = _timer_descriptor()
        if self._descriptor is not None:
            self._loop.add_reader(self._descriptor, self._on_time)

    def set(self, when: float) -> None:
        """Has it ring then, or at once if that is over, and at no other time."""
        if self._descriptor is None:
            self._cancel()
            self._timer = self._loop.call_later(max(when - perf_counter(), 0.0), self._ring)
            return
        seconds, fraction = divmod(max(when, 1e-9), 1)
        times = _Times(0, 0, int(seconds), int(fraction * 1e9))
        # Only wrong arguments fail.
        _libc.timerfd_settime(self._descriptor, _TFD_TIMER_ABSTIME, ctypes.byref(times), None)

    def close(self) -> None:
        """It does not ring any more. Harmless when it is closed."""
        self._cancel()
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        assert self._descriptor is not None
        try:
            os.read(self._descriptor, 8)  # how often its time has come
        except BlockingIOError:
            return  # it has been set anew meanwhile
        self._ring()


if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)

    def _timer_descriptor() -> int | None:
        """A timerfd; None where there is none."""
        descriptor: int = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        return descriptor if descriptor >= 0 else None

else:

    def _timer_descriptor() -> int | None:
        """None: there is none."""
        return None
