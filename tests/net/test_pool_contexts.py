"""What the associations of a pool propose: more as operations need more, and nothing twice that the peer refuses."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationRejected, ContextNotAccepted, LocalError
from aiodicom.net.proposing import REFUSED_FOR
from tests.net.imagined import ROUND_TRIP, Peer
from tests.net.sides import CT, DATA, EXPLICIT, IMPLICIT, MR
from tests.net.virtual import run_virtually

JPEG = "1.2.840.10008.1.2.4.50"


def uids(sop_class: str, syntax: str = JPEG) -> dict[str, str]:
    return {"sop_class_uid": sop_class, "sop_instance_uid": "1.2.3", "transfer_syntax": syntax}


def sop_classes(association: Any) -> set[str]:
    return {abstract for abstract, _ in association.contexts}


def test_what_is_needed_is_proposed_beside_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch) as it:
            await it.c_store(DATA, **uids(CT))
            await it.c_store(DATA, **uids(CT))
            await it.c_store(DATA, **uids(MR))
            await it.c_store(DATA, **uids(CT))
            await it.c_echo()
            await asyncio.sleep(2 * ROUND_TRIP)
            # The first one is not needed any more.
            assert [association.end for association in peer.associations] == ["released", ""]
            assert it.open == 1
        first, second = peer.associations
        assert sop_classes(first) == {aiodicom.VERIFICATION, CT}
        assert sop_classes(second) == {aiodicom.VERIFICATION, CT, MR}
        assert first.done == ["store", "store"]
        assert second.done == ["store", "store", "echo"]

    run_virtually(main())


def test_a_native_object_in_a_transfer_syntax_that_was_not_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, contexts=[(CT, [EXPLICIT])], check=None, transcode="decompress-only") as it:
            await it.c_store(DATA, **uids(CT, EXPLICIT))
            await it.c_store(aiodicom.Dataset(), sop_class_uid=CT, sop_instance_uid="1.2")  # any native one will do
            assert len(peer.associations) == 1
            await it.c_store(DATA, **uids(CT, IMPLICIT))
        assert [association.contexts for association in peer.associations] == [
            [(CT, (EXPLICIT,))],
            [
                (CT, (EXPLICIT,)),
                (CT, (IMPLICIT,)),
                (CT, (EXPLICIT, "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")),
            ],
        ]

    run_virtually(main())


def test_the_one_that_is_at_work_goes_on_until_it_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, size=2) as it:
            await it.c_store(DATA, **uids(CT))
            peer.seconds = 10.0
            long = asyncio.create_task(it.c_store(DATA, **uids(CT)))
            await asyncio.sleep(1.0)
            peer.seconds = ROUND_TRIP
            await it.c_store(DATA, **uids(MR))
            assert peer.associations[0].is_open
            await long
            await asyncio.sleep(2 * ROUND_TRIP)
            assert peer.associations[0].end == "released"

    run_virtually(main())


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("window", [1, 4])
def test_where_there_is_no_room_others_make_it_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, size: int, window: int
) -> None:
    """Objects of two SOP classes, many at once: nobody starves, the bound holds, and nothing is opened in vain."""

    async def main() -> None:
        peer, most = Peer(window), 0
        async with peer.pool(monkeypatch, size=size, window=window) as it:
            await asyncio.gather(*(it.c_store(DATA, **uids(CT)) for _ in range(size * window)))
            done: list[str] = []

            async def store(sop_class: str) -> None:
                nonlocal most
                await it.c_store(DATA, **uids(sop_class))
                most = max(most, len(peer.now_open()))
                done.append(sop_class)

            await asyncio.gather(*(store(CT) for _ in range(40)), *(store(MR) for _ in range(40)))
            # In order: when the first of one kind is served, the others that came before have been, or are at work.
            assert done.index(MR) >= 40 - size * window
        assert most <= size
        assert len(peer.associations) <= 2 * size

    run_virtually(main())


def test_a_stream_of_what_is_there_does_not_starve_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, size=2) as it:
            is_done = False

            async def stream() -> None:
                while not is_done:
                    await it.c_store(DATA, **uids(CT))

            streams = [asyncio.create_task(stream()) for _ in range(6)]
            await asyncio.sleep(1.0)
            begun = asyncio.get_running_loop().time()
            await it.c_store(DATA, **uids(MR))
            assert asyncio.get_running_loop().time() - begun <= 12 * ROUND_TRIP
            is_done = True
            await asyncio.gather(*streams)

    run_virtually(main())


def test_what_the_peer_refuses_is_asked_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        refused = {MR}
        peer = Peer(accepts=lambda abstract, _: abstract not in refused)
        async with peer.pool(monkeypatch, size=2, idle=30.0) as it:
            await it.c_store(DATA, **uids(CT))
            for _ in range(20):
                with pytest.raises(ContextNotAccepted, match="refused") as caught:
                    await it.c_store(DATA, **uids(MR))
                assert (caught.value.abstract_syntax, caught.value.transfer_syntax) == (MR, JPEG)
            assert len(peer.asked) == 2
            # It is no longer proposed either, and nothing else is hindered.
            await asyncio.sleep(60.0)
            await it.c_store(DATA, **uids(CT))
            assert sop_classes(peer.associations[-1]) == {aiodicom.VERIFICATION, CT}
            refused.clear()
            with pytest.raises(ContextNotAccepted):
                await it.c_store(DATA, **uids(MR))
            await asyncio.sleep(REFUSED_FOR)
            await it.c_store(DATA, **uids(MR))

    run_virtually(main())


def test_what_was_given_and_is_refused_needs_no_other_association(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer(accepts=lambda abstract, _: abstract != CT)
        async with peer.pool(monkeypatch, contexts=[(CT, [JPEG]), aiodicom.VERIFICATION], idle=None, check=None) as it:
            await it.c_echo()
            for _ in range(3):
                with pytest.raises(ContextNotAccepted):
                    await it.c_store(DATA, **uids(CT))
            with pytest.raises(ContextNotAccepted):
                await it.acquire(CT)
            assert len(peer.asked) == 1
            # What was refused when it was opened is not for ever.
            await asyncio.sleep(REFUSED_FOR)
            with pytest.raises(ContextNotAccepted):
                await it.c_store(DATA, **uids(CT))
            assert len(peer.asked) == 2

    run_virtually(main())


def test_all_who_wait_for_what_is_refused_hear_of_it_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer(accepts=lambda abstract, _: abstract != MR)
        async with peer.pool(monkeypatch, size=2) as it:
            results = await asyncio.gather(
                *(it.c_store(DATA, **uids(sop_class)) for _ in range(10) for sop_class in (MR, CT)),
                return_exceptions=True,
            )
        assert [type(result) for result in results] == [ContextNotAccepted, str] * 10
        assert len(peer.asked) <= 3

    run_virtually(main())


@pytest.mark.parametrize("kinds", [127, 128, 300])
def test_no_more_than_128_contexts(monkeypatch: pytest.MonkeyPatch, kinds: int) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, size=4) as it:
            await asyncio.gather(*(it.c_store(DATA, **uids(f"1.2.{number}")) for number in range(kinds)))
            # Those that were needed last are known.
            opened = len(peer.asked)
            await asyncio.gather(*(it.c_store(DATA, **uids(f"1.2.{number}")) for number in range(kinds - 50, kinds)))
            assert len(peer.asked) <= opened + 4
        assert max(len(association.contexts) for association in peer.associations) <= 128
        assert all(aiodicom.VERIFICATION in sop_classes(association) for association in peer.associations)
        # One for all of them, or several where one hasn't the room.
        assert opened <= 4 if kinds < 128 else opened <= 12

    run_virtually(main())


def test_several_sets_of_contexts_stay_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, size=4, idle=None) as it:
            for number in range(200):
                await it.c_store(DATA, **uids(f"1.2.{number}"))
            await asyncio.sleep(10.0)
            opened = len(peer.asked)
            for number in itertools.chain(range(100, 200), range(100, 200)):
                await it.c_store(DATA, **uids(f"1.2.{number}"))
            assert len(peer.asked) == opened

    run_virtually(main())


def test_no_room_beside_those_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        given = [(f"1.2.{number}", [JPEG]) for number in range(128)]
        async with peer.pool(monkeypatch, contexts=given) as it:
            await it.c_store(DATA, **uids("1.2.127"))
            with pytest.raises(LocalError, match="no more can be proposed"):
                await it.c_store(DATA, **uids(CT))

    run_virtually(main())


class Serial(Peer):
    """Serves one association at a time: it answers the next one when that has ended, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self._line = asyncio.Lock()

    async def open(self, contexts: Any) -> Any:
        async with self._line:
            while self.now_open():  # noqa: ASYNC110
                await asyncio.sleep(ROUND_TRIP)
            return await super().open(contexts)


