"""Traces that every node on an object's way adds to."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from aiodicom.router.tracing import TracingObserver, context_of
from tests.router.running import Archive, destination, image, routing, store, uid_of, write


async def test_two_routers_on_an_objects_way_add_to_one_trace(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    observer = TracingObserver(provider.get_tracer("test"))
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    route = '---\n[[routes]]\nto = ["{}"]\n'
    refused: list[str] = []

    def refuse_once(request: object) -> int:
        refused.append("")
        return 0xC000 if len(refused) == 1 else 0

    async with Archive(refuse_once) as pacs:
        second = write(tmp_path / "second", destination("pacs", pacs.port) + route.format("pacs"))
        async with routing(second) as last:
            line = destination("next", last.port).replace('"NEXT"', '"ROUTER"')
            async with routing(write(tmp_path / "first", line + route.format("next"))) as running:
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


def test_a_part_of_the_objects_is_traced_the_same_everywhere() -> None:
    traced = [uid for uid in map(str, range(1000)) if context_of(uid, 0.25) is not None]
    assert 200 < len(traced) < 300
    assert all(context_of(uid, 0.5) is not None for uid in traced)
    assert context_of("1.2", 0.0) is None
    assert context_of("1.2", 1.0) is not None
