"""Senders as the configuration asks for them, and what they need: TLS, tokens."""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aiodicom.router.config.destinations import (
    DimseDestination,
    FolderDestination,
    ObjectsDestination,
    StowDestination,
)
from aiodicom.router.config.secrets import first_line

if TYPE_CHECKING:
    from aiodicom.router.config.destinations import Destination
    from aiodicom.router.config.tls import ClientTLS
    from aiodicom.router.senders.sender import Sender
    from aiodicom.services.storage_commitment import CommitmentListener

__all__ = ["context_of", "make_sender"]


def make_sender(destination: Destination, calling_aet: str, commitments: CommitmentListener) -> Sender:
    """Makes the sender of a destination; nothing is opened yet. `commitments` hears of those that destinations report
    on associations of their own. Raises LocalError, OSError, ValueError.
    """
    match destination:
        case DimseDestination():
            context = context_of(destination.tls)
            if destination.commitment is not None:
                from aiodicom.router.senders.committing import CommittingSender

                return CommittingSender(destination, destination.commitment, calling_aet, context, commitments)
            from aiodicom.router.senders.dimse import DimseSender

            return DimseSender(destination, calling_aet, context)
        case StowDestination():
            from aiodicom.router.senders.stow import StowSender

            return StowSender(destination, _authorize(destination), context_of(destination.tls))
        case FolderDestination():
            from aiodicom.router.senders.folder import FolderSender

            return FolderSender(destination)
        case ObjectsDestination():
            from aiodicom.router.senders.objects import ObjectsSender

            return ObjectsSender(destination)


def context_of(tls: ClientTLS | None) -> ssl.SSLContext | None:
    """The TLS context towards somebody; None without TLS. Raises LocalError, OSError, ValueError."""
    return None if tls is None else tls.context()


def _authorize(destination: StowDestination) -> Callable[[], Awaitable[str]] | None:
    """Who makes the Authorization header field."""
    path, hook = destination.token_file, destination.token_hook
    if path is not None:
        # Read anew each time that it is asked for: somebody else renews it.
        return lambda: _from_file(path)
    if hook is not None:
        module, _, name = hook.partition(":")
        function = getattr(import_module(module), name)
        return lambda: _from_hook(function)
    return None


async def _from_file(path: str | os.PathLike[str]) -> str:
    return f"Bearer {await asyncio.to_thread(first_line, os.fspath(path))}"


async def _from_hook(function: Callable[[], Any]) -> str:
    token = function()
    if inspect.isawaitable(token):
        token = await token
    if not isinstance(token, str):
        raise TypeError(f"a token is a text, not {type(token).__name__}")
    return f"Bearer {token}"
