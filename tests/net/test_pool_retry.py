"""What a pool tries again, when, and what never."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

import aiodicom
from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ConnectFailed,
    ConnectionLost,
    ContextNotAccepted,
    DeadlineExceeded,
    DecodeError,
    LocalError,
    ProtocolViolation,
    StatusError,
)
from aiodicom.net.retry import Retry
from tests.net.imagined import ROUND_TRIP, Peer
from tests.net.sides import CT_UIDS, DATA
from tests.net.virtual import run_virtually

LOST = ConnectionLost("gone")
BUSY = AssociationRejected(2, 3, 2)
NOBODY = ConnectFailed("no connection")
FULL = StatusError(0xA700, "out of resources")


# --- the policy ------------------------------------------------------------------------------------------------------


def test_pauses_grow_up_to_a_bound() -> None:
    retry = Retry(attempts=6, first=1.0, factor=3.0, most=20.0, jitter=0.0)
    assert [retry.pause(failures, 0.9) for failures in range(1, 7)] == [1.0, 3.0, 9.0, 20.0, 20.0, None]
    assert Retry(attempts=10**6, most=7.0, jitter=0.0).pause(10**5, 0.0) == 7.0


@pytest.mark.parametrize(("jitter", "chance", "pause"), [(0.5, 0.0, 4.0), (0.5, 0.5, 3.0), (1.0, 0.75, 1.0)])
def test_a_part_of_each_is_left_to_chance(jitter: float, chance: float, pause: float) -> None:
    assert Retry(first=4.0, jitter=jitter).pause(1, chance) == pause


@pytest.mark.parametrize(
    "wrong",
    [{"attempts": 0}, {"first": -1}, {"most": float("inf")}, {"factor": 0.5}, {"factor": float("nan")}, {"jitter": 2}],
)
def test_what_cannot_be(wrong: Any) -> None:
    with pytest.raises(LocalError):
        Retry(**wrong)


@pytest.mark.parametrize(
    ("error", "before", "after", "repeatable"),
    [
        (NOBODY, True, False, True),
        (BUSY, True, False, True),
        (AssociationRejected(1, 1, 7), False, False, False),
        (LOST, True, False, True),
        (AssociationAborted(2, 0), True, False, True),
        (AssociationClosed("over"), True, False, True),
        (DeadlineExceeded("C-STORE response", 60), True, False, True),
        (FULL, True, False, True),
        (StatusError(0xC000, "cannot understand"), False, False, False),
        (ProtocolViolation("nonsense"), False, False, False),
        (ContextNotAccepted("1.2", None, "no"), False, False, False),
        (DecodeError("no DICOM"), False, False, False),
        (OSError(5, "Input/output error"), False, False, False),
    ],
)
def test_what_is_worthwhile(error: Exception, before: bool, after: bool, repeatable: bool) -> None:
    """An operation that was not begun; one that was; one that was and may be repeated."""
    retry = Retry(statuses={0xA700})
    assert retry.is_worthwhile(error, is_begun=False, is_repeatable=False) is before
    assert retry.is_worthwhile(error, is_begun=True, is_repeatable=False) is after
    assert retry.is_worthwhile(error, is_begun=True, is_repeatable=True) is repeatable


def test_a_status_only_when_told() -> None:
    assert not Retry().is_worthwhile(FULL, is_begun=True, is_repeatable=True)


# --- pools -----------------------------------------------------------------------------------------------------------


def test_by_default_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        peer.openings = [NOBODY]
        async with peer.pool(monkeypatch) as it:
            with pytest.raises(ConnectFailed):
                await it.c_echo()
            peer.answers = [LOST]
            with pytest.raises(ConnectionLost):
                await it.c_store(DATA, **CT_UIDS)

    run_virtually(main())


@pytest.mark.parametrize("error", [NOBODY, BUSY, DeadlineExceeded("answer to the A-ASSOCIATE-RQ", 30)])
def test_an_association_that_could_not_be_opened(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def main() -> None:
        peer = Peer()
        peer.openings = [error] * 3
        async with peer.pool(monkeypatch, retry=Retry(attempts=4, first=1.0, factor=2.0, jitter=0.0)) as it:
            assert cast(Any, await it.c_echo()) == "echo"
            pauses = [later - earlier for earlier, later in zip(peer.asked, peer.asked[1:], strict=False)]
            assert pauses == pytest.approx([1.0 + ROUND_TRIP, 2.0 + ROUND_TRIP, 4.0 + ROUND_TRIP])
            peer.openings = [error] * 4
            for association in peer.now_open():
                association.abort()
            with pytest.raises(type(error)):
                await it.c_echo()
            assert not peer.openings

    run_virtually(main())


@pytest.mark.parametrize("error", [LOST, AssociationAborted(0, 0), DeadlineExceeded("C-STORE response", 60)])
def test_a_loss_in_the_middle_of_what_may_be_repeated(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def main() -> None:
        peer = Peer()
        peer.answers = [error, error]
        async with peer.pool(monkeypatch, retry=Retry(attempts=3)) as it:
            assert cast(Any, await it.c_store(DATA, **CT_UIDS)) == "store"
            assert [association.done for association in peer.associations] == [["store"]] * 3

    run_virtually(main())


def test_what_may_not_be_repeated_is_begun_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        peer.openings = [NOBODY]
        peer.answers = [LOST]
        begun: list[Any] = []

        async def once(association: aiodicom.Association) -> object:
            begun.append(association)
            return await association.c_echo()

        async with peer.pool(monkeypatch, retry=Retry()) as it:
            with pytest.raises(ConnectionLost):
                await it.perform(once)
            # It had not been begun when there was no association.
            assert len(peer.asked) == 2
            assert len(begun) == 1

    run_virtually(main())


def test_out_of_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        peer.answers = [FULL, FULL]
        async with peer.pool(monkeypatch, retry=Retry(statuses={0xA700}, first=2.0, jitter=0.0)) as it:
            await it.c_store(DATA, **CT_UIDS)
            assert peer.associations[0].done == ["store"] * 3
            assert asyncio.get_running_loop().time() >= 6.0
            peer.answers = [StatusError(0xA900, "no"), None]
            with pytest.raises(StatusError):
                await it.c_store(DATA, **CT_UIDS)

    run_virtually(main())


def test_a_pause_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        peer.answers = [FULL]
        async with peer.pool(monkeypatch, size=1, retry=Retry(statuses={0xA700}, first=50.0, most=50.0)) as it:
            resting = asyncio.create_task(it.c_store(DATA, **CT_UIDS))
            await asyncio.sleep(1.0)
            await it.c_echo()
            assert asyncio.get_running_loop().time() < 2.0
            resting.cancel()
            await asyncio.wait((resting,))
            assert resting.cancelled()
            assert peer.associations[0].done == ["store", "echo"]

    run_virtually(main())


def test_the_end_of_the_pool_ends_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        peer.openings = [NOBODY]
        it = await peer.pool(monkeypatch, retry=Retry(first=500.0, most=500.0))
        resting = asyncio.create_task(it.c_echo())
        await asyncio.sleep(1.0)
        await it.close()
        with pytest.raises(ConnectFailed):
            await resting
        assert asyncio.get_running_loop().time() < 2.0

    run_virtually(main())


def test_who_has_waited_too_long_is_not_made_to_wait_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, size=1, wait=5.0, retry=Retry()) as it, it.acquire():
            with pytest.raises(DeadlineExceeded, match="free association"):
                await it.c_echo()
            assert asyncio.get_running_loop().time() < 6.0

    run_virtually(main())
