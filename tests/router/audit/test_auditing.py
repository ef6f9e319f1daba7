"""The audit trail of a router, as a repository gets it."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.errors import AssociationRejected, StatusError
from aiodicom.router.audit.auditing import auditing
from aiodicom.router.config.operations import Audit
from aiodicom.standard.models import StudyRoot
from tests.certificates import Authority
from tests.router.running import HEAD, Archive, Changes, destination, image, routing, store, uid_of, write

ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'


class Repository(asyncio.DatagramProtocol, Changes):
    """Takes messages by UDP, or from connections."""

    def __init__(self) -> None:
        Changes.__init__(self)
        self.messages: list[str] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        """One message."""
        self.messages.append(data.decode())
        self.tell()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Frames of RFC 5425, to the end."""
        try:
            while length := (await reader.readuntil(b" ")).strip():
                self.datagram_received(await reader.readexactly(int(length)), None)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    @property
    def kinds(self) -> list[str]:
        """The events, and their types, by their meanings."""
        return [
            ", ".join(re.findall('<Event(?:ID|TypeCode)[^>]*originalText="([^"]*)"', each)) for each in self.messages
        ]


@asynccontextmanager
async def repository_by_udp() -> AsyncIterator[tuple[Repository, Audit]]:
    """A repository, and the settings of who tells it."""
    loop = asyncio.get_running_loop()
    transport, repository = await loop.create_datagram_endpoint(Repository, local_addr=("127.0.0.1", 0))
    try:
        port = transport.get_extra_info("sockname")[1]
        yield repository, Audit(host="127.0.0.1", port=port, transport="udp")
    finally:
        transport.close()


async def test_over_udp_from_start_to_stop(tmp_path: Path) -> None:
    head = HEAD.replace('ae_title = "ROUTER"', 'ae_title = "ROUTER"\nsenders = [{ ae_title = "CT1" }]')
    async with Archive() as pacs, repository_by_udp() as (repository, settings):
        path = write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)
        async with auditing(settings, ("ROUTER",)) as auditor, routing(path) as running:
            running.router.observers.add(auditor)
            await store(running.port, [image(1), image(2)])
            await running.watch.until(lambda: running.watch.count("delivered") == 2)
            with pytest.raises(AssociationRejected):
                await store(running.port, [image(1)], calling_aet="MR1")
            auditor.logged_in("127.0.0.1", False)
        await repository.until(lambda: len(repository.messages) == 6)
    assert repository.kinds[0] == "Application Activity, Application Start"
    assert repository.kinds[-1] == "Application Activity, Application Stop"
    assert sorted(repository.kinds[1:-1]) == [
        "DICOM Instances Transferred", "DICOM Instances Transferred",
        "Security Alert, Node Authentication", "User Authentication, Login",
    ]  # fmt: skip
    taken = next(each for each in repository.messages if 'EventActionCode="C"' in each)
    assert 'NumberOfInstances="2"' in taken
    assert "Doe^Jane" in taken
    assert uid_of(1).rpartition(".1.")[0] in taken


async def test_what_is_passed_through_is_told_with_who_asked_and_what(tmp_path: Path) -> None:
    async with Archive() as pacs, repository_by_udp() as (repository, settings):

        @pacs.server.on_c_find
        async def find(_request: aiodicom.FindRequest) -> AsyncIterator[Dataset]:
            yield Dataset(PatientID="P1", QueryRetrieveLevel="STUDY")

        pacs.server.on_c_move(lambda _request: [])
        head = HEAD + '[pass_through]\nqueries = "pacs"\n'
        path = write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)
        async with auditing(settings, ("ROUTER",)) as auditor, routing(path) as running:
            running.router.observers.add(auditor)
            contexts = [StudyRoot.find or "", StudyRoot.move or ""]
            async with aiodicom.connect(
                "127.0.0.1", running.port, calling_aet="CT1", called_aet="ROUTER", contexts=contexts
            ) as association:
                query = Dataset(QueryRetrieveLevel="STUDY", PatientID="P1")
                assert [match.PatientID async for match in association.c_find(query)] == ["P1"]
                with pytest.raises(StatusError, match="A801H"):
                    await association.c_move(query, "NOBODY")
        await repository.until(lambda: len(repository.messages) == 4)
    assert repository.kinds[1:3] == ["Query", "Query"]
    for message, model in zip(repository.messages[1:3], contexts, strict=True):
        assert 'UserID="CT1"' in message
        assert f'ParticipantObjectID="{model}"' in message
        (encoded,) = re.findall("<ParticipantObjectQuery>([^<]*)<", message)
        assert b"P1" in base64.b64decode(encoded)


async def test_over_tls(tmp_path: Path) -> None:
    from aiodicom.net.tls import tls_server_context
    from aiodicom.router.config.tls import ClientTLS
    from aiodicom.router.config.values import InputFile

    authority = Authority(tmp_path / "ca")
    files = authority.issue("repository", "127.0.0.1")
    repository = Repository()
    context = tls_server_context(cert=files.cert, key=files.key)
    server = await asyncio.start_server(repository.connected, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    settings = Audit(host="127.0.0.1", port=port, tls=ClientTLS(ca=InputFile(authority.path)))
    async with auditing(settings, ("ROUTER",)):
        await repository.until(lambda: repository.messages)
    await repository.until(lambda: len(repository.messages) == 2)
    server.close()
    await server.wait_closed()
    assert repository.kinds == ["Application Activity, Application Start", "Application Activity, Application Stop"]
