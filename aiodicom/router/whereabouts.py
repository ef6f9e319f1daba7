"""What has become of a SOP instance on all of its ways, as far as somebody waits to hear of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from aiodicom.router.queue.objects import PENDING, State

if TYPE_CHECKING:
    from aiodicom.router.queue.objects import Step, Way

__all__ = ["Whereabouts", "dropped_by", "whereabouts"]


class Whereabouts(Enum):
    """Where a SOP instance is."""

    #: Every destination of its routes has it.
    DELIVERED = "delivered"
    #: Some have not, and it is in the queue for them.
    QUEUED = "queued"
    #: It is in the queue, but some destination will not get it unless somebody does something about it.
    DEAD = "dead"
    #: Some destination will never get it: it was dropped, or has expired.
    GIVEN_UP = "given up"


def dropped_by(route: str) -> str:
    """The reason of a delivery that its route wants not to be made: nothing is missing then."""
    return f"dropped by {route}"


def whereabouts(ways: Sequence[Way]) -> Whereabouts:
    """Says where an instance is by its ways, the newest first; the same bytes may have come several times."""
    states = {step.state for step in _decisive(ways) if step.reason != dropped_by(step.route)}
    if not states.isdisjoint((State.DROPPED, State.EXPIRED)):
        return Whereabouts.GIVEN_UP
    if State.DEAD in states:
        return Whereabouts.DEAD
    return Whereabouts.DELIVERED if states.isdisjoint(PENDING) else Whereabouts.QUEUED


def _decisive(ways: Sequence[Way]) -> Iterator[Step]:
    """The newest steps to each destination by each route; what is a duplicate goes as the one before it went."""
    newest = ways[0]
    same = [way for way in ways[1:] if way.place.digest == newest.place.digest and way.place.size == newest.place.size]
    for step in newest.steps:
        if step.state is not State.DUPLICATE:
            yield step
            continue
        before = (
            each
            for way in same
            for each in way.steps
            if (each.destination, each.route) == (step.destination, step.route) and each.state is not State.DUPLICATE
        )
        # One that is forgotten has been delivered.
        yield from (each for each in [next(before, None)] if each is not None)
