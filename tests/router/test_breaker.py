"""The circuit breaker, without a clock."""

from __future__ import annotations

import math

import pytest

from aiodicom.router.breaker import Backoff, Breaker, State

BACKOFF = Backoff(first=1, most=10, factor=2, jitter=0.5)


def breaker() -> Breaker:
    return Breaker(BACKOFF, tolerated=3)


def test_pauses_grow_and_end_and_are_left_to_chance() -> None:
    assert [BACKOFF.pause(failures, 0) for failures in (1, 2, 3, 4, 5, 10_000)] == [1, 2, 4, 8, 10, 10]
    assert BACKOFF.pause(3, 0.999) == pytest.approx(2, abs=0.01)


def test_some_failures_are_bad_luck() -> None:
    each = breaker()
    each.failed(0, 0, "lost")
    each.failed(0, 0, "lost")
    assert each.allowance(0) == math.inf
    each.succeeded()
    each.failed(0, 0, "lost")
    each.failed(0, 0, "lost")
    assert each.state is State.CLOSED
    each.failed(0, 0, "lost")
    assert (each.state, each.reason, each.reopens_at) == (State.OPEN, "lost", 1)


def test_one_trial_at_a_time_and_longer_pauses() -> None:
    each = breaker()
    for _ in range(3):
        each.failed(0, 0, "lost")
    assert each.allowance(0.9) == 0
    assert each.allowance(1) == 1
    assert each.allowance(1) == 0
    each.failed(1.5, 0, "lost")
    assert each.reopens_at == 3.5
    assert each.allowance(3.5) == 1
    each.succeeded()
    assert each.allowance(3.6) == math.inf
    for _ in range(3):
        each.failed(4, 0, "lost")
    assert each.reopens_at == 5


def test_failures_of_what_was_on_its_way_count_once() -> None:
    each = breaker()
    for _ in range(50):
        each.failed(0, 0, "lost")
    assert each.reopens_at == 1


def test_a_trial_that_was_not_made_is_made_again() -> None:
    each = breaker()
    for _ in range(3):
        each.failed(0, 0, "lost")
    assert each.allowance(2) == 1
    each.given_up(2)
    assert each.allowance(2) == 1


def test_what_a_destination_asks_for_is_heeded() -> None:
    each = breaker()
    each.failed(0, 0, "429", pause=120)
    assert each.reopens_at == 120


def test_who_wants_it_tried_gets_one_trial_at_once_and_short_pauses_behind_it() -> None:
    each = breaker()
    each.try_now(0)
    assert each.state is State.CLOSED
    for now in (0, 0, 0, 1, 3):
        each.allowance(now)
        each.failed(now, 0, "lost")
    assert (each.reopens_at, each.allowance(4)) == (7, 0)
    each.try_now(4)
    assert (each.allowance(4), each.allowance(4)) == (1, 0)
    each.failed(4, 0, "lost")
    assert each.reopens_at == 5
