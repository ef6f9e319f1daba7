"""How many operations at once: the search, with imagined peers and an imagined clock."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable

import pytest

from aiodicom.net.tuning import (
    FIRST_ASSOCIATIONS,
    FIRST_WINDOW,
    MOST_ASSOCIATIONS,
    MOST_WINDOW,
    PATIENCE,
    Choice,
    Tuner,
)

ROUND_TRIP = 0.05


class Peer:
    """A peer at the other end of a long way, used by somebody who always has something to send.

    It takes `limit` associations, grants `window`, and serves so many bytes a second (`bandwidth`) and so many
    operations at once (`threads`); a round trip is spent on each operation, and on opening an association.
    """

    def __init__(
        self,
        *,
        associations: Choice = "auto",
        own_window: Choice = "auto",
        limit: int = 1000,
        window: int = 1,
        bandwidth: float = math.inf,
        threads: int = 10**6,
    ) -> None:
        self.tuner = Tuner(associations, own_window)
        self.limit, self.window = limit, window
        self.bandwidth, self.threads = bandwidth, threads
        self.now = 0.0
        self.open = 0
        self.opening = 0
        self.outstanding = 0
        self.refusals = 0
        self.most = 0
        self.finished = 0
        self._free_at = 0.0
        self._busy: list[float] = []
        self._order = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    @property
    def level(self) -> tuple[int, int]:
        return self.tuner.associations(self.now), self.tuner.window

    def send(self, sizes: Iterable[int]) -> float:
        """Sends all of them, and returns when the last one has been answered."""
        waiting = list(sizes)
        waiting.reverse()
        self._act(waiting)
        while self._events:
            self.now, _, happen = heapq.heappop(self._events)
            happen()
            self._act(waiting)
            if not waiting and not self.outstanding:
                break
        assert not waiting
        return self.now

    def _later(self, seconds: float, happen: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (self.now + seconds, self._order, happen))

    def _act(self, waiting: list[int]) -> None:
        wanted = self.tuner.associations(self.now)
        self.open = min(self.open, wanted)
        while self.open + self.opening < wanted:
            self.opening += 1
            self._later(ROUND_TRIP, self._answer)
        self.tuner.placed(self.now, is_complete=self.open == wanted and not self.opening)
        while waiting and self.outstanding < self.open * min(self.tuner.window, self.window or 10**6):
            self._begin(waiting.pop())
        self.most = max(self.most, self.outstanding)

    def _answer(self) -> None:
        self.opening -= 1
        if self.open < self.limit:
            self.open += 1
            self.tuner.opened(self.open, self.window, self.now)
        else:
            self.refusals += 1
            self.tuner.refused(self.open, self.now)

    def _begin(self, size: int) -> None:
        self.outstanding += 1
        begun = self.now
        self._free_at = max(self._free_at, self.now) + size / self.bandwidth
        ready = self._free_at
        if len(self._busy) >= self.threads:
            ready = max(ready, heapq.heappop(self._busy)) + ROUND_TRIP / 10
        heapq.heappush(self._busy, ready)
        self._later(ready - self.now + ROUND_TRIP, lambda: self._finish(begun, size))

    def _finish(self, begun: float, size: int) -> None:
        self.outstanding -= 1
        self.finished += 1
        self.tuner.completed(begun, self.now, size)


def test_a_long_way_is_filled_in_a_few_round_trips() -> None:
    peer = Peer()
    seconds = peer.send([9000] * 400)
    assert peer.level == (MOST_ASSOCIATIONS, 1)
    # One after the other, 400 take 401 round trips with the opening.
    assert seconds <= 9 * ROUND_TRIP + 1e-9


def test_what_a_window_does_no_association_has_to() -> None:
    peer = Peer(window=16)
    peer.send([9000] * 4000)
    associations, window = peer.level
    assert window == 16
    assert FIRST_ASSOCIATIONS <= associations <= MOST_ASSOCIATIONS


@pytest.mark.parametrize(("granted", "most"), [(1, 1), (3, 3), (0, MOST_WINDOW), (200, MOST_WINDOW)])
def test_no_window_beyond_what_is_granted_and_proposed(granted: int, most: int) -> None:
    peer = Peer(window=granted)
    peer.send([9000] * 20_000)
    assert peer.level[1] == most


@pytest.mark.parametrize("megabytes", [20, 200])
def test_without_gain_it_goes_back(megabytes: int) -> None:
    """What the way carries, some associations fill: more of them only wait longer."""
    peer = Peer(bandwidth=megabytes * 1e6)
    peer.send([525_000] * 2000)
    enough = megabytes * 1e6 * ROUND_TRIP / 525_000
    assert peer.level[0] < max(2 * FIRST_ASSOCIATIONS, 3 * enough)


def test_less_is_tried_in_the_long_run() -> None:
    """Two associations fill this way: it comes down from those that it has begun with."""
    peer = Peer(bandwidth=20e6)
    peer.send([525_000] * 20_000)
    assert peer.level[0] < FIRST_ASSOCIATIONS / 2
    # And it is not for nothing: the way has been full.
    assert peer.now < 1.05 * 20_000 * 525_000 / 20e6


def test_a_refusal_is_a_ceiling() -> None:
    peer = Peer(limit=4)
    peer.send([9000] * 400)
    assert peer.level == (4, 1)
    assert peer.most == 4
    assert peer.refusals == FIRST_ASSOCIATIONS - 4


@pytest.mark.parametrize("limit", [30, 50])
def test_a_refusal_in_the_middle_of_the_search(limit: int) -> None:
    peer = Peer(limit=limit)
    peer.send([9000] * 1000)
    assert peer.level == (limit, 1)


def test_a_peer_that_takes_more_later() -> None:
    peer = Peer(limit=4)
    peer.send([9000] * 400)
    refusals = peer.refusals
    peer.limit = 1000
    peer.send([9000] * 40_000)
    assert peer.level[0] > 16
    assert peer.refusals == refusals


def test_refusals_become_rare() -> None:
    peer = Peer(limit=4)
    peer.send([9000] * 50_000)  # some 600 seconds
    assert peer.now > 500
    assert peer.refusals < FIRST_ASSOCIATIONS + 40


@pytest.mark.parametrize(("associations", "window"), [(8, 1), (3, 4), (100, 1)])
def test_fixed_numbers_stay(associations: int, window: int) -> None:
    peer = Peer(associations=associations, own_window=window, window=16)
    peer.send([9000] * 2000)
    assert peer.level == (associations, window)
    assert peer.most == associations * window


def test_a_fixed_number_is_tried_again_after_a_refusal() -> None:
    peer = Peer(associations=8, limit=2)
    peer.send([9000] * 100)
    assert peer.level == (2, 1)
    peer.limit = 1000
    peer.now += 100
    peer.send([9000] * 5000)
    assert peer.level == (8, 1)


def test_a_fixed_number_of_associations_with_a_window_that_is_found() -> None:
    peer = Peer(associations=1, window=16)
    peer.send([9000] * 900)
    assert peer.level == (1, 16)


@pytest.mark.parametrize(("granted", "first"), [(1, 1), (3, 3), (0, FIRST_WINDOW), (200, FIRST_WINDOW)])
def test_the_search_begins_with_some_of_the_window_that_is_granted(granted: int, first: int) -> None:
    tuner = Tuner(1, "auto")
    assert tuner.window == 1
    tuner.opened(1, granted, 0.0)
    assert tuner.window == first


def test_nothing_is_judged_that_began_before_all_was_in_place() -> None:
    tuner = Tuner("auto", 1)
    for count in range(1, FIRST_ASSOCIATIONS):
        tuner.opened(count, 1, 1.0)
        tuner.placed(1.0, is_complete=False)
        for _ in range(100):
            tuner.completed(1.0, 1.1, 1000)
    assert tuner.associations(1.1) == FIRST_ASSOCIATIONS
    tuner.placed(2.0, is_complete=True)
    for _ in range(100):
        tuner.completed(0.5, 2.1, 1000)
    assert tuner.associations(2.1) == FIRST_ASSOCIATIONS


def test_what_is_stalled() -> None:
    tuner = Tuner(2, 1)
    assert not tuner.is_stalled(0.0, 1000.0, 0)  # nobody knows how long it takes
    tuner.completed(0.0, 0.1, 1_000_000)
    assert not tuner.is_stalled(10.0, 10.0 + PATIENCE, 1_000_000)
    assert tuner.is_stalled(10.0, 10.0 + PATIENCE + 1.1, 1_000_000)
    # A hundred times the size may take a hundred times as long.
    assert not tuner.is_stalled(10.0, 10.0 + PATIENCE + 90, 100_000_000)
