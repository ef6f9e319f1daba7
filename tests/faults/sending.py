"""A modality that sends whatever comes, and sends again what it got no answer to, as modalities do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from xxhash import xxh3_64_hexdigest

import aiodicom
from aiodicom.errors import AiodicomError
from tests.faults.ledger import Sent
from tests.interop.objects import CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN, ROOT, ct_data_set, ct_uid

__all__ = ["Modality", "make_object"]

#: SOP classes by modality, and where the data set has either.
SOP_CLASSES = {"CT": CT_IMAGE_STORAGE, "MR": "1.2.840.10008.5.1.4.1.1.4"}
_MODALITY = b"\x08\x00\x60\x00CS\x02\x00"
_STUDY = f"{ROOT}.3".encode()
#: Bytes of pixels a side: 2.5 kB, 9 kB, 131 kB, 525 kB.
_SIDES = (32, 64, 256, 512)
_WEIGHTS = (4, 8, 2, 1)
_CONTEXTS = [(sop_class, [EXPLICIT_VR_LITTLE_ENDIAN]) for sop_class in SOP_CLASSES.values()]
#: Seconds before a connection is tried again.
_PAUSE = 0.05


def make_object(number: int, modality: str, side: int) -> bytes:
    """The data set of an object that is like no other; twenty follow each other in a study."""
    encoded, offset = ct_data_set(1, side)
    data = bytearray(encoded)
    data[offset : offset + 64] = ct_uid(number).encode()
    at = data.index(CT_IMAGE_STORAGE.encode())
    data[at : at + len(CT_IMAGE_STORAGE)] = SOP_CLASSES[modality].encode()
    at = data.index(_MODALITY) + len(_MODALITY)
    data[at : at + 2] = modality.encode()
    at = data.index(_STUDY)
    data[at : at + len(_STUDY)] = f"{ROOT}.{5 + number // 20 % 5}".encode()
    data[-8:] = number.to_bytes(8, "little")
    return bytes(data)


class Modality:
    """Sends objects on some associations until it is stopped.

    `destinations_of` says where an object of a modality (CT, MR) is to arrive; the same seed sends the same objects.
    """

    def __init__(self, port: int, seed: int, destinations_of: Callable[[str], frozenset[str]]) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._destinations_of = destinations_of
        self._number = 0
        self._is_stopped = False
        #: By SOP Instance UID.
        self.sent: dict[str, Sent] = {}
        self.acknowledged: set[str] = set()
        #: How often an object was answered with this status, other than success.
        self.refused: dict[int, int] = {}
        #: Associations that have failed or ended.
        self.lost = 0

    def skip(self, count: int) -> None:
        """Leaves numbers of objects to others."""
        self._number += count

    def stop(self) -> None:
        """Has it begin nothing more; what has no answer yet is given up."""
        self._is_stopped = True

    async def send(self, associations: int, count: int | None = None) -> None:
        """Returns when it is stopped, or has had answers to `count` more objects."""
        self._is_stopped = False
        wanted = None if count is None else self._number + count
        await asyncio.gather(*(self._send(wanted) for _ in range(associations)))

    async def _send(self, wanted: int | None) -> None:
        waiting: tuple[str, str, bytes] | None = None
        while not self._is_stopped and (waiting is not None or wanted is None or self._number < wanted):
            try:
                async with aiodicom.connect("127.0.0.1", self._port, contexts=_CONTEXTS) as association:
                    while not self._is_stopped and (waiting is not None or wanted is None or self._number < wanted):
                        waiting = waiting or self._next()
                        status = await self._store(association, *waiting)
                        if status != 0:
                            self.refused[status] = self.refused.get(status, 0) + 1
                            await asyncio.sleep(_PAUSE)
                        waiting = None
            except (AiodicomError, OSError):
                self.lost += 1
                await asyncio.sleep(_PAUSE)

    async def _store(self, association: aiodicom.Association, uid: str, sop_class: str, data: bytes) -> int:
        try:
            await association.c_store(
                data,
                sop_class_uid=sop_class,
                sop_instance_uid=uid,
                transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN,
            )
        except aiodicom.errors.StatusError as error:
            return int(error.status)
        self.acknowledged.add(uid)
        return 0

    def _next(self) -> tuple[str, str, bytes]:
        self._number += 1
        modality = self._random.choice(("CT", "MR"))
        (side,) = self._random.choices(_SIDES, _WEIGHTS)
        uid, data = ct_uid(self._number), make_object(self._number, modality, side)
        self.sent[uid] = Sent(xxh3_64_hexdigest(data), self._destinations_of(modality), SOP_CLASSES[modality])
        return uid, SOP_CLASSES[modality], data
