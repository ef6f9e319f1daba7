"""The harness itself: what a test leaves behind must fail it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.leaks import nothing_left_behind
from tests.loops import run_on
from tests.ports import free_port


def test_open_socket_fails() -> None:
    leak = pytest.raises(AssertionError, match=r"descriptor .* socket:")
    with contextlib.ExitStack() as stack, leak, nothing_left_behind():
        stack.enter_context(socket.socket())


def test_unwaited_child_fails() -> None:
    leak = pytest.raises(AssertionError, match="child process")
    with contextlib.ExitStack() as stack, leak, nothing_left_behind():
        stack.enter_context(subprocess.Popen([sys.executable, "-c", ""]))


def test_left_task_fails(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        main.task = asyncio.create_task(asyncio.Event().wait())  # type: ignore[attr-defined]

    with pytest.raises(AssertionError, match="left on the loop: task"):
        run_on(loop_factory, main())


def test_error_in_callback_fails(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(int, "no number")
        await asyncio.sleep(0)

    with pytest.raises(AssertionError, match="exception handler"):
        run_on(loop_factory, main())


async def test_coroutine_tests_run_on_a_loop(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", port)
    server.close()


def test_run_gives_the_result(run: Callable[..., Any]) -> None:
    assert run(asyncio.sleep(0, "done")) == "done"


def test_ports_differ() -> None:
    assert len({free_port() for _ in range(20)}) == 20
