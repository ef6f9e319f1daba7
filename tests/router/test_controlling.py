"""What people have a router do with its deliveries."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiodicom.router.control import Meant
from tests.router.running import Archive, destination, image, routing, store, uid_of, write

ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'


async def test_hold_and_release(tmp_path: Path) -> None:
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE)) as running:
        await running.control.hold(Meant(destination="pacs"))
        await store(running.port, [image(1), image(2)])
        status = await running.control.status()
        assert (status.destinations[0].state, status.destinations[0].waiting) == ("held", 2)
        assert pacs.asked == {}
        await running.control.release(Meant(destination="pacs"))
        await pacs.got(uid_of(1), uid_of(2))


async def test_what_is_claimed_already_is_held_too(tmp_path: Path) -> None:
    """A hold is not for the objects of a minute later."""
    async with Archive() as pacs:
        text = destination("pacs", pacs.port, "associations = 1, window = 1") + ROUTE
        async with routing(write(tmp_path, text)) as running:

            async def hold(_: object) -> int:
                await running.control.hold(Meant(destination="pacs"))
                return 0

            await running.control.hold(Meant(destination="pacs"))
            await store(running.port, [image(number) for number in range(1, 21)])
            pacs.answer = hold
            await running.control.release(Meant(destination="pacs"))
            await running.watch.until(lambda: running.watch.count("delivered"))
            await running.router.queue.flush()
            assert len(pacs.received) == 1
            status = await running.control.status()
            assert (status.destinations[0].state, status.destinations[0].waiting) == ("held", 19)


async def test_dead_letters_are_retried_or_dropped(tmp_path: Path) -> None:
    async with (
        Archive(lambda _: 0xA900) as pacs,
        routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE)) as running,
    ):
        await store(running.port, [image(1), image(2), image(3)])
        await running.watch.until(lambda: running.watch.count("dead") == 3)
        dead = await running.control.listed(state=Meant(state="dead").pending_state())
        assert [way.sop_instance_uid for way in dead] == [uid_of(1), uid_of(2), uid_of(3)]
        pacs.answer = None
        assert await running.control.drop(Meant(object=dead[0].object, reason="not wanted")) == 1
        assert await running.control.retry(Meant(object=dead[1].object, number=0)) == 1
        await pacs.got(uid_of(2))
        assert await running.control.retry(Meant(destination="pacs", study="1.2.3.1")) == 1
        await pacs.got(uid_of(3))
        assert await running.steps(uid_of(1)) == {"pacs": ("dropped", "not wanted")}


async def test_an_object_of_another_part_of_the_queue_is_not_meant(tmp_path: Path) -> None:
    """Parts number their objects alike."""
    async with (
        Archive(lambda _: 0xA900) as pacs,
        routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE)) as running,
    ):
        await store(running.port, [image(1)])
        await running.watch.saw("dead")
        (way,) = await running.control.listed()
        shard, _, number = way.object.partition("/")
        assert shard == "shard-000"
        assert await running.control.drop(Meant(object=f"shard-001/{number}")) == 0
        for wrong in (Meant(object=number), Meant(object="shard-000/x"), Meant(state="delivered"), Meant(state="x")):
            with pytest.raises(ValueError, match="is no "):
                await running.control.drop(wrong)
        assert (await running.steps(uid_of(1)))["pacs"][0] == "dead"


async def test_larger_priorities_go_first(tmp_path: Path) -> None:
    text = """---
[[routes]]
when = 'PatientID == "STAT"'
to = ["pacs"]
priority = 10
final = true
[[routes]]
to = ["pacs"]
"""
    async with Archive() as pacs:
        line = destination("pacs", pacs.port, "associations = 1, window = 1")
        async with routing(write(tmp_path, line + text)) as running:
            await running.control.hold(Meant(destination="pacs"))
            await store(running.port, [image(1), image(2), image(3, 2, PatientID="STAT")])
            await running.control.release(Meant(destination="pacs"))
            await pacs.got(uid_of(1), uid_of(2), uid_of(3, 2))
            assert pacs.uids == [uid_of(3, 2), uid_of(1), uid_of(2)]


async def test_no_more_is_listed_than_was_asked_for(tmp_path: Path) -> None:
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE)) as running:
        await running.control.hold(Meant(destination="pacs"))
        await store(running.port, [image(number) for number in range(1, 6)])
        for limit, found in ((3, 3), (-1, 1), (0, 1), (10**9, 5)):
            assert len(await running.control.listed(limit=limit)) == found
            assert len(await running.control.search("1.2.3.1", limit)) == found


async def test_a_destination_that_is_held_by_its_configuration(tmp_path: Path) -> None:
    async with Archive() as pacs:
        path = write(tmp_path, destination("pacs", pacs.port, "hold = true") + ROUTE)
        async with routing(path) as running:
            await store(running.port, [image(1)])
            assert (await running.control.status()).destinations[0].state == "held"
            await running.control.release(Meant(destination="pacs"))
            await pacs.got(uid_of(1))
