"""`aiodicom route FILE`: the router, by a configuration."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.listening import advice_on_binding, announce
from aiodicom.cli.runner import run
from aiodicom.errors import ConfigurationError
from aiodicom.net.descriptors import allow_most_descriptors
from aiodicom.services.stopping import Interrupted, unless_stopped

if TYPE_CHECKING:
    from aiodicom.router.config.root import Config
    from aiodicom.router.router import Router

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
        output.note(_COMMAND, f"this command needs more packages ({error.name}): pip install 'aiodicom[router]'")
        raise typer.Exit(1) from None
    if check:
        return
    output.configure_logging(verbose, debug, logging.WARNING)
    allow_most_descriptors()
    run(_COMMAND, lambda stop: _run(config, file, stop))


async def _run(config: Config, file: Path, stop: asyncio.Event) -> int:
    from aiodicom import __version__
    from aiodicom.router.control import Control
    from aiodicom.router.router import Router
    from aiodicom.router.watching import watching
    from aiodicom.web.router.control import controlling
    from aiodicom.web.router.serving import serving_pages

    loop = asyncio.get_running_loop()
    hangup = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    try:
        async with AsyncExitStack() as stack:
            with advice_on_binding():
                router = await stack.enter_async_context(Router(config, path=file))
                control = Control(router, __version__, os.getpid())
                watchers = await stack.enter_async_context(watching(router, control))
                registry = None if watchers.metering is None else watchers.metering.registry
                await stack.enter_async_context(controlling(control, router.reload, router.directory, registry))
                pages = await stack.enter_async_context(serving_pages(config, watchers.auditor))
            for finding in router.queue.findings:
                output.note(_COMMAND, finding)
            announce(router.listeners.addresses)
            for page in pages:
                output.note(_COMMAND, page)
            await _until_stopped(router, stop, hangup)
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
    return 0


async def _until_stopped(router: Router, stop: asyncio.Event, hangup: asyncio.Event) -> None:
    """Reads the configuration again whenever somebody hangs up."""
    while True:
        try:
            await unless_stopped(stop, hangup.wait())
        except Interrupted:
            return
        hangup.clear()
        changed = await router.reload()
        for problem in router.problems:
            output.note(_COMMAND, f"the configuration stays as it was: {problem}")
        if changed:
            output.note(_COMMAND, f"the configuration has changed: {', '.join(changed)}")
        elif not router.problems:
            output.note(_COMMAND, "the configuration is as it was")


def _read(file: Path, check: bool, as_json: bool) -> Config:
    """The configuration; what is wrong with it is said, and ends the command."""
    from aiodicom.cli.route.summary import summary_of
    from aiodicom.router.config.reading import load

    problems: tuple[str, ...] = ()
    config = None
    try:
        config = load(file)
    except ConfigurationError as error:
        problems = error.problems
    except OSError as error:
        output.note(_COMMAND, f"{file}: {error.strerror or error}")
        raise typer.Exit(1) from None
    if check and as_json:
        output.result_json({"file": str(file), "problems": problems})
    if config is None:
        if not as_json:
            for problem in problems:
                output.note(_COMMAND, f"{file}: {problem}")
            output.note(_COMMAND, f"{file}: {output.count(len(problems), 'problem')}")
        raise typer.Exit(1)
    if check and not as_json:
        for line in summary_of(config):
            output.result(output.printable(line))
    return config
