"""How long a pool keeps its associations: idle ones, old ones, and those that have died unheard."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationClosed, DeadlineExceeded, LocalError, StatusError
from aiodicom.net.upkeep import Upkeep
from tests.net.imagined import ROUND_TRIP, Peer
from tests.net.sides import CT
from tests.net.virtual import run_virtually


def now() -> float:
    return asyncio.get_running_loop().time()


def test_an_idle_one_is_asked_whether_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, idle=100.0, check=30.0, lifetime=None) as it:
            await it.c_echo()
            await asyncio.sleep(95.0)
            # At 30, 60 and 90 s; what the pool asks is no use of it.
            assert peer.associations[0].done == ["echo"] * 4
            await asyncio.sleep(6.0)
            assert not it.open
            assert peer.associations[0].end == "released"

    run_virtually(main())


def test_one_that_is_used_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, idle=None, check=30.0, size=1) as it:
            for _ in range(10):
                await it.c_echo()
                await asyncio.sleep(20.0)
            peer.seconds = 200.0
            await it.c_echo()
            assert len(peer.associations[0].done) == 11

    run_virtually(main())


@pytest.mark.parametrize("lifetime", [3600.0, None])
def test_one_that_was_used_when_it_was_looked_at_is_idle_later(
    monkeypatch: pytest.MonkeyPatch, lifetime: float | None
) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, idle=30.0, check=None, lifetime=lifetime, wait=500.0, size=1) as it:
            peer.seconds = 40.0
            await asyncio.gather(it.c_echo(), it.c_echo())
            await asyncio.sleep(29.0)
            assert it.open == 1
            await asyncio.sleep(32.0)
            assert not it.open

    run_virtually(main())


@pytest.mark.parametrize("error", [DeadlineExceeded("C-ECHO response", 60), StatusError(0x0110, "failed")])
def test_one_that_does_not_answer_is_dropped(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, idle=None, check=30.0) as it:
            await it.c_echo()
            peer.answers = [error]
            await asyncio.sleep(31.0)
            # A failure is an answer too.
            assert it.open == isinstance(error, StatusError)
            await it.c_echo()
            assert len(peer.associations) == 2 - isinstance(error, StatusError)

    run_virtually(main())


def test_one_that_never_answers_is_dropped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, idle=None, check=30.0, size=1) as it:
            await it.c_echo()
            peer.seconds = 1e6
            await asyncio.sleep(31.0)
            waiting = asyncio.create_task(it.c_echo())
            await asyncio.sleep(1.0)
            peer.seconds = ROUND_TRIP
            await waiting
            assert [association.end for association in peer.associations] == ["aborted", ""]
            assert now() < 30.0 + 60.0 + 1.0

    run_virtually(main())


def test_where_verification_is_refused_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer(accepts=lambda abstract, _: abstract != aiodicom.VERIFICATION)
        async with peer.pool(monkeypatch, contexts=[CT], idle=50.0, check=30.0) as it:
            async with it.acquire() as mine:
                # It is proposed for that.
                assert {abstract for abstract, _ in mine.contexts} == {CT, aiodicom.VERIFICATION}  # type: ignore[misc]
            await asyncio.sleep(49.0)
            assert it.open
            await asyncio.sleep(2.0)
            assert not it.open
            assert peer.associations[0].done == []

    run_virtually(main())


@pytest.mark.parametrize("how", ["close", "terminate"])
def test_the_end_while_one_is_asked(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    async def main() -> None:
        peer = Peer()
        it = await peer.pool(monkeypatch, idle=None, check=30.0)
        await it.c_echo()
        peer.seconds = 5.0
        await asyncio.sleep(31.0)
        await getattr(it, how)()
        assert not peer.now_open()
        assert now() < 36.0

    run_virtually(main())


def test_old_ones_are_replaced_and_not_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, idle=None, check=None, lifetime=1000.0, size=8) as it:
            await asyncio.gather(*(it.c_echo() for _ in range(8)))
            await asyncio.sleep(1001.0)
            ends = sorted(association.ended_at for association in peer.associations)
            assert 800.0 <= ends[0] < ends[-1] <= 1001.0
            assert len({round(end) for end in ends}) > 4
            await it.c_echo()
            assert it.open == 1

    run_virtually(main())


def test_never_in_the_middle_of_an_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer(window=2)
        async with peer.pool(monkeypatch, idle=None, check=None, lifetime=100.0, size=1, window=2) as it:
            peer.seconds = 150.0
            long = asyncio.create_task(it.c_echo())
            await asyncio.sleep(101.0)
            # Nothing more is begun on it: that waits for another.
            peer.seconds = ROUND_TRIP
            await asyncio.gather(long, it.c_echo())
            assert [association.done for association in peer.associations] == [["echo"], ["echo"]]
            assert peer.associations[0].end == "released"
            assert peer.associations[0].ended_at > 150.0

    run_virtually(main())


def test_a_whole_one_gets_old_only_when_it_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, idle=10.0, check=5.0, lifetime=100.0, size=1) as it:
            async with it.acquire() as mine:
                await asyncio.sleep(200.0)
                await mine.c_echo()
            await it.c_echo()
            assert [association.done for association in peer.associations] == [["echo"], ["echo"]]

    run_virtually(main())


def test_what_is_due_when() -> None:
    upkeep = Upkeep(idle=30.0, check=10.0, lifetime=100.0, chance=lambda: 0.5)
    assert upkeep.end(1000.0) == 1090.0
    assert upkeep.release_at(1000.0) == 1030.0
    assert upkeep.check_at(1000.0) == 1010.0
    assert upkeep.is_checking
    assert not Upkeep(idle=10.0, check=10.0).is_checking
    assert Upkeep(None).end(0.0) == Upkeep(None).release_at(0.0) == Upkeep(None).shortest == float("inf")


@pytest.mark.parametrize("wrong", [{"idle": 0}, {"check": -1.0}, {"lifetime": float("nan")}, {"idle": float("inf")}])
def test_what_cannot_be(wrong: Any) -> None:
    with pytest.raises(LocalError, match="is no time for a pool"):
        aiodicom.Pool("127.0.0.1", **wrong)


def test_closing_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        it = await peer.pool(monkeypatch, size=2)
        peer.seconds = 1000.0
        running = asyncio.create_task(it.c_echo())
        held = await it.acquire()
        await asyncio.sleep(1.0)
        await it.close(timeout=10.0)
        assert 11.0 <= now() < 12.0
        assert [association.end for association in peer.associations] == ["aborted", "aborted"]
        peer.seconds = 0.0
        with pytest.raises(AssociationClosed):
            await running
        it.release(held)

    run_virtually(main())


@pytest.mark.parametrize("window", [1, 3])
def test_one_that_has_had_its_operations_is_released(monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    async def main() -> None:
        peer = Peer()
        options = {"idle": None, "check": None, "operations": 4, "size": 1, "window": window}
        async with peer.pool(monkeypatch, **options) as it, asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(it.c_echo())
        assert [len(association.done) for association in peer.associations] == [4, 4, 2]
        assert {association.end for association in peer.associations} == {"released"}

    run_virtually(main())


def test_no_operations_are_no_limit() -> None:
    with pytest.raises(LocalError, match="operations=0"):
        Upkeep(None, operations=0)
