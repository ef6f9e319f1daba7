"""What the profiles of PS3.15 B negotiate, with OpenSSL's own client and server on the other side."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

import aiodicom
from aiodicom import TLSProfile
from tests.certificates import Authority, Files
from tests.net.sides import soon
from tests.openssl import Negotiated, s_client, s_server

CURRENT = TLSProfile.BCP_195_RFC_8996_9325
MODIFIED = TLSProfile.MODIFIED_BCP_195_RFC_8996_9325
NON_DOWNGRADING = TLSProfile.NON_DOWNGRADING_BCP_195
EXTENDED = TLSProfile.EXTENDED_BCP_195
RETIRED = TLSProfile.BCP_195

ECDHE_RSA = {"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"}
ECDHE_ECDSA = {"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"}
DHE_RSA = {"DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-GCM-SHA256"}
CCM = {f"ECDHE-ECDSA-AES{bits}-CCM{tag}" for bits in (128, 256) for tag in ("", "8")}
CHACHA = {"ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"}
#: The suites of TLS 1.2 that each profile has: PS3.15 B.12 (RFC 9325 4.2), B.13, B.10, B.11, B.9 (RFC 7525 4.2, with
#: that of B.3).
SUITES = {
    CURRENT: ECDHE_RSA | ECDHE_ECDSA,
    MODIFIED: ECDHE_RSA | ECDHE_ECDSA | CCM | CHACHA,
    NON_DOWNGRADING: ECDHE_RSA | DHE_RSA,
    EXTENDED: ECDHE_RSA | DHE_RSA | ECDHE_ECDSA,
    RETIRED: ECDHE_RSA | DHE_RSA | {"AES128-SHA"},
}
#: All of them, and others that OpenSSL has and no profile.
EVERY = sorted(
    set().union(*SUITES.values()) | {"AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"}
)
profiles = pytest.mark.parametrize("profile", TLSProfile, ids=lambda profile: profile.name)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def rsa(authority: Authority) -> Files:
    return authority.issue("rsa", "127.0.0.1", rsa=True)


@pytest.fixture(scope="module")
def ecdsa(authority: Authority) -> Files:
    return authority.issue("ecdsa", "127.0.0.1", "ecdsa.example.org")


@pytest.fixture
def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Which loop it is makes no difference to what is negotiated."""
    return asyncio.new_event_loop


def test_the_names_are_the_standards() -> None:
    assert [profile.value for profile in TLSProfile] == [
        "BCP 195 RFC 8996, 9325 TLS",
        "Modified BCP 195 RFC 8996, 9325 TLS",
        "Non-Downgrading BCP 195 TLS",
        "Extended BCP 195 TLS",
        "BCP 195 TLS",
    ]


