"""Presentation contexts, from the proposal to the choice for an operation."""

from __future__ import annotations

from typing import Any

import pytest

import aiodicom
from aiodicom.errors import ContextNotAccepted, LocalError
from aiodicom.ul.pdu import AssociateAC, ResultReason
from tests.net.sides import CT, CT_UIDS, DATA, EXPLICIT, IMPLICIT, MR, Requestor
from tests.rawpeer import Connection, RawPeer

PRIVATE = "1.2.826.0.1.3680043.10.1234.1"
JPEG = "1.2.840.10008.1.2.4.50"


def test_what_a_server_accepts_is_said_by_support() -> None:
    with pytest.raises(LocalError, match="Support"):
        aiodicom.Server(contexts={CT: (IMPLICIT,)})  # type: ignore[arg-type]


async def test_each_context_has_its_result() -> None:
    server = aiodicom.Server(contexts=aiodicom.Support({CT: (IMPLICIT,), MR: (EXPLICIT, JPEG)}))
    contexts = [(CT, [EXPLICIT]), (MR, [IMPLICIT, JPEG]), PRIVATE, (CT, [JPEG, IMPLICIT])]
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts) as association,
    ):
        assert dict(association.contexts) == {3: (3, MR, JPEG, True, False), 7: (7, CT, IMPLICIT, True, False)}
        assert association.accepted(CT) == [aiodicom.AcceptedContext(7, CT, IMPLICIT, as_scu=True, as_scp=False)]
        assert association.accepted(PRIVATE) == []


async def test_the_results_on_the_wire() -> None:
    server = aiodicom.Server(contexts=aiodicom.Support({CT: (EXPLICIT,)}))
    async with server.listen("127.0.0.1", 0) as listening, await Requestor.connect(listening.port) as requestor:
        answer = await requestor.pdu()
    assert isinstance(answer, AssociateAC)
    assert [(each.context_id, each.result) for each in answer.results] == [(1, 4), (3, 3)]


@pytest.mark.parametrize(("preference", "chosen"), [("requestor", JPEG), ("acceptor", EXPLICIT)])
async def test_whose_order_of_transfer_syntaxes_decides(preference: str, chosen: str) -> None:
    support = aiodicom.Support({CT: (EXPLICIT, JPEG)}, preference=preference)  # type: ignore[arg-type]
    async with (
        aiodicom.Server(contexts=support).listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[(CT, [IMPLICIT, JPEG, EXPLICIT])]) as association,
    ):
        assert [context.transfer_syntax for context in association.accepted(CT)] == [chosen]


async def test_by_default_storage_in_any_transfer_syntax_and_no_private_sop_class() -> None:
    server = aiodicom.Server()
    server.on_c_store(lambda request: None)
    contexts = [(CT, ["1.2.3.4.5"]), (PRIVATE, [IMPLICIT]), aiodicom.VERIFICATION]
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts) as association,
    ):
        assert [context.context_id for context in association.contexts.values()] == [1, 5]


async def test_a_default_for_every_other_sop_class() -> None:
    server = aiodicom.Server(contexts=aiodicom.Support({}, default=(IMPLICIT,)))
    seen: list[str] = []
    server.on_c_store(lambda request: seen.append(request.context.abstract_syntax))
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[(PRIVATE, [IMPLICIT])]) as association,
    ):
        await association.c_store(DATA, **(CT_UIDS | {"sop_class_uid": PRIVATE}))
    assert seen == [PRIVATE]


async def test_each_object_goes_on_the_context_of_its_transfer_syntax() -> None:
    server = aiodicom.Server()
    seen: list[tuple[int, str]] = []
    server.on_c_store(lambda request: seen.append((request.context.context_id, request.context.transfer_syntax)))
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[(CT, [IMPLICIT]), (CT, [JPEG])]) as association,
    ):
        for syntax in (JPEG, IMPLICIT):
            await association.c_store(DATA, **(CT_UIDS | {"transfer_syntax": syntax}))
    assert seen == [(3, JPEG), (1, IMPLICIT)]


