"""Certificates in files: what can't be used, what is renewed under a running server, who is let in by them."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationRejected, ConnectFailed, LocalError, TLSHandshakeFailed
from aiodicom.net.tls import certificate_alert, handshake_failed
from tests.certificates import Authority, Files
from tests.net.hostile import requestor
from tests.net.sides import connect, soon, until
from tests.openssl import program, s_server
from tests.ports import free_port


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def server_files(authority: Authority) -> Files:
    return authority.issue("server", "127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def me(authority: Authority) -> Files:
    return authority.issue("me", "CT1", common_name="MODALITY")


def names(association: aiodicom.Association) -> set[str]:
    """The host names of the peer's certificate."""
    assert association.certificate is not None
    return {name for kind, name in association.certificate["subjectAltName"] if kind == "DNS"}


async def name_of(port: int, client: ssl.SSLContext, **options: Any) -> set[str]:
    """The names in the certificate that a new connection is shown."""
    async with connect(port, ssl=client, **options) as association:
        await association.c_echo()
        return names(association)


# --- files that can't be used ----------------------------------------------------------------------------------------


def encrypted(files: Files, folder: Path, *form: str) -> Path:
    """The key of a certificate, encrypted with the password "secret"."""
    path = folder / "encrypted.key"
    command = [program(), "pkey", "-in", files.key, "-out", path, "-aes128", "-passout", "pass:secret", *form]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.mark.parametrize("form", [[], ["-traditional"]], ids=["pkcs8", "traditional"])
def test_a_key_that_has_a_password(form: list[str], server_files: Files, tmp_path: Path) -> None:
    key = encrypted(server_files, tmp_path, *form)
    for password in ("secret", b"secret"):
        aiodicom.tls_server_context(cert=server_files.cert, key=key, key_password=password)
    with pytest.raises(LocalError, match=r"encrypted\.key is encrypted: its password is needed"):
        aiodicom.tls_server_context(cert=server_files.cert, key=key)
    with pytest.raises(LocalError, match=r"the password of the private key in .*encrypted\.key is wrong"):
        aiodicom.tls_server_context(cert=server_files.cert, key=key, key_password="guess")


