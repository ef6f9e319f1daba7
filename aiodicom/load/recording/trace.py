"""The trace of a recording: JSON Lines, of what happened and when, and of nothing that tells of a patient.

Each line is one record, in the order in which they ended. Times (`at_s`) are seconds since the recording began.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

__all__ = [
    "AssociationRecord",
    "Context",
    "EndRecord",
    "Head",
    "OperationRecord",
    "Record",
    "TraceWriter",
    "read_trace",
]

#: A trace of another format is refused.
FORMAT = 1


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="what"):
    """A line."""


class Head(_Record, frozen=True, tag="recording"):
    """The first line."""

    format: int = msgspec.field(default_factory=lambda: FORMAT)
    #: ISO 8601, UTC.
    started: str = ""


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """A presentation context."""

    abstract_syntax: str
    #: As proposed.
    transfer_syntaxes: tuple[str, ...]
    #: What was accepted; empty where it was refused.
    accepted: str = ""


class AssociationRecord(_Record, frozen=True, tag="association"):
    """An association was asked for, and this came of it."""

    #: Its number, by which the other records name it.
    association: int
    at_s: float
    #: Until the answer.
    answer_s: float = 0.0
    #: "accepted", "rejected RESULT,SOURCE,REASON", "aborted", or "no answer".
    result: str = "accepted"
    #: AE titles, or names in their place where they are not recorded.
    calling: str = ""
    called: str = ""
    contexts: tuple[Context, ...] = ()
    #: What the requestor receives, and the acceptor.
    max_pdu: tuple[int, int] = (0, 0)
    #: Operations at once, of the requestor and of the acceptor (PS3.7 D.3.3.3).
    window: tuple[int, int] = (1, 1)


class OperationRecord(_Record, frozen=True, tag="operation"):
    """An operation has ended, or its association has while it was under way."""

    association: int
    #: Such as "C-STORE".
    service: str
    #: When its command set had passed.
    at_s: float
    #: From then until the data set had passed, too.
    request_s: float = 0.0
    #: From then until the first response, where there were several, and until the last one. None: there was none.
    first_response_s: float | None = None
    latency_s: float | None = None
    #: Of the last response, in hexadecimal digits; empty where there was none.
    status: str = ""
    sop_class: str = ""
    transfer_syntax: str = ""
    #: Of the data sets.
    request_bytes: int = 0
    response_bytes: int = 0
    #: Pending responses.
    pending: int = 0
    #: Whether the acceptor invoked it: N-EVENT-REPORT, and C-STORE for a C-GET.
    by_acceptor: bool = False
    #: Query/Retrieve Level (0008,0052) of a query or retrieval.
    level: str = ""
    #: Whether C-CANCEL was sent.
    cancelled: bool = False
    #: The file that the object is in, where objects are kept.
    file: str = ""


class EndRecord(_Record, frozen=True, tag="end"):
    """An association has ended."""

    association: int
    at_s: float
    #: "released", "rejected", "aborted by the requestor", "aborted by the acceptor", "connection lost", or
    #: "not understood: ...".
    how: str


Record = Head | AssociationRecord | OperationRecord | EndRecord


class TraceWriter:
    """Writes a trace. Raises OSError."""

    def __init__(self, path: Path, started: str) -> None:
        self._file: BinaryIO = path.open("wb")
        self._encoder = msgspec.json.Encoder()
        self.write(Head(started=started))

    def write(self, record: Record) -> None:
        """Adds a record; what ends an association is on its way to the disk then."""
        self._file.write(self._encoder.encode(record) + b"\n")
        if isinstance(record, EndRecord):
            self._file.flush()

    def close(self) -> None:
        """Writes what is not written yet."""
        self._file.close()


def read_trace(path: Path) -> Iterator[Record]:
    """Iterates over the records of a trace. Raises OSError, and ValueError that names the line at fault."""
    decoder = msgspec.json.Decoder(Record)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                record = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise ValueError(f"{path}, line {number}: not of a trace: {error}") from None
            if isinstance(record, Head) != (number == 1):
                raise ValueError(f"{path}, line {number}: not of a trace that aiodicom load record has written")
            if isinstance(record, Head) and record.format != FORMAT:
                raise ValueError(f"{path}: a trace of format {record.format}; this aiodicom reads {FORMAT}")
            yield record