def test_a_peer_that_serves_one_association_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which has to end before it answers the one with what is needed now; those that wait at the peer are no better."""

    async def main() -> None:
        peer = Serial()
        async with peer.pool(monkeypatch, size=4, idle=None) as it:
            await asyncio.gather(*(it.c_store(DATA, **uids(CT)) for _ in range(8)))
            begun = asyncio.get_running_loop().time()
            await asyncio.gather(*(it.c_store(DATA, **uids(MR)) for _ in range(8)))
            assert asyncio.get_running_loop().time() - begun < 3.0

    run_virtually(main())


def test_a_peer_that_takes_no_other_association(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is there is given up for what it lacks, and the others are not when that was in vain."""

    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, size=4) as it:
            peer.seconds = 5.0
            running = [asyncio.create_task(it.c_store(DATA, **uids(CT))) for _ in range(3)]
            await asyncio.sleep(1.0)
            peer.seconds = ROUND_TRIP
            peer.openings = [AssociationRejected(2, 3, 2)] * 2
            with pytest.raises(AssociationRejected):
                await it.c_store(DATA, **uids(MR))
            await asyncio.gather(*running)
            assert len(peer.now_open()) == 2
            await it.c_store(DATA, **uids(MR))

    run_virtually(main())


def test_a_whole_one_with_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        peer = Peer()
        async with peer.pool(monkeypatch, size=2) as it:
            await it.c_echo()
            async with it.acquire(MR) as mine:
                assert sop_classes(mine) >= {MR}

    run_virtually(main())