def test_a_key_in_the_file_of_its_certificate(server_files: Files, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(server_files.cert.read_bytes() + server_files.key.read_bytes())
    aiodicom.tls_server_context(cert=both)
    aiodicom.tls_client_context(cert=both)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cert": "missing.pem"}, "missing.pem: No such file or directory"),
        ({"cert": "CERT", "key": "missing.key"}, "missing.key: No such file or directory"),
        ({"cert": "CERT"}, "server.pem has no private key (PEM)"),
        ({"cert": "KEY", "key": "KEY"}, "server.key has no certificate (PEM)"),
        ({"cert": "CERT", "key": "OTHER"}, "is not that of the certificate in"),
        ({"cert": "CERT", "key": "BROKEN"}, "broken.key can't be used: "),
        ({"cert": "CERT", "key": "KEY", "ca": "missing.pem"}, "missing.pem: No such file or directory"),
        ({"cert": "CERT", "key": "KEY", "ca": "KEY"}, "server.key has no certificate of an authority (PEM)"),
    ],
)
@pytest.mark.parametrize("make", [aiodicom.tls_server_context, aiodicom.tls_client_context])
def test_files_that_are_none(
    make: Any, arguments: dict[str, str], message: str, server_files: Files, me: Files, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.key"
    broken.write_bytes(server_files.key.read_bytes().replace(b"\nM", b"\n!"))
    files = {"CERT": server_files.cert, "KEY": server_files.key, "OTHER": me.key, "BROKEN": broken}
    given = {name: files.get(value, tmp_path / value) for name, value in arguments.items()}
    with pytest.raises(LocalError) as failure:
        make(**given)
    assert message in str(failure.value)


def test_arguments_that_can_not_be(server_files: Files) -> None:
    with pytest.raises(LocalError, match="of no use without its certificate"):
        aiodicom.tls_client_context(key=server_files.key)
    with pytest.raises(LocalError, match="give ca"):
        aiodicom.tls_server_context(cert=server_files.cert, key=server_files.key, verify=ssl.CERT_OPTIONAL)


# --- who trusts whom -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("verify", [None, ssl.CERT_OPTIONAL])
async def test_mutual_tls(
    verify: ssl.VerifyMode | None,
    version: ssl.TLSVersion,
    authority: Authority,
    stranger: Authority,
    server_files: Files,
    me: Files,
) -> None:
    server = aiodicom.Server()
    seen: list[bool] = []
    server.on_association(lambda association: seen.append(association.certificate is not None))
    context = aiodicom.tls_server_context(**server_files._asdict(), ca=authority.path, verify=verify)
    known = aiodicom.tls_client_context(ca=authority.path, **me._asdict())
    unknown = aiodicom.tls_client_context(ca=authority.path, **stranger.issue("unknown", "x")._asdict())
    anonymous = aiodicom.tls_client_context(ca=authority.path)
    for client in (known, unknown, anonymous):
        client.maximum_version = version
    async with server.listen("127.0.0.1", 0, ssl=context) as listening:
        await name_of(listening.port, known)
        with pytest.raises(TLSHandshakeFailed, match=r"refused our certificate.*: unknown ca") as failure:
            await soon(connect(listening.port, ssl=unknown))
        assert failure.value.alert == "unknown_ca"
        if verify is ssl.CERT_OPTIONAL:
            await name_of(listening.port, anonymous)
            assert seen == [True, False]
        else:
            with pytest.raises(TLSHandshakeFailed) as failure:
                await soon(connect(listening.port, ssl=anonymous))
            is_new = version is ssl.TLSVersion.TLSv1_3
            assert failure.value.alert == ("certificate_required" if is_new else "handshake_failure")
            assert seen == [True]
        await until(lambda: server.places.connections == 0)


async def test_a_client_does_not_trust_everybody(authority: Authority, stranger: Authority) -> None:
    elsewhere = stranger.issue("elsewhere", "elsewhere.example.org")
    context = aiodicom.tls_server_context(**elsewhere._asdict())
    async with aiodicom.Server().listen("127.0.0.1", 0, ssl=context) as listening:
        for options, reason in [
            (
                {"ca": authority.path},
                "certificate",
            ),  # which of several words OpenSSL has, depends on what it finds first
            ({}, "certificate"),
            ({"ca": stranger.path}, "IP address mismatch"),
        ]:
            with pytest.raises(
                TLSHandshakeFailed, match=f"the peer's certificate is not accepted: .*{reason}"
            ) as failure:
                await soon(connect(listening.port, ssl=aiodicom.tls_client_context(**options)))
            assert failure.value.alert is None
        for options, name in [
            ({"ca": stranger.path}, "elsewhere.example.org"),
            ({"ca": stranger.path, "check_hostname": False}, None),
            ({"verify": False}, None),
            ({"ca": authority.path, "verify": False}, None),
        ]:
            client = aiodicom.tls_client_context(**options)
            async with connect(listening.port, ssl=client, server_hostname=name) as association:
                await association.c_echo()


def test_a_folder_of_authorities(authority: Authority, server_files: Files, tmp_path: Path) -> None:
    command = [program(), "x509", "-in", authority.path, "-noout", "-hash"]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / f"{name}.0").write_bytes(authority.path.read_bytes())

    async def main() -> None:
        context = aiodicom.tls_server_context(**server_files._asdict())
        async with aiodicom.Server().listen("127.0.0.1", 0, ssl=context) as listening:
            await name_of(listening.port, aiodicom.tls_client_context(ca=tmp_path))

    asyncio.run(main())


async def test_a_peer_that_knows_no_tls(authority: Authority) -> None:
    client = aiodicom.tls_client_context(ca=authority.path)
    async with aiodicom.Server().listen("127.0.0.1", 0) as listening:
        with pytest.raises(TLSHandshakeFailed):
            await soon(connect(listening.port, ssl=client))


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_refuses_our_certificate(
    version: str, authority: Authority, stranger: Authority, server_files: Files
) -> None:
    client = aiodicom.tls_client_context(ca=authority.path, **stranger.issue("unknown", "x")._asdict())
    options = ["-Verify", "2", "-CAfile", str(authority.path), "-verify_return_error"]
    with s_server(server_files, version, *options) as port, pytest.raises(TLSHandshakeFailed) as failure:
        await soon(connect(port, ssl=client))
    assert failure.value.alert == "unknown_ca"


