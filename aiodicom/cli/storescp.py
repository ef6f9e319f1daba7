"""`aiodicom storescp`: a C-STORE SCP that writes files (PS3.4 annex B)."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Annotated, Any

import typer

import aiodicom
from aiodicom.cli import options, output
from aiodicom.cli.listening import advice_on_binding, announce, check_folder, named_folder
from aiodicom.cli.receiving import Settings, folder_of, make_server, settings_of_workers
from aiodicom.cli.runner import run
from aiodicom.cli.security import ServerTLS, ServerUsers
from aiodicom.metrics import Counters
from aiodicom.net.descriptors import allow_most_descriptors
from aiodicom.net.serve import Serving, serve
from aiodicom.services.ingest import Ingest
from aiodicom.services.stopping import Interrupted, unless_stopped
from aiodicom.services.studies import StudyCommand
from aiodicom.store.files import Durability

__all__ = ["storescp"]

_COMMAND = "storescp"
_FACTORY = "aiodicom.cli.receiving:make_server"
_log = logging.getLogger("aiodicom.storescp")


class CorruptPolicy(StrEnum):
    FAIL = "fail"
    FORWARD = "forward"


@options.grouped
def storescp(
    port: Annotated[
        int,
        typer.Argument(
            metavar="PORT", min=0, max=65535, show_default=False, help="TCP port to listen on; 0: a free one."
        ),
    ],
    address: Annotated[
        str, typer.Option("--bind", metavar="ADDRESS", help="Address to listen on; 0.0.0.0 or :: for every one.")
    ] = "127.0.0.1",
    ae_title: options.OwnAet = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "-od",
            metavar="DIR",
            callback=named_folder,
            show_default=False,
            help="Where the files go; made if missing. Also a template of paths, such as "
            "in/{StudyInstanceUID}/{SOPInstanceUID}.dcm. Default: this folder.",
        ),
    ] = None,
    discard: Annotated[bool, typer.Option("--discard", help="Throw away what is received.")] = False,
    accept_unknown: Annotated[
        bool, typer.Option("--accept-unknown", help="Accept SOP classes that are not the standard's, too.")
    ] = False,
    durability: Annotated[
        Durability,
        typer.Option("--durability", help="What Success means: arrived, in the system's cache, or on the disk."),
    ] = Durability.WRITTEN,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Processes that share the port.")] = 1,
    max_associations: Annotated[
        int | None,
        typer.Option(
            "--max-associations", metavar="N", min=1, show_default=False, help="Reject further ones; default: no limit."
        ),
    ] = None,
    max_pdu: options.MaxPdu = 131072,
    max_memory: options.MaxMemory = None,
    artim: Annotated[
        float,
        typer.Option(
            "--artim",
            metavar="SECONDS",
            min=0,
            callback=options.finite,
            help="For a peer to begin or to end; 0: for ever.",
        ),
    ] = 30,
    idle: Annotated[
        float,
        typer.Option(
            "--idle", metavar="SECONDS", min=0, callback=options.finite, help="Without a sign of the peer; 0: for ever."
        ),
    ] = 60,
    study_command: Annotated[
        str | None,
        typer.Option(
            "--exec-on-study-end",
            metavar="CMD",
            show_default=False,
            help="Run this when a study is complete, without a shell; {StudyInstanceUID} and {path} stand for its UID "
            "and folder.",
        ),
    ] = None,
    study_end_after: Annotated[
        float,
        typer.Option(
            "--study-end-after",
            metavar="SECONDS",
            min=0,
            callback=options.finite,
            help="Without an object, a study is complete.",
        ),
    ] = 30,
    transcode_to: Annotated[
        str | None,
        typer.Option(
            "--transcode-to",
            metavar="NAME",
            show_default=False,
            help="Store in this transfer syntax, without loss: a UID, or a name that `aiodicom transcode` has. What "
            "cannot be in it is stored as it came.",
        ),
    ] = None,
    corrupt: Annotated[
        CorruptPolicy,
        typer.Option("--corrupt", help="With --transcode-to: refuse what cannot be decoded, or store it as it came."),
    ] = CorruptPolicy.FAIL,
    security: ServerTLS = ServerTLS(),  # noqa: B008 (immutable)
    users: ServerUsers = ServerUsers(),  # noqa: B008 (immutable)
    proxy_protocol: Annotated[
        bool,
        typer.Option(
            "--proxy-protocol",
            help="Connections come through a load balancer that sends the PROXY protocol, version 2 (HAProxy).",
        ),
    ] = False,
    proxies: Annotated[
        list[str] | None,
        typer.Option(
            "--proxy-from",
            metavar="NETWORK",
            show_default=False,
            help="Where such load balancers are, such as 10.0.0.0/24; can be repeated. Default: anywhere.",
        ),
    ] = None,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Receive DICOM files, as DIR/SOPInstanceUID.dcm, until SIGINT or SIGTERM.

    What has its name is whole: a file is written under a temporary name and renamed when it is complete. With --tls,
    renewed certificates are used for new connections; SIGHUP says at once whether they can be.

    Example: aiodicom storescp 11112 --bind 0.0.0.0 -aet STORE -od 'in/{StudyInstanceUID}/{SOPInstanceUID}.dcm'

    With TLS: aiodicom storescp 2762 --bind 0.0.0.0 -od in --tls --cert me.pem --key me.key --ca ca.pem

    For one user: aiodicom storescp 11112 -od in --user ct1 --password-file ct1.password
    """
    if discard and folder is not None:
        raise typer.BadParameter("what is thrown away goes to no folder", param_hint="'-od' and '--discard'")
    root = folder or "."
    try:
        root, _ = folder_of(root)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'-od'") from None
    if proxies and not proxy_protocol:
        raise typer.BadParameter("this is of no use without --proxy-protocol", param_hint="'--proxy-from'")
    if transcode_to is not None:
        _check_transcoding(transcode_to, discard)
    if study_command is not None:
        _check_study_command(study_command, discard)
    what = Settings(
        ae_title,
        None if discard else folder or ".",
        durability,
        accept_unknown,
        max_associations,
        max_pdu,
        max_memory,
        aiodicom.Timeouts(artim=options.timeout(artim), idle=options.timeout(idle)),
        study_command,
        study_end_after,
        security.verify_ae_title,
        transcode_to,
        corrupt.value,
        verbose,
        debug,
    )
    output.configure_logging(verbose, debug, logging.WARNING)
    allow_most_descriptors()

    async def work(stop: asyncio.Event) -> int:
        settings = what._replace(users=users.known())
        if settings.folder is not None:
            check_folder(root)  # its faults are said once, and not by every worker process
        context = security.context()
        listening_options: dict[str, Any] = {"ssl": context, "proxy_protocol": proxies or proxy_protocol}
        with advice_on_binding():
            if workers == 1:
                server = make_server(settings)
                with _on_hangup(None if context is None else context.reload):
                    listening = await server.listen(address, port, **listening_options)
                    announce(listening.addresses)
                    gc.freeze()  # what is there so far stays: collections need not look at it among many associations
                    await stop.wait()
                    await server.drain()
                _summarise([server.counters], server.counters)
            else:
                serving: list[Serving] = []

                def on_ready(ready: Serving) -> None:
                    serving.append(ready)
                    announce(ready.addresses)

                def reload() -> None:
                    for each in serving:
                        each.reload_certificates()

                async with settings_of_workers(settings) as theirs:
                    running = serve(
                        _FACTORY,
                        address,
                        port,
                        workers=workers,
                        arguments=(theirs,),
                        on_ready=on_ready,
                        **listening_options,
                    )
                    with suppress(Interrupted), _on_hangup(None if context is None else reload):
                        await unless_stopped(stop, running)
                for each in serving:
                    _summarise(each.workers, each.counters)
        return 0

    run(_COMMAND, work)


