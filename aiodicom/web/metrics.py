"""The page that Prometheus scrapes."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

__all__ = ["metrics_route"]


def metrics_route(registry: CollectorRegistry, path: str = "/metrics") -> web.RouteDef:
    """Answers GET with the metrics of `registry`, in the format that the scraper asks for."""

    async def answer(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    return web.get(path, answer)
