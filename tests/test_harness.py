"""The harness itself: what a test leaves behind must fail it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import pytest_xdist_auto_num_workers
from tests.leaks import nothing_left_behind
from tests.loops import run_on
from tests.ports import free_port, ports_of_this_process


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


def test_processes_that_share_a_run_have_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    given = []
    for number in range(3):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{number}")
        given.append(set(ports_of_this_process()))
    assert min(map(len, given)) > 5000
    assert len(set.union(*given)) == sum(map(len, given))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], 4),
        (["tests"], 4),
        (["tests/ul", "tests/test_docs.py"], 4),
        (["tests/test_docs.py::test_it", "tests/test_public.py"], 2),
        (["tests/test_docs.py::test_it", "tests/test_docs.py::test_another"], 0),
        (["tests", "--lf"], 0),
        (["benchmarks/micro", "--benchmark-enable"], 0),
    ],
)
def test_processes_are_started_for_as_much_as_is_worth_it(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, arguments: list[str], wanted: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(4))
    assert pytest_xdist_auto_num_workers(configured(pytestconfig.rootpath, arguments)) == wanted


def configured(root: Path, arguments: list[str]) -> Any:
    """What of pytest's configuration tells the tests that were asked for."""
    options = {argument.removeprefix("--").replace("-", "_") for argument in arguments if argument.startswith("--")}
    paths = [argument for argument in arguments if not argument.startswith("--")]
    return SimpleNamespace(
        args=paths or ["tests", "benchmarks/micro"],
        invocation_params=SimpleNamespace(dir=root),
        getoption=lambda name, _default: name in options,
    )
