"""What goes through the queue: objects, their deliveries, and what is told of them."""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from aiodicom.store.segments import Place

__all__ = [
    "PENDING",
    "Delivery",
    "Duplicates",
    "Failure",
    "Incoming",
    "Lease",
    "QueueUnavailable",
    "Receipt",
    "Selection",
    "State",
    "Step",
    "Way",
    "lease_of",
]


class QueueUnavailable(OSError):
    """What nodes share, the database or the object store, cannot be used now, and may be later: the engine answers
    A700H, as where there is no space (ENOSPC).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ENOSPC, reason)

    def __str__(self) -> str:
        return str(self.strerror)


class State(IntEnum):
    """What has become of a delivery; those up to `GATHERING` are pending: their object is kept."""

    #: It can be claimed, or is.
    WAITING = 0
    #: It has failed and is tried again later.
    DELAYED = 1
    #: It waits until somebody releases it.
    HELD = 2
    #: It has failed for good, and waits for somebody to retry or drop it.
    DEAD = 3
    #: It waits for the rest of its series or study.
    GATHERING = 4
    DELIVERED = 5
    #: It was not delivered in time, and won't be.
    EXPIRED = 6
    #: Somebody, or its route, has dropped it.
    DROPPED = 7
    #: The same object was on its way there, or there, already.
    DUPLICATE = 8


#: The states of deliveries whose object is kept.
PENDING: Final = (State.WAITING, State.DELAYED, State.HELD, State.DEAD, State.GATHERING)


class Duplicates(IntEnum):
    """What is done with the same SOP instance of the same bytes, for the same destination by the same route, once
    more.
    """

    #: It is delivered again.
    FORWARD = 0
    #: It is not queued while the other one still waits, as after an answer that the sender has not got.
    DROP_WAITING = 1
    #: It is not queued, be the other one delivered or not, as long as that is remembered.
    DROP = 2


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """Where an object is to go."""

    destination: str
    #: The route by which it goes there, and so what is done to it on the way.
    route: str = ""
    #: From higher to lower.
    priority: int = 0
    #: Seconds of the queue's clock, after which it is not to be delivered any more.
    expires: float | None = None
    #: The series or study that it waits for, to go when that is complete.
    group: str = ""


class Incoming(msgspec.Struct, frozen=True, array_like=True):
    """What is known of an object beside its bytes. It is kept with them, so that rows can be made anew."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    calling_aet: str
    called_aet: str
    #: The sender's address.
    peer: str
    #: Seconds of the queue's clock.
    received: float
    deliveries: tuple[Delivery, ...]


class Lease(NamedTuple):
    """A delivery that somebody has claimed, until it is settled or the process ends."""

    object: int
    #: Of the object's deliveries, which.
    number: int
    destination: str
    route: str
    priority: int
    #: How often it has been tried before.
    attempts: int
    expires: float | None
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    #: Rows of one study have the same; it grows with each study that comes. 0 where there were no rows yet.
    study: int
    study_instance_uid: str
    patient_id: str
    calling_aet: str
    called_aet: str
    peer: str
    received: float
    place: Place


def lease_of(object: int, number: int, incoming: Incoming, place: Place) -> Lease:
    """The lease of a delivery that has just come, and has no rows yet."""
    delivery = incoming.deliveries[number]
    return Lease(
        object,
        number,
        delivery.destination,
        delivery.route,
        delivery.priority,
        0,
        delivery.expires,
        incoming.sop_class_uid,
        incoming.sop_instance_uid,
        incoming.transfer_syntax,
        0,
        incoming.study_instance_uid,
        incoming.patient_id,
        incoming.calling_aet,
        incoming.called_aet,
        incoming.peer,
        incoming.received,
        place,
    )


class Receipt(NamedTuple):
    """An object is on the disk, and will be delivered; unless it was there already, and `is_duplicate`."""

    object: int
    is_duplicate: bool


class Failure(NamedTuple):
    """A claimed delivery was not delivered, or with a warning."""

    lease: Lease
    #: For people, kept with it.
    reason: str
    #: Seconds of the queue's clock, from which on it is tried again; None: it is dead.
    retry_at: float | None
    #: Whether it counts as an attempt: not when the destination was to blame for it.
    counts: bool = True
    #: What it has come to where that is neither of these: dropped by its route, or delivered with the reason as the
    #: destination's warning.
    ends_as: State | None = None


class Step(NamedTuple):
    """What has become of one delivery of an object."""

    number: int
    destination: str
    route: str
    state: State
    priority: int
    attempts: int
    #: Of the last failure.
    reason: str
    #: When that was, and until when it is delayed; seconds of the queue's clock.
    changed: float
    retry_at: float | None


class Way(NamedTuple):
    """An object and what has become of it."""

    object: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    calling_aet: str
    called_aet: str
    peer: str
    received: float
    place: Place
    steps: tuple[Step, ...]


class Selection(NamedTuple):
    """Which deliveries somebody means; what is None says nothing."""

    destination: str | None = None
    state: State | None = None
    study_instance_uid: str | None = None
    object: int | None = None
    number: int | None = None
