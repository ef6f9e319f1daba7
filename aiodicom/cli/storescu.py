"""`aiodicom storescu`: C-STORE of files to a peer (PS3.4 annex B)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

import aiodicom
from aiodicom.cli import options, output
from aiodicom.cli.peer import AssociationOptions, Peer
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS, Identity
from aiodicom.errors import StatusError
from aiodicom.net.descriptors import allow_descriptors
from aiodicom.net.sources import KnownFile
from aiodicom.net.transcoding import Transcoding
from aiodicom.net.tuning import MOST_ASSOCIATIONS, MOST_WINDOW
from aiodicom.services.scan import scan
from aiodicom.services.sending import StoreJob
from aiodicom.standard.status import Status

__all__ = ["storescu"]

_COMMAND = "storescu"


@options.grouped
def storescu(
    host: options.Host,
    port: options.Port,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", exists=True, show_default=False, help="DICOM files, or folders of them."),
    ],
    associations: options.AssociationsOrAuto = "1",
    window: options.WindowOrAuto = "auto",
    transcode: Annotated[
        Transcoding,
        typer.Option(
            "--transcode",
            metavar="POLICY",
            help="What may be done to files that the peer does not accept as they are: never, decompress-only, "
            "lossless, lossy.",
        ),
    ] = Transcoding.LOSSLESS,
    associating: AssociationOptions = AssociationOptions(),  # noqa: B008 (immutable)
    security: ClientTLS = ClientTLS(),  # noqa: B008 (immutable)
    identity: Identity = Identity(),  # noqa: B008 (immutable)
    as_json: options.Json = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Send DICOM files to a peer, folders recursively.

    Files go as they are, in their own transfer syntax where the peer accepts it; if not, they are brought into one that
    it accepts, as far as --transcode allows. Lossy compression makes other instances, with UIDs of their own, and only
    where it is asked for. Files that are no DICOM are named and skipped.

    Example: aiodicom storescu pacs.example.org 104 -aec PACS study/ --associations auto

    With TLS: aiodicom storescu pacs.example.org 2762 -aec PACS study/ --tls --ca ca.pem --cert me.pem --key me.key
    """
    output.configure_logging(verbose, debug)
    side_by_side = options.choice(associations)
    outstanding = options.choice(window)

    async def work(stop: asyncio.Event) -> int:
        peer = Peer(_COMMAND, host, port, associating, security, identity)

        async def connect(contexts: Sequence[tuple[str, Sequence[str]]]) -> aiodicom.Association:
            return await peer.connect(contexts=contexts, window=MOST_WINDOW if outstanding == "auto" else outstanding)

        allow_descriptors(MOST_ASSOCIATIONS if side_by_side == "auto" else side_by_side)
        tally = _Tally()
        job = StoreJob(
            scan(map(str, paths)),
            connect,
            tally,
            associations=side_by_side,
            window=outstanding,
            transcode=transcode,
        )
        if sys.stderr.isatty() and not (verbose or debug):
            from aiodicom.cli.progress import progress_bar

            with progress_bar(job, tally):
                await job.run(stop)
        else:
            await job.run(stop)
        return tally.report(as_json)

    run(_COMMAND, work)


class _Tally:
    """Hears of every file (it is the job's `Listener`), names those that fail, and counts."""

    def __init__(self) -> None:
        self.stored = 0
        self.not_stored = 0
        self.no_dicom = 0
        #: bytes of the data sets that the peer has stored
        self.bytes = 0
        self._begun = perf_counter()
        self._unsent = 0
        self._why_unsent: BaseException | None = None
        self._why_failed: BaseException | None = None
        self._association_errors: list[BaseException] = []

    def sent(self, file: KnownFile, status: Status) -> None:
        self.stored += 1
        self.bytes += file.size - file.meta.data_offset
        if status:
            said = output.status_text(status, service="C-STORE")
            output.note(_COMMAND, f"{file.path}: stored with warning status {said}")

    def failed(self, path: str, error: BaseException) -> None:
        self.not_stored += 1
        self._why_failed = error
        if isinstance(error, StatusError):
            said = output.status_text(error.status, error.error_comment, "C-STORE")
            output.note(_COMMAND, f"{path}: status {said}")
        else:
            output.note(_COMMAND, f"{path}: {output.explain(error)}")

    def unsent(self, path: str, error: BaseException) -> None:
        self.not_stored += 1
        self._unsent += 1
        self._why_unsent = error

    def skipped(self, path: str, reason: str) -> None:
        self.no_dicom += 1
        output.note(_COMMAND, f"{path}: skipped: {reason}")

    def association_failed(self, error: BaseException) -> None:
        self._association_errors.append(error)

    def report(self, as_json: bool) -> int:
        """Says what came of it; the command's exit code."""
        seconds = perf_counter() - self._begun
        objects_per_s, megabytes_per_s = self.stored / seconds, self.bytes / seconds / 1e6
        if self._why_unsent is not None:
            output.note(_COMMAND, f"{output.count(self._unsent, 'file')} not sent: {output.explain(self._why_unsent)}")
        elif self._association_errors and self._association_errors[-1] is not self._why_failed:
            failed = output.count(len(self._association_errors), "association")
            output.note(_COMMAND, f"{failed} failed, others went on: {output.explain(self._association_errors[0])}")
        if as_json:
            output.result_json(
                {
                    "sent": self.stored,
                    "failed": self.not_stored,
                    "skipped": self.no_dicom,
                    "bytes": self.bytes,
                    "seconds": round(seconds, 6),
                    "objects_per_s": round(objects_per_s, 3),
                    "megabytes_per_s": round(megabytes_per_s, 3),
                }
            )
        else:
            output.result(
                f"{output.count(self.stored, 'object')} sent, {self.not_stored:,} failed, {self.no_dicom:,} skipped: "
                f"{output.size(self.bytes)} in {seconds:.2f} s, "
                f"{objects_per_s:,.0f} objects/s, {megabytes_per_s:,.1f} MB/s"
            )
        if not self.stored and not self.not_stored:
            output.note(_COMMAND, "nothing to send: no DICOM file was found (check the paths)")
            return 1
        return 1 if self.not_stored else 0
