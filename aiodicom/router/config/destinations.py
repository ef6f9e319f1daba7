"""``[destinations.NAME]``: where objects are delivered to, and how."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from aiodicom.net.transcoding import Transcoding
from aiodicom.router.config.tls import ClientTLS
from aiodicom.router.config.values import (
    AETitle,
    Bytes,
    FolderTemplate,
    Hook,
    HostName,
    InputFile,
    PathTemplate,
    Seconds,
    Section,
    StatusCode,
    StoreUrl,
    SyntaxName,
    TimeOfDay,
    WebUrl,
)

__all__ = [
    "Breaker",
    "Destination",
    "DimseDestination",
    "FolderDestination",
    "ObjectsDestination",
    "RequiredCommitment",
    "RetryPolicy",
    "Slot",
    "StowDestination",
    "is_open",
    "next_change",
]

_MANY = Annotated[int, msgspec.Meta(ge=1, le=65535)] | Literal["auto"]


class Weekday(StrEnum):
    """The days of the week, from Monday."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_WEEK: Final = tuple(Weekday)


class Slot(Section, frozen=True, kw_only=True, rename={"begins": "from", "ends": "to"}):
    """When objects are sent: between two times of day, by the clock of the machine. Where the second one is before the
    first, it is of the next day.
    """

    begins: TimeOfDay
    ends: TimeOfDay
    #: The days on which it begins; every day without.
    days: tuple[Weekday, ...] = _WEEK

    def __post_init__(self) -> None:
        if self.begins == self.ends:
            raise ValueError("from and to are the same: leave the slot out, or write 00:00 and 24:00")

    def covers(self, now: datetime) -> bool:
        """Whether `now` is in it."""
        minute = now.hour * 60 + now.minute
        today, yesterday = _WEEK[now.weekday()], _WEEK[now.weekday() - 1]
        begins, ends = self.begins.minutes, self.ends.minutes
        if begins < ends:
            return today in self.days and begins <= minute < ends
        return (today in self.days and begins <= minute) or (yesterday in self.days and minute < ends)


def is_open(schedule: tuple[Slot, ...], now: datetime) -> bool:
    """Whether a schedule lets objects go at a time: in any of its slots, always without any."""
    return not schedule or any(slot.covers(now) for slot in schedule)


def next_change(schedule: tuple[Slot, ...], now: datetime) -> datetime | None:
    """The first full minute after `now` at which `is_open` says something else; None where it never does.

    In local time without a zone, as `now` is.
    """
    minutes = sorted({at.minutes for slot in schedule for at in (slot.begins, slot.ends)})
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    opened = is_open(schedule, now)
    for day in range(9):
        for minute in minutes:
            at = midnight + timedelta(days=day, minutes=minute)
            if at > now and is_open(schedule, at) != opened:
                return at
    return None


class RetryPolicy(Section, frozen=True, kw_only=True):
    """When a delivery that has failed is tried again."""

    #: Pause after the first failure; each further one is `factor` times as long, up to `most`.
    first: Seconds = Seconds(5)
    factor: Annotated[float, msgspec.Meta(ge=1, le=100)] = 2.0
    most: Seconds = Seconds(600)
    #: The part of a pause that is left to chance.
    jitter: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    #: After so many failures of its own an object is given up: a dead letter. A destination that takes nothing, because
    #: it cannot be reached or is out of resources, is no failure of an object's, however long that lasts.
    attempts: Annotated[int, msgspec.Meta(ge=1)] = 10
    #: Statuses after which an object is given up at once: SOP class not supported, and data set that does not match it.
    permanent: tuple[StatusCode, ...] = (StatusCode(0x0122), StatusCode(0xA900))

    def __post_init__(self) -> None:
        if self.first <= 0:
            raise ValueError("first is more than 0 seconds")
        if self.most < self.first:
            raise ValueError("most is at least first")


class Breaker(Section, frozen=True, kw_only=True):
    """When a destination that fails is left alone for a while."""

    #: So many failures of the destination itself, one after the other.
    failures: Annotated[int, msgspec.Meta(ge=1)] = 5
    #: Then one object is tried after each such pause.
    pause: Seconds = Seconds(30)

    def __post_init__(self) -> None:
        if self.pause <= 0:
            raise ValueError("pause is more than 0 seconds")


