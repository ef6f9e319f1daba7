"""What is decided, without IO: by seed, by number, past stalls."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from aiodicom.load.target.behaviour import Behaviour, Fate
from aiodicom.load.target.faults import Fault
from aiodicom.load.target.scenario import convert_scenario
from aiodicom.load.target.stalls import Stall, Stalls


def behaviour(**tables: Any) -> Behaviour:
    return Behaviour(convert_scenario(tables))


MIXED: dict[str, Any] = {
    "operations": {
        "all": {"latency": "exponential 20ms", "statuses": {"A700": "10%", "C000": 0.05}},
        "store": {"faults": {"never": "20%", "abort": "10%"}},
        "echo": {"statuses": {}, "latency": "5ms"},
    },
    "associations": {"reject": "10%", "abort": "10%", "close": "10%", "ignore": "10%"},
}


def test_the_same_seed_decides_alike_whatever_others_ask_meanwhile() -> None:
    first, second = behaviour(seed=3, **MIXED), behaviour(seed=3, **MIXED)
    one, other = first.associate(1, 0)[0], first.associate(2, 0)[0]
    plans = [first.operate(one, "store", 0) for _ in range(50)]
    crowd = [second.associate(1, 0)[0] for _ in range(2)]
    entwined = [(second.operate(crowd[1], "find", 0), second.operate(crowd[0], "store", 0))[1] for _ in range(50)]
    assert entwined == plans
    assert [first.operate(other, "store", 0) for _ in range(50)] != plans
    other_seed = behaviour(seed=4, **MIXED)
    stranger = other_seed.associate(1, 0)[0]
    assert [other_seed.operate(stranger, "store", 0) for _ in range(50)] != plans


def test_shares_are_what_was_asked_for() -> None:
    decides = behaviour(**MIXED)
    fates = Counter(decides.associate(1, 0)[1].fate for _ in range(5000))
    assert fates[Fate.ACCEPT] == pytest.approx(3000, abs=150)
    assert all(fates[fate] == pytest.approx(500, abs=80) for fate in Fate if fate is not Fate.ACCEPT)
    standing, _ = decides.associate(1, 0)
    plans = [decides.operate(standing, "store", 0) for _ in range(5000)]
    statuses, faults = Counter(plan.status for plan in plans), Counter(plan.fault for plan in plans)
    assert statuses[0xA700] == pytest.approx(500, abs=80)
    assert statuses[0xC000] == pytest.approx(250, abs=60)
    assert faults[Fault.NEVER] == pytest.approx(1000, abs=100)
    assert faults[Fault.ABORT] == pytest.approx(500, abs=80)
    assert sum(plan.delay for plan in plans) / 5000 == pytest.approx(0.02, rel=0.05)


def test_a_kind_of_its_own_and_those_that_are_as_all() -> None:
    decides = behaviour(**MIXED)
    standing, _ = decides.associate(1, 0)
    echoes = [decides.operate(standing, "echo", 0) for _ in range(100)]
    assert {(echo.delay, echo.status, echo.fault) for echo in echoes} == {(0.005, 0, None)}
    assert {decides.operate(standing, "find", 0).fault for _ in range(100)} == {None}
    assert {decides.operate(standing, "find", 0).status for _ in range(300)} == {0, 0xA700, 0xC000}


def test_more_associations_than_there_may_be() -> None:
    decides = behaviour(associations={"most": 2})
    assert [decides.associate(present, 0)[1].fate for present in (1, 2, 3, 2)] == [
        Fate.ACCEPT,
        Fate.ACCEPT,
        Fate.REJECT,
        Fate.ACCEPT,
    ]


def test_an_association_is_aborted_after_so_many_operations() -> None:
    decides = behaviour(associations={"abort_after": 3})
    for _ in range(2):
        standing, _ = decides.associate(1, 0)
        assert [decides.operate(standing, "echo", 0).fault for _ in range(4)] == [None, None, Fault.ABORT, None]


def test_what_would_be_answered_in_a_stall_is_answered_after_it() -> None:
    decides = behaviour(
        operations={"all": {"latency": "100ms"}}, stalls=[{"for": "2s", "at": "10s"}], match_interval="50ms"
    )
    standing, plan = decides.associate(1, 11.0)
    assert plan.delay == pytest.approx(1.0)
    delays = [decides.operate(standing, "echo", elapsed).delay for elapsed in (9.0, 9.95, 11.0, 11.95, 12.0)]
    assert delays == pytest.approx([0.1, 2.05, 1.0, 0.1, 0.1])
    assert decides.interval(standing, 1, 1, 10.0) == pytest.approx(2.0)


def test_stalls() -> None:
    stalls = Stalls([Stall(5, 1, 10), Stall(5.5, 2), Stall(7, 1)])
    assert [stalls.end(elapsed) for elapsed in (0, 4.9, 5, 6.5, 8, 15.5, 16)] == [None, None, 8, 8, None, 16, None]
    assert [stalls.next(elapsed) for elapsed in (0, 5, 5.5, 7, 15)] == [5, 5.5, 7, 15, 25]
    assert Stalls([]).next(0) is None
    assert Stalls([Stall(1, 1)]).next(1) is None


def test_storage_commitment() -> None:
    decides = behaviour(commitment={"fail": "30%", "never": "40%", "reason": 0x0213, "delay": "uniform 1s 2s"})
    assert Counter(decides.forgets() for _ in range(1000))[True] == pytest.approx(400, abs=60)
    plan = decides.report()
    assert 1 <= plan.delay < 2
    failed = decides.failed(plan, map(str, range(1000)))
    assert len(failed) == pytest.approx(300, abs=60)
    assert set(failed.values()) == {0x0213}
