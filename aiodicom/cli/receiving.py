"""The server behind storescp, as its worker processes make it: without typer, which they do not need."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiodicom
from aiodicom.cli import output
from aiodicom.cli.users import Users
from aiodicom.services.ingest import Corrupt, Ingest
from aiodicom.services.naming import FileTemplate
from aiodicom.services.storage import FolderStorage, StorageServer
from aiodicom.services.studies import Studies, StudyCommand, StudyEnds
from aiodicom.services.study_reports import StudyReports, collected
from aiodicom.standard.uids import VERIFICATION, standard_uids, storage_sop_classes
from aiodicom.store.files import Durability

__all__ = ["Settings", "folder_of", "make_server", "settings_of_workers", "storage_support"]


class Settings(NamedTuple):
    """What the command's options say; it goes to the worker processes."""

    ae_title: str | None
    #: a folder, or a template of paths below one; None: what is received is thrown away
    folder: str | None
    durability: Durability
    accept_unknown: bool
    max_associations: int | None
    max_pdu: int
    max_memory: int | None
    timeouts: aiodicom.Timeouts
    #: a command to run at the end of each study, and after how many seconds without an object that is
    study_command: str | None
    study_end_after: float
    #: whether clients are admitted by their certificate
    verify_ae_title: bool
    #: the name of the transfer syntax that objects are stored in, and whether corrupt ones are refused
    transcode_to: str | None
    corrupt: Corrupt
    verbose: bool
    debug: bool
    #: where to report objects for the end of their study, in a worker process
    study_reports: str | None = None
    #: who is let in; None: everybody
    users: Users | None = None


def folder_of(destination: str) -> tuple[str, FileTemplate | None]:
    """The folder that -od names, and the template if there are braces. Raises ValueError for one that cannot be."""
    if "{" not in destination and "}" not in destination:
        return destination, None
    template = FileTemplate(destination)
    return template.root, template


@asynccontextmanager
async def settings_of_workers(settings: Settings) -> AsyncIterator[Settings]:
    """What worker processes are given: this process runs their command for each study, and they report to it."""
    if settings.study_command is None:
        yield settings
        return
    async with collected(StudyEnds(StudyCommand(settings.study_command), after=settings.study_end_after)) as address:
        yield settings._replace(study_reports=address)


def _studies(settings: Settings) -> Studies | None:
    if settings.study_command is None:
        return None
    command = StudyCommand(settings.study_command)
    if settings.study_reports is not None:
        return StudyReports(command, settings.study_reports)
    return StudyEnds(command, after=settings.study_end_after)


def make_server(settings: Settings) -> aiodicom.Server:
    """The server that these settings describe. Raises OSError for a folder that cannot be written."""
    output.configure_logging(settings.verbose, settings.debug, logging.WARNING)
    output.note_warnings("storescp")
    server = _make_server(settings)
    if settings.verify_ae_title:
        server.on_association(aiodicom.admit_by_certificate())
    if settings.users is not None:
        server.on_user_identity(settings.users.verify, required=True)
    return server


def storage_support(*, accept_unknown: bool = False) -> aiodicom.Support:
    """Verification and the storage SOP classes in any transfer syntax; with `accept_unknown` private ones, too."""
    syntaxes = dict.fromkeys((VERIFICATION, *storage_sop_classes()), aiodicom.ANY)
    # Of the standard's SOP classes, the others are no storage: an SCU would get no answer that it can use.
    return aiodicom.Support(syntaxes, aiodicom.ANY if accept_unknown else None, refused=standard_uids())


def _make_server(settings: Settings) -> aiodicom.Server:
    options = {
        "max_associations": settings.max_associations,
        "max_pdu": settings.max_pdu,
        "max_memory": settings.max_memory,
        "contexts": storage_support(accept_unknown=settings.accept_unknown),
        "timeouts": settings.timeouts,
    }
    if settings.folder is not None:
        folder, template = folder_of(settings.folder)
        studies = _studies(settings)
        ingest = None if settings.transcode_to is None else Ingest(settings.transcode_to, settings.corrupt)
        store = FolderStorage(folder, durability=settings.durability, template=template, studies=studies, ingest=ingest)
        return StorageServer(store, settings.ae_title, **options)
    server = aiodicom.Server(settings.ae_title, **options)  # type: ignore[arg-type]
    server.on_c_store(_discard, body=aiodicom.Discarded())
    return server


def _discard(request: aiodicom.StoreRequest) -> aiodicom.Status:
    request.association.log(logging.INFO, "an object was thrown away: status %04XH", aiodicom.Status.SUCCESS)
    return aiodicom.Status.SUCCESS