class RequiredCommitment(Section, frozen=True, kw_only=True):
    """Storage commitment of the destination, without which an object does not leave the queue."""

    #: For its report; then the object is sent again.
    timeout: Seconds = Seconds(3600)
    #: AE title and address of who commits, where that is another than the destination.
    called_aet: AETitle | None = None
    host: HostName | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None

    def __post_init__(self) -> None:
        if self.timeout <= 0:
            raise ValueError("timeout is more than 0 seconds: objects would be sent again and again")


class _Destination(Section, frozen=True, kw_only=True, tag_field="type"):
    #: Delivered to only by hand: everything is held until it is released.
    hold: bool = False
    retry: RetryPolicy = RetryPolicy()
    breaker: Breaker = Breaker()
    #: When objects are sent; always without.
    schedule: tuple[Slot, ...] = ()
    #: At the most: objects a second, and bytes a second.
    rate: Annotated[float, msgspec.Meta(gt=0)] | None = None
    bandwidth: Bytes | None = None

    def __post_init__(self) -> None:
        if self.bandwidth is not None and self.bandwidth < 1:
            raise ValueError("with a bandwidth of 0 nothing is ever sent: hold = true says so")


class DimseDestination(_Destination, frozen=True, kw_only=True, tag="dimse"):
    """An AE that objects are sent to by C-STORE."""

    host: HostName
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    called_aet: AETitle
    #: By default our own: the first of the first listener, AIODICOM where that has none.
    calling_aet: AETitle | None = None
    tls: ClientTLS | None = None
    #: At the most side by side, and operations outstanding on each; auto: as many as bring gain.
    associations: _MANY = "auto"
    window: _MANY = "auto"
    #: Objects that an association carries before it is released; None: as many as there are.
    batch: Annotated[int, msgspec.Meta(ge=1)] | None = None
    #: What may be done to an object whose transfer syntax the destination does not accept.
    transcode: Transcoding = Transcoding.LOSSLESS
    #: Brought into these, of which the first that the destination accepts, whether it accepts others or not.
    transfer_syntaxes: tuple[SyntaxName, ...] = ()
    commitment: RequiredCommitment | None = None
    connect_timeout: Seconds = Seconds(15)
    acse_timeout: Seconds = Seconds(30)
    dimse_timeout: Seconds = Seconds(60)
    #: An association without work is released after this time.
    idle: Seconds = Seconds(30)
    #: Whether forwarding may begin while an object still arrives.
    cut_through: bool = False


class StowDestination(_Destination, frozen=True, kw_only=True, tag="stow"):
    """A DICOMweb service that objects are sent to by STOW-RS (PS3.18 10.5)."""

    #: Of the service, such as ``https://pacs.example.org/dicom-web``.
    url: WebUrl
    #: Sent with each request.
    headers: dict[str, str] = {}
    #: A file whose first line is a bearer token; it is read again when it has changed.
    token_file: InputFile | None = None
    #: A function that gives a bearer token, plain or ``async``; it is asked again when one is refused.
    token_hook: Hook | None = None
    tls: ClientTLS | None = None
    #: Requests side by side, and objects in each.
    requests: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    batch: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    timeout: Seconds = Seconds(300)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.token_file is not None and self.token_hook is not None:
            raise ValueError("a token is had from token_file or from token_hook, not both")
        for name, value in self.headers.items():
            if not name or not name.isascii() or not all(c.isalnum() or c in "-_" for c in name):
                raise ValueError(f"{name!r} is no name of a header")
            if not value.isprintable():
                raise ValueError(f"the header {name} has a value of more than one line, or with control characters")


class FolderDestination(_Destination, frozen=True, kw_only=True, tag="folder"):
    """A folder that files are written to."""

    #: Template of paths, such as ``out/{StudyInstanceUID}/{SOPInstanceUID}.dcm``.
    path: FolderTemplate
    #: What delivered means: on the disk, or in the operating system's cache.
    durability: Literal["synced", "written"] = "synced"


class ObjectsDestination(_Destination, frozen=True, kw_only=True, tag="objects"):
    """An object store: S3 and its like."""

    #: Bucket and what names begin with: ``s3://archive/incoming``.
    url: StoreUrl
    #: Template of names.
    path: PathTemplate = PathTemplate("{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm")
    #: Settings of the store, such as endpoint or region.
    options: dict[str, str] = {}
    requests: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8


Destination: TypeAlias = DimseDestination | StowDestination | FolderDestination | ObjectsDestination
