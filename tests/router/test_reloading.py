"""Another configuration while a router runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import aiodicom
from aiodicom.errors import AssociationRejected
from tests.router.running import CT, EXPLICIT, HEAD, Archive, destination, image, routing, store, uid_of, write

ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'


def contexts() -> list[tuple[str, list[str]]]:
    return [(CT, [EXPLICIT])]


async def test_associations_stay_open_and_go_by_the_new_configuration(tmp_path: Path, port: int) -> None:
    async with Archive() as pacs, Archive() as other:
        head = HEAD.replace("port = 0", f"port = {port}")
        async with routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:
            async with aiodicom.connect("127.0.0.1", port, contexts=contexts(), called_aet="ROUTER") as association:
                await association.c_store(image(1))
                text = destination("pacs", other.port) + "workers = 1\n" + ROUTE
                head = head.replace('ae_title = "ROUTER"', 'ae_title = "OTHER"')
                write(tmp_path, text, head)
                assert await running.router.reload() == ("listen.ae_title", "destinations.pacs.port")
                await association.c_store(image(2))
                assert (await running.control.status()).associations == 1
                assert await store(port, [image(3)], called_aet="OTHER") == [0]
                with pytest.raises(AssociationRejected):
                    await store(port, [image(4)])
            await other.got(uid_of(2), uid_of(3))
            assert running.router.problems == ()
            assert await running.router.reload() == ()


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("[[routes]]", "[[roots]]", "roots: there is no such key (did you mean routes?)"),
        ('directory = "queue"', 'directory = "elsewhere"', "queue.directory: this changes with a restart alone"),
        ("port = 0", 'port = 0\nhost = "192.0.2.1"', "192.0.2.1"),
    ],
)
async def test_a_wrong_one_changes_nothing_and_is_shown(tmp_path: Path, before: str, after: str, problem: str) -> None:
    async with Archive() as pacs:
        path = write(tmp_path, destination("pacs", pacs.port) + ROUTE)
        right = path.read_text()
        async with routing(path) as running:
            path.write_text(right.replace(before, after))
            assert await running.router.reload() == ()
            status = await running.control.status()
            assert any(problem in each for each in status.problems), status.problems
            assert await store(running.port, [image(1)]) == [0]
            await pacs.got(uid_of(1))
            path.write_text(right)
            assert await running.router.reload() == ()
            assert (await running.control.status()).problems == []


async def test_a_fault_of_ours_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with Archive() as pacs:
        path = write(tmp_path, destination("pacs", pacs.port) + ROUTE)
        async with routing(path) as running:

            def fail(*_: object) -> None:
                raise ModuleNotFoundError("No module named 'obstore'")

            with monkeypatch.context() as patched:
                patched.setattr("aiodicom.router.destinations.make_sender", fail)
                path.write_text(path.read_text().replace("PACS", "OTHER"))
                assert await running.router.reload() == ()
            assert running.router.problems == ("No module named 'obstore'",)
            assert await store(running.port, [image(1)]) == [0]
            await pacs.got(uid_of(1))


async def test_what_is_queued_by_a_route_that_is_gone_waits_for_somebody(tmp_path: Path) -> None:
    async with Archive(lambda _: 0xA700) as pacs:
        path = write(tmp_path, destination("pacs", pacs.port) + '---\n[[routes]]\nname = "old"\nto = ["pacs"]\n')
        async with routing(path) as running:
            await store(running.port, [image(1)])
            await running.watch.saw("failed")
            path.write_text(path.read_text().replace('"old"', '"new"'))
            assert await running.router.reload() == ("routes[0].name",)
            await running.watch.saw("dead", uid_of(1))
            assert "old: there is no such route any more" in (await running.steps(uid_of(1)))["pacs"][1]


async def test_destinations_are_held_and_released_by_the_configuration(tmp_path: Path) -> None:
    async with Archive() as pacs:
        line = destination("pacs", pacs.port)
        async with routing(write(tmp_path, line + ROUTE)) as running:
            write(tmp_path, destination("pacs", pacs.port, "hold = true") + ROUTE)
            assert await running.router.reload() == ("destinations.pacs.hold",)
            await store(running.port, [image(1)])
            assert (await running.control.status()).destinations[0].state == "held"
            write(tmp_path, line + ROUTE)
            await running.router.reload()
            await pacs.got(uid_of(1))