def _check_study_command(command: str, discard: bool) -> None:
    option = "'--exec-on-study-end'"
    try:
        StudyCommand(command)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if discard:
        raise typer.BadParameter("of what is thrown away there are no studies", param_hint=f"{option} and '--discard'")


@contextmanager
def _on_hangup(reload: Callable[[], object] | None) -> Iterator[None]:
    """Has SIGHUP read the certificates anew; without any it ends the process, as ever."""
    if reload is None:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _check_transcoding(name: str, discard: bool) -> None:
    try:
        if discard:
            raise ValueError("what is thrown away is not brought into another transfer syntax")
        Ingest(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--transcode-to'") from None


def _summarise(workers: Sequence[Counters], total: Counters) -> None:
    """Says what has happened: on all processes, and in -v on each."""
    output.note(
        _COMMAND,
        f"{output.count(total.associations, 'association')}, at most {total.associations_peak:,} at once, "
        f"{total.rejections:,} rejected, {total.aborts:,} aborted; "
        f"{output.count(total.operations, 'operation')}, {total.failures:,} failed",
    )
    if len(workers) > 1:
        for number, counters in enumerate(workers):
            _log.info(
                "worker %d: %s, %s",
                number,
                output.count(counters.associations, "association"),
                output.count(counters.operations, "operation"),
            )
