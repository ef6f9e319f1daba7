"""What comes of a C-GET or C-MOVE, as getscu and movescu count and tell it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import output, streams
from aiodicom.cli.query import Retrieval, hint
from aiodicom.dimse.messages import CStoreRQ
from aiodicom.errors import AiodicomError, StatusError
from aiodicom.net.results import RetrieveResult
from aiodicom.standard.status import Status
from aiodicom.store.files import Durability

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.handlers import Refusal
    from aiodicom.net.requests import StoreRequest

__all__ = ["DurabilityOption", "Tally"]

DurabilityOption = Annotated[
    Durability,
    typer.Option("--durability", help="What Success means: arrived, in the system's cache, or on the disk."),
]

#: Instances that failed which are named one by one.
_MOST_NAMED = 20
#: Instances that were not stored which are remembered: a peer's counters go no further.
_MOST_NOT_KEPT = 0xFFFF


class Tally:
    """Counts sub-operations, by what the peer says of them, and objects that have arrived here. A progress bar may draw
    it. When stdout cannot be written any more, it sets `stop`.
    """

    def __init__(self, command: str, *, folder: str, as_json: bool, stop: asyncio.Event) -> None:
        self._command = command
        self._folder = folder
        self._as_json = as_json
        self._stop = stop
        #: whether nobody reads the results, or there is no room for them
        self._is_unread = False
        self._begun = perf_counter()
        #: objects that were stored here, and their bytes in files
        self.received = 0
        self.bytes = 0
        #: sub-operations that have failed, of the identifiers that are done
        self._failed = 0
        self._completed = 0
        self._warning = 0
        self._failed_uids: list[str] = []
        #: objects that came when they were not wanted any more
        self._refused = 0
        #: of the present identifier
        self._latest: RetrieveResult | None = None
        self._statuses: list[Status] = []
        #: objects that we have answered a failure for, and why; errors of the folder are said once
        self._not_kept: dict[str, str] = {}
        self._told: set[str] = set()
        self._code = 0

    # --- what a progress bar shows -----------------------------------------------------------------------------------

    @property
    def stored(self) -> int:
        """Objects that have arrived, or else that the peer has sent."""
        return self.received or self._completed + self._warning + _sent(self._latest)

    @property
    def not_stored(self) -> int:
        """Sub-operations that have failed."""
        return self._failed + (_number(self._latest.failed) if self._latest else 0)

    @property
    def found(self) -> int:
        """How many there will be, as far as that is known."""
        remaining = _number(self._latest.remaining) if self._latest else 0
        return self.stored + self.not_stored + remaining

    @property
    def is_scanned(self) -> bool:
        """Whether the peer says how many remain."""
        return self._latest is not None and self._latest.remaining is not None

    # --- what happens ------------------------------------------------------------------------------------------------

    def keep(self, request: StoreRequest) -> None:
        """An object has been stored here."""
        self.received += 1
        self._not_kept.pop(request.affected_sop_instance_uid, None)  # it has come again
        size = request.body.total
        self.bytes += size
        if self._as_json:
            self._show_json(
                {
                    "event": "object",
                    "sop_class_uid": request.affected_sop_class_uid,
                    "sop_instance_uid": request.affected_sop_instance_uid,
                    "transfer_syntax": request.context.transfer_syntax,
                    "path": os.path.join(self._folder, f"{request.affected_sop_instance_uid}.dcm"),
                    "bytes": size,
                }
            )

    def not_kept(self, uid: str, error: OSError) -> None:
        """An object could not be stored here. The peer counts it; each reason is said once."""
        reason = error.strerror or str(error)
        if len(self._not_kept) < _MOST_NOT_KEPT:
            self._not_kept[uid] = reason
        where = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else self._folder
        text = f"{where}: {reason}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text += " (make room there, or give another folder with -od)"
        if reason not in self._told:
            self._told.add(reason)
            output.note(self._command, text)

    def not_taken(self, refusal: Refusal) -> None:
        """Hears what was answered with a failure without having come to be stored."""
        message = refusal.message
        if not isinstance(message, CStoreRQ):
            return
        if isinstance(refusal.error, OSError):
            self.not_kept(message.affected_sop_instance_uid, refusal.error)
        elif len(self._not_kept) < _MOST_NOT_KEPT:
            status = output.status_text(refusal.status, service=message.SERVICE)
            self._not_kept[message.affected_sop_instance_uid] = f"status {status}"

    def progress(self, result: RetrieveResult) -> None:
        """The peer has said how far it has come."""
        if self._as_json and result is not self._latest:
            self._show_json({"event": "progress", **_counters(result)})
        self._latest = result

    def end(self, result: RetrieveResult, *, refused: Set[str] = frozenset()) -> None:
        """The peer has answered finally. It may count as failed what we have `refused` when it was interrupted."""
        self._latest = None
        self._statuses.append(result.status)
        self._completed += _number(result.completed)
        told = result.failed_sop_instance_uids
        failed_uids = [uid for uid in told if uid not in refused]
        failed = max(_number(result.failed), len(told))
        # Where it does not say which have failed, it is taken to count all of them.
        failed -= len(told) - len(failed_uids) if told else min(failed, len(refused))
        self._failed += failed
        self._refused += len(refused)
        self._warning += _number(result.warning)
        self._failed_uids += failed_uids

    def refused(
        self, error: StatusError, retrieval: Retrieval, identifier: Dataset, *, destination: str | None = None
    ) -> None:
        """The peer has answered with a failure: says so, and what to do about it."""
        self._code = 1
        if isinstance(error.response, RetrieveResult):
            self.end(error.response)
        if self._failed and self._failed <= len(self._not_kept):
            output.note(self._command, f"status {output.status_text(error.status)}: nothing that came was stored here")
            return
        advice = hint(retrieval.model, retrieval.level, identifier)
        if destination and error.status == Status.MOVE_DESTINATION_UNKNOWN:
            advice = f"check that the peer knows the AE title {destination}, and reaches the address that it has for it"
        output.note(self._command, output.explain(error) + (f"; {advice}" if advice else ""))

    @contextmanager
    def failing(self) -> Iterator[None]:
        """What ends the association early is said, and does not keep anybody from the report."""
        try:
            yield
        except (AiodicomError, OSError) as error:
            self._code = 1
            output.note(self._command, output.explain(error))
            latest, self._latest = self._latest, None
            if latest is not None:  # the peer's final numbers do not come
                self._completed += _number(latest.completed)
                self._failed += _number(latest.failed)
                self._warning += _number(latest.warning)

    def interrupt(self) -> None:
        """Somebody has asked for an end."""
        if self._is_unread:
            return
        self._code = 1
        refused = f", and {output.count(self._refused, 'object')} refused that still came" if self._refused else ""
        output.note(self._command, f"interrupted: the rest was cancelled{refused}")

    @contextmanager
    def shown(self, *, is_quiet: bool) -> Iterator[None]:
        """A progress bar for who is watching, unless there is a log on stderr."""
        if is_quiet or not sys.stderr.isatty():
            yield
            return
        from aiodicom.cli.progress import progress_bar

        with progress_bar(self, self):
            yield

    # --- what came of it ---------------------------------------------------------------------------------------------

    def report(self, *, is_received: bool, destination: str = "", advice: str = "") -> int:
        """Says what came of it; the command's exit code.

        `is_received`: the objects come here. `advice`: what to do about objects that the peer could not send.
        """
        seconds = perf_counter() - self._begun
        self._tell_failures(advice)
        if is_received and self.received < self._completed:
            text = f"the peer says that {self._completed:,} were sent, but {self.received:,} have arrived here"
            output.note(self._command, text)
            self._code = 1
        is_nothing = not (self.received or self._completed or self._warning or self._failed)
        if self._as_json:
            self._report_json(is_received, seconds)
        elif is_nothing and self._code:
            pass  # why has been said
        elif is_received:
            self._show(
                f"{output.count(self.received, 'object')} received, {self._failed:,} failed: "
                f"{output.size(self.bytes)} in {seconds:.2f} s, {self.received / seconds:,.0f} objects/s, "
                f"{self.bytes / seconds / 1e6:,.1f} MB/s"
            )
        else:
            moved = self._completed + self._warning
            self._show(
                f"{output.count(moved, 'object')} sent to {destination}, {self._failed:,} failed: {seconds:.2f} s"
            )
        if is_nothing and not self._code and not self._is_unread:
            output.note(self._command, "nothing was sent: the peer has nothing of that (findscu tells what it has)")
            return 1
        return 1 if self._failed else self._code

    def _show(self, text: str) -> None:
        """A line of the result. Who has read enough has had all that was wanted; that there is no room is a failure."""
        try:
            output.result(text)
        except OSError as error:
            streams.is_gone(sys.stdout)
            self._is_unread = True
            self._stop.set()
            if not isinstance(error, BrokenPipeError):
                self._code = 1
                output.note(self._command, output.explain(error))

    def _show_json(self, values: Mapping[str, object]) -> None:
        self._show(json.dumps(values))

    def _tell_failures(self, advice: str) -> None:
        # A peer that does not say which have failed counts ours all the same.
        uids = list(dict.fromkeys((*self._failed_uids, *self._not_kept)))
        for uid in uids[:_MOST_NAMED]:
            ours = self._not_kept.get(uid)
            output.note(self._command, f"{uid}: {f'not stored here: {ours}' if ours else 'the peer could not send it'}")
        unnamed = max(self._failed, len(uids)) - min(len(uids), _MOST_NAMED)
        if unnamed:
            others = " more" if uids else ""
            failure = "stored here" if self._failed <= len(self._not_kept) else "sent"
            output.note(self._command, f"{output.count(unnamed, f'{others} object'.strip())} could not be {failure}")
        if self._failed > len(self._not_kept) and advice:
            output.note(self._command, advice)
        if self._warning:
            output.note(self._command, f"{output.count(self._warning, 'object')} sent with a warning status")

    def _report_json(self, is_received: bool, seconds: float) -> None:
        summary: dict[str, object] = {
            "event": "summary",
            "statuses": [f"{status:04X}" for status in self._statuses],
            "completed": self._completed,
            "failed": self._failed,
            "warning": self._warning,
            "failed_sop_instance_uids": self._failed_uids,
        }
        if is_received:
            summary |= {"refused": self._refused, "received": self.received, "bytes": self.bytes}
        self._show_json(summary | {"seconds": round(seconds, 6)})


def _number(count: int | None) -> int:
    return count or 0


def _sent(result: RetrieveResult | None) -> int:
    return 0 if result is None else _number(result.completed) + _number(result.warning)


def _counters(result: RetrieveResult) -> dict[str, int | None]:
    return {
        "remaining": result.remaining,
        "completed": result.completed,
        "failed": result.failed,
        "warning": result.warning,
    }
