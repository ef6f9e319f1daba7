"""HTTP beside what runs."""

from __future__ import annotations

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from aiodicom.web.metrics import metrics_route
from aiodicom.web.serving import Listening, serving


def registry() -> CollectorRegistry:
    """One with a counter that says 3."""
    made = CollectorRegistry()
    Counter("objects", "Objects.", registry=made).inc(3)
    return made


async def test_metrics_in_the_format_that_is_asked_for() -> None:
    async with serving([metrics_route(registry())]) as listening, aiohttp.ClientSession() as session:
        assert listening.host == "127.0.0.1"
        async with session.get(f"{listening.url}/metrics") as response:
            assert response.status == 200
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            assert "objects_total 3.0" in await response.text()
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with session.get(f"{listening.url}/metrics", headers=accept) as response:
            assert response.headers["Content-Type"].startswith("application/openmetrics-text")
            assert (await response.text()).endswith("# EOF\n")


async def test_nothing_else_is_there() -> None:
    async with serving([metrics_route(registry())]) as listening, aiohttp.ClientSession() as session:
        async with session.get(listening.url) as response:
            assert response.status == 404
        async with session.post(f"{listening.url}/metrics") as response:
            assert response.status == 405


async def test_it_ends_with_its_context() -> None:
    async with serving([metrics_route(registry())]) as listening:
        pass
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(listening.url)


async def test_a_port_that_is_taken() -> None:
    async with serving([]) as listening:
        with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1 port"):
            async with serving([], port=listening.port):
                pass


def test_addresses_as_browsers_take_them() -> None:
    assert Listening("127.0.0.1", 80).url == "http://127.0.0.1:80"
    assert Listening("::1", 9464).url == "http://[::1]:9464"
