"""How rounds are judged."""

from __future__ import annotations

from tests.faults.ledger import ROUTER, Arrival, Kill, Sent, judge

SENT = {
    "1": Sent("one", frozenset("ab")),
    "2": Sent("two", frozenset("a")),
    "3": Sent("three", frozenset("a")),
}


def test_everything_is_where_it_belongs() -> None:
    arrivals = {"a": [Arrival("1", "one", 1.0), Arrival("2", "two", 1.1)], "b": [Arrival("1", "one", 1.2)]}
    verdict = judge(SENT, {"1", "2"}, arrivals, [], 1.0)
    assert (verdict.acknowledged, verdict.arrived, verdict.again, verdict.faults) == (2, 3, 0, [])


def test_what_is_wrong() -> None:
    arrivals = {
        "a": [Arrival("1", "other", 1.0), Arrival("4", "four", 1.0)],
        "b": [Arrival("2", "two", 1.0)],
    }
    verdict = judge(SENT, {"1", "2"}, arrivals, [], 1.0)
    assert verdict.corrupt == ["1 at a is not what was sent"]
    assert verdict.stray == ["4 at a, where nobody sent it", "2 at b, where nobody sent it"]
    assert verdict.missing == ["2 is not at a", "1 is not at b"]


def test_what_was_not_acknowledged_need_not_arrive() -> None:
    assert judge(SENT, {}, {"a": [Arrival("3", "three", 1.0)], "b": []}, [], 1.0).faults == []


def again(first: float, second: float, *kills: Kill) -> tuple[int, int]:
    verdict = judge(SENT, {}, {"a": [Arrival("2", "two", first), Arrival("2", "two", second)]}, kills, 1.0)
    return verdict.again, len(verdict.unexplained)


def test_duplicates_are_explained_by_kills_beside_them_alone() -> None:
    assert again(5.0, 7.0) == (0, 1)
    assert again(5.0, 7.0, Kill(ROUTER, 5.5)) == (1, 0)
    assert again(5.0, 7.0, Kill("a", 5.5)) == (1, 0)
    assert again(5.0, 7.0, Kill("b", 5.5)) == (0, 1)
    # Long before the kill: that was noted, and should have been known.
    assert again(4.0, 7.0, Kill(ROUTER, 5.5)) == (0, 1)
    # Both before the kill.
    assert again(5.0, 5.2, Kill(ROUTER, 5.5)) == (0, 1)
    # In a socket when the router was killed.
    assert again(5.6, 7.0, Kill(ROUTER, 5.5)) == (1, 0)
