"""`aiodicom commitscu`: storage commitment of files that a peer has been sent (PS3.4 J, Push Model)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Never

import typer

import aiodicom
from aiodicom.cli import options, output
from aiodicom.cli.listening import Bind, ListeningPort, TLSListener, listen_beside
from aiodicom.cli.peer import AssociationOptions, Peer
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS, Identity
from aiodicom.dimse.messages import NEventReportRQ
from aiodicom.errors import AiodicomError, DeadlineExceeded, OperationRefused, RemoteError
from aiodicom.net.sources import KnownFile
from aiodicom.services.scan import scan
from aiodicom.services.stopping import Interrupted, unless_stopped
from aiodicom.services.storage_commitment import Commitment, CommitmentListener, request_commitment
from aiodicom.standard.uids import STORAGE_COMMITMENT_PUSH_MODEL, VERIFICATION

if TYPE_CHECKING:
    from aiodicom.net.results import Result

__all__ = ["commitscu"]

_COMMAND = "commitscu"

#: Instances that are asked for together.
_AT_ONCE = 10_000


@options.grouped
def commitscu(
    host: options.Host,
    port: options.Port,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", exists=True, show_default=False, help="DICOM files, or folders of them."),
    ],
    listening_port: ListeningPort = None,
    bind: Bind = None,
    tls_listener: TLSListener = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, callback=options.finite, help="For the report.")
    ] = 60,
    as_json: options.JsonLines = False,
    associating: AssociationOptions = AssociationOptions(),  # noqa: B008 (immutable)
    security: ClientTLS = ClientTLS(),  # noqa: B008 (immutable)
    identity: Identity = Identity(),  # noqa: B008 (immutable)
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Ask a peer whether it keeps the objects in these files safely: storage commitment.

    The report comes on the same association, or on one that the peer opens: to --port, which the peer has to know for
    our AE title. Only what the peer commits to may be deleted here.

    Example: aiodicom commitscu pacs.example.org 104 -aec PACS study/

    With the report to a port: aiodicom commitscu pacs.example.org 104 -aec PACS -aet ME --port 11112 study/
    """
    output.configure_logging(verbose, debug)
    if listening_port is None and (bind or tls_listener):
        name = "--bind" if bind else "--tls-listener"
        raise typer.BadParameter("this is of no use without --port", param_hint=f"'{name}'")

    async def work(stop: asyncio.Event) -> int:
        peer = Peer(_COMMAND, host, port, associating, security, identity)
        listener = CommitmentListener()
        refused = _Refused()
        listener.handlers.on_refusal(refused.hear)
        tally = _Tally(as_json=as_json)
        files = _files(paths, tally)
        server = None
        if listening_port is not None:
            syntaxes = dict.fromkeys((VERIFICATION, STORAGE_COMMITMENT_PUSH_MODEL), aiodicom.ANY)
            server = aiodicom.Server(contexts=aiodicom.Support(syntaxes))
            listener.attach(server)
            server.on_refusal(refused.hear)
        asking = _Asking(peer, listener, server, listening_port or 0, bind, security, tls_listener)
        asked: dict[str, KnownFile] = {}
        try:
            try:
                while asked := {file.meta.sop_instance_uid: file for file in islice(files, _AT_ONCE)}:
                    commitment = await unless_stopped(stop, asking.ask(asked.values(), timeout))
                    tally.add(asked, commitment)
                    asked = {}
            finally:
                await asking.close()
        except (AiodicomError, OSError, Interrupted) as error:
            text = output.explain(error)
            elsewhere = "the peer may report on an association of its own: listen for it with --port"
            is_late = isinstance(error, DeadlineExceeded) and error.what == "storage commitment report"
            if refused.why and (is_late or isinstance(error, _Unreported)):
                text = f"{error}; one came that was refused with status {refused.why}"
            elif isinstance(error, _Unreported):
                text = f"{error} ({elsewhere})"
            elif is_late:
                there = f"check that the peer knows this host and port for the AE title {peer.calling_aet}"
                text = f"{error} ({elsewhere if server is None else there}; or wait longer: --timeout)"
            output.note(_COMMAND, text)
            # Nobody has committed to what is left; who interrupts does not want to wait for a long folder.
            tally.fail(asked.values() if isinstance(error, Interrupted) else chain(asked.values(), files))
            return tally.report(1)
        return tally.report(0)

    run(_COMMAND, work)


