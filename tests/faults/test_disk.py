"""Disks that fill, and segments that end in the middle of an object."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom.store.records import PAGE
from tests.faults.ledger import ROUTER, judge
from tests.faults.rounds import WINDOW
from tests.faults.sending import Modality
from tests.faults.site import Site, until

TO_A = '[[routes]]\nto = ["a"]\n'
SIZE = 16 << 20
PATIENCE = 60.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", os.fspath(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root alone")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@pytest.mark.parametrize("refuse_below", [5 << 20, 0])
def test_a_full_disk(tmp_path: Path, small_disk: Path, refuse_below: int) -> None:
    """Objects are refused before it is full, with a mark of 0 too; what was acknowledged arrives, then others do."""

    async def fill() -> None:
        modality = Modality(site.port, 6, lambda _: frozenset("a"))
        sending = asyncio.ensure_future(modality.send(3))
        assert await until(lambda: 0xA700 in modality.refused, PATIENCE)
        least = free(small_disk)
        modality.stop()
        await sending
        assert modality.refused.keys() == {0xA700}
        assert least > max(refuse_below, 4 << 20) - (1 << 20)
        assert site.is_running(ROUTER)
        site.start("a")
        assert await site.until_arrived(modality.sent, modality.acknowledged, PATIENCE)
        # Its segments go when nobody needs them any more.
        assert await until(lambda: free(small_disk) > max(2 * refuse_below, 8 << 20), PATIENCE)
        before = len(modality.acknowledged)
        await modality.send(2, 20)
        assert len(modality.acknowledged) == before + 20
        assert await site.until_arrived(modality.sent, modality.acknowledged, PATIENCE)
        verdict = judge(modality.sent, modality.acknowledged, {"a": site.arrivals("a")}, site.kills, WINDOW)
        assert verdict.faults == []

    queue = f'segment_size = "1M"\nrefuse_below = {refuse_below}\n'
    with Site(tmp_path, destinations="a", routes=TO_A, queue=queue, directory=small_disk / "queue") as site:
        site.stop("a")
        asyncio.run(fill())


def test_a_segment_that_ends_in_the_middle_of_an_object(tmp_path: Path) -> None:
    """As after a loss of power: what is whole is delivered, the rest is cut off, and that is said."""

    async def tear() -> None:
        modality = Modality(site.port, 7, lambda _: frozenset("a"))
        await modality.send(3, 30)
        site.kill(ROUTER)
        (segment,) = (site.directory / "shard-000" / "segments").iterdir()
        whole = segment.read_bytes()
        with segment.open("ab") as file:
            file.write(whole[: PAGE + 1000])  # the header of an object, and some of it
        site.start(ROUTER)
        site.start("a")
        assert await site.until_arrived(modality.sent, modality.acknowledged, PATIENCE)
        assert "bytes at the end of segment" in site.output(ROUTER)
        assert "cut off" in site.output(ROUTER)
        assert segment.stat().st_size == len(whole)
        verdict = judge(modality.sent, modality.acknowledged, {"a": site.arrivals("a")}, site.kills, WINDOW)
        assert verdict.faults == []
        assert verdict.acknowledged == 30

    with Site(tmp_path, destinations="a", routes=TO_A) as site:
        site.stop("a")
        asyncio.run(tear())
