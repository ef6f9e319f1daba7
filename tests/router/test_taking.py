"""What a router answers its senders, and what has become of the objects then."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AiodicomError, AssociationRejected, StatusError
from aiodicom.net.tls import tls_client_context
from aiodicom.router import intake, opening
from aiodicom.router.queue import writing
from aiodicom.router.queue.space import Space
from tests.certificates import Authority
from tests.router.running import CT, EXPLICIT, HEAD, Archive, destination, image, routing, soon, store, uid_of, write
from tests.store.held import holding

ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'


@pytest.fixture(autouse=True)
def _a_disk_that_is_always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests have it say changes at once."""
    monkeypatch.setattr(opening, "_SPACE_AGE", 0.0)


async def test_a_disk_that_is_nearly_full_and_has_room_again(tmp_path: Path) -> None:
    async with Archive() as pacs:
        head = HEAD.replace("refuse_below = 0", 'refuse_below = "100M"').replace(
            "resume_above = 0", 'resume_above = "200M"'
        )
        async with routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:
            free = [150_000_000]
            running.router.queue.watermarks.space = lambda: Space(free[0], 1 << 40)
            assert await store(running.port, [image(1)]) == [0]
            free[0] = 90_000_000
            assert await store(running.port, [image(2)]) == [0xA700]
            assert (await running.control.status()).disk_full
            free[0] = 150_000_000
            assert await store(running.port, [image(2)]) == [0xA700]
            free[0] = 250_000_000
            assert not (await running.control.status()).disk_full  # although nobody has sent anything
            assert await store(running.port, [image(2)]) == [0]
            await pacs.got(uid_of(1), uid_of(2))
            assert running.watch.count("refused") == 2
            assert (await running.control.status()).refused == 2


@pytest.mark.parametrize(("durability", "status"), [("synced", 0xA700), ("received", 0)])
async def test_what_cannot_be_queued(
    tmp_path: Path, durability: str, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with Archive() as pacs:
        head = HEAD.replace("[queue]", f'[queue]\ndurability = "{durability}"')
        async with routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:

            def fail(*_: Any) -> Any:
                raise sqlite3.OperationalError("disk I/O error")

            monkeypatch.setattr(running.router.queue._shard, "begin", fail)
            assert await store(running.port, [image(1)]) == [status]
            await running.watch.saw("refused", 0xA700, "disk I/O error")
            assert ("was answered with success and is lost" in caplog.text) == (status == 0)


async def test_what_is_answered_before_it_is_written_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_BACKLOG", len(image(1).to_bytes()))
    made = holding(monkeypatch, writing)
    async with Archive() as pacs:
        head = HEAD.replace("[queue]", '[queue]\ndurability = "received"')
        async with routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:
            (disk,) = made
            assert await store(running.port, [image(1)]) == [0]
            await disk.has(1)
            storing = asyncio.create_task(store(running.port, [image(2)]))
            await disk.has(2)
            answered, _ = await asyncio.wait([storing], timeout=0.1)
            disk.let()
            assert not answered
            assert await storing == [0]
            assert await store(running.port, [image(3)]) == [0]
            await disk.has(1)
            disk.let()
            await pacs.got(uid_of(1), uid_of(2), uid_of(3))


async def test_what_no_route_means_and_what_is_no_data_set(tmp_path: Path) -> None:
    text = '---\n[[routes]]\nwhen = \'Modality == "CT"\'\nto = ["pacs"]\n'
    async with Archive() as pacs:
        line = destination("pacs", pacs.port)
        async with routing(write(tmp_path, line + text)) as running:
            assert await store(running.port, [image(1, Modality="MR")]) == [0xA900]
            contexts = [(CT, [EXPLICIT])]
            async with aiodicom.connect(
                "127.0.0.1", running.port, contexts=contexts, called_aet="ROUTER"
            ) as association:
                uids = {"sop_class_uid": CT, "sop_instance_uid": "1.2.3", "transfer_syntax": EXPLICIT}
                with pytest.raises(StatusError) as refused:
                    await association.c_store(b"\x08", **uids)
                assert refused.value.status == 0xA900
        path = write(tmp_path, 'unrouted = "drop"\n' + line + text)
        async with routing(path) as running:
            assert await store(running.port, [image(1, Modality="MR")]) == [0]
            assert await running.control.search(uid_of(1)) == []


async def test_while_the_disk_is_full_objects_are_refused_which_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 2000
    monkeypatch.setattr("aiodicom.router.opening.space_of", lambda _: Space(free << 20, 4000 << 20))
    head = HEAD.replace("= 0\nresume_above = 0", '= "1000M"\nresume_above = "1000M"')
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:
        assert await store(running.port, [image(1)]) == [0]
        free = 500
        assert await store(running.port, [image(2), image(3)]) == [0xA700, 0xA700]
        assert (await running.control.status()).disk_full
        free = 1500
        assert await store(running.port, [image(2), image(3)]) == [0, 0]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "objects are refused (A700H): the queue's disk is nearly full",
        "objects are taken again",
    ]