@pytest.mark.parametrize(
    ("reason", "alert", "text"),
    [
        ("TLSV1_ALERT_PROTOCOL_VERSION", "protocol_version", "protocol version (no TLS version in common)"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate_expired", "the peer refused our certificate"),
        ("SSL/TLS ALERT CERTIFICATE REVOKED", "certificate_revoked", "the peer refused our certificate"),
        ("TLSV1_ALERT_INTERNAL_ERROR", "internal_error", "the peer refused the TLS handshake: internal error"),
        ("WRONG_VERSION_NUMBER", None, "no TLS with the peer: wrong version number"),
    ],
)
def test_what_an_alert_says(reason: str, alert: str | None, text: str) -> None:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    failure = handshake_failed(error, "pacs port 104")
    assert str(failure).startswith("no connection to pacs port 104: ")
    assert (failure.alert, isinstance(failure, ConnectFailed)) == (alert, True)
    assert text in str(failure)
    assert (certificate_alert(error) is not None) == ("certificate" in (alert or ""))
    assert certificate_alert(ConnectionResetError()) is None


# --- several, and renewed ones ---------------------------------------------------------------------------------------


async def test_certificates_by_the_name_that_is_asked_for(authority: Authority, server_files: Files) -> None:
    one, any_ = authority.issue("one", "pacs.example.org"), authority.issue("any", "*.clinic.example.org")
    context = aiodicom.tls_server_context(
        **server_files._asdict(),
        certificates={"PACS.example.org": tuple(one), "*.clinic.example.org": tuple(any_)},
    )
    client = aiodicom.tls_client_context(ca=authority.path)
    async with aiodicom.Server().listen("127.0.0.1", 0, ssl=context) as listening:
        for asked, shown in [
            ("pacs.example.org", "pacs.example.org"),
            ("Pacs.Example.org", "pacs.example.org"),
            ("ct.clinic.example.org", "*.clinic.example.org"),
            ("localhost", "localhost"),
        ]:
            assert await name_of(listening.port, client, server_hostname=asked) == {shown}
        assert await name_of(listening.port, client) == {"localhost"}
        with pytest.raises(TLSHandshakeFailed, match="Hostname mismatch"):
            await soon(connect(listening.port, ssl=client, server_hostname="a.b.clinic.example.org"))


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Files:
    """Those of a server, which the test may change."""
    (tmp_path / "server.pem").touch()
    (tmp_path / "server.key").touch()
    files = Files(tmp_path / "server.pem", tmp_path / "server.key")
    files.replace_by(authority.issue("first", "127.0.0.1", "first"))
    return files


async def test_renewed_files_are_used_for_new_connections(
    files: Files, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aiodicom.tls")
    client = aiodicom.tls_client_context(ca=authority.path)
    second, third = (authority.issue(name, "127.0.0.1", name) for name in ("second", "third"))
    context = aiodicom.tls_server_context(**files._asdict())
    async with aiodicom.Server().listen("127.0.0.1", 0, ssl=context) as listening:
        async with connect(listening.port, ssl=client) as association:
            assert names(association) == {"first"}
            files.replace_by(second)
            assert await name_of(listening.port, client) == {"second"}
            await association.c_echo()  # what is open stays as it is
        assert await name_of(listening.port, client) == {"second"}
        assert caplog.messages.count(f"{files.cert} was read anew") == 1

        # The certificate is there before its key: the ones before stay until they fit.
        caplog.clear()
        files.cert.write_bytes(third.cert.read_bytes())
        for _ in range(3):
            assert await name_of(listening.port, client) == {"second"}
        (record,) = [record for record in caplog.records if record.name == "aiodicom.tls"]
        assert record.levelno == logging.ERROR
        assert "is not that of the certificate in" in record.message
        files.key.write_bytes(third.key.read_bytes())
        assert await name_of(listening.port, client) == {"third"}

        for path, content in [(files.cert, b"-----BEGIN CERTIFICATE-----\nMIIB"), (files.key, b"")]:
            before = path.read_bytes()
            path.write_bytes(content)
            assert await name_of(listening.port, client) == {"third"}
            assert not context.reload()
            path.unlink()
            assert await name_of(listening.port, client) == {"third"}
            path.write_bytes(before)
        assert context.reload()


async def test_renewed_authorities(files: Files, authority: Authority, stranger: Authority, me: Files) -> None:
    ca = files.cert.with_name("ca.pem")
    ca.write_bytes(stranger.path.read_bytes())
    context = aiodicom.tls_server_context(**files._asdict(), ca=ca)
    client = aiodicom.tls_client_context(ca=authority.path, **me._asdict())
    async with aiodicom.Server().listen("127.0.0.1", 0, ssl=context) as listening:
        with pytest.raises(TLSHandshakeFailed):
            await soon(connect(listening.port, ssl=client))
        ca.write_bytes(stranger.path.read_bytes() + authority.path.read_bytes())
        await name_of(listening.port, client)


async def test_a_context_that_was_pickled(server_files: Files, authority: Authority) -> None:
    context = pickle.loads(pickle.dumps(aiodicom.tls_server_context(**server_files._asdict())))
    async with aiodicom.Server().listen("127.0.0.1", 0, ssl=context) as listening:
        assert await name_of(listening.port, aiodicom.tls_client_context(ca=authority.path)) == {"localhost"}


async def test_a_server_that_closes_at_the_end_of_a_handshake(server_files: Files, authority: Authority) -> None:
    context = aiodicom.tls_server_context(**server_files._asdict())
    client = aiodicom.tls_client_context(ca=authority.path)
    for _ in range(10):
        # In TLS 1.3 the client is through first, and its last message may just be arriving.
        async with aiodicom.Server().listen("127.0.0.1", 0, ssl=context) as listening:
            _, writer = await soon(asyncio.open_connection("127.0.0.1", listening.port, ssl=client))
            writer.transport.abort()


async def test_silent_connections_hold_nobody_up(server_files: Files, authority: Authority) -> None:
    server = aiodicom.Server(max_associations=10, timeouts=aiodicom.Timeouts(artim=30))
    context = aiodicom.tls_server_context(**server_files._asdict())
    client = aiodicom.tls_client_context(ca=authority.path)
    async with server.listen("127.0.0.1", 0, ssl=context) as listening:
        silent = [await asyncio.open_connection("127.0.0.1", listening.port) for _ in range(200)]
        await until(lambda: server.places.idle == 200)
        for _ in range(5):
            await soon(name_of(listening.port, client))
        await until(lambda: server.places.idle == 200)
        for _, writer in silent:
            writer.close()
        await until(lambda: server.places.connections == 0)


async def test_who_is_refused_and_stays_has_a_deadline_too(server_files: Files, authority: Authority) -> None:
    server = aiodicom.Server(timeouts=aiodicom.Timeouts(artim=0.1))
    context = aiodicom.tls_server_context(**server_files._asdict(), ca=authority.path)
    client = aiodicom.tls_client_context(ca=authority.path)

    def stay(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            connection = client.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
            while True:
                try:
                    connection.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))
            with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                connection.read()
            assert sock.recv(1) == b""  # we have not closed it

    async with server.listen("127.0.0.1", 0, ssl=context) as listening:
        await soon(asyncio.to_thread(stay, listening.port))
        await until(lambda: server.places.connections == 0)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (None, "no TLS with the peer: peer did not return a certificate"),
        ("unknown", "the peer's certificate is not accepted: unable to get local issuer certificate"),
    ],
)
async def test_a_warning_says_who_was_refused_and_why(
    name: str | None,
    reason: str,
    version: ssl.TLSVersion,
    authority: Authority,
    stranger: Authority,
    server_files: Files,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "aiodicom")
    server = aiodicom.Server()
    context = aiodicom.tls_server_context(**server_files._asdict(), ca=authority.path)
    files = {} if name is None else stranger.issue(name, "x")._asdict()
    client = aiodicom.tls_client_context(ca=authority.path, **files)
    client.maximum_version = version
    async with server.listen("127.0.0.1", 0, ssl=context) as listening:
        for port in free_port(), free_port():
            with pytest.raises(TLSHandshakeFailed):
                await soon(connect(listening.port, ssl=client, local_addr=("127.0.0.1", port)))
            await until(lambda: server.places.connections == 0)
            # Those after the first, within a minute, are for who wants to hear of each.
            level = "WARNING" if len(caplog.records) == 1 else "INFO"
            (record,) = caplog.records[-1:]
            assert (record.name, record.levelname) == ("aiodicom.server", level)
            assert record.getMessage() == f"no connection from 127.0.0.1:{port}: {reason}"
    assert len(caplog.records) == 2


