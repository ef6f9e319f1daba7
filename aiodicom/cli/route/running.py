"""`aiodicom route FILE`: the router, by a configuration."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
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
    from aiodicom.web.router.process import ProcessSettings

__all__ = ["route"]

_COMMAND = "route"


def route(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="The configuration: TOML.")],
    check: Annotated[
        bool, typer.Option("--check", help="Say what is wrong with the configuration, or what it does, and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --check: print the result as JSON.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            max=256,
            show_default="what the configuration says",
            help="Processes that share the listeners, each with a part of the queue.",
        ),
    ] = None,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Receive objects and forward them by rules, until SIGINT or SIGTERM: see docs/router.md.

    SIGHUP has the configuration read again; associations stay open.

    Example: aiodicom route router.toml

    Further commands, each with a --help of its own, for a router that runs: aiodicom route status, queue (what waits,
    or where an object is), retry, hold, release, drop.
    """
    try:
        config = _read(file, check, as_json)
    except ModuleNotFoundError:
        output.note(_COMMAND, "this command needs more packages: pip install 'aiodicom[router]'")
        raise typer.Exit(1) from None
    if check:
        return
    prepare = functools.partial(_prepare, verbose, debug)
    prepare()
    allow_most_descriptors()
    run(_COMMAND, lambda stop: _run(config, file, workers or config.workers, stop, prepare))


def _prepare(verbose: bool, debug: bool) -> None:
    """Has a process of the router, this one or a worker, log and tell as commands do."""
    output.configure_logging(verbose, debug, logging.WARNING)
    output.note_warnings(_COMMAND)


async def _run(config: Config, file: Path, workers: int, stop: asyncio.Event, prepare: Callable[[], None]) -> int:
    from aiodicom.web.router.process import ProcessSettings

    settings = ProcessSettings(config, str(file), prepare)
    hangup = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    try:
        if workers == 1:
            await _run_alone(settings, stop, hangup)
        else:
            await _run_several(settings, workers, stop, hangup)
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
    return 0


async def _run_alone(settings: ProcessSettings, stop: asyncio.Event, hangup: asyncio.Event) -> None:
    from aiodicom.web.router.process import running
    from aiodicom.web.router.serving import serving_pages

    async with AsyncExitStack() as stack:
        with advice_on_binding():
            process = await stack.enter_async_context(running(settings))
            pages = await stack.enter_async_context(serving_pages(settings.config, process.watchers.auditor))
        router = process.router
        for finding in router.queue.findings:
            output.note(_COMMAND, finding)
        _announce(router.listeners.addresses, pages)
        async for _ in _hangups(stop, hangup):
            changed = await router.reload()
            _tell_of_reload(changed, router.problems)


async def _run_several(settings: ProcessSettings, workers: int, stop: asyncio.Event, hangup: asyncio.Event) -> None:
    from aiodicom.router.audit.auditing import auditing
    from aiodicom.web.router.serving import serving_pages
    from aiodicom.web.router.workers import supervised

    config = settings.config
    async with AsyncExitStack() as stack:
        with advice_on_binding():
            running = await stack.enter_async_context(supervised(settings, workers))
            auditor = None
            if config.audit is not None and config.operations is not None:  # who logs in is this process's to tell
                auditor = await stack.enter_async_context(auditing(config.audit, config.ae_titles))
            pages = await stack.enter_async_context(serving_pages(config, auditor))
        _announce(running.addresses, pages)
        async for _ in _hangups(stop, hangup):
            reloaded = running.reload()
            _tell_of_reload(reloaded.changed, reloaded.problems)


def _tell_of_reload(changed: Sequence[str], problems: Sequence[str]) -> None:
    for problem in problems:
        output.note(_COMMAND, f"the configuration stays as it was: {problem}")
    if changed:
        output.note(_COMMAND, f"the configuration has changed: {', '.join(changed)}")
    elif not problems:
        output.note(_COMMAND, "the configuration is as it was")


def _announce(addresses: list[tuple[str, int]], pages: list[str]) -> None:
    announce(addresses)
    for page in pages:
        output.note(_COMMAND, page)


async def _hangups(stop: asyncio.Event, hangup: asyncio.Event) -> AsyncIterator[None]:
    """Gives a turn whenever somebody hangs up, until the stop."""
    while True:
        try:
            await unless_stopped(stop, hangup.wait())
        except Interrupted:
            return
        hangup.clear()
        yield


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
