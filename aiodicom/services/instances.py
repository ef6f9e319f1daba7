"""Where an SCP of the DIMSE-N services keeps its SOP instances: the protocol `Instances`, and one in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol
from weakref import WeakValueDictionary

from aiodicom.dataset import Dataset
from aiodicom.errors import OperationRefused
from aiodicom.services.characters import sayable
from aiodicom.standard.status import Status

__all__ = ["Instances", "Locks", "MemoryInstances", "changed_by", "selected"]


class Instances(Protocol):
    """What an embedder has: SOP instances by their UID.

    Nobody is answered with success before `put` has returned: what it returns from should last. A data set that was
    given to `put`, or that comes from `get`, is not changed by either side afterwards. Operations on one instance come
    one after the other.
    """

    async def get(self, sop_instance_uid: str) -> Dataset | None:
        """Returns an instance, or None where there is none."""
        ...

    async def put(self, sop_instance_uid: str, instance: Dataset) -> None:
        """Keeps an instance, in the place of the one before. May raise `OperationRefused`."""
        ...

    def all(self) -> AsyncIterator[tuple[str, Dataset]]:
        """Gives every instance with its UID."""
        ...


class MemoryInstances:
    """Instances in memory, `most` of them: beyond, `put` refuses with 0213H. `delete` makes room."""

    def __init__(self, *, most: int = 10_000) -> None:
        self.most = most
        self._instances: dict[str, Dataset] = {}

    def __len__(self) -> int:
        """The number of instances."""
        return len(self._instances)

    async def get(self, sop_instance_uid: str) -> Dataset | None:
        """See `Instances.get`."""
        return self._instances.get(sop_instance_uid)

    async def put(self, sop_instance_uid: str, instance: Dataset) -> None:
        """See `Instances.put`."""
        if sop_instance_uid not in self._instances and len(self._instances) >= self.most:
            raise OperationRefused(Status.RESOURCE_LIMITATION, "too many instances")
        self._instances[sop_instance_uid] = instance

    async def delete(self, sop_instance_uid: str) -> bool:
        """Deletes an instance; returns whether it was there."""
        return self._instances.pop(sop_instance_uid, None) is not None

    async def all(self) -> AsyncIterator[tuple[str, Dataset]]:
        """See `Instances.all`."""
        for number, item in enumerate(list(self._instances.items())):
            yield item
            if not (number + 1) % 256:
                await asyncio.sleep(0)


class Locks:
    """A lock for each SOP instance that something is done to."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, sop_instance_uid: str) -> asyncio.Lock:
        """The lock of an instance, the same as long as somebody has it."""
        lock = self._locks.get(sop_instance_uid)
        if lock is None:
            lock = self._locks[sop_instance_uid] = asyncio.Lock()
        return lock


def selected(instance: Dataset, tags: tuple[int, ...]) -> Dataset:
    """The attributes that an N-GET asks for, all where it names none (PS3.7 10.1.2.1.5)."""
    return sayable(instance.select((*tags, 0x00080005)) if tags else instance)


def changed_by(instance: Dataset, changes: Dataset) -> Dataset:
    """An instance with the attributes of a modification list in the place of its own (PS3.7 10.1.3)."""
    changed = instance.copy()
    changed.update(changes)
    if "SpecificCharacterSet" in instance and instance.SpecificCharacterSet != changed.SpecificCharacterSet:
        changed.SpecificCharacterSet = "ISO_IR 192"  # which has the characters of both
    return sayable(changed)