async def test_an_operation_without_a_context_says_what_there_is() -> None:
    server = aiodicom.Server()
    server.on_c_store(lambda request: None)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[(CT, [IMPLICIT])]) as association,
    ):
        with pytest.raises(ContextNotAccepted, match="no presentation context was proposed") as verification:
            await association.c_echo()
        assert verification.value.abstract_syntax == aiodicom.VERIFICATION
        assert verification.value.transfer_syntax is None
        message = r"CT Image Storage in JPEG Baseline.*, only in Implicit VR Little Endian"
        with pytest.raises(ContextNotAccepted, match=message) as storage:
            await association.c_store(DATA, **(CT_UIDS | {"transfer_syntax": JPEG}), transcode="never")
        assert (storage.value.abstract_syntax, storage.value.transfer_syntax) == (CT, JPEG)
        assert association.is_open
        assert (await association.c_store(DATA, **CT_UIDS)).status == 0
    assert server.counters.operations == 1


async def test_both_sides_see_why_a_context_was_refused() -> None:
    server = aiodicom.Server(contexts=aiodicom.Support({CT: (IMPLICIT,)}))
    server.on_c_store(lambda request: None)
    expected = [
        (1, ResultReason.TRANSFER_SYNTAXES_NOT_SUPPORTED, ""),
        (3, ResultReason.ACCEPTANCE, IMPLICIT),
        (5, ResultReason.ABSTRACT_SYNTAX_NOT_SUPPORTED, ""),
    ]
    for _ in range(2):  # negotiated, and remembered
        async with (
            server.listen("127.0.0.1", 0) as listening,
            aiodicom.connect(
                "127.0.0.1", listening.port, contexts=[(CT, [JPEG]), (CT, [IMPLICIT]), PRIVATE]
            ) as association,
        ):
            (accepted,) = server.associations
            for side in (association, accepted):
                results = [(each.context_id, each.result, each.transfer_syntax) for each in side.context_results]
                assert results == expected
            with pytest.raises(ContextNotAccepted, match=f"for {PRIVATE} in .*: abstract syntax not supported$"):
                await association.c_store(DATA, **(CT_UIDS | {"sop_class_uid": PRIVATE}))


async def test_every_reason_of_a_refused_context_is_told() -> None:
    def script(peer: Connection) -> None:
        peer.accept(results=lambda context: {1: 1, 3: 2, 5: 4}[context.context_id])
        peer.message()

    with RawPeer(script) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port, contexts=[CT, CT, CT])
        assert [each.result for each in association.context_results] == [1, 2, 4]
        told = "user rejection, no reason, transfer syntaxes not supported"
        with pytest.raises(ContextNotAccepted, match=f"CT Image Storage in .*: {told}$"):
            await association.c_store(DATA, **CT_UIDS)
        await association.release()


async def test_an_association_without_any_accepted_context_is_one() -> None:
    async with (
        aiodicom.Server().listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[PRIVATE]) as association,
    ):
        assert association.is_open
        assert not association.contexts
        with pytest.raises(ContextNotAccepted):
            await association.c_echo()


async def test_128_contexts_are_the_most() -> None:
    contexts = [(CT, [IMPLICIT])] * 128
    server = aiodicom.Server()
    server.on_c_store(lambda request: None)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts) as association,
    ):
        assert list(association.contexts) == list(range(1, 256, 2))
    for wrong in ([], [*contexts, CT]):
        with pytest.raises(LocalError):
            aiodicom.connect("127.0.0.1", contexts=wrong)


@pytest.mark.parametrize("wrong", [(CT, []), (CT, IMPLICIT)])
def test_transfer_syntaxes_are_a_list_of_some(wrong: tuple[str, list[str]]) -> None:
    with pytest.raises(LocalError):
        aiodicom.connect("127.0.0.1", contexts=[wrong])


@pytest.mark.parametrize("name", ["contexts", "receives"])
@pytest.mark.parametrize("begin", [aiodicom.connect, aiodicom.Pool])
def test_contexts_are_a_list_of_sop_classes(begin: Any, name: str) -> None:
    """One alone would be as many as it has letters."""
    with pytest.raises(LocalError, match=f"{name} is to be a list of abstract syntaxes, such as .'{CT}'."):
        begin("127.0.0.1", **{name: CT})
    with pytest.raises(LocalError, match=f"Study Root is an information model: {name} has its SOP classes"):
        begin("127.0.0.1", **{name: [aiodicom.StudyRoot]})
