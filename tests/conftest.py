"""Fixtures for every test, and the rule that a test leaves nothing behind.

A coroutine function is a test like any other (`async def test_...`): it runs once on each event loop. A plain function
that needs a loop in its middle takes the fixture `run`. AIODICOM_ASYNCIO_DEBUG=1 turns asyncio's debug mode on.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import ports
from tests.leaks import nothing_left_behind
from tests.loops import loop_factories, run_on

LOOPS = loop_factories()

# An example may take its time where others have the processors too.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "leaves_open: what it opens stays open on purpose; the leak check is off")


def pytest_collection_finish() -> None:
    # libuv opens a pipe for signals at its first use and keeps it.
    for factory in LOOPS.values():
        run_on(factory, asyncio.sleep(0))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    # Nor at what tests of one file have imported and cached, once they are through.
    if nextitem is None or nextitem.path != item.path:
        gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    if name.startswith("test") and inspect.iscoroutinefunction(obj):
        pytest.mark.usefixtures("loop_factory")(obj)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: value for name, value in pyfuncitem.funcargs.items() if name in wanted}
    run_on(pyfuncitem.funcargs["loop_factory"], pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(autouse=True, scope="module")
def _collected() -> None:
    """Each module begins without garbage of those before it."""
    gc.unfreeze()
    gc.collect()


@pytest.fixture(autouse=True)
def _no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("leaves_open"):
        yield
        return
    # What is there before the test, it cannot leave behind: the collection at its end need not look at all that.
    gc.freeze()
    with nothing_left_behind():
        yield


@pytest.fixture(params=LOOPS.values(), ids=LOOPS.keys())
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes an event loop of the kind that this run of the test is for."""
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    return factory


@pytest.fixture
def run(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Callable[..., Any]:
    """`run(coroutine)` on a new loop; the test runs once on asyncio's own loop and once on uvloop."""
    return functools.partial(run_on, loop_factory)


@pytest.fixture
def port() -> int:
    """A free loopback port."""
    return ports.free_port()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives a free loopback port at each call, never the same twice."""
    return ports.free_port
