"""Senders as the configuration asks for them, and what they need: TLS, tokens."""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl as tls
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aiodicom.net.tls import tls_client_context
from aiodicom.router.config.checking import TLS_PROFILES, first_line
from aiodicom.router.config.destinations import (
    DimseDestination,
    FolderDestination,
    ObjectsDestination,
    StowDestination,
)

if TYPE_CHECKING:
    from aiodicom.router.config.destinations import ClientTLS, Destination
    from aiodicom.router.senders.sender import Sender
    from aiodicom.services.storage_commitment import CommitmentListener

__all__ = ["client_context", "make_sender"]


def make_sender(destination: Destination, calling_aet: str, commitments: CommitmentListener) -> Sender:
    """Makes the sender of a destination; nothing is opened yet. `commitments` hears of those that destinations report
    on associations of their own. Raises LocalError, OSError, ValueError.
    """
    match destination:
        case DimseDestination():
            context = client_context(destination.tls)
            if destination.commitment is not None:
                from aiodicom.router.senders.committing import CommittingSender

                return CommittingSender(destination, destination.commitment, calling_aet, context, commitments)
            from aiodicom.router.senders.dimse import DimseSender

            return DimseSender(destination, calling_aet, context)
        case StowDestination():
            from aiodicom.router.senders.stow import StowSender

            return StowSender(destination, _authorize(destination), client_context(destination.tls))
        case FolderDestination():
            from aiodicom.router.senders.folder import FolderSender

            return FolderSender(destination)
        case ObjectsDestination():
            from aiodicom.router.senders.objects import ObjectsSender

            return ObjectsSender(destination)


def client_context(settings: ClientTLS | None) -> tls.SSLContext | None:
    """The TLS context towards a destination; None without TLS. Raises LocalError, OSError, ValueError."""
    if settings is None:
        return None
    password = None if settings.key_password_file is None else first_line(settings.key_password_file)
    return tls_client_context(
        TLS_PROFILES[settings.profile],
        ca=settings.ca,
        cert=settings.cert,
        key=settings.key,
        key_password=password,
        verify=settings.verify,
        check_hostname=settings.check_hostname,
    )


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
