"""The Storage service class as SCP (PS3.4 annex B), into a folder of DICOM files.

    store = FolderStorage("incoming", durability=Durability.SYNCED)
    async with StorageServer(store, ae_title="STORE").listen("0.0.0.0", 11112):
        ...

An object is written as received, behind file meta information that says what its presentation context said. It gets its
name, SOPInstanceUID.dcm, when it is complete; or that of a template, from attributes of the object.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiodicom.errors import DecodeError, LocalError
from aiodicom.net._data_sets import gathering
from aiodicom.net.acceptor import check_ae_title
from aiodicom.net.server import Server
from aiodicom.part10.meta import encode_file_meta
from aiodicom.services.naming import EMPTY, InvalidUID, read_header, values_of
from aiodicom.standard.status import Status
from aiodicom.standard.uids import is_valid_uid
from aiodicom.store.committer import LARGE, Committer
from aiodicom.store.files import Durability, Folder, PartialFile, Path
from aiodicom.ul._pdu import Body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import ThreadPoolExecutor

    from aiodicom.net.association import Association
    from aiodicom.net.requests import StoreRequest
    from aiodicom.services.ingest import Ingest
    from aiodicom.services.naming import FileTemplate
    from aiodicom.services.studies import Studies

__all__ = ["FolderStorage", "StorageServer"]

_log = logging.getLogger(__name__)

#: Threads that write. Those that need not sync seldom wait long, and more of them would only wake and sleep more often.
#: Files that are to be synced at the same time share what the disk does for it.
_WRITERS: Final = {Durability.RECEIVED: 4, Durability.WRITTEN: 4, Durability.SYNCED: 12}

#: Threads that decode heads.
_THREADS: Final = 32

#: Objects up to this size are gathered in memory, if the server's budget has it, and then written at once; larger ones
#: are written as they come. `RECEIVED` can answer an object before it is written only when it is in memory.
_KEPT: Final = {Durability.RECEIVED: 8 << 20, Durability.WRITTEN: 1 << 20, Durability.SYNCED: 1 << 20}

#: With `Durability.RECEIVED`: how many bytes may wait to be written before the next object is written in the
#: foreground, which holds up the peers.
_BACKLOG: Final = 128 * 1024 * 1024


class _Filed(NamedTuple):
    """What names an object, its path below the folder, and the file that it is."""

    values: dict[str, str]
    path: Path
    file: PartialFile


class FolderStorage:
    """Stores what arrives as FOLDER/SOPInstanceUID.dcm; the same instance again replaces the file atomically.

    With a `template` (see `aiodicom.services.naming`), `directory` is the template's root, and the file gets its path
    below it. The head of the data set is then decoded, in a thread, once the object is complete; one that cannot be
    decoded, or has UIDs in the template's attributes that are none, is answered C000H. With `studies`, the end of each
    study is found out in the same way. In both cases `Durability.RECEIVED` is `WRITTEN`.

    An object whose SOP Instance UID is no UID (PS3.5 9.1) is answered 0117H and names no file. What the file system
    raises goes to the engine, which answers A700H when the disk is full or another resource is used up, else 0110H. An
    object that does not arrive completely, or that fails, leaves nothing.

    With `ingest`, each object is brought into another transfer syntax first, in the threads for codecs: see `Ingest`.
    Then, too, `Durability.RECEIVED` is `WRITTEN`.

    `durability` says what a Success stands for. An object is gathered in memory, up to 1 MiB (`RECEIVED`: 8 MiB), and
    written by threads: from 64 KiB on to the disk itself, where the file system has a way past the operating system's
    cache and as long as the disk is fast; what comes faster than that goes into the cache. `WRITTEN` writes smaller
    ones on the event loop into the cache. `SYNCED` waits for the disk, and for the folder once for many objects. Larger
    ones, and those for which the server's budget has no memory, are written on the event loop as they come.

    Raises OSError when `directory` cannot be made or written.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        durability: Durability = Durability.WRITTEN,
        template: FileTemplate | None = None,
        studies: Studies | None = None,
        ingest: Ingest | None = None,
    ) -> None:
        self.durability = durability
        self._ingest = ingest
        self.studies = studies
        self._template = template
        keywords = (template.keywords if template else frozenset()) | (studies.command.keywords if studies else set())
        #: What has to be decoded of an object; its own UID is known before.
        self._keywords = keywords - {"SOPInstanceUID"}
        #: Whether objects are decoded at all.
        self._is_decoding = template is not None or studies is not None or ingest is not None
        #: Objects that have been answered with Success.
        self.stored = 0
        #: Objects that were answered with Success and then could not be written; `Durability.RECEIVED` alone has such.
        self.lost = 0
        self._folder = Folder(directory)
        is_written_first = self._is_decoding and durability is Durability.RECEIVED
        self._kept = _KEPT[Durability.WRITTEN if is_written_first else durability]
        self._backlog = 0
        self._threads: ThreadPoolExecutor | None = None
        self._committer = Committer(self._folder, _WRITERS[durability])
        self._keep = self._handler()
        self._filing: set[asyncio.Task[_Filed]] = set()

    def attach(self, server: Server) -> None:
        """Makes this the C-STORE handler of `server`."""
        server.on_c_store(body=self.body)(self._keep)

    async def keep(self, request: StoreRequest) -> Status:
        """Stores an object that `body` has taken, for a C-STORE handler of your own; returns what to answer.

        Raises OSError. Cancellation gives up the wait, not the object: it is complete, and stays.
        """
        status = self._keep(request)
        return status if isinstance(status, Status) else await status

    async def close(self) -> None:
        """Returns when what was answered has been written, and the command for every study has ended.

        The server must have been closed before.
        """
        while self._filing:
            await asyncio.wait(self._filing)
        if self._threads is not None:
            # What is left there are short waits for the disk, but the loop may still have other work.
            await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
            self._threads = None
        await self._committer.close()
        self._folder.close()
        if self.studies is not None:
            await self.studies.drain()

    def body(self, request: StoreRequest) -> Body:
        """Where the data set of `request` goes while it arrives."""
        uid = request.affected_sop_instance_uid
        # The engine has answered 0117H to anything else; that only UIDs name files does not rest on the engine.
        if not is_valid_uid(uid):
            raise ValueError("not a UID (PS3.5 9.1)")
        body = gathering(request, self._kept, lambda: self._create(uid), unread=self._ingest is None)
        body.write(
            encode_file_meta(
                request.affected_sop_class_uid,
                uid,
                request.context.transfer_syntax,
                source_aet=_source_of(request),
            )
        )
        return body

    def _create(self, uid: str) -> PartialFile:
        return self._folder.create(f"{uid}.dcm")

    def _file_of(self, request: StoreRequest) -> PartialFile:
        """The file of an object that is complete."""
        body = request.body
        assert isinstance(body, Body), "the body is that of another handler"
        if body.spilled is not None:
            file = body.spilled
            assert isinstance(file, PartialFile), "the body is that of another handler"
        else:
            file = self._create(request.affected_sop_instance_uid)
            file.hold(memoryview(body))
        return file

    def _handler(self) -> Callable[[StoreRequest], Status | Awaitable[Status]]:
        if self._is_decoding:
            return self._file
        if self.durability is Durability.SYNCED:
            return self._sync
        return self._write if self.durability is Durability.WRITTEN else self._answer_then_write

    def _write(self, request: StoreRequest) -> Status | asyncio.Future[Status]:
        file = self._file_of(request)
        if file.is_held and file.size >= LARGE:
            return self._committer.commit(file, then=functools.partial(self._stored, request, file))
        file.commit()
        return self._stored(request, file)

    def _sync(self, request: StoreRequest) -> asyncio.Future[Status]:
        file = self._file_of(request)
        return self._committer.commit(file, sync=True, then=functools.partial(self._stored, request, file))

    async def _file(self, request: StoreRequest) -> Status:
        file = self._file_of(request)
        filing = asyncio.create_task(self._place(file, request))
        self._filing.add(filing)
        # Whether or not somebody still waits for the answer.
        filing.add_done_callback(self._filed)
        try:
            # When the association ends meanwhile, nobody waits for the answer, but the object is whole: it stays.
            _, _, file = await asyncio.shield(filing)
        except asyncio.CancelledError:
            filing.add_done_callback(_log_failure)
            raise
        except (DecodeError, InvalidUID) as error:
            refusal = "an object of %d bytes was refused with status %04XH: %s"
            request.association.log(logging.WARNING, refusal, file.size, Status.CANNOT_UNDERSTAND, error)
            return Status.CANNOT_UNDERSTAND
        return self._stored(request, file)

    async def _place(self, file: PartialFile, request: StoreRequest) -> _Filed:
        uid = request.affected_sop_instance_uid
        if self._ingest is not None:
            file = await self._ingest.transcode(file, self._create(uid), request.association)
        values: dict[str, str] = {"SOPInstanceUID": uid}
        path: Path = ()
        if self._template is not None or self.studies is not None:
            values, path = await asyncio.get_running_loop().run_in_executor(self._executor(), self._decode, file, uid)
        await self._committer.commit(file, path, sync=self.durability is Durability.SYNCED)
        return _Filed(values, path, file)

    def _decode(self, file: PartialFile, uid: str) -> tuple[dict[str, str], Path]:
        """Decodes what is needed of the object, and says what its path is to be. Runs in a thread."""
        try:
            with os.fdopen(file.open_reader(), "rb", buffering=0) as reader:
                values = values_of(read_header(reader, self._keywords), self._keywords)
            values["SOPInstanceUID"] = uid
            path = self._template.path(values) if self._template is not None else ()
        except BaseException:
            file.discard()
            raise
        return values, path

    def _filed(self, future: asyncio.Task[_Filed]) -> None:
        self._filing.remove(future)
        if self.studies is None or future.cancelled() or future.exception() is not None:
            return
        values, path, _ = future.result()
        study = values["StudyInstanceUID"]
        if study != EMPTY:
            below = self._template.study_folder(path) if self._template is not None else ()
            self.studies.stored(study, values, os.path.join(self._folder.path, *below))

    def _answer_then_write(self, request: StoreRequest) -> Status:
        file = self._file_of(request)
        size = file.size
        if self._backlog + size > _BACKLOG:
            file.commit()
            return self._stored(request, file)
        self._backlog += size
        written = functools.partial(self._written, request.association, size)
        self._committer.commit(file).add_done_callback(written)
        return self._stored(request, file)

    def _stored(self, request: StoreRequest, file: PartialFile) -> Status:
        """Counts and logs an object that is answered with Success; which one it is concerns a patient."""
        self.stored += 1
        request.association.log(
            logging.INFO, "an object of %d bytes was stored: status %04XH", file.size, Status.SUCCESS
        )
        return Status.SUCCESS

    def _written(self, association: Association, size: int, future: asyncio.Future[None]) -> None:
        self._backlog -= size
        error = future.exception()
        if error is not None:
            self.stored -= 1
            self.lost += 1
            lost = "lost an object of %d bytes, which had been answered with Success: %s"
            association.log(logging.ERROR, lost, size, error)

    def _executor(self) -> ThreadPoolExecutor:
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor

            self._threads = ThreadPoolExecutor(_THREADS, "aiodicom-decode")
        return self._threads


class StorageServer(Server):
    """An SCP that stores what it receives in `store`, and closes it when it is closed itself."""

    def __init__(self, store: FolderStorage, ae_title: str | None = None, **options: Any) -> None:
        """The options are those of `Server`."""
        super().__init__(ae_title, **options)
        self.store = store
        store.attach(self)

    async def close(self) -> None:
        """Stops accepting, aborts all associations, and returns when what was answered has been written."""
        await super().close()
        await self.store.close()


def _source_of(request: StoreRequest) -> str | None:
    """The peer's AE title, unless it is none."""
    association = request.association
    return _ae_title(association.calling_aet if association.is_acceptor else association.called_aet)


@functools.lru_cache
def _ae_title(name: str) -> str | None:
    """The AE title; None for what is none: an association with such a one is accepted, but no file can say it."""
    try:
        return check_ae_title(name)
    except LocalError:
        return None


def _log_failure(future: asyncio.Future[Any]) -> None:
    error = future.exception()
    if error is not None:
        _log.error("an object could not be stored, after its association had ended: %s", error)