async def test_duplicates_are_answered_and_not_sent_again(tmp_path: Path) -> None:
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE)) as running:
        assert await store(running.port, [image(1)]) == [0]
        await running.watch.saw("delivered", uid_of(1))
        assert await store(running.port, [image(1), image(1, PatientComments="changed"), image(2)]) == [0, 0, 0]
        await running.watch.until(lambda: running.watch.count("delivered") == 3)
        assert sorted(pacs.uids) == [uid_of(1), uid_of(1), uid_of(2)]
        assert running.watch.count("received") == 3


async def test_success_when_forwarded(tmp_path: Path) -> None:
    """The sender waits as long as the destination does, and one that sends again waits for the same delivery."""
    go = asyncio.Event()

    async def wait(_: aiodicom.StoreRequest) -> int:
        await go.wait()
        return 0

    async with Archive(wait) as pacs, Archive() as other:
        head = HEAD.replace("[queue]", '[queue]\ndurability = "forwarded"')
        text = destination("pacs", pacs.port) + destination("other", other.port)
        text += '---\n[[routes]]\nto = ["pacs", "other"]\n'
        async with routing(write(tmp_path, text, head)) as running:
            first = asyncio.create_task(store(running.port, [image(1)]))
            await pacs.until(lambda: pacs.asked)
            await other.got(uid_of(1))
            second = asyncio.create_task(store(running.port, [image(1)]))
            await soon(lambda: running.router.intake.received == 2)
            assert not first.done()
            assert not second.done()
            go.set()
            assert await first == [0]
            assert await second == [0]
            assert pacs.uids == [uid_of(1)]


async def test_failure_when_it_will_not_be_forwarded(tmp_path: Path) -> None:
    async with Archive(lambda _: 0xA900) as pacs:
        head = HEAD.replace("[queue]", '[queue]\ndurability = "forwarded"')
        async with routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:
            assert await store(running.port, [image(1)]) == [0x0110]
            assert (await running.steps(uid_of(1)))["pacs"][0] == "dead"


async def test_who_may_send(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    senders = 'ae_title = ["ROUTER", "ROUTER2"]\nsenders = [{ ae_title = "CT*", address = "127.0.0.0/8" }]'
    async with Archive() as pacs:
        head = HEAD.replace('ae_title = "ROUTER"', senders)
        async with routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:
            assert await store(running.port, [image(1)], called_aet="ROUTER2") == [0]
            with pytest.raises(AssociationRejected) as rejected:
                await store(running.port, [image(1)], calling_aet="MR1")
            assert (rejected.value.result, rejected.value.source, rejected.value.reason) == (1, 1, 3)
            with pytest.raises(AssociationRejected) as rejected:
                await store(running.port, [image(1)], called_aet="OTHER")
            assert rejected.value.reason == 7
            assert running.watch.count("not admitted") == 2
    assert "MR1" in caplog.text


async def test_who_calls_another_is_told_of_where_there_is_one_title_too(tmp_path: Path) -> None:
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE)) as running:
        with pytest.raises(AssociationRejected) as rejected:
            await store(running.port, [image(1)], called_aet="OTHER")
        assert rejected.value.reason == 7
        await running.watch.saw("not admitted", "CT1", "OTHER is not called here")
        (opened,) = running.router.listeners._open.values()
        assert opened.server.ae_title == "ROUTER"  # what reports of storage commitment are sent as


async def test_senders_show_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    ours, ct1 = authority.issue("router", "127.0.0.1"), authority.issue("ct1", "ct1.example", common_name="CT1")
    tls = f'tls = {{ cert = "{ours.cert}", key = "{ours.key}", ca = "{authority.path}" }}'
    head = HEAD.replace('ae_title = "ROUTER"', f'ae_title = "ROUTER"\n{tls}\nsenders = [{{ certificate = true }}]')
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:
        context = tls_client_context(ca=authority.path, cert=ct1.cert, key=ct1.key)
        assert await store(running.port, [image(1)], ssl=context) == [0]
        with pytest.raises(AssociationRejected):
            await store(running.port, [image(1)], ssl=context, calling_aet="CT2")
        with pytest.raises(AiodicomError):
            await store(running.port, [image(1)], ssl=tls_client_context(ca=authority.path))


async def test_what_is_not_delivered_in_time_expires(tmp_path: Path) -> None:
    async with Archive(lambda _: 0xA700) as pacs:
        head = HEAD.replace("[queue]", '[queue]\nexpire = "10ms"')
        async with routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:
            await store(running.port, [image(1)])
            for _ in range(1000):
                await running.router.queue.maintain()
                if (await running.steps(uid_of(1)))["pacs"][0] == "expired":
                    break
            else:
                pytest.fail("it has not expired")
