"""Objects to be queued."""

from __future__ import annotations

import asyncio

from aiodicom.router.queue.objects import Delivery, Incoming
from aiodicom.router.queue.protocol import Queue
from aiodicom.router.queue.shard import Arrival, Group, Shard, encode_meta
from aiodicom.router.queue.upkeep import live_in

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def incoming(
    number: int, *to: Delivery | str, study: int = 1, received: float = 0.0, peer: str = "192.0.2.1"
) -> Incoming:
    """The `number`th object, to `to`: names of destinations, or deliveries; "pacs" by default."""
    deliveries = tuple(each if isinstance(each, Delivery) else Delivery(each) for each in to or ("pacs",))
    uid = f"1.2.{study}"
    series, patient = f"{uid}.0", f"P{study}"
    return Incoming(CT, f"{uid}.{number}", EXPLICIT, uid, series, patient, "CT1", "ROUTER", peer, received, deliveries)


def arrival(one: Incoming, data: bytes | memoryview = b"data set") -> Arrival:
    return Arrival(one, encode_meta(one), data)


def put(shard: Shard, *objects: Incoming, data: bytes | memoryview = b"data set", now: float = 0.0) -> Group:
    """Queues objects in one group."""
    group = shard.write([arrival(one, data) for one in objects])
    shard.commit(group, now)
    return group


def numbers(shard: Shard, destination: str = "pacs", limit: int = 1000, *, newest: bool = False) -> list[int]:
    """Claims, and returns the numbers of the objects."""
    leases = shard.claim(destination, limit, newest=newest)
    return [int(lease.sop_instance_uid.rpartition(".")[2]) for lease in leases]


def reclaim(shard: Shard) -> int:
    """Deletes the segments that nobody needs; returns how many."""
    unneeded = shard.begin_removing()
    shard.remove(unneeded)
    shard.end_removing(unneeded)
    return len(unneeded)


def sparse(shard: Shard) -> tuple[int, list[int]] | None:
    """The segment that holds least, and where in it that is."""
    segment = shard.sparsest()
    if segment is None:
        return None
    records = shard.positions(segment)
    live = live_in(shard.rows, segment, [id for id, _ in records])
    return segment, [at for id, at in records if id in live]


async def something(queue: Queue, destination: str) -> None:
    """Returns when there may be something to claim."""
    told = asyncio.Event()
    queue.listen(destination, told.set)
    await told.wait()
