"""What was sent, what arrived where and when, and what is wrong with that. Knows no processes, clocks or sockets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["ROUTER", "Arrival", "Kill", "Sent", "Verdict", "judge"]

#: Who was killed, where that was no destination.
ROUTER = "router"


class Sent(NamedTuple):
    """An object that was sent, whatever has become of it."""

    digest: str
    #: The destinations of its routes.
    destinations: frozenset[str]
    sop_class_uid: str = ""


class Arrival(NamedTuple):
    """An object that a destination has had as a whole, before it answered."""

    uid: str
    digest: str
    #: Seconds of the machine's monotonic clock, as all times here.
    at: float


class Kill(NamedTuple):
    """Somebody was killed."""

    who: str
    at: float


@dataclass
class Verdict:
    """What is wrong, one line each, and how much there was."""

    acknowledged: int = 0
    arrived: int = 0
    #: Acknowledged, and not at a destination of its routes.
    missing: list[str] = field(default_factory=list)
    #: Not bit by bit what was sent.
    corrupt: list[str] = field(default_factory=list)
    #: At a destination to which none of its routes leads, or sent by nobody.
    stray: list[str] = field(default_factory=list)
    #: Came again without a kill that explains it.
    unexplained: list[str] = field(default_factory=list)
    #: Came again because of a kill; and for how long before it one of them had been there already, in seconds.
    again: int = 0
    earliest: float = 0.0

    @property
    def faults(self) -> list[str]:
        """All that is wrong."""
        return [*self.missing, *self.corrupt, *self.stray, *self.unexplained]


def judge(
    sent: Mapping[str, Sent],
    acknowledged: Collection[str],
    arrivals: Mapping[str, Iterable[Arrival]],
    kills: Sequence[Kill],
    window: float,
) -> Verdict:
    """Holds arrivals at destinations, each in their order, against what was sent and acknowledged.

    That an object comes again is explained by a kill of the router, or of that destination, which lies between the two
    times and at most `window` seconds behind the first: its answer, or the note that it was delivered, was lost with
    the process. What was in a socket may be taken by a destination for so long after a kill.
    """
    verdict = Verdict(len(acknowledged))
    for name, some in arrivals.items():
        last: dict[str, float] = {}
        for arrival in some:
            verdict.arrived += 1
            original = sent.get(arrival.uid)
            if original is None or name not in original.destinations:
                verdict.stray.append(f"{arrival.uid} at {name}, where nobody sent it")
            elif original.digest != arrival.digest:
                verdict.corrupt.append(f"{arrival.uid} at {name} is not what was sent")
            before = last.get(arrival.uid)
            if before is not None:
                _judge_again(verdict, name, before, arrival, kills, window)
            last[arrival.uid] = arrival.at
        verdict.missing += [
            f"{uid} is not at {name}" for uid in acknowledged if name in sent[uid].destinations and uid not in last
        ]
    return verdict


def _judge_again(
    verdict: Verdict, name: str, before: float, arrival: Arrival, kills: Sequence[Kill], window: float
) -> None:
    leads = [
        kill.at - before
        for kill in kills
        if kill.who in (ROUTER, name) and kill.at <= arrival.at and abs(kill.at - before) <= window
    ]
    if leads:
        verdict.again += 1
        verdict.earliest = max(verdict.earliest, min(leads))
    else:
        verdict.unexplained.append(
            f"{arrival.uid} came to {name} again after {arrival.at - before:.2f} s, and nobody was killed then"
        )
