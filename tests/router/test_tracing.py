"""Traces that every node on an object's way adds to."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from aiodicom.router.config.reading import load
from aiodicom.router.router import Router
from aiodicom.router.tracing import TracingObserver, context_of, tracer_of
from aiodicom.router.watching import watching
from aiodicom.web.serving import serving
from tests.router.running import HEAD, Archive, Watch, destination, image, routing, store, uid_of, write

ROUTE = '---\n[[routes]]\nto = ["{}"]\n'


async def test_two_routers_on_an_objects_way_add_to_one_trace(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    observer = TracingObserver(provider.get_tracer("test"))
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    refused: list[str] = []

    def refuse_once(request: object) -> int:
        refused.append("")
        return 0xC000 if len(refused) == 1 else 0

    async with Archive(refuse_once) as pacs:
        second = write(tmp_path / "second", destination("pacs", pacs.port) + ROUTE.format("pacs"))
        async with routing(second) as last:
            line = destination("next", last.port).replace('"NEXT"', '"ROUTER"')
            async with routing(write(tmp_path / "first", line + ROUTE.format("next"))) as running:
                for each in (running, last):
                    each.router.observers.add(observer)
                await store(running.port, [image(1)])
                await last.watch.saw("delivered", uid_of(1))
                await running.watch.saw("delivered", uid_of(1))
    provider.shutdown()
    spans = exporter.get_finished_spans()
    assert sorted(span.name for span in spans) == ["deliver", "deliver", "deliver", "receive", "receive"]
    assert len({span.context.trace_id for span in spans}) == 1
    (failed,) = [span for span in spans if span.status.status_code is StatusCode.ERROR]
    assert "C000H" in str(failed.status.description)


@pytest.mark.parametrize("path", ["", "/v1/traces"])
async def test_a_collector_gets_the_spans_of_a_router(path: str, tmp_path: Path) -> None:
    from aiohttp import web

    got: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.read())
        return web.Response(content_type="application/x-protobuf")

    async with Archive() as pacs, serving([web.post("/v1/traces", take)]) as collector:
        more = f'[tracing]\nendpoint = "{collector.url}{path}"\nservice_name = "night-router"\n'
        configuration = write(tmp_path, destination("pacs", pacs.port) + ROUTE.format("pacs"), HEAD + more)
        router = Router(load(configuration), path=configuration)
        watch = Watch()
        router.observers.add(watch)
        async with watching(router), router:
            await store(router.listeners.addresses[0][1], [image(1)])
            await watch.saw("delivered", uid_of(1))
    # What was on its way at the end is there too.
    spans = b"".join(got)
    assert b"night-router" in spans
    assert b"receive" in spans
    assert b"deliver" in spans
    assert spans.count(uid_of(1).encode()) == 2


def test_a_part_of_the_objects_is_traced_the_same_everywhere() -> None:
    traced = [uid for uid in map(str, range(1000)) if context_of(uid, 0.25) is not None]
    assert 200 < len(traced) < 300
    assert all(context_of(uid, 0.5) is not None for uid in traced)
    assert context_of("1.2", 0.0) is None
    assert context_of("1.2", 1.0) is not None


async def test_a_collector_that_is_away_is_one_piece_of_news(port: int, caplog: pytest.LogCaptureFixture) -> None:
    from aiodicom.router.config.operations import Tracing
    from aiodicom.router.config.values import WebUrl

    log = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    log.filters.clear()
    _, end = tracer_of(Tracing(endpoint=WebUrl(f"http://127.0.0.1:{port}")))
    for _ in range(3):
        log.warning("no connection")
    end()
    assert [record.getMessage() for record in caplog.records] == ["no connection"]
