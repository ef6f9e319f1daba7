"""Where an instance is, by its ways."""

from __future__ import annotations

import pytest

from aiodicom.router.queue.objects import State, Step, Way
from aiodicom.router.whereabouts import Whereabouts, dropped_by, whereabouts
from aiodicom.store.segments import Place

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def way(object: int, *states: State | tuple[State, str], digest: int = 7) -> Way:
    """One with steps to a, b, ... by one route."""
    pairs = [each if isinstance(each, tuple) else (each, "") for each in states]
    steps = tuple(
        Step(number, "abc"[number], "r", state, 0, 1, reason, 0.0, None) for number, (state, reason) in enumerate(pairs)
    )
    place = Place(1, 0, 100, digest)
    return Way(object, CT, "1.2.3", EXPLICIT, "1.2", "1.2.1", "P", "CT1", "ROUTER", "127.0.0.1", 0.0, place, steps)


@pytest.mark.parametrize(
    ("states", "where"),
    [
        ([State.DELIVERED, State.DELIVERED], Whereabouts.DELIVERED),
        ([State.DELIVERED, State.WAITING], Whereabouts.QUEUED),
        ([State.GATHERING], Whereabouts.QUEUED),
        ([State.HELD, State.DELAYED], Whereabouts.QUEUED),
        ([State.DEAD, State.WAITING], Whereabouts.DEAD),
        ([State.EXPIRED, State.DELIVERED], Whereabouts.GIVEN_UP),
        ([(State.DROPPED, "dropped by an operator"), State.DELIVERED], Whereabouts.GIVEN_UP),
        ([(State.DROPPED, dropped_by("r")), State.DELIVERED], Whereabouts.DELIVERED),
    ],
)
def test_of_one_way(states: list[State], where: Whereabouts) -> None:
    assert whereabouts([way(1, *states)]) is where


def test_a_duplicate_is_where_the_one_before_it_is() -> None:
    duplicate = way(3, State.DUPLICATE)
    assert whereabouts([duplicate, way(2, State.DUPLICATE), way(1, State.WAITING)]) is Whereabouts.QUEUED
    assert whereabouts([duplicate, way(1, State.DELIVERED)]) is Whereabouts.DELIVERED
    assert whereabouts([duplicate, way(2, State.WAITING, digest=8), way(1, State.DEAD)]) is Whereabouts.DEAD
    assert whereabouts([duplicate]) is Whereabouts.DELIVERED  # that is forgotten