def _files(paths: list[Path], tally: _Tally) -> Iterator[KnownFile]:
    """The files, one of each instance; what can't be one is named."""
    for found in scan(map(str, paths)):
        if isinstance(found, KnownFile):
            yield found
        else:
            tally.skip(found.path, found.reason, is_broken=found.broken)


class _Unreported(AiodicomError):
    """The association is over on which the report was to come."""


class _Refused:
    """Remembers why the latest report was answered with a failure, for who waits for another one in vain."""

    def __init__(self) -> None:
        self.why = ""

    def hear(self, refusal: aiodicom.Refusal) -> None:
        """For `Handlers.on_refusal`."""
        message, status = refusal.message, refusal.status
        if not isinstance(message, NEventReportRQ):
            return
        comment = refusal.error.error_comment if isinstance(refusal.error, OperationRefused) else None
        what = "-d shows what was exchanged"
        if status == aiodicom.Status.UNRECOGNIZED_OPERATION:
            what = "the peer has to propose the role of SCP on the association that it opens"
        elif status == aiodicom.Status.NO_SUCH_EVENT_TYPE:
            what = f"event type {message.event_type_id} is none of storage commitment"
        elif status == aiodicom.Status.INVALID_ARGUMENT_VALUE:
            what = "it is of another request, or of none"
        self.why = f"{output.status_text(status, comment, message.SERVICE)} ({what})"


