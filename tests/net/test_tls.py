"""Associations over TLS (PS3.15 B)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, NamedTuple

import pytest
import trustme

import aiodicom
from aiodicom.dimse.events import Timeouts
from aiodicom.errors import AssociationAborted, AssociationRejected, ConnectFailed, DeadlineExceeded, ProtocolViolation
from aiodicom.net import association as associations
from aiodicom.net import pacing
from aiodicom.ul.codec import encode
from aiodicom.ul.pdu import Abort, AssociateRQ, ProposedContext, ReleaseRQ, UserInformation
from tests.net.sides import CT_UIDS, IMPLICIT, LARGE, connect, part10, soon, until
from tests.rawpeer import A_ABORT, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, Connection, RawPeer, pdu


class Contexts(NamedTuple):
    """Of both sides, each of which trusts the other's authority; the client has a certificate."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    anonymous: ssl.SSLContext


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_OPTIONAL
    client, anonymous = (ssl.create_default_context() for _ in range(2))
    authority.configure_trust(client)
    authority.configure_trust(anonymous)
    authority.issue_cert("modality@example.org").configure_cert(client)
    return Contexts(server, client, anonymous)


async def test_both_sides_see_each_others_certificate(contexts: Contexts) -> None:
    server = aiodicom.Server()
    seen: list[Any] = []
    server.on_association(lambda association: seen.append(association.certificate))
    async with server.listen("127.0.0.1", 0, ssl=contexts.server) as listening:
        async with connect(listening.port, ssl=contexts.client) as association:
            await association.c_echo()
            assert ("IP Address", "127.0.0.1") in (association.certificate or {})["subjectAltName"]
        async with connect(listening.port, ssl=contexts.anonymous, server_hostname="localhost") as association:
            await association.c_echo()
    assert [certificate and certificate["subjectAltName"] for certificate in seen] == [
        (("email", "modality@example.org"),),
        None,
    ]


async def test_without_tls_there_is_no_certificate() -> None:
    async with aiodicom.Server().listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        assert association.certificate is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("is_paced", [True, False])
async def test_the_certificate_is_to_be_the_hosts(
    contexts: Contexts, host: str, is_paced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "_paces", lambda: is_paced)
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0, ssl=contexts.server) as listening:
        async with aiodicom.connect(host, listening.port, ssl=contexts.client) as association:
            assert (await association.c_echo()).status == 0
            assert not association.transport.sends_files
        with pytest.raises(ConnectFailed, match="certificate"):
            await aiodicom.connect(host, listening.port, ssl=contexts.client, server_hostname="example.org")


@pytest.mark.parametrize("form", ["memory", "file"])
@pytest.mark.parametrize("body", ["spooled", "streamed"])
async def test_a_large_data_set_arrives_as_it_was(contexts: Contexts, form: str, body: str, tmp_path: Any) -> None:
    server = aiodicom.Server()
    data = LARGE * 3
    received: list[bytes] = []

    async def keep(request: aiodicom.StoreRequest) -> None:
        if body == "spooled":
            received.append(bytes(request.data))
        else:
            # The small high water mark has reading pause again and again.
            received.append(b"".join([fragment async for fragment in request]))

    server.on_c_store(keep, body=aiodicom.Spooled(above=1 << 20) if body == "spooled" else aiodicom.Streamed(20_000))
    path = tmp_path / "object.dcm"
    path.write_bytes(part10(data))
    async with (
        server.listen("127.0.0.1", 0, ssl=contexts.server) as listening,
        connect(listening.port, ssl=contexts.client, window=2) as association,
    ):
        for _ in range(2):
            storing = association.c_store(path) if form == "file" else association.c_store(data, **CT_UIDS)
            await soon(asyncio.gather(storing, association.c_echo()))
    assert received == [data, data]


async def test_an_unknown_authority_is_no_connection(contexts: Contexts) -> None:
    stranger = ssl.create_default_context()
    trustme.CA().configure_trust(stranger)
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0, ssl=contexts.server) as listening:
        with pytest.raises(ConnectFailed) as failure:
            await soon(connect(listening.port, ssl=stranger))
        assert isinstance(failure.value.__cause__, ssl.SSLError)
        async with connect(listening.port, ssl=contexts.client) as association:
            await association.c_echo()
        await until(lambda: not server.associations)


