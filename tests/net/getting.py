"""Both sides of a C-GET as processes of their own, whose memory is looked at: `scp PORT FILE` and `scu PORT`.

The SCU prints the size of the object, the result, and bytes of memory that both took above what they had with the
association. It asks the SCP for its own by a C-ECHO, whose answer has it as its Error Comment.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator

import aiodicom
from aiodicom import Answer, Dataset, EchoRequest, GetRequest, Server, Status, StudyRoot
from tests.net.processes import forget_peak, peak, resident
from tests.net.sides import CT, IMPLICIT

assert StudyRoot.get is not None


def begin() -> int:
    """The memory that is not counted."""
    forget_peak()
    return resident()


async def scp(port: int, path: str) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = Server()
    idle = 0

    @server.on_c_get
    async def get(request: GetRequest) -> AsyncIterator[str]:
        nonlocal idle
        idle = begin()
        yield path

    @server.on_c_echo
    async def tell(request: EchoRequest) -> Answer:
        return Answer(Status.SUCCESS, error_comment=str(peak() - idle))

    async with server.listen("127.0.0.1", port):
        await ended.wait()


async def scu(port: int) -> None:
    async with aiodicom.connect(
        "127.0.0.1", port, contexts=[StudyRoot.get, aiodicom.VERIFICATION], receives=[(CT, [IMPLICIT])]
    ) as association:
        retrieved = association.c_get(Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3"))
        idle, size = begin(), 0
        async for each in retrieved:
            file = each.file
            assert file is not None
            size = file.seek(0, 2)
        used = peak() - idle
        assert retrieved.result is not None
        response = await association.c_echo()
        outcome = {
            "size": size,
            "status": retrieved.result.status,
            "completed": retrieved.result.completed,
            "scu": used,
            "scp": int(response.error_comment or ""),
        }
        sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    role, port, *path = sys.argv[1:]
    aiodicom.run(scp(int(port), *path) if role == "scp" else scu(int(port)))
