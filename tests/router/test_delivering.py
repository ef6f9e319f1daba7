"""Objects through a router to destinations, and past those that do not work."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiodicom
from tests.router.running import EXPLICIT, Archive, Running, destination, image, routing, store, uid_of, write

ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'


def routed(tmp_path: Path, pacs: Archive, more: str = "") -> AbstractAsyncContextManager[Running]:
    """A router that sends everything to one destination."""
    return routing(write(tmp_path, destination("pacs", pacs.port, more) + ROUTE))


async def test_an_object_goes_where_its_route_says_as_it_came(tmp_path: Path) -> None:
    one, other = image(1), image(2, Modality="MR")
    text = '---\n[[routes]]\nwhen = \'Modality == "CT"\'\nto = ["pacs"]\n[[routes]]\nname = "all"\nto = ["store"]\n'
    async with Archive() as pacs, Archive() as archive:
        path = write(tmp_path, destination("pacs", pacs.port) + destination("store", archive.port) + text)
        async with routing(path) as running:
            assert await store(running.port, [one, other]) == [0, 0]
            await pacs.got(uid_of(1))
            await archive.got(uid_of(1), uid_of(2))
            await running.watch.saw("delivered", uid_of(2), "store")
            assert await running.steps(uid_of(1)) == {"pacs": ("delivered", ""), "store": ("delivered", "")}
    assert pacs.received == [(uid_of(1), one.to_bytes())]
    assert dict(archive.received) == {uid_of(1): one.to_bytes(), uid_of(2): other.to_bytes()}


async def test_a_warning_is_kept_with_what_was_delivered(tmp_path: Path) -> None:
    async with Archive(lambda _: 0xB007) as pacs, routed(tmp_path, pacs) as running:
        await store(running.port, [image(1)])
        await running.watch.saw("delivered", uid_of(1), "pacs", "status B007H")
        assert await running.steps(uid_of(1)) == {"pacs": ("delivered", "status B007H")}


async def test_conditions_see_the_address_of_the_sender_alone(tmp_path: Path) -> None:
    text = '---\n[[routes]]\nwhen = \'peer == "127.0.0.1" and calling_aet ~ "CT*"\'\nto = ["pacs"]\n'
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + text)) as running:
        assert await store(running.port, [image(1)]) == [0]
        await pacs.got(uid_of(1))
        (way,) = await running.control.search(uid_of(1))
        assert way.peer == "127.0.0.1"


async def test_an_object_that_is_refused_for_good_is_dead_with_its_reason_and_the_others_go(tmp_path: Path) -> None:
    def refuse_first(request: aiodicom.StoreRequest) -> int:
        return 0x0122 if request.affected_sop_instance_uid == uid_of(1) else 0

    async with Archive(refuse_first) as pacs, routed(tmp_path, pacs) as running:
        await store(running.port, [image(1), image(2)])
        await pacs.got(uid_of(2))
        await running.watch.saw("dead", uid_of(1))
        reason = "C-STORE failed with status 0122H (SOP_CLASS_NOT_SUPPORTED)"
        assert await running.steps(uid_of(1)) == {"pacs": ("dead", reason)}
        assert pacs.asked[uid_of(1)] == 1


async def test_a_sop_class_that_is_not_accepted_is_given_up_after_its_attempts(tmp_path: Path) -> None:
    line = destination("pacs", 0).replace("jitter = 0.0", "jitter = 0.0, attempts = 2")
    async with Archive(contexts=aiodicom.Support({"1.2.840.10008.5.1.4.1.1.4": (EXPLICIT,)})) as pacs:
        text = line.replace("port = 0", f"port = {pacs.port}")
        async with routing(write(tmp_path, text + ROUTE)) as running:
            await store(running.port, [image(1)])
            await running.watch.saw("dead", uid_of(1))
            ((state, reason),) = (await running.steps(uid_of(1))).values()
            assert state == "dead"
            assert "CT Image Storage" in reason or "1.2.840.10008.5.1.4.1.1.2" in reason


async def test_a_poison_object_blocks_nobody(tmp_path: Path) -> None:
    """The association ends on it each time; the others get through, and after five times it is given up."""

    def reset(request: aiodicom.StoreRequest) -> int:
        if request.affected_sop_instance_uid == uid_of(1):
            request.association.abort()
        return 0

    async with Archive(reset) as pacs:
        text = destination("pacs", pacs.port, "associations = 1, window = 1") + ROUTE
        async with routing(write(tmp_path, text)) as running:
            for number in range(1, 30):
                await store(running.port, [image(number)])
                if running.watch.count("dead"):
                    break
                least = min(number, 4)
                await running.watch.until(lambda least=least: running.watch.count("failed") >= least)
            await running.watch.saw("dead", uid_of(1))
            assert (await running.steps(uid_of(1)))["pacs"][0] == "dead"
            await pacs.got(*(uid_of(each) for each in range(2, number)))


async def test_a_destination_out_of_resources_is_left_alone_and_nothing_is_given_up(tmp_path: Path) -> None:
    pacs = Archive(lambda _: 0xA700)
    async with pacs:
        text = destination("pacs", pacs.port) + ROUTE
        async with routing(write(tmp_path, text)) as running:
            assert await store(running.port, [image(number) for number in range(1, 4)]) == [0, 0, 0]
            await running.watch.saw("left alone", "pacs")
            # For as long as it takes: each trial fails, and is none of the objects' attempts.
            await pacs.until(lambda: sum(pacs.asked.values()) > 20)
            pacs.answer = None
            await pacs.got(*map(uid_of, range(1, 4)))
            await running.watch.saw("tried again", "pacs")
            assert not running.watch.count("dead")


async def test_a_destination_that_stalls_holds_up_neither_others_nor_senders(tmp_path: Path) -> None:
    end = asyncio.Event()

    async def stall(_: aiodicom.StoreRequest) -> int:
        await end.wait()
        return 0

    async with Archive(stall) as stalling, Archive() as pacs:
        text = destination("slow", stalling.port) + destination("pacs", pacs.port)
        text += '---\n[[routes]]\nto = ["slow", "pacs"]\n'
        async with routing(write(tmp_path, text)) as running:
            objects = [image(number) for number in range(1, 41)]
            assert await store(running.port, objects) == [0] * 40
            await pacs.got(*map(uid_of, range(1, 41)))
            assert stalling.received == []
            end.set()
            await stalling.got(*map(uid_of, range(1, 41)))


async def test_what_its_route_drops_is_told_of_and_a_trial_of_it_does_not_end_all(tmp_path: Path) -> None:
    text = """---
[[routes]]
to = ["pacs"]
name = "thinned"
transformations = [{ type = "drop", when = 'InstanceNumber == 2' }]
"""
    pacs = Archive(lambda _: 0xA700)
    async with pacs:
        line = destination("pacs", pacs.port).replace("breaker = {", "breaker = { failures = 1,")
        async with routing(write(tmp_path, line + text)) as running:
            await store(running.port, [image(1, InstanceNumber=1)])
            await running.watch.saw("left alone", "pacs")
            await store(running.port, [image(number, InstanceNumber=2) for number in range(2, 9)])
            await running.watch.until(lambda: running.watch.count("dropped") == 7)
            pacs.answer = None
            await pacs.got(uid_of(1))
            assert await running.steps(uid_of(2)) == {"pacs": ("dropped", "dropped by thinned")}