async def test_a_server_closes_while_a_handshake_goes_on_or_has_failed(
    contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0, ssl=contexts.server) as listening:
        silent, plain = [await asyncio.open_connection("127.0.0.1", listening.port) for _ in range(2)]
        plain[1].write(b"GET / HTTP/1.1\r\n\r\n")
        while await soon(plain[0].read(100)):
            pass  # an alert, then the end
        host, port = plain[1].get_extra_info("sockname")
        assert caplog.messages == [f"no connection from {host}:{port}: no TLS with the peer: http request"]
        async with asyncio.timeout(5):
            await server.close()
        for _, writer in (silent, plain):
            writer.close()


async def test_a_unix_socket_with_tls(contexts: Contexts, tmp_path: Any) -> None:
    server = aiodicom.Server()
    path = tmp_path / "dicom"
    async with server.listen(path=path, ssl=contexts.server):
        async with aiodicom.connect(path=path, ssl=contexts.client, server_hostname="localhost") as association:
            assert (await association.c_echo()).status == 0
        await until(lambda: not server.associations)


# ---- a peer that never closes


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(associations, "_CLOSE_GRACE", 0.05)


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("has_tls", [False, True])
@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (pdu(A_ASSOCIATE_RJ, bytes((0, 1, 1, 1))), AssociationRejected),
        (pdu(A_ASSOCIATE_AC, bytes(4)), ProtocolViolation),
        (pdu(A_ABORT, bytes(4)), AssociationAborted),
        (b"", DeadlineExceeded),
    ],
    ids=["rejected", "malformed", "aborted", "silent"],
)
async def test_connect_does_not_wait_for_the_peer_to_close(
    answer: bytes, failure: type[Exception], has_tls: bool, contexts: Contexts
) -> None:
    def script(peer: Connection) -> None:
        with contexts.server.wrap_socket(peer.socket, server_side=True) if has_tls else peer.socket as peer.socket:
            peer.expect(A_ASSOCIATE_RQ)
            peer.send(answer)
            peer.ended.wait()

    timeouts = Timeouts(acse=0.1 if failure is DeadlineExceeded else 5, artim=0.05)
    with RawPeer(script) as peer, pytest.raises(failure):
        await soon(connect(peer.port, ssl=contexts.client if has_tls else None, timeouts=timeouts))


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("has_tls", [False, True])
async def test_an_aborted_requestor_does_not_wait_for_the_peer_to_close(has_tls: bool, contexts: Contexts) -> None:
    def script(peer: Connection) -> None:
        with contexts.server.wrap_socket(peer.socket, server_side=True) if has_tls else peer.socket as peer.socket:
            peer.accept()
            peer.message()
            peer.send(pdu(A_ABORT, bytes(4)))
            peer.ended.wait()

    with RawPeer(script) as peer:
        async with asyncio.timeout(5):
            with pytest.raises(AssociationAborted):
                async with connect(peer.port, ssl=contexts.client if has_tls else None) as association:
                    await association.c_echo()
        assert association.transport.is_closed


@pytest.mark.parametrize("has_tls", [False, True])
@pytest.mark.parametrize("last", [Abort(0, 0), ReleaseRQ(), None], ids=["abort", "release", "nothing"])
async def test_a_server_does_not_wait_for_the_requestor_to_close(
    last: Abort | ReleaseRQ | None, has_tls: bool, contexts: Contexts
) -> None:
    proposal = AssociateRQ(
        "ANY-SCP", "RAW", (ProposedContext(1, aiodicom.VERIFICATION, (IMPLICIT,)),), UserInformation(16384)
    )
    server = aiodicom.Server(timeouts=Timeouts(artim=0.1, acse=0.1, idle=0.1))

    def request(port: int) -> socket.socket:
        connected = socket.create_connection(("127.0.0.1", port))
        if has_tls:
            connected = contexts.client.wrap_socket(connected, server_hostname="127.0.0.1")
        connected.sendall(encode(proposal) + (encode(last) if last is not None else b""))
        return connected

    async with server.listen("127.0.0.1", 0, ssl=contexts.server if has_tls else None) as listening:
        with await asyncio.to_thread(request, listening.port):
            await until(lambda: not server.associations and not server.places.connections)
