"""Queries and retrievals, many and large."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import (
    Dataset,
    Destination,
    FindRequest,
    MemoryIndex,
    MoveRequest,
    QueryRetrieve,
    RetrieveResult,
    Server,
    StoreRequest,
    StudyRoot,
    SubOperation,
)
from aiodicom.errors import LocalError
from aiodicom.net.descriptors import allow_descriptors
from aiodicom.part10.meta import encode_file_meta
from tests.interop.processes import running
from tests.net.processes import MIB
from tests.net.sides import CT, DATA, IMPLICIT
from tests.ports import free_port

assert StudyRoot.find is not None
assert StudyRoot.move is not None
FIND, MOVE = StudyRoot.find, StudyRoot.move
QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientName="")

ASSOCIATIONS, MATCHES = 500, 1000


def study(number: int) -> Dataset:
    return Dataset(
        PatientID=f"P{number}",
        PatientName=f"Doe^{number}",
        StudyInstanceUID=f"1.2.{number}",
        SeriesInstanceUID=f"1.2.{number}.1",
        SOPInstanceUID=f"1.2.{number}.1.1",
        SOPClassUID=CT,
    )


async def test_500_associations_query_at_once() -> None:
    """Each finds all; but every fifth has enough in the middle, and cancels."""
    try:
        allow_descriptors(2 * ASSOCIATIONS)
    except LocalError as error:
        pytest.skip(str(error))
    index = MemoryIndex()
    for number in range(MATCHES):
        index.add(study(number))
    server, cancelled = Server(), []
    QueryRetrieve(index).attach(server)
    server.on_c_cancel(cancelled.append)
    expected = sorted(f"1.2.{number}" for number in range(MATCHES))

    async def query(association: aiodicom.Association, number: int) -> None:
        found = []
        async with association.c_find(QUERY) as matches:
            async for match in matches:
                found.append(match.StudyInstanceUID)
                if number % 5 == 0 and len(found) == MATCHES // 2:
                    break
        await association.c_echo()
        assert sorted(found) == expected or (number % 5 == 0 and set(found) < set(expected))

    async with server.listen("127.0.0.1", 0) as listening:
        opened = await asyncio.gather(
            *(
                aiodicom.connect("127.0.0.1", listening.port, contexts=[FIND, aiodicom.VERIFICATION])
                for _ in range(ASSOCIATIONS)
            )
        )
        async with asyncio.timeout(60):
            await asyncio.gather(*(query(association, number) for number, association in enumerate(opened)))
        await asyncio.gather(*(association.release() for association in opened))
    assert server.counters.failures == 0
    # Who has been sent everything when the C-CANCEL comes has nothing to cancel any more.
    assert server.counters.operations == 2 * ASSOCIATIONS
    assert len(cancelled) <= ASSOCIATIONS // 5


async def test_a_query_is_cancelled_in_the_middle_of_many() -> None:
    """The others have all of their matches, and one whole turn of theirs is no longer than it was."""
    server = Server()
    yielded: dict[int, int] = {}

    @server.on_c_find
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        for number in range(500 if request.message_id == 1 else sys.maxsize):
            yielded[request.message_id] = number + 1
            yield study(number)

    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[FIND], window=20) as association,
    ):

        async def all_of_it() -> int:
            return len([match async for match in association.c_find(QUERY)])

        async def some(count: int) -> Any:
            matches = association.c_find(QUERY)
            for _ in range(count):
                await anext(matches)
            return (await matches.cancel()).status

        async with asyncio.timeout(30):
            first, *others = await asyncio.gather(all_of_it(), *(some(10 * number) for number in range(1, 20)))
    assert first == 500
    assert {int(status) for status in others} == {0xFE00}
    assert all(count >= 10 for count in yielded.values())


class Held(Server):
    """A receiver that takes four objects, and answers when it has four (or the last)."""

    def __init__(self, total: int) -> None:
        super().__init__(window=1)
        self.total = total
        self.received: set[str] = set()
        self.most = 0
        self._here: list[asyncio.Future[None]] = []
        self.on_c_store(self.keep)

    async def keep(self, request: StoreRequest) -> None:
        self.received.add(request.affected_sop_instance_uid)
        answer = asyncio.get_running_loop().create_future()
        self._here.append(answer)
        self.most = max(self.most, len(self._here))
        if len(self._here) == 4 or len(self.received) == self.total:
            asyncio.get_running_loop().call_later(0.001, self.answer)
        await answer

    def answer(self) -> None:
        here, self._here = self._here, []
        for each in here:
            each.set_result(None)


async def test_a_thousand_objects_to_a_slow_receiver() -> None:
    """Four at a time, nothing is lost or read ahead of that, and who asks hears of it as often as was said."""
    count, interval = 1000, 0.02
    receiver = Held(count)
    ahead = 0
    told: list[RetrieveResult] = []

    async with receiver.listen("127.0.0.1", 0) as receiving:
        destination = Destination("127.0.0.1", receiving.port, associations=4)
        archive = Server(destinations={"R": destination}, pending_interval=interval)

        @archive.on_c_move
        async def move(request: MoveRequest) -> AsyncIterator[SubOperation]:
            nonlocal ahead
            request.total = count
            for number in range(count):
                ahead = max(ahead, number - len(receiver.received))
                yield SubOperation(DATA, CT, f"1.2.{number}", IMPLICIT)

        async with (
            archive.listen("127.0.0.1", 0) as listening,
            aiodicom.connect("127.0.0.1", listening.port, contexts=[MOVE]) as association,
            asyncio.timeout(60),
        ):
            began = asyncio.get_running_loop().time()
            result = await association.c_move(QUERY, "R", on_progress=told.append)
            seconds = asyncio.get_running_loop().time() - began
    assert (result.status, result.completed, result.failed, result.warning) == (0, count, 0, 0)
    assert len(receiver.received) == count
    assert receiver.most == 4
    assert ahead <= 8
    assert 2 <= len(told) <= seconds / interval + 1
    for each in told:
        assert (each.status, each.failed, each.warning) == (0xFF00, 0, 0)
        assert each.completed + each.remaining == count
    assert [each.completed for each in told] == sorted(each.completed for each in told)


SIZE = 2 << 30
#: Bytes of memory that an object of 2 GB may cost either side.
MEMORY = 64 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_2_gb_are_got(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 2 * SIZE:
        pytest.skip("needs 4 GB of free disk")
    path = tmp_path / "huge.dcm"
    with path.open("wb") as file:
        file.write(encode_file_meta(CT, "1.2.3", "1.2.840.10008.1.2"))
        file.truncate(file.tell() + SIZE)  # takes no place on the disk
    port = free_port()
    script = [sys.executable, "-m", "tests.net.getting"]
    root = Path(__file__).parents[2]
    with running([*script, "scp", str(port), path], port, log=tmp_path / "scp.log", directory=root):
        done = subprocess.run(
            [*script, "scu", str(port)], cwd=root, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["size"], outcome["status"], outcome["completed"]) == (SIZE, 0, 1)
    assert outcome["scu"] <= MEMORY, f"{outcome['scu'] / MIB:.1f} MiB above what the SCU had with the association"
    assert outcome["scp"] <= MEMORY, f"{outcome['scp'] / MIB:.1f} MiB above what the SCP had with the association"
