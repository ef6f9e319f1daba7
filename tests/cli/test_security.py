"""TLS, user identity, where connections come from: the options that echoscu, storescu and storescp share."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import Authority, Files
from tests.cli.conftest import Invoke, Start
from tests.cli.objects import put
from tests.cli.test_storescp import names, port_of
from tests.net.hostile import Requestor, proposal
from tests.ports import free_port
from tests.rawpeer import A_ASSOCIATE_RQ, Connection, RawPeer, accept_pdu, item, items


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server_files(authority: Authority) -> Files:
    return authority.issue("server", "localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def me(authority: Authority) -> Files:
    return authority.issue("me", "CT1")


def tls(files: Files, authority: Authority | None = None) -> list[object]:
    """The options for TLS with this certificate, trusting this authority."""
    trust: list[object] = [] if authority is None else ["--ca", authority.path]
    return ["--tls", "--cert", files.cert, "--key", files.key, *trust]


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_both_sides(
    workers: int, start: Start, invoke: Invoke, authority: Authority, server_files: Files, me: Files, tmp_path: Path
) -> None:
    put(tmp_path / "in", "1.2.3")
    options = tls(server_files, authority)
    command = start("storescp", 0, "-od", tmp_path / "out", *options, "--verify-ae-title", "--workers", workers)
    peer = ("localhost", port_of(command))
    ours = [*tls(me, authority), "-aet", "CT1"]
    assert invoke("echoscu", *peer, *ours).code == 0
    assert invoke("storescu", *peer, tmp_path / "in", *ours, "--tls-profile", "8996-mod").code == 0
    assert names(tmp_path / "out") == ["1.2.3.dcm"]
    for options, reason in [
        ([*tls(me, authority)], "calling AE title not recognized"),
        (
            ["--tls", "--ca", authority.path],
            "certificate required (give one that the peer trusts with --cert and --key)",
        ),
        (["--tls", "--cert", me.cert, "--key", me.key], "the peer's certificate is not accepted"),
        ([*ours, "--server-name", "elsewhere"], "Hostname mismatch"),
        ([], "aiodicom echoscu: "),
    ]:
        outcome = invoke("echoscu", *peer, *options)
        assert outcome.code == 1
        (line,) = outcome.errors
        assert reason in line
    assert invoke("echoscu", *peer, *tls(me), "-aet", "CT1", "--insecure").code == 0
    assert command.terminate().code == 0


@pytest.mark.parametrize(("verify", "code"), [("optional", 0), ("no", 0), ("required", 1)])
def test_who_needs_a_certificate(
    verify: str, code: int, start: Start, invoke: Invoke, authority: Authority, server_files: Files
) -> None:
    command = start("storescp", 0, "--discard", *tls(server_files, authority), "--verify-client", verify)
    outcome = invoke("echoscu", "127.0.0.1", port_of(command), "--tls", "--ca", authority.path)
    assert outcome.code == code


def test_profiles_have_to_agree(start: Start, invoke: Invoke, authority: Authority, tmp_path: Path) -> None:
    files = authority.issue("rsa", "127.0.0.1", rsa=True)
    command = start("storescp", 0, "--discard", *tls(files), "--tls-profile", "bcp195-ex")
    peer = ("127.0.0.1", port_of(command), "--tls", "--ca", authority.path, "--tls-profile")
    for profile in ("8996", "8996-mod", "bcp195-nd", "bcp195-ex", "bcp195"):
        assert invoke("echoscu", *peer, profile).code == 0
    assert invoke("echoscu", *peer, "basic").code == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_hanging_up_reads_certificates_anew(
    workers: int, start: Start, authority: Authority, server_files: Files, tmp_path: Path
) -> None:
    (tmp_path / "server.pem").touch()
    (tmp_path / "server.key").touch()
    files = Files(tmp_path / "server.pem", tmp_path / "server.key")
    files.replace_by(server_files)
    command = start("storescp", 0, "--discard", *tls(files), "--workers", workers, "-v")
    port_of(command)
    command.send_signal(signal.SIGHUP)
    command.wait_for_words(
        f"{files.cert} was read anew", workers
    )  # before the key is taken away from one that reads it
    files.key.write_bytes(b"")
    command.send_signal(signal.SIGHUP)
    line = command.wait_for_words("can't be used, those before stay: ")
    assert f"{files.key} has no private key (PEM)" in line
    assert command.terminate().code == 0


def test_without_tls_hanging_up_is_the_end(start: Start) -> None:
    command = start("storescp", 0, "--discard")
    port_of(command)
    command.send_signal(signal.SIGHUP)
    assert command.wait().code == -signal.SIGHUP


@pytest.mark.parametrize(
    ("command", "options", "text"),
    [
        ("echoscu", ["--ca", "ca.pem"], "'--ca': this is of no use without --tls"),
        ("echoscu", ["--insecure"], "'--insecure': this is of no use without --tls"),
        ("storescp", ["--cert", "me.pem"], "'--cert': this is of no use without --tls"),
        ("storescp", ["--tls"], "'--cert': a server needs a certificate"),
        ("storescp", ["--tls", "--cert", "x", "--verify-client", "optional"], "'--ca': clients are not verified"),
        ("storescp", ["--tls", "--cert", "x", "--verify-ae-title"], "'--ca': clients are not verified"),
        ("storescp", ["--proxy-from", "10.0.0.0/8"], "'--proxy-from': this is of no use without --proxy-protocol"),
        ("echoscu", ["--password-file", "x"], "whose password?"),
        ("echoscu", ["--positive-response"], "there is no user to accept"),
        ("echoscu", ["--user", "x", "--jwt", "y"], "an association has one user identity"),
        ("echoscu", ["--user", ""], "'--user': the name is empty"),
        ("echoscu", ["--user", "\udcff"], "'--user': '\\udcff' is no text"),
    ],
)
def test_options_that_do_not_go_together(
    command: str, options: list[str], text: str, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = invoke(command, *(["127.0.0.1", 104] if command == "echoscu" else [0]), *options)
    assert outcome.code == 2
    assert text in outcome.err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--tls", "--ca", "missing.pem"], "missing.pem: No such file or directory"),
        (["--tls", "--cert", "x", "--key-password-file", "missing"], "missing: No such file or directory"),
        (["--jwt", "missing"], "missing: No such file or directory"),
        (["--saml", "long"], "a user identity of 65,536 bytes is longer than 65,535"),
        (["--kerberos", "nothing"], "nothing: the file is empty, and names no user"),
        (["--jwt", "blank"], "blank: the file is empty, and names no user"),
    ],
)
def test_files_that_are_none(
    options: list[str], text: str, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long").write_bytes(bytes(65536))
    (tmp_path / "nothing").touch()
    (tmp_path / "blank").write_text("\n")
    outcome = invoke("echoscu", "127.0.0.1", 104, *options)
    assert (outcome.code, len(outcome.errors)) == (1, 1)
    assert text in outcome.err


# --- who the user is -------------------------------------------------------------------------------------------------


def user_identity(body: bytes) -> tuple[int, int, bytes, bytes] | None:
    """Type, positive response requested, primary and secondary field (PS3.7 D.3.3.7.1) of an A-ASSOCIATE-RQ."""
    for kind, information in dict(items(body[68:])).items():
        if kind != 0x50:
            continue
        for sub, value in items(information):
            if sub == 0x58:
                length = int.from_bytes(value[2:4], "big")
                return value[0], value[1], value[4 : 4 + length], value[6 + length :]
    return None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], None),
        (["--user", "Jörg"], (1, 0, "Jörg".encode(), b"")),
        (["--user", "me", "--password-file", "secret", "--positive-response"], (2, 1, b"me", b"pass word")),
        (["--kerberos", "file"], (3, 0, b"\0\xfftoken\n", b"")),
        (["--saml", "file", "--positive-response"], (4, 1, b"\0\xfftoken\n", b"")),
        (["--jwt", "token"], (5, 0, b"a.b.c", b"")),
    ],
)
@pytest.mark.parametrize("command", ["echoscu", "storescu"])
def test_user_identity(
    command: str,
    options: list[str],
    expected: object,
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret").write_bytes(b"pass word\r\n")
    Path("file").write_bytes(b"\0\xfftoken\n")
    Path("token").write_bytes(b"a.b.c\n")
    put(tmp_path / "in", "1.2.3")
    seen = []

    def script(peer: Connection) -> None:
        body = peer.expect(A_ASSOCIATE_RQ)
        seen.append(user_identity(body))
        peer.send(accept_pdu(body))
        peer.serve()

    with RawPeer(script) as peer:
        paths = [tmp_path / "in"] if command == "storescu" else []
        assert invoke(command, "127.0.0.1", peer.port, *paths, *options).code == 0
    assert seen == [expected]


SILENT = "aiodicom echoscu: the peer does not say that it has accepted the user: it may not have looked"


@pytest.mark.parametrize(("response", "errors"), [(item(0x59, b"\0\0"), []), (b"", [SILENT])])
def test_whether_the_user_is_accepted(response: bytes, errors: list[str], invoke: Invoke) -> None:
    def script(peer: Connection) -> None:
        peer.accept(sub_items=response)
        peer.serve()

    with RawPeer(script) as peer:
        arguments = ("--user", "me", "--positive-response", "--associations", 2)
        outcome = invoke("echoscu", "127.0.0.1", peer.port, *arguments)
    assert (outcome.code, outcome.errors) == (0, errors)


# --- where from ------------------------------------------------------------------------------------------------------


@contextmanager
def one_connection() -> Iterator[tuple[int, list[str]]]:
    """A port whose first connection ends at once, and the address that it came from."""
    sources: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        yield listening.getsockname()[1], sources
        connection, address = listening.accept()
        connection.close()
        sources.append(address[0])


def test_a_local_address(invoke: Invoke) -> None:
    with one_connection() as (port, sources):
        # Which nobody answers: it is seen on the queue afterwards.
        assert invoke("echoscu", "127.0.0.1", port, "--local-address", "127.0.0.9", "--acse-timeout", 0.2).code == 1
    assert sources == ["127.0.0.9"]


@pytest.mark.parametrize("address", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine(address: str, invoke: Invoke) -> None:
    outcome = invoke("echoscu", "127.0.0.1", free_port(), "--local-address", address)
    (line,) = outcome.errors
    assert outcome.code == 1
    assert f" from {address}: " in line
    assert line.endswith(" (check --local-address: it has to be one of this machine)")


def test_a_peer_of_another_name_is_no_local_address(invoke: Invoke) -> None:
    outcome = invoke("echoscu", "no.such.host.invalid", 104, "--local-address", "127.0.0.1")
    assert outcome.code == 1
    assert "(check host and port" in outcome.err


@pytest.mark.parametrize("workers", [1, 2])
async def test_behind_a_load_balancer(workers: int, start: Start) -> None:
    command = start(
        "storescp", 0, "--discard", "--proxy-protocol", "--proxy-from", "127.0.0.0/8", "--workers", workers, "-v"
    )
    port = port_of(command)
    header = bytes.fromhex("0D0A0D0A000D0A515549540A2111000CC0000207C00002019C400068")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    requestor = Requestor(reader, writer)
    writer.write(header + proposal())
    await requestor.expect(2)
    await requestor.release()
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(proposal())
    assert await Requestor(reader, writer).ended() == b""
    writer.close()
    ended = command.terminate()
    assert ended.code == 0
    assert " 192.0.2.7:40000 " in ended.err
    assert "does not begin with a header of the PROXY protocol" in ended.err


def test_a_network_that_is_none(invoke: Invoke) -> None:
    outcome = invoke("storescp", 0, "--discard", "--proxy-protocol", "--proxy-from", "10.0.0.1/8")
    assert outcome.code == 1
    assert "is to be a network" in outcome.err
