"""Who may associate: the handler for associations, AE titles, the limit on their number."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationRejected, LocalError
from aiodicom.ul.pdu import AssociateAC, AssociateRJ
from tests.net.sides import Requestor, connect, soon, until

KINDS = pytest.mark.parametrize("kind", ["plain", "async"])


def admitting(server: aiodicom.Server, kind: str, verdict: Any) -> None:
    """Has `verdict(association)` decide."""

    async def asynchronous(association: aiodicom.Association) -> Any:
        await asyncio.sleep(0)
        return verdict(association)

    server.on_association(verdict if kind == "plain" else asynchronous)


def raising(error: BaseException) -> Any:
    def verdict(association: aiodicom.Association) -> None:
        raise error

    return verdict


async def rejection_of(connecting: Any) -> tuple[int, int, int]:
    with pytest.raises(AssociationRejected) as rejected:
        await soon(connecting)
    return rejected.value.result, rejected.value.source, rejected.value.reason


@KINDS
async def test_the_handler_sees_who_it_is_before_the_association_is_open(kind: str) -> None:
    server = aiodicom.Server()
    seen: list[Any] = []

    def verdict(association: aiodicom.Association) -> None:
        identity = association.user_identity
        assert identity is not None
        seen.append((association.calling_aet, association.called_aet, association.is_open))
        seen.append((identity.identity_type, identity.primary_field, identity.secondary_field))
        seen.append(association.peer.split(":")[0])
        seen.append([context.abstract_syntax for context in association.proposal.contexts])  # type: ignore[union-attr]

    admitting(server, kind, verdict)
    identities: list[Any] = []
    server.on_c_echo(lambda request: identities.append(request.association.user_identity))
    identity = aiodicom.UserIdentity(2, False, primary_field=b"jane", secondary_field=b"secret")
    options: dict[str, Any] = {"calling_aet": "ME", "called_aet": "YOU", "contexts": [aiodicom.VERIFICATION]}
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, user_identity=identity, **options) as association,
    ):
        await association.c_echo()
    assert seen == [("ME", "YOU", False), (2, b"jane", b"secret"), "127.0.0.1", [aiodicom.VERIFICATION]]
    assert [(each.primary_field, each.secondary_field) for each in identities] == [(b"jane", b"secret")]


@KINDS
async def test_a_rejection_is_sent_as_it_is_and_its_place_is_free_again(kind: str) -> None:
    server = aiodicom.Server(max_associations=1)
    admitting(server, kind, lambda each: aiodicom.Rejection(1, 1, 3) if each.calling_aet == "FOE" else None)
    async with server.listen("127.0.0.1", 0) as listening:
        for _ in range(3):
            assert await rejection_of(connect(listening.port, calling_aet="FOE")) == (1, 1, 3)
        async with connect(listening.port, calling_aet="FRIEND") as association:
            await association.c_echo()
    assert (server.counters.rejections, server.counters.associations, server.counters.associations_open) == (3, 1, 0)
    assert aiodicom.Rejection() == (1, 1, 1)


@KINDS
@pytest.mark.parametrize(
    "verdict",
    [
        raising(RuntimeError("DOE")),
        raising(asyncio.CancelledError()),
        lambda association: True,
        lambda association: "no",
        lambda association: aiodicom.Rejection(300, 1, 1),
    ],
    ids=["raises", "is cancelled", "true", "text", "no rejection"],
)
async def test_a_handler_that_fails_rejects_for_now_and_keeps_no_place(kind: str, verdict: Any, caplog: Any) -> None:
    server = aiodicom.Server(max_associations=1)
    admitting(server, kind, verdict)
    async with server.listen("127.0.0.1", 0) as listening:
        for _ in range(2):
            assert await rejection_of(connect(listening.port)) == (2, 3, 1)
        server.on_association(lambda association: None)
        async with connect(listening.port) as association:
            await association.c_echo()
    assert "association handler failed" in caplog.text


@pytest.mark.parametrize("verdict", [None, aiodicom.Rejection()])
async def test_a_requestor_that_leaves_while_the_handler_decides_is_forgotten(verdict: Any) -> None:
    server = aiodicom.Server(max_associations=1)
    asked, cancelled = asyncio.Event(), asyncio.Event()

    @server.on_association
    async def decide(association: aiodicom.Association) -> aiodicom.Rejection | None:
        if association.calling_aet != "RAW":
            return None
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
        return verdict  # after the end: of no consequence

    async with server.listen("127.0.0.1", 0) as listening:
        requestor = await Requestor.connect(listening.port)
        await soon(asked.wait())
        requestor.reset()
        await soon(cancelled.wait())
        await until(lambda: not server.associations)
        async with connect(listening.port) as association:
            await association.c_echo()
        await requestor.close()
    assert (server.counters.associations, server.counters.rejections) == (1, 0)


async def test_a_handler_may_abort(caplog: Any) -> None:
    server = aiodicom.Server()
    server.on_association(lambda association: association.abort())
    async with server.listen("127.0.0.1", 0) as listening:
        with pytest.raises(aiodicom.errors.AssociationAborted):
            await soon(connect(listening.port))
    assert server.counters.associations == 0


async def test_a_server_with_an_ae_title_is_called_by_it() -> None:
    server = aiodicom.Server("STORE")
    async with server.listen("127.0.0.1", 0) as listening:
        assert await rejection_of(connect(listening.port, called_aet="OTHER")) == (1, 1, 7)
        assert await rejection_of(connect(listening.port)) == (1, 1, 7)  # ANY-SCP
        async with connect(listening.port, called_aet=" STORE ") as association:
            await association.c_echo()
            assert association.called_aet == "STORE"
    for title in ("", "  ", "A" * 17, "A\\B", "Ä", "A\n"):
        with pytest.raises(LocalError):
            aiodicom.Server(title)


@pytest.mark.parametrize("window", [-1, 0x10000])
def test_a_window_that_no_answer_can_state(window: int) -> None:
    with pytest.raises(LocalError, match=f"a window of {window}"):
        aiodicom.Server(window=window)


async def test_the_standard_rejections_come_before_the_handler() -> None:
    server = aiodicom.Server()
    server.on_association(raising(AssertionError("not to be asked")))
    async with server.listen("127.0.0.1", 0) as listening:
        async with await Requestor.connect(listening.port, application_context_name="1.2.3") as requestor:
            assert await requestor.pdu() == AssociateRJ(1, 1, 2)
        async with await Requestor.connect(listening.port, protocol_version=2) as requestor:
            assert await requestor.pdu() == AssociateRJ(1, 2, 2)
        server.on_association(lambda association: None)
        async with await Requestor.connect(listening.port, protocol_version=3) as requestor:
            assert isinstance(await requestor.pdu(), AssociateAC)


async def test_the_limit_rejects_and_a_place_that_becomes_free_is_usable() -> None:
    server = aiodicom.Server(max_associations=2)
    async with server.listen("127.0.0.1", 0) as listening:
        first = await connect(listening.port)
        second = await connect(listening.port)
        for _ in range(20):
            answers = await asyncio.gather(*(rejection_of(connect(listening.port)) for _ in range(15)))
            assert set(answers) == {(2, 3, 2)}
        await first.c_echo()
        await first.release()
        await until(lambda: len(server.associations) == 1)
        third = await soon(connect(listening.port))
        await third.c_echo()
        assert await rejection_of(connect(listening.port)) == (2, 3, 2)
        # An end of any other kind gives the place back as well.
        third.abort()
        await third.wait_closed()
        second.transport.close_now()
        await until(lambda: not server.associations)
        for _ in range(5):
            async with connect(listening.port) as one, connect(listening.port) as other:
                await asyncio.gather(one.c_echo(), other.c_echo())
            await until(lambda: not server.associations)
        counters = server.counters
        assert (counters.associations, counters.associations_open, counters.associations_peak) == (13, 0, 2)
        assert (counters.rejections, counters.aborts, counters.operations) == (301, 2, 12)


async def test_connections_without_a_proposal_take_no_place() -> None:
    server = aiodicom.Server(max_associations=1)
    async with server.listen("127.0.0.1", 0) as listening:
        silent = [await asyncio.open_connection("127.0.0.1", listening.port) for _ in range(50)]
        async with connect(listening.port) as association:
            await association.c_echo()
        for _, writer in silent:
            writer.close()
            await writer.wait_closed()
        await until(lambda: not server.associations)
