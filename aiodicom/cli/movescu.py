"""`aiodicom movescu`: C-MOVE, objects from a peer to an AE, which may be this command (PS3.4 C.4.2)."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

import aiodicom
from aiodicom.cli import options, output
from aiodicom.cli.listening import Bind, ListeningPort, TLSListener, check_folder, listen_beside, named_folder
from aiodicom.cli.models import RetrieveModels
from aiodicom.cli.peer import AssociationOptions, Peer
from aiodicom.cli.query import LevelOption, Retrieval, RetrievalKeyOptions, retrieve_query
from aiodicom.cli.receiving import storage_support
from aiodicom.cli.retrieving import DurabilityOption, Tally
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS, Identity
from aiodicom.errors import StatusError
from aiodicom.services.stopping import unless_stopped
from aiodicom.services.storage import FolderStorage, StorageServer
from aiodicom.standard.ae_titles import ae_title
from aiodicom.store.files import Durability

__all__ = ["movescu"]

_COMMAND = "movescu"


def _destination(value: str | None) -> str | None:
    try:
        return None if value is None else ae_title(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@options.grouped
def movescu(
    host: options.Host,
    port: options.Port,
    models: RetrieveModels = RetrieveModels(),  # noqa: B008 (immutable)
    level: LevelOption = None,
    keys: RetrievalKeyOptions = RetrievalKeyOptions(),  # noqa: B008 (immutable)
    destination: Annotated[
        str | None,
        typer.Option(
            "--dest",
            metavar="TITLE",
            callback=_destination,
            show_default="that of -aet, with --port",
            help="AE title that the objects go to; the peer has to know its address.",
        ),
    ] = None,
    listening_port: ListeningPort = None,
    bind: Bind = None,
    tls_listener: TLSListener = False,
    folder: Annotated[
        str | None,
        typer.Option(
            "-od",
            metavar="DIR",
            callback=named_folder,
            show_default="this folder",
            help="Where the files go that come to --port, as DIR/SOPInstanceUID.dcm; made if missing.",
        ),
    ] = None,
    durability: DurabilityOption = Durability.WRITTEN,
    as_json: options.JsonLines = False,
    associating: AssociationOptions = AssociationOptions(),  # noqa: B008 (immutable)
    security: ClientTLS = ClientTLS(),  # noqa: B008 (immutable)
    identity: Identity = Identity(),  # noqa: B008 (immutable)
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Have a peer send objects to an AE; with --port, to this command, which receives them.

    Example: aiodicom movescu pacs.example.org 104 -aec PACS --dest WORKSTATION -k StudyInstanceUID=1.2.3

    To here: aiodicom movescu pacs.example.org 104 -aec PACS -aet ME --port 11112 -od study -k StudyInstanceUID=1.2.3
    """
    output.configure_logging(verbose, debug)
    if listening_port is None:
        for name, value in (("-od", folder), ("--bind", bind), ("--tls-listener", tls_listener)):
            if value:
                raise typer.BadParameter("this is of no use without --port", param_hint=f"'{name}'")
        if destination is None:
            raise typer.BadParameter("where to? With --port, to here", param_hint="'--dest'")
    target = destination or associating.calling_aet

    async def work(stop: asyncio.Event) -> int:
        retrieval = retrieve_query(models, "move", level, keys)
        peer = Peer(_COMMAND, host, port, associating, security, identity)
        tally = Tally(_COMMAND, folder=folder or ".", as_json=as_json, stop=stop)
        receiving = None if listening_port is None else _Receiving(folder or ".", durability, tally)
        assert retrieval.model.move is not None
        try:
            moving = await unless_stopped(stop, peer.connect(contexts=[retrieval.model.move]))
            with tally.failing():
                async with moving:
                    if receiving is not None and listening_port is not None:
                        receiving.moving = moving
                        await listen_beside(
                            moving, receiving.server, listening_port, bind=bind, security=security, is_tls=tls_listener
                        )
                    with tally.shown(is_quiet=verbose or debug):
                        await _move(moving, retrieval, target, tally, stop)
        finally:
            if receiving is not None:
                await receiving.server.drain()
        return tally.report(is_received=receiving is not None, destination=target)

    run(_COMMAND, work)


class _Receiving:
    """Receives what is moved here. Raises `LocalError` or OSError for the folder."""

    def __init__(self, folder: str, durability: Durability, tally: Tally) -> None:
        check_folder(folder)
        self._store = FolderStorage(folder, durability=durability)
        self._tally = tally
        self.server = StorageServer(self._store, contexts=storage_support())
        self.server.on_c_store(body=self._store.body)(self._keep)
        self.server.on_refusal(tally.not_taken)
        #: Where the peer was asked: it may say nothing there before the last object has come.
        self.moving: aiodicom.Association | None = None

    async def _keep(self, request: aiodicom.StoreRequest) -> aiodicom.Status:
        if self.moving is not None:
            self.moving.note_progress()
        status = await self._store.keep(request)
        self._tally.keep(request)
        return status


async def _move(
    association: aiodicom.Association, retrieval: Retrieval, destination: str, tally: Tally, stop: asyncio.Event
) -> None:
    """One C-MOVE for each identifier, until one fails."""
    for identifier in retrieval.identifiers:
        try:
            result = await association.c_move(
                identifier, destination, retrieval.model, on_progress=tally.progress, stop=stop
            )
        except StatusError as error:
            tally.refused(error, retrieval, identifier, destination=destination)
            return
        tally.end(result)
        if stop.is_set():
            tally.interrupt()
            return
