"""TLS with DCMTK, both ways. Its profiles here are those of before RFC 8996: the retired ones of PS3.15 B."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

import aiodicom
from aiodicom import TLSProfile
from aiodicom.errors import TLSHandshakeFailed
from tests.certificates import Authority, Files
from tests.interop import objects, ours, peers
from tests.interop.objects import Part10
from tests.interop.processes import PeerFailed
from tests.interop.test_dcmtk import dcmtk, stored

#: Those that DCMTK has an option for.
PROFILES = {TLSProfile.NON_DOWNGRADING_BCP_195: "+py", TLSProfile.EXTENDED_BCP_195: "+pz", TLSProfile.BCP_195: "+px"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Files:
    return authority.issue("server", "localhost", "127.0.0.1", rsa=True)


@pytest.fixture(scope="module")
def client(authority: Authority) -> Files:
    return authority.issue("client", "STORESCU", rsa=True)


def options(files: Files, authority: Authority, profile: str) -> list[str]:
    """DCMTK's, which verifies the other side's certificate and wants one."""
    return [profile, "+tls", str(files.key), str(files.cert), "+cf", str(authority.path), "-v"]


def server_context(files: Files, authority: Authority, profile: TLSProfile) -> ssl.SSLContext:
    return aiodicom.tls_server_context(profile, **files._asdict(), ca=authority.path)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
async def test_dcmtk_asks(profile: TLSProfile, authority: Authority, server: Files, client: Files, ct: Part10) -> None:
    theirs = options(client, authority, PROFILES[profile])
    async with ours.receiving(ssl=server_context(server, authority, profile)) as receiving:
        receiving.server.on_association(aiodicom.admit_by_certificate())
        await dcmtk("echoscu", receiving.port, "-aet", "STORESCU", *theirs)
        await dcmtk("storescu", receiving.port, *theirs, "-aet", "STORESCU", "-R", str(ct.path))
        assert (receiving.echoes, receiving.objects[ct.sop_instance_uid]) == (1, ours.sent(ct))
        with pytest.raises(PeerFailed, match="Calling AE Title Not Recognized"):
            await dcmtk("echoscu", receiving.port, "-aet", "ANOTHER", *theirs)


async def test_the_default_profile_and_dcmtks(authority: Authority, server: Files, client: Files) -> None:
    context = server_context(server, authority, TLSProfile.BCP_195_RFC_8996_9325)
    async with ours.receiving(ssl=context) as receiving:
        for profile in PROFILES.values():
            await dcmtk("echoscu", receiving.port, *options(client, authority, profile))
        with pytest.raises(PeerFailed):  # the AES profile: TLS_RSA_WITH_AES_128_CBC_SHA
            await dcmtk("echoscu", receiving.port, *options(client, authority, "+pa"))
    context = server_context(server, authority, TLSProfile.BCP_195)
    async with ours.receiving(ssl=context) as receiving:
        await dcmtk("echoscu", receiving.port, *options(client, authority, "+pa"))


async def test_dcmtk_is_refused(authority: Authority, server: Files, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger")
    unknown = stranger.issue("unknown", "x", rsa=True)
    context = server_context(server, authority, TLSProfile.BCP_195_RFC_8996_9325)
    async with ours.receiving(ssl=context) as receiving:
        with pytest.raises(PeerFailed):
            await dcmtk("echoscu", receiving.port, *options(unknown, authority, "+py"))
        with pytest.raises(PeerFailed):  # it doesn't trust us
            await dcmtk("echoscu", receiving.port, *options(unknown, stranger, "+py"))
        with pytest.raises(PeerFailed):  # without TLS
            await dcmtk("echoscu", receiving.port)
        assert receiving.echoes == 0


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
async def test_dcmtk_answers(
    profile: TLSProfile, authority: Authority, server: Files, client: Files, ct: Part10, tmp_path: Path
) -> None:
    context = aiodicom.tls_client_context(profile, ca=authority.path, **client._asdict())
    folder = tmp_path / "received"
    with peers.storescp(folder, "+B", *options(server, authority, PROFILES[profile])) as storescp:
        contexts = [aiodicom.VERIFICATION, *ours.contexts(ct)]
        async with aiodicom.connect("localhost", storescp.port, contexts=contexts, ssl=context) as association:
            await association.c_echo()
            await association.c_store(ct.path)
        assert stored(folder) == {ct.sop_instance_uid: ours.as_it_is(ct)}
        # Of ours by default, which DCMTK does not know by its name.
        current = aiodicom.tls_client_context(ca=authority.path, **client._asdict())
        async with aiodicom.connect("localhost", storescp.port, ssl=current) as association:
            await association.c_echo()
        for refused in ({}, Authority(tmp_path / "stranger").issue("unknown", "x")._asdict()):
            stranger = aiodicom.tls_client_context(profile, ca=authority.path, **refused)
            with pytest.raises(TLSHandshakeFailed) as failure:
                await aiodicom.connect("localhost", storescp.port, ssl=stranger)
            assert failure.value.alert in ("unknown_ca", "certificate_required", "handshake_failure")


def test_the_commands(authority: Authority, server: Files, client: Files, ct: Part10, tmp_path: Path) -> None:
    tls = ["--tls", "--cert", str(client.cert), "--key", str(client.key), "--ca", str(authority.path)]
    folder = tmp_path / "received"
    with peers.storescp(folder, "+B", *options(server, authority, "+py")) as storescp:
        ours.command("echoscu", "localhost", str(storescp.port), *tls)
        ours.command("storescu", "localhost", str(storescp.port), str(ct.path), *tls, "--associations", "2")
    assert stored(folder) == {ct.sop_instance_uid: ours.as_it_is(ct)}
    tls = ["--tls", "--cert", str(server.cert), "--key", str(server.key), "--ca", str(authority.path)]
    with ours.storescp(tmp_path / "ours", *tls, "--verify-ae-title") as storescp:
        port = str(storescp.port)
        theirs = options(client, authority, "+py")
        peers.dcmtk_command("storescu", *theirs, "-aet", "STORESCU", "-R", "127.0.0.1", port, str(ct.path))
    (path,) = [path for path in (tmp_path / "ours").iterdir() if path.suffix == ".dcm"]
    assert objects.part10(path).data_set() == ct.data_set()
