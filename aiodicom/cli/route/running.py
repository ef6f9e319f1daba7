"""`aiodicom route FILE`: the router, by a configuration."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.listening import advice_on_binding, announce
from aiodicom.cli.runner import run
from aiodicom.errors import ConfigurationError
from aiodicom.net.descriptors import allow_most_descriptors

if TYPE_CHECKING:
    from aiodicom.router.config.root import Config

__all__ = ["route"]

_COMMAND = "route"


def route(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="The configuration: TOML.")],
    check: Annotated[
        bool, typer.Option("--check", help="Say what is wrong with the configuration, or what it does, and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --check: print the result as JSON.")] = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Receive objects and forward them by rules, until SIGINT or SIGTERM: see docs/router.md.

    SIGHUP has the configuration read again; associations stay open.

    Example: aiodicom route router.toml
    """
    try:
        config = _read(file, check, as_json)
    except ModuleNotFoundError as error:
        output.note(_COMMAND, f"this command needs more packages: pip install 'aiodicom[router]' ({error.name})")
        raise typer.Exit(1) from None
    if check:
        return
    output.configure_logging(verbose, debug, logging.WARNING)
    allow_most_descriptors()
    from aiodicom.router.router import Router

    async def work(stop: asyncio.Event) -> int:
        loop = asyncio.get_running_loop()
        reloading = asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, reloading.set)
        try:
            with advice_on_binding():
                router = await Router(config, path=file).__aenter__()
            async with router:
                announce(router.listeners.addresses)
                await _until_stopped(router, stop, reloading)
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
        return 0

    run(_COMMAND, work)