async def test_a_handshake_has_a_deadline(server_files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aiodicom.server")
    server = aiodicom.Server(timeouts=aiodicom.Timeouts(artim=0.1))
    context = aiodicom.tls_server_context(**server_files._asdict())
    async with server.listen("127.0.0.1", 0, ssl=context) as listening, requestor(listening.port) as silent:
        host, port = silent.writer.get_extra_info("sockname")
        await soon(silent.ended())
        await until(lambda: server.places.connections == 0)
    (message,) = [message for message in caplog.messages if "came to nothing" in message]
    assert message.startswith(f"a connection from {host}:{port} came to nothing: ")


# --- who a certificate is for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "is_his"), [("MODALITY", True), ("modality", False), ("CT1", True), ("ct1", True), ("CT", False)]
)
async def test_a_certificate_is_for_an_ae_title(
    title: str, is_his: bool, server_files: Files, authority: Authority, me: Files
) -> None:
    server = aiodicom.Server()
    server.on_association(aiodicom.admit_by_certificate())
    context = aiodicom.tls_server_context(**server_files._asdict(), ca=authority.path)
    client = aiodicom.tls_client_context(ca=authority.path, **me._asdict())
    async with server.listen("127.0.0.1", 0, ssl=context) as listening:
        if is_his:
            async with connect(listening.port, ssl=client, calling_aet=title) as association:
                await association.c_echo()
        else:
            with pytest.raises(AssociationRejected) as rejection:
                await soon(connect(listening.port, ssl=client, calling_aet=title))
            assert (rejection.value.result, rejection.value.source, rejection.value.reason) == (1, 1, 3)


