"""What the bad PACS does to the SCUs of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aiodicom.load.target.bad_pacs import BadPACS
from aiodicom.load.target.scenario import convert_scenario
from tests.interop import peers
from tests.interop.objects import Part10


@asynccontextmanager
async def bad_pacs(**tables: Any) -> AsyncIterator[tuple[BadPACS, int]]:
    """A bad PACS and its port."""
    pacs = BadPACS(convert_scenario(tables))
    listening = await pacs.listen("127.0.0.1", 0)
    try:
        yield pacs, listening.port
    finally:
        await pacs.close()


async def dcmtk(name: str, port: int, *arguments: str, file: Part10 | None = None) -> tuple[int, str]:
    """Runs a command of DCMTK beside the loop; its exit code and what it says."""
    files = [] if file is None else [str(file.path)]
    done = await asyncio.to_thread(
        lambda: peers.dcmtk_command(name, "-v", *arguments, "127.0.0.1", str(port), *files, exit_code=None)
    )
    return done.returncode, done.stdout + done.stderr


async def test_dcmtk_without_a_scenario(ct: Part10) -> None:
    async with bad_pacs(matches=2) as (pacs, port):
        assert (await dcmtk("echoscu", port, "--repeat", "10"))[0] == 0
        assert (await dcmtk("storescu", port, file=ct))[0] == 0
        code, said = await dcmtk("findscu", port, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName")
        assert code == 0
        assert said.count("(Pending)") == 2
        assert pacs.counts.operations == {"echo": 10, "store": 1, "find": 1}


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"operations": {"all": {"statuses": {"A700": 1}}}}, "Refused: OutOfResources"),
        ({"operations": {"all": {"faults": {"abort": 1}}}}, "Peer aborted Association"),
        ({"operations": {"all": {"faults": {"close": 1}}}}, "Peer aborted Association"),
        ({"operations": {"all": {"faults": {"wrong-message-id": 1}}}}, "Unexpected Response"),
        ({"operations": {"all": {"faults": {"never": 1}}}}, "No data available"),
        ({"operations": {"all": {"faults": {"abort-in-data-set": 1}}}}, "aborted"),
        ({"associations": {"reject": 1, "rejection": [1, 1, 7]}}, "Called AE Title Not Recognized"),
        ({"associations": {"most": 0}}, "Local Limit Exceeded"),
        ({"associations": {"contexts": "none"}}, "No Acceptable Presentation Contexts"),
        ({"associations": {"abort": 1}}, "Peer aborted Association"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
async def test_storescu_says_what_was_done_to_it(tables: dict[str, Any], says: str, ct: Part10) -> None:
    async with bad_pacs(**tables) as (pacs, port):
        code, said = await dcmtk("storescu", port, "-td", "1", file=ct)
        assert says in said
        assert code != 0
        assert pacs.counts.asked == 1


def test_pynetdicom(ct: Part10) -> None:
    async def run() -> None:
        operations = {"store": {"statuses": {"A700": 1}}}
        async with bad_pacs(operations=operations) as (pacs, port):
            assert await asyncio.to_thread(peers.pynetdicom_scu, port, "echo") == [0]
            assert await asyncio.to_thread(peers.pynetdicom_scu, port, "store", ct.path) == [0xA700]
            assert pacs.counts.bytes_received > 500_000

    asyncio.run(run())  # on one loop: each process of pynetdicom takes a second
