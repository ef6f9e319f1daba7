"""User identities (PS3.7 D.3.3.7): who verifies them, what is answered, what the requestor makes of that."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationAborted, AssociationRejected, IdentityNotConfirmed, LocalError, ProtocolViolation
from tests.net import hostile
from tests.net.hostile import requestor, serving, store_server, timeouts
from tests.net.sides import connect, soon, until
from tests.rawpeer import A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, Connection, RawPeer, accept_pdu, item, sub_items

KINDS = pytest.mark.parametrize("kind", ["plain", "async"])
TYPES = pytest.mark.parametrize("identity_type", list(aiodicom.UserIdentityType))
NAMES = (aiodicom.UserIdentityType.USERNAME, aiodicom.UserIdentityType.USERNAME_AND_PASSCODE)


def identity(identity_type: int = 1, *, wants: bool = True, name: bytes = b"jane") -> aiodicom.UserIdentity:
    """An identity, with a passcode where there is one."""
    return aiodicom.UserIdentity(identity_type, wants, name, b"secret" if identity_type == 2 else b"")


def verifying(server: aiodicom.Server, kind: str, verdict: Any, *, required: bool = False) -> list[Any]:
    """Has `verdict`, or what it raises, answer for every identity; gives those that were asked about."""
    asked: list[Any] = []

    def plain(identity: aiodicom.UserIdentity, association: aiodicom.Association) -> Any:
        asked.append((identity, association.calling_aet, association.is_open))
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict

    async def asynchronous(identity: aiodicom.UserIdentity, association: aiodicom.Association) -> Any:
        await asyncio.sleep(0)
        return plain(identity, association)

    server.on_user_identity(plain if kind == "plain" else asynchronous, required=required)
    return asked


async def rejection_of(connecting: Any) -> tuple[int, int, int]:
    with pytest.raises(AssociationRejected) as rejected:
        await soon(connecting)
    return rejected.value.result, rejected.value.source, rejected.value.reason


@KINDS
@TYPES
@pytest.mark.parametrize("wants", [False, True], ids=["no response", "response"])
async def test_each_type_is_verified_and_answered_where_that_is_requested(
    kind: str, identity_type: aiodicom.UserIdentityType, wants: bool
) -> None:
    server = aiodicom.Server()
    accepted: list[aiodicom.Association] = []
    server.on_association(accepted.append)
    response = b"" if identity_type in NAMES else b"ticket"
    asked = verifying(server, kind, response)
    sent = identity(identity_type, wants=wants)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, calling_aet="ME", user_identity=sent) as association,
    ):
        assert association.user_identity_response == (response if wants else None)
        assert accepted[0].user_identity_response == (response if wants else None)
        await association.c_echo()
    assert asked == [(sent, "ME", False)]


@KINDS
@pytest.mark.parametrize("verdict", [None, True])
async def test_accepted_without_a_word(kind: str, verdict: Any) -> None:
    server = aiodicom.Server()
    verifying(server, kind, verdict)
    async with server.listen("127.0.0.1", 0) as listening:
        options: dict[str, Any] = {"user_identity": identity(), "require_user_identity_response": True}
        async with connect(listening.port, **options) as association:
            assert association.user_identity_response == b""


@KINDS
@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (False, (1, 2, 1)),  # PS3.7 D.3.3.7.3: permanent, by the provider's ACSE function
        (aiodicom.Rejection(2, 1, 3), (2, 1, 3)),
        (RuntimeError("secret"), (2, 3, 1)),
        (asyncio.CancelledError(), (2, 3, 1)),
        (b"names have no response", (2, 3, 1)),
        ("secret", (2, 3, 1)),
        (0, (2, 3, 1)),
        (aiodicom.Rejection(300, 1, 1), (2, 3, 1)),
    ],
    ids=lambda each: repr(each)[:20] if not isinstance(each, tuple) or isinstance(each, aiodicom.Rejection) else "",
)
async def test_a_refusal_keeps_no_place(kind: str, verdict: Any, said: tuple[int, int, int], caplog: Any) -> None:
    server = aiodicom.Server(max_associations=1)
    server.on_association(lambda association: pytest.fail("asked about who is nobody"))
    verifying(server, kind, verdict)
    async with server.listen("127.0.0.1", 0) as listening:
        for _ in range(2):
            assert await rejection_of(connect(listening.port, user_identity=identity())) == said
        server.on_association(lambda association: None)
        async with connect(listening.port) as association:
            await association.c_echo()
    assert ("user identity handler failed" in caplog.text) == (said == (2, 3, 1))
    if verdict == "secret":
        assert "secret" not in caplog.text


@KINDS
async def test_who_says_nothing_is_let_in_unless_an_identity_is_required(kind: str) -> None:
    server = aiodicom.Server(max_associations=1)
    asked = verifying(server, kind, True)
    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port) as association:
            assert association.user_identity_response is None
        await until(lambda: not server.associations)
        verifying(server, kind, True, required=True)
        assert await rejection_of(connect(listening.port)) == (1, 2, 1)
        async with connect(listening.port, user_identity=identity()) as association:
            await association.c_echo()
    assert not asked


def test_it_is_a_decorator_with_and_without_arguments() -> None:
    server = aiodicom.Server()

    @server.on_user_identity
    def first(identity: aiodicom.UserIdentity, association: aiodicom.Association) -> None: ...

    @server.on_user_identity(required=True)
    async def second(identity: aiodicom.UserIdentity, association: aiodicom.Association) -> bool:
        return True

    assert callable(first)
    assert callable(second)


@KINDS
async def test_both_handlers_are_asked_one_after_the_other(kind: str) -> None:
    server = aiodicom.Server()
    order: list[str] = []

    async def verify(identity: aiodicom.UserIdentity, association: aiodicom.Association) -> None:
        await asyncio.sleep(0)
        order.append("identity")

    async def admit(association: aiodicom.Association) -> None:
        await asyncio.sleep(0)
        order.append("association")

    server.on_user_identity(verify)
    server.on_association(admit if kind == "async" else lambda association: order.append("association"))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, user_identity=identity()):
        assert order == ["identity", "association"]


async def test_a_verifier_has_the_acse_timeout() -> None:
    cancelled = asyncio.Event()
    server = aiodicom.Server(timeouts=timeouts(acse=0.05))

    @server.on_user_identity
    async def verify(identity: aiodicom.UserIdentity, association: aiodicom.Association) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with server.listen("127.0.0.1", 0) as listening:
        with pytest.raises(AssociationAborted):
            await soon(connect(listening.port, user_identity=identity()))
        await soon(cancelled.wait())
        await until(lambda: not server.associations)


async def test_a_verifier_whose_requestor_leaves_is_cancelled_and_gives_its_place_back() -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()
    server = aiodicom.Server(max_associations=1)

    @server.on_user_identity
    async def verify(identity: aiodicom.UserIdentity, association: aiodicom.Association) -> bool:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
        return True  # after the end: of no consequence

    async with serving(server) as (_, port), requestor(port) as peer:
        await peer.send(hostile.proposal(sub_items=sent_identity()))
        await soon(asked.wait())
        peer.reset()
        await soon(cancelled.wait())
    assert server.counters.associations == 1  # of `serving` itself


# The requestor ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user_identity": identity(0)}, "type 0"),
        ({"user_identity": identity(6)}, "type 6"),
        ({"user_identity": aiodicom.UserIdentity(1, True, b"jane", b"secret")}, "secondary field"),
        ({"user_identity": aiodicom.UserIdentity(1, True, "jane")}, "are bytes"),  # type: ignore[arg-type]
        ({"require_user_identity_response": True}, "not requested"),
        ({"user_identity": identity(wants=False), "require_user_identity_response": True}, "not requested"),
    ],
)
def test_what_cannot_be_proposed(options: Any, message: str) -> None:
    with pytest.raises(LocalError, match=message) as raised:
        connect(104, **options)
    assert "secret" not in str(raised.value)


async def test_a_server_that_verifies_nothing_answers_nothing() -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port, user_identity=identity()) as association:
            assert association.user_identity_response is None
            await association.c_echo()
        with pytest.raises(IdentityNotConfirmed):
            await soon(connect(listening.port, user_identity=identity(), require_user_identity_response=True))
        await until(lambda: not server.associations)
    assert (server.counters.associations, server.counters.aborts) == (2, 1)


# On the wire --------------------------------------------------------------------------------------------------------


def sent_identity(identity_type: int = 1, wants: int = 1, name: bytes = b"jane", secret: bytes = b"") -> bytes:
    """A user identity sub-item of an A-ASSOCIATE-RQ (PS3.7 table D.3-14)."""
    fields = b"".join(struct.pack(">H", len(value)) + value for value in (name, secret))
    return item(0x58, bytes((identity_type, wants)) + fields)


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (sent_identity(), [b"\0\0"]),
        (sent_identity(wants=0), []),
        (sent_identity(wants=2), []),
        (sent_identity(3), [b"\0\x06ticket"]),
        (sent_identity(3, 0), []),
        (sent_identity(77), [b"\0\x06ticket"]),  # of a later edition, perhaps: for the handler to judge
        (b"", []),
    ],
)
async def test_the_sub_item_that_is_answered(sent: bytes, answered: list[bytes]) -> None:
    server = store_server()
    server.on_user_identity(lambda identity, association: b"" if identity.identity_type == 1 else b"ticket")
    async with serving(server) as (_, port):
        for _ in range(2):
            async with requestor(port) as peer:
                answer = await peer.associate(hostile.proposal(sub_items=sent))
                assert sub_items(answer, 0x59) == answered
                assert sub_items(answer, 0x58) == []
                await peer.release()


async def test_a_refusal_on_the_wire() -> None:
    server = store_server()
    server.on_user_identity(lambda identity, association: False)
    async with serving(server) as (_, port), requestor(port) as peer:
        await peer.send(hostile.proposal(sub_items=sent_identity()))
        assert await peer.expect(A_ASSOCIATE_RJ) == bytes((0, 1, 2, 1))


@pytest.mark.parametrize("size", [65535, 65460, 70000])
async def test_a_response_that_does_not_fit_rejects_for_now(size: int, caplog: Any) -> None:
    """The user information has 65535 bytes with everything in it."""
    server = store_server()
    server.on_user_identity(lambda identity, association: bytes(size))
    async with serving(server) as (_, port), requestor(port) as peer:
        await peer.send(hostile.proposal(sub_items=sent_identity(4)))
        assert await peer.expect(A_ASSOCIATE_RJ) == bytes((0, 2, 3, 1))
    assert "the negotiation failed: rejected" in caplog.text


MALFORMED = {
    "empty": item(0x58, b""),
    "no lengths": item(0x58, b"\1\1"),
    "a primary field that overruns": item(0x58, b"\1\1\0\x09jane\0\0"),
    "no secondary field": item(0x58, b"\1\1\0\4jane"),
    "a secondary field that overruns": item(0x58, b"\2\1\0\4jane\0\x09abc"),
    "bytes at its end": item(0x58, b"\1\1\0\4jane\0\0\0"),
    "two": sent_identity() + sent_identity(),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_sub_item_is_aborted_unasked(sent: bytes) -> None:
    server = store_server()
    server.on_user_identity(lambda identity, association: pytest.fail("asked"))
    async with serving(server) as (_, port), requestor(port) as peer:
        await peer.send(hostile.proposal(sub_items=sent))
        assert await peer.aborted() == hostile.BY_USER


async def test_what_an_acceptor_answers_unasked_is_not_heard() -> None:
    def script(peer: Connection) -> None:
        peer.accept(sub_items=item(0x59, b"\0\6ticket"))
        peer.serve()

    with RawPeer(script) as peer:
        for user_identity in (None, identity(wants=False)):
            async with connect(peer.port, user_identity=user_identity) as association:
                assert association.user_identity_response is None
        async with connect(peer.port, user_identity=identity(3)) as association:
            assert association.user_identity_response == b"ticket"


@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\6tick", b"\0\6tickets"])
async def test_a_malformed_answer(sent: bytes) -> None:
    malformed = item(0x59, sent)
    with RawPeer(lambda peer: peer.accept(sub_items=malformed)) as peer, pytest.raises(ProtocolViolation) as violation:
        await connect(peer.port, user_identity=identity(3))
    assert violation.value.reason == 6


@TYPES
async def test_what_is_proposed_on_the_wire(identity_type: aiodicom.UserIdentityType) -> None:
    seen: list[Any] = []

    def script(peer: Connection) -> None:
        body = peer.expect(A_ASSOCIATE_RQ)
        seen.append(sub_items(body, 0x58))
        peer.send(accept_pdu(body))
        peer.serve()

    with RawPeer(script) as peer:
        async with connect(peer.port, user_identity=identity(identity_type)):
            pass
    secret = b"secret" if identity_type == 2 else b""
    assert [item(0x58, value) for value in seen[0]] == [sent_identity(identity_type, secret=secret)]