async def test_a_check_of_ones_own() -> None:
    server = aiodicom.Server()
    asked: list[Any] = []

    def check(certificate: object, title: str) -> bool:
        asked.append((certificate, title))
        return title == "KNOWN"

    server.on_association(aiodicom.admit_by_certificate(check))
    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port, calling_aet="KNOWN") as association:
            await association.c_echo()
        with pytest.raises(AssociationRejected):
            await soon(connect(listening.port, calling_aet="UNKNOWN"))
    assert asked == [(None, "KNOWN"), (None, "UNKNOWN")]


async def test_a_check_of_ones_own_may_be_async() -> None:
    server = aiodicom.Server()

    async def check(_certificate: object, title: str) -> bool:
        await asyncio.sleep(0)
        return title == "KNOWN"

    server.on_association(aiodicom.admit_by_certificate(check))
    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port, calling_aet="KNOWN") as association:
            await association.c_echo()
        with pytest.raises(AssociationRejected) as rejection:
            await soon(connect(listening.port, calling_aet="UNKNOWN"))
    assert (rejection.value.result, rejection.value.source, rejection.value.reason) == (1, 1, 3)


@pytest.mark.parametrize("answer", [None, 1, "yes", object()])
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_check_that_says_neither_true_nor_false_admits_nobody(
    answer: Any, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = aiodicom.Server()

    async def later(_certificate: object, _title: str) -> Any:
        return answer

    server.on_association(aiodicom.admit_by_certificate(later if is_async else lambda _certificate, _title: answer))
    async with server.listen("127.0.0.1", 0) as listening:
        with pytest.raises(AssociationRejected) as rejection:
            await soon(connect(listening.port))
    assert (rejection.value.result, rejection.value.source, rejection.value.reason) == (2, 3, 1)
    assert f"the check of certificates is to say True or False, not {type(answer).__name__}" in caplog.text


@pytest.mark.parametrize(
    ("certificate", "is_his"),
    [
        (None, False),
        ({}, False),
        ({"subject": ((("organizationName", "CT1"),),)}, False),
        ({"subject": ((("commonName", "X"), ("commonName", "CT1")),)}, True),
        ({"subjectAltName": (("URI", "CT1"),)}, True),
        ({"subjectAltName": (("URI", "ct1"),)}, False),
        ({"subjectAltName": (("DirName", ((("commonName", "CT1"),),)),)}, False),
    ],
)
def test_names_in_a_certificate(certificate: Any, is_his: bool) -> None:
    assert aiodicom.check_certificate_ae_title(certificate, "CT1") is is_his
