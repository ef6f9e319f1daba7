"""The SCP that the demonstration loads: answers everything with success and keeps nothing."""

from __future__ import annotations

import aiodicom

__all__ = ["make_server"]


def make_server() -> aiodicom.Server:
    """The factory for the worker processes."""
    server = aiodicom.Server()
    server.on_c_store(_accept, body=aiodicom.Discarded())
    return server


def _accept(_request: aiodicom.StoreRequest) -> aiodicom.Status:
    return aiodicom.Status.SUCCESS