@profiles
async def test_a_server_has_the_suites_of_its_profile_and_no_others(
    profile: TLSProfile, rsa: Files, ecdsa: Files
) -> None:
    context = aiodicom.tls_server_context(
        profile, cert=rsa.cert, key=rsa.key, certificates={"ecdsa.example.org": tuple(ecdsa)}
    )

    def negotiated(suite: str) -> str | None:
        name = "ecdsa.example.org" if "ECDSA" in suite else "rsa.example.org"
        found = s_client(port, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0", "-servername", name)
        return None if found is None else found.suite

    async with aiodicom.Server().listen("127.0.0.1", 0, ssl=context) as listening:
        port = listening.port
        agreed = await soon(asyncio.gather(*(asyncio.to_thread(negotiated, suite) for suite in EVERY)))
    expected = SUITES[profile]
    if ssl.OPENSSL_VERSION_INFO >= (3, 2):  # from there on these are too weak for security level 2
        expected = {suite for suite in expected if not suite.endswith("CCM8")}
    assert {suite for suite in agreed if suite} == expected
    assert [suite for suite, found in zip(EVERY, agreed, strict=True) if found not in (None, suite)] == []


@profiles
async def test_which_versions_a_server_has(profile: TLSProfile, rsa: Files) -> None:
    context = aiodicom.tls_server_context(profile, cert=rsa.cert, key=rsa.key)
    async with aiodicom.Server().listen("127.0.0.1", 0, ssl=context) as listening:
        for option, version, is_there in [
            ("-tls1", "TLSv1", profile is RETIRED),
            ("-tls1_1", "TLSv1.1", profile is RETIRED),
            ("-tls1_2", "TLSv1.2", True),
            ("-tls1_3", "TLSv1.3", profile is not EXTENDED),
        ]:
            agreed = await asyncio.to_thread(s_client, listening.port, option, "-cipher", "ALL:@SECLEVEL=0")
            assert (agreed.version if agreed else None) == (version if is_there else None)


async def negotiated(port: int, context: ssl.SSLContext) -> Negotiated | None:
    """What our client agrees on with a server, if on anything."""
    try:
        _, writer = await soon(asyncio.open_connection("127.0.0.1", port, ssl=context))
    except (ssl.SSLError, ConnectionResetError):
        return None
    connection = writer.get_extra_info("ssl_object")
    agreed = Negotiated(connection.version(), connection.cipher()[0])
    writer.transport.abort()
    return agreed


@pytest.mark.parametrize(
    ("profile", "suite", "version", "is_there"),
    [
        (CURRENT, "ECDHE-RSA-AES128-GCM-SHA256", "1_2", True),
        (CURRENT, "ECDHE-RSA-CHACHA20-POLY1305", "1_2", False),
        (CURRENT, "DHE-RSA-AES256-GCM-SHA384", "1_2", False),
        (CURRENT, "AES128-SHA", "1_1", False),
        (MODIFIED, "ECDHE-RSA-CHACHA20-POLY1305", "1_2", True),
        (MODIFIED, "DHE-RSA-AES256-GCM-SHA384", "1_2", False),
        (NON_DOWNGRADING, "DHE-RSA-AES256-GCM-SHA384", "1_2", True),
        (NON_DOWNGRADING, "AES128-SHA", "1", False),
        (EXTENDED, "DHE-RSA-AES128-GCM-SHA256", "1_2", True),
        (EXTENDED, "ECDHE-RSA-CHACHA20-POLY1305", "1_2", False),
        (EXTENDED, "ALL", "1_3", False),
        (RETIRED, "AES128-SHA", "1", True),
        (RETIRED, "AES128-SHA", "1_1", True),
        (RETIRED, "ECDHE-RSA-AES128-SHA256", "1_2", False),
    ],
)
async def test_what_a_client_offers(
    profile: TLSProfile, suite: str, version: str, is_there: bool, rsa: Files, authority: Authority
) -> None:
    context = aiodicom.tls_client_context(profile, ca=authority.path)
    with s_server(rsa, f"-tls{version}", "-cipher", f"{suite}:@SECLEVEL=0") as port:
        agreed = await negotiated(port, context)
    if is_there:
        assert agreed == Negotiated(f"TLSv{version.replace('_', '.')}", suite)
    else:
        assert agreed is None


@profiles
async def test_a_client_and_a_server_of_a_profile_understand_each_other(
    profile: TLSProfile, rsa: Files, authority: Authority
) -> None:
    server = aiodicom.tls_server_context(profile, cert=rsa.cert, key=rsa.key)
    client = aiodicom.tls_client_context(profile, ca=authority.path)
    async with aiodicom.Server().listen("127.0.0.1", 0, ssl=server) as listening:
        agreed = await negotiated(listening.port, client)
    assert agreed is not None
    assert agreed.version == ("TLSv1.2" if profile is EXTENDED else "TLSv1.3")


@pytest.mark.parametrize(("profile", "protocol"), [(CURRENT, "dicom"), (MODIFIED, "dicom"), (RETIRED, None)])
async def test_the_application_protocol(
    profile: TLSProfile, protocol: str | None, rsa: Files, authority: Authority
) -> None:
    server = aiodicom.tls_server_context(profile, cert=rsa.cert, key=rsa.key)
    client = aiodicom.tls_client_context(profile, ca=authority.path)
    async with (
        aiodicom.Server().listen("127.0.0.1", 0, ssl=server) as listening,
        aiodicom.connect("127.0.0.1", listening.port, ssl=client) as association,
    ):
        assert association.transport.connection.get_extra_info("ssl_object").selected_alpn_protocol() == protocol
        # One that knows nothing of it is no less welcome.
        assert await asyncio.to_thread(s_client, listening.port, "-alpn", "h2") is not None


def test_a_server_does_not_take_weak_keys(tmp_path: Path) -> None:
    context = aiodicom.tls_client_context(CURRENT, ca=Authority(tmp_path).path)
    assert context.security_level == 2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.options & ssl.OP_NO_RENEGOTIATION
