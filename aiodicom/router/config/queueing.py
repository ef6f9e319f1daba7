"""``[queue]``: where objects are until they are delivered, and what Success means."""

from __future__ import annotations

from enum import StrEnum

from aiodicom.router.config.values import Bytes, FilePath, PostgresUrl, Seconds, Section, StoreUrl

__all__ = ["Commitment", "Duplicates", "Durability", "Queue"]


class Durability(StrEnum):
    """What has been reached when an object is answered with Success."""

    #: The whole object has arrived.
    RECEIVED = "received"
    #: It is in the operating system's cache.
    WRITTEN = "written"
    #: It is on the disk, and so is what is to be done with it.
    SYNCED = "synced"
    #: Every destination of its routes has it.
    FORWARDED = "forwarded"


class Commitment(StrEnum):
    """What storage commitment towards the sender means."""

    #: It is not offered.
    NO = "no"
    #: The object is on the disk here.
    SYNCED = "synced"
    #: Every destination of its routes has it.
    DELIVERED = "delivered"


class Duplicates(StrEnum):
    """What becomes of an object that came before, bit by bit the same."""

    #: It is answered with Success, and not sent again.
    DROP = "drop"
    KEEP = "keep"


class Queue(Section, frozen=True, kw_only=True):
    """The queue."""

    directory: FilePath
    durability: Durability = Durability.SYNCED
    #: Of the files that objects are appended to.
    segment_size: Bytes = Bytes(64 << 20)
    #: Objects are refused (A700H) when less is free on the disk; by default 5 % of it, at most 10 GiB.
    refuse_below: Bytes | None = None
    #: And taken again when so much is; by default twice that.
    resume_above: Bytes | None = None
    commitment: Commitment = Commitment.SYNCED
    duplicates: Duplicates = Duplicates.DROP
    #: How long duplicates are known.
    remember: Seconds = Seconds(86400)
    #: What has not been delivered after this time is given up, dead letters too; without, these stay until somebody
    #: retries or drops them.
    expire: Seconds | None = None
    #: State in PostgreSQL, shared by any number of nodes; objects are then in `objects`.
    postgres: PostgresUrl | None = None
    objects: StoreUrl | None = None
    #: Settings of the object store, such as endpoint or region.
    object_options: dict[str, str] = {}
    #: What a node that shares the queue has taken, others may take when it has been silent for so long.
    lease: Seconds = Seconds(60)

    def __post_init__(self) -> None:
        if self.segment_size < 1 << 20:
            raise ValueError("segment_size is at least 1M")
        if self.refuse_below is not None and self.resume_above is not None and self.resume_above < self.refuse_below:
            raise ValueError("resume_above is at least refuse_below, or objects would be refused for ever")
        if (self.postgres is None) != (self.objects is None):
            one, other = ("postgres", "objects") if self.objects is None else ("objects", "postgres")
            raise ValueError(f"{one} is of no use without {other}: nodes that share a queue share its objects too")
        if self.lease < 1:
            raise ValueError("lease is at least 1s")
