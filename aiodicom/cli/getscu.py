"""`aiodicom getscu`: C-GET, objects from a peer on the association that asks for them (PS3.4 C.4.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

import aiodicom
from aiodicom.cli import options, output
from aiodicom.cli.listening import check_folder, named_folder
from aiodicom.cli.models import RetrieveModels
from aiodicom.cli.peer import AssociationOptions, Peer
from aiodicom.cli.query import LevelOption, Retrieval, RetrievalKeyOptions, retrieve_query
from aiodicom.cli.retrieving import DurabilityOption, Tally
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS, Identity
from aiodicom.errors import ContextNotAccepted, DecodeError, StatusError
from aiodicom.services.receiving import receiving_contexts
from aiodicom.services.stopping import Interrupted, unless_stopped
from aiodicom.services.storage import FolderStorage
from aiodicom.standard.models import PatientRoot, StudyRoot
from aiodicom.standard.uids import is_valid_uid, uid_of_keyword
from aiodicom.store.files import Durability
from aiodicom.ul.pdu import MOST_CONTEXTS

if TYPE_CHECKING:
    from aiodicom.net.retrieval import Retrieved

__all__ = ["getscu"]

_COMMAND = "getscu"
_log = logging.getLogger("aiodicom.getscu")


@options.grouped
def getscu(
    host: options.Host,
    port: options.Port,
    models: RetrieveModels = RetrieveModels(),  # noqa: B008 (immutable)
    level: LevelOption = None,
    keys: RetrievalKeyOptions = RetrievalKeyOptions(),  # noqa: B008 (immutable)
    folder: Annotated[
        str,
        typer.Option(
            "-od",
            metavar="DIR",
            callback=named_folder,
            help="Where the files go, as DIR/SOPInstanceUID.dcm; made if missing.",
        ),
    ] = ".",
    durability: DurabilityOption = Durability.WRITTEN,
    sop_classes: Annotated[
        list[str] | None,
        typer.Option(
            "--sop-class",
            metavar="KEYWORD|UID",
            show_default=False,
            help="SOP class of what comes, such as CTImageStorage; can be repeated. Default: what the peer says is in "
            "the study, else the most common ones.",
        ),
    ] = None,
    as_json: options.JsonLines = False,
    associating: AssociationOptions = AssociationOptions(),  # noqa: B008 (immutable)
    security: ClientTLS = ClientTLS(),  # noqa: B008 (immutable)
    identity: Identity = Identity(),  # noqa: B008 (immutable)
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Get objects from a peer, which sends them on the same association: nothing has to reach us.

    Example: aiodicom getscu pacs.example.org 104 -aec PACS -k StudyInstanceUID=1.2.3 -od study

    All that a query finds: aiodicom findscu HOST PORT -k PatientID=1 --json | aiodicom getscu HOST PORT --query -
    """
    output.configure_logging(verbose, debug)
    given = [_sop_class(text) for text in sop_classes or ()]

    async def work(stop: asyncio.Event) -> int:
        retrieval = retrieve_query(models, "get", level, keys)
        peer = Peer(_COMMAND, host, port, associating, security, identity)
        check_folder(folder)
        store = FolderStorage(folder, durability=durability)
        tally = Tally(_COMMAND, folder=folder, as_json=as_json, stop=stop)
        known = given or await unless_stopped(stop, _sop_classes_of(peer, retrieval))
        contexts = receiving_contexts(known, room=MOST_CONTEXTS - 1)
        try:
            with tally.shown(is_quiet=verbose or debug):
                await _get(peer, retrieval, contexts, store, tally, stop)
        finally:
            await store.close()
        advice = "" if known else "name the SOP classes that come with --sop-class: the common ones were proposed"
        return tally.report(is_received=True, advice=advice)

    run(_COMMAND, work)


async def _sop_classes_of(peer: Peer, retrieval: Retrieval) -> list[str]:
    """What the peer says is in the studies (SOP Classes in Study); nothing where it doesn't say."""
    from aiodicom.dataset import Dataset

    found: dict[str, None] = {}
    model = retrieval.model
    if model not in (PatientRoot, StudyRoot) or model.find is None:
        return []
    try:
        async with await peer.connect(contexts=[model.find]) as association:
            for identifier in retrieval.identifiers:
                query = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=None, SOPClassesInStudy=None)
                query.update(
                    Dataset(element for element in identifier if element.keyword in ("PatientID", "StudyInstanceUID"))
                )
                async with association.c_find(query, model) as matches:
                    async for match in matches:
                        element = match.data_element("SOPClassesInStudy")
                        uids = [] if element is None or element.is_empty else list(map(str, element.values))
                        if not uids:
                            return []  # it doesn't know of each
                        found.update(dict.fromkeys(uids))
    except (ContextNotAccepted, StatusError, DecodeError) as error:
        _log.info("the peer does not say what is in the study: %s", error)
        return []
    return list(found)[: MOST_CONTEXTS - 1]


async def _get(
    peer: Peer,
    retrieval: Retrieval,
    contexts: Sequence[tuple[str, tuple[str, ...]]],
    store: FolderStorage,
    tally: Tally,
    stop: asyncio.Event,
) -> None:
    """One C-GET for each identifier, until one fails."""
    assert retrieval.model.get is not None
    handlers = aiodicom.Handlers()
    handlers.on_refusal(tally.not_taken)
    connecting = peer.connect(contexts=[retrieval.model.get], receives=contexts, handlers=handlers)
    association = await unless_stopped(stop, connecting)
    with tally.failing():
        async with association:
            for identifier in retrieval.identifiers:
                try:
                    async with association.c_get(identifier, retrieval.model, body=store.body) as objects:
                        await _keep(objects, store, tally, stop)
                except StatusError as error:
                    tally.refused(error, retrieval, identifier)
                    return
                if stop.is_set():
                    tally.interrupt()
                    return


async def _keep(objects: Retrieved, store: FolderStorage, tally: Tally, stop: asyncio.Event) -> None:
    """Stores what comes."""
    while True:
        try:
            received = await unless_stopped(stop, anext(objects))
        except StopAsyncIteration:
            break
        except Interrupted:
            try:
                result = await objects.cancel()
            except StatusError as error:
                # To the peer it is a failure when of all that it has sent we have taken nothing.
                is_ours = error.status == aiodicom.Status.UNABLE_TO_PERFORM_SUB_OPERATIONS and objects.refused
                if not is_ours or not isinstance(error.response, aiodicom.RetrieveResult):
                    raise
                result = error.response
            tally.end(result, refused=objects.refused)
            return
        try:
            received.status = await store.keep(received)
        except OSError as error:
            received.status = aiodicom.Status.OUT_OF_RESOURCES
            tally.not_kept(received.affected_sop_instance_uid, error)
        else:
            tally.keep(received)
        if objects.result is not None:
            tally.progress(objects.result)
    assert objects.result is not None
    tally.end(objects.result)


def _sop_class(text: str) -> str:
    uid = text if is_valid_uid(text) else uid_of_keyword(text)
    if uid is None:
        raise typer.BadParameter(
            f"{output.quoted(text)} is neither a UID nor a keyword such as CTImageStorage", param_hint="'--sop-class'"
        )
    return uid