class _Asking:
    """Asks on associations of their own (it is the `operations` of `request_commitment`).

    Without a server, for the report on the same association, that stays open until the next request.
    """

    def __init__(
        self,
        peer: Peer,
        listener: CommitmentListener,
        server: aiodicom.Server | None,
        port: int,
        bind: str | None,
        security: ClientTLS,
        is_tls: bool,
    ) -> None:
        self._peer = peer
        self._listener = listener
        self._server = server
        self._listening_options: dict[str, Any] = {"bind": bind, "security": security, "is_tls": is_tls}
        self._port = port
        self._is_listening = False
        self._association: aiodicom.Association | None = None
        self._has_asked = asyncio.Event()

    async def ask(self, files: Iterable[KnownFile], timeout: float) -> Commitment:
        """Asks for these files, and waits for the report, `timeout` seconds at most.

        Raises what `request_commitment` does, and `_Unreported`.
        """
        self._has_asked.clear()
        asking = asyncio.ensure_future(request_commitment(self, files, self._listener, timeout=timeout))
        over = asyncio.ensure_future(self._over())
        try:
            await asyncio.wait((asking, over), return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else over.result()
        finally:
            asking.cancel()
            over.cancel()
            await asyncio.gather(asking, over, return_exceptions=True)

    async def _over(self) -> Never:
        """Waits for the end of an association that nothing can come on any more, and raises it."""
        await self._has_asked.wait()
        assert self._association is not None
        await self._association.wait_closed()
        why = self._association.why_closed()
        raise _Unreported(f"no storage commitment report: {why.__cause__ or 'the peer has released the association'}")

    async def n_action(
        self, sop_class_uid: str, sop_instance_uid: str, action_type_id: int, dataset: aiodicom.Dataset | None = None
    ) -> Result:
        """Sends the request. With a server, which the report comes to, the association is released: some peers wait for
        that.
        """
        association = self._association
        if association is None or not association.is_open:
            association = await self._peer.connect(
                contexts=[STORAGE_COMMITMENT_PUSH_MODEL], handlers=self._listener.handlers
            )
            self._association = association
        if self._server is not None and not self._is_listening:
            await listen_beside(association, self._server, self._port, **self._listening_options)
            self._is_listening = True
        result = await association.n_action(sop_class_uid, sop_instance_uid, action_type_id, dataset)
        if self._server is None:
            self._has_asked.set()
        else:
            with suppress(RemoteError):  # the report comes on another one, however this one ends
                await association.release()
        return result

    async def close(self) -> None:
        """Releases the association, and ends the server."""
        if self._association is not None and self._association.is_open:
            await self._association.release()
        if self._server is not None:
            await self._server.drain()


class _Tally:
    """Shows what the peer has said of each file, and counts."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._begun = perf_counter()
        self._committed = 0
        self._failed = 0
        self._skipped = 0
        self._retrieve_ae_title: str | None = None
        self._table: Any = None

    def skip(self, path: str, reason: str, *, is_broken: bool) -> None:
        """A file that names no object."""
        self._failed += is_broken
        self._skipped += not is_broken
        output.note(_COMMAND, f"{path}: {'' if is_broken else 'skipped: '}{reason}")

    def add(self, files: Mapping[str, KnownFile], commitment: Commitment) -> None:
        """A report; what it does not speak of has failed."""
        self._retrieve_ae_title = commitment.retrieve_ae_title or self._retrieve_ae_title
        committed = {each.sop_instance_uid for each in commitment.committed}
        reasons = {each.sop_instance_uid: each.reason for each in commitment.failed}
        for uid, file in files.items():
            is_committed = uid in committed and uid not in reasons
            self._committed += is_committed
            self._failed += not is_committed
            self._show(file, is_committed, reasons.get(uid))

    def fail(self, files: Iterable[KnownFile]) -> None:
        """Files that there is no report of: for people it has been said why."""
        for file in files:
            self._failed += 1
            if self._as_json:
                self._show(file, False, None)

    def _show(self, file: KnownFile, is_committed: bool, reason: int | None) -> None:
        if self._as_json:
            output.result_json(
                {
                    "event": "instance",
                    "sop_class_uid": file.meta.sop_class_uid,
                    "sop_instance_uid": file.meta.sop_instance_uid,
                    "path": file.path,
                    "committed": is_committed,
                    "failure_reason": None if reason is None else f"{reason:04X}",
                }
            )
            return
        if self._table is None:
            from aiodicom.cli.table import Column, Table

            columns = [
                Column("Result", "Result", is_elastic=False),
                Column("SOPInstanceUID", "SOPInstanceUID", is_uid=True),
            ]
            self._table = Table.on_stdout([*columns, Column("File", "File", is_uid=True)])
        self._table.add([_told(is_committed, reason), file.meta.sop_instance_uid, output.printable(file.path)])

    def report(self, code: int) -> int:
        """Says what came of it; the command's exit code."""
        seconds = perf_counter() - self._begun
        if self._table is not None:
            self._table.flush()
        if not code and not self._committed and not self._failed:
            output.note(_COMMAND, "nothing to ask for: no DICOM file was found (check the paths)")
            code = 1
        if self._as_json:
            output.result_json(
                {
                    "event": "summary",
                    "committed": self._committed,
                    "failed": self._failed,
                    "skipped": self._skipped,
                    "retrieve_ae_title": self._retrieve_ae_title,
                    "seconds": round(seconds, 6),
                }
            )
        elif self._committed or self._failed:
            where = f", to be had from {self._retrieve_ae_title}" if self._retrieve_ae_title else ""
            output.result(
                f"{output.count(self._committed, 'object')} committed{where}, {self._failed:,} failed, "
                f"{self._skipped:,} skipped: {seconds:.2f} s"
            )
        return 1 if self._failed else code


def _told(is_committed: bool, reason: int | None) -> str:
    if is_committed:
        return "committed"
    if reason is None:
        return "failed: not in the report"
    name = getattr(reason, "name", "").lower().replace("_", " ")
    return f"failed: {name} ({reason:04X}H)" if name else f"failed: {reason:04X}H"
