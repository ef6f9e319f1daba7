"""SCP/SCU role selection (PS3.7 D.3.3.4), from the proposal to what may be asked in which role."""

from __future__ import annotations

import struct
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import ContextNotAccepted, LocalError
from aiodicom.standard.models import StudyRoot
from aiodicom.ul.pdu import ResultReason, RoleSelection
from tests.net import hostile
from tests.net.hostile import by_provider, requestor, serving, status_of, store_server
from tests.net.sides import CT, CT_UIDS, DATA, IMPLICIT, MR, connect, part10, until
from tests.rawpeer import (
    A_ASSOCIATE_RQ,
    P_DATA_TF,
    Connection,
    RawPeer,
    accept_pdu,
    item,
    p_data,
    sub_items,
    ui,
    us,
)

COMMITMENT = "1.2.840.10008.1.20.1"
BOTH, SCU, SCP, NEITHER = (True, True), (True, False), (False, True), (False, False)
#: roles proposed, roles supported for the requestor -> roles of the requestor that hold
AGREED: list[tuple[Any, Any, tuple[bool, bool]]] = [
    (None, BOTH, SCU),
    (BOTH, None, SCU),
    (SCP, None, SCU),
    (SCU, BOTH, SCU),
    (SCP, BOTH, SCP),
    (BOTH, BOTH, BOTH),
    (BOTH, SCP, SCP),
    (BOTH, SCU, SCU),
    (SCP, SCU, NEITHER),
    (SCU, SCP, NEITHER),
    (BOTH, NEITHER, NEITHER),
    (None, SCP, NEITHER),
    (None, SCU, SCU),
]


@pytest.mark.parametrize(("proposed", "supported", "held"), AGREED)
async def test_the_roles_that_both_sides_see(proposed: Any, supported: Any, held: tuple[bool, bool]) -> None:
    server = store_server(roles={} if supported is None else {CT: supported})
    accepted: list[aiodicom.Association] = []
    server.on_association(accepted.append)
    roles = None if proposed is None else {CT: proposed}
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, roles=roles) as association,
    ):
        if held == NEITHER:
            assert association.context_results[0].result == ResultReason.USER_REJECTION
            assert association.accepted(CT) == accepted[0].accepted(CT) == []
            return
        (context,) = association.accepted(CT)
        assert (context.as_scu, context.as_scp) == held
        (context,) = accepted[0].accepted(CT)
        assert (context.as_scp, context.as_scu) == held
        (other,) = association.accepted(aiodicom.VERIFICATION)
        assert (other.as_scu, other.as_scp) == SCU
        if held[0]:
            await association.c_store(DATA, **CT_UIDS)
        else:
            with pytest.raises(ContextNotAccepted, match="we are not SCU of CT Image Storage"):
                await association.c_store(DATA, **CT_UIDS)


async def test_an_acceptor_may_be_the_scu() -> None:
    """It asks what it could only ask of an SCP; the requestor has no handler, and is not asked without the role."""
    server = aiodicom.Server(roles=BOTH)
    accepted: list[aiodicom.Association] = []
    server.on_association(accepted.append)
    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port, roles={aiodicom.VERIFICATION: BOTH}) as association:
            assert (await accepted[0].c_echo()).status is aiodicom.Status.SUCCESS
            await association.c_echo()
        async with connect(listening.port):
            with pytest.raises(ContextNotAccepted, match="we are not SCU of Verification"):
                await accepted[1].c_echo()


@pytest.mark.parametrize("has_store", [False, True])
async def test_a_server_that_is_asked_by_c_get_has_the_requestor_receive(has_store: bool) -> None:
    """And without a handler for C-STORE it accepts storage for nothing else."""
    server = aiodicom.Server()
    proposed: dict[str, Any] = {"contexts": [StudyRoot.get, aiodicom.VERIFICATION], "receives": [(CT, [IMPLICIT])]}
    if has_store:
        server.on_c_store(lambda request: None)
    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port, **proposed) as association:
            assert [context.as_scp for context in association.accepted(CT)] == [False] * has_store

        @server.on_c_get
        def get(request: aiodicom.GetRequest) -> Any:
            yield part10()

        async with connect(listening.port, **proposed) as association:
            (context,) = association.accepted(CT)
            assert (context.as_scu, context.as_scp) == SCP
            assert [bytes(each.data) async for each in association.c_get(aiodicom.Dataset())] == [DATA]
            assert association.accepted(StudyRoot.get)[0].as_scp is False
        async with connect(listening.port, **proposed, roles={CT: SCU}) as association:
            assert len(association.accepted(CT)) == has_store
            with pytest.raises(aiodicom.errors.StatusError) as failure:
                await anext(association.c_get(aiodicom.Dataset()))
            assert failure.value.status == 0xA702


@pytest.mark.parametrize("in_both", [False, True])
def test_what_is_to_be_received_is_proposed_with_the_role_for_it(in_both: bool) -> None:
    contexts = [aiodicom.VERIFICATION, *([CT] if in_both else [])]
    information = connect(104, contexts=contexts, receives=[CT, (MR, [IMPLICIT])])._proposal
    assert [each.abstract_syntax for each in information.contexts] == [aiodicom.VERIFICATION, CT, MR]
    roles = information.user_information.roles
    assert roles == (RoleSelection(CT, in_both, True), RoleSelection(MR, False, True))


async def test_an_event_is_reported_on_an_association_of_the_scp() -> None:
    """As storage commitment does when its SCU has gone (PS3.4 J.3): the requestor is the SCP."""
    server = aiodicom.Server()
    reported: list[int] = []
    server.on_n_event_report(lambda request: reported.append(request.event_type_id))
    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port, contexts=[COMMITMENT], roles={COMMITMENT: SCP}) as association:
            assert (await association.n_event_report(COMMITMENT, "1.2.3", 2)).status == 0
            with pytest.raises(ContextNotAccepted, match="we are not SCU"):
                await association.n_action(COMMITMENT, "1.2.3", 1)
        async with connect(listening.port, contexts=[COMMITMENT]) as association:
            with pytest.raises(ContextNotAccepted, match="we are not SCP of Storage Commitment"):
                await association.n_event_report(COMMITMENT, "1.2.3", 2)
    assert reported == [2]


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({MR: BOTH}, f"a role for {MR}, which is not among the contexts"),
        ({CT: NEITHER}, "SCU, SCP or both"),
    ],
)
def test_roles_that_cannot_be_proposed(roles: Any, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        connect(104, roles=roles)


# On the wire: the server --------------------------------------------------------------------------------------------


def role(uid: str, scu: int, scp: int) -> bytes:
    """A role selection sub-item (PS3.7 table D.3-9)."""
    return item(0x54, struct.pack(">H", len(uid)) + uid.encode() + bytes((scu, scp)))


def proposal(*roles: bytes) -> bytes:
    """Proposes context 1, Verification, and context 3, CT, with these roles."""
    return hostile.proposal(sub_items=b"".join(roles))


def roles_in(body: bytes) -> list[bytes]:
    """The role selection sub-items of an A-ASSOCIATE-RQ or -AC."""
    return [item(0x54, value) for value in sub_items(body, 0x54)]


def event(context_id: int, message_id: int = 1) -> bytes:
    """An N-EVENT-REPORT-RQ."""
    command = {0x0002: ui(CT), 0x0100: us(0x0100), 0x0110: us(message_id), 0x0800: us(0x0101)}
    return p_data(context_id, command | {0x1000: ui("1.2.3"), 0x1002: us(1)})


#: sub-items proposed to a server that supports both roles of CT, and the sub-items of the answer
WIRE = {
    "both": ([role(CT, 1, 1)], [role(CT, 1, 1)]),
    "scp": ([role(CT, 0, 1)], [role(CT, 0, 1)]),
    "not proposed, not accepted": ([role(CT, 1, 0)], [role(CT, 1, 0)]),
    "no support": ([role(aiodicom.VERIFICATION, 1, 1)], []),
    "a sop class that is not proposed": ([role(MR, 1, 1), role(CT, 0, 1)], [role(CT, 0, 1)]),
    "twice: the first": ([role(CT, 0, 1), role(CT, 1, 1)], [role(CT, 0, 1)]),
    "numbers that are none": ([role(CT, 2, 255)], []),
    "1900 times": ([role(CT, 1, 1)] * 1900, [role(CT, 1, 1)]),
    "no uid": ([role("", 1, 1), role("../../x", 1, 1)], []),
}


@pytest.mark.parametrize(("sent", "expected"), WIRE.values(), ids=WIRE.keys())
async def test_the_sub_items_that_are_answered(sent: list[bytes], expected: list[bytes]) -> None:
    async with serving(store_server(roles={CT: BOTH, MR: BOTH})) as (_, port), requestor(port) as peer:
        assert roles_in(await peer.associate(proposal(*sent))) == expected
        await peer.release()


async def test_a_role_in_a_context_that_is_refused_is_not_answered() -> None:
    server = aiodicom.Server(roles=BOTH)  # without a handler for C-STORE: no CT
    async with serving(server) as (_, port), requestor(port) as peer:
        assert roles_in(await peer.associate(proposal(role(CT, 1, 1)))) == []
        await peer.release()


MALFORMED = {
    "no length": item(0x54, b"\0"),
    "empty": item(0x54, b""),
    "a uid that overruns": item(0x54, b"\0\x09" + b"1.2" + b"\1\1"),
    "one role": item(0x54, b"\0\x03" + b"1.2" + b"\1"),
    "three roles": item(0x54, b"\0\x03" + b"1.2" + b"\1\1\1"),
    "no ascii": item(0x54, b"\0\x01\xff\1\1"),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_sub_item_is_aborted(sent: bytes) -> None:
    async with serving() as (server, port):
        async with requestor(port) as peer:
            await peer.send(proposal(sent))
            assert await peer.aborted() == hostile.BY_USER
        assert server.counters.associations == 0


async def test_a_peer_is_refused_what_is_not_in_its_role() -> None:
    """Whoever asks all the same, and whatever it sends with it, is answered 0211H; the handler is not called."""
    server = store_server(roles=BOTH)
    server.on_c_store(lambda request: pytest.fail("called"))
    async with serving(server) as (_, port), requestor(port) as peer:
        await peer.associate(proposal(role(CT, 0, 1)))
        await peer.send(p_data(3, hostile.store_command(7), b"data"))
        assert status_of(await peer.expect(P_DATA_TF)) == 0x0211
        await peer.send(event(1))
        assert status_of(await peer.expect(P_DATA_TF)) == 0x0211
        assert await peer.echo() == 0
        await peer.release()
        await until(lambda: server.counters.operations == 3)
        assert server.counters.failures == 2


async def test_the_roles_of_each_association_are_its_own() -> None:
    """What is remembered of proposals tells them apart."""
    async with serving(store_server(roles={CT: BOTH})) as (_, port):
        for _ in range(2):
            for proposed, status in ((role(CT, 1, 1), 0), (role(CT, 0, 1), 0x0211), (b"", 0)):
                async with requestor(port) as peer:
                    await peer.associate(proposal(proposed))
                    await peer.send(p_data(3, hostile.store_command(), b"data"))
                    assert status_of(await peer.expect(P_DATA_TF)) == status
                    await peer.release()


# On the wire: the requestor -----------------------------------------------------------------------------------------


def accepting(*roles: bytes) -> Any:
    """A script that accepts everything, with these roles."""

    def script(peer: Connection) -> None:
        peer.accept(sub_items=b"".join(roles))
        peer.serve()

    return script


@pytest.mark.parametrize(
    ("roles", "held"),
    [
        ([role(CT, 1, 1)], SCP),  # not proposed: no SCU
        ([role(CT, 0, 1)], SCP),
        ([role(CT, 1, 0)], NEITHER),
        ([role(MR, 0, 1), role(aiodicom.VERIFICATION, 0, 1)], SCU),  # never asked
        ([role(CT, 0, 0), role(CT, 0, 1)], NEITHER),
        ([], SCU),
    ],
)
async def test_an_acceptor_gets_no_more_than_was_proposed(roles: list[bytes], held: tuple[bool, bool]) -> None:
    with RawPeer(accepting(*roles)) as peer:
        async with connect(peer.port, roles={CT: SCP}) as association:
            (context,) = association.accepted(CT)
            assert (context.as_scu, context.as_scp) == held
            (context,) = association.accepted(aiodicom.VERIFICATION)
            assert (context.as_scu, context.as_scp) == SCU


@pytest.mark.parametrize("sub_item", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_sub_item_of_an_answer(sub_item: bytes) -> None:
    with RawPeer(accepting(sub_item)) as peer, pytest.raises(aiodicom.errors.ProtocolViolation) as violation:
        await connect(peer.port, roles={CT: SCP})
    assert (2, violation.value.reason) == by_provider(6)


async def test_what_is_proposed_on_the_wire() -> None:
    seen: list[Any] = []

    def script(peer: Connection) -> None:
        body = peer.expect(A_ASSOCIATE_RQ)
        seen.append(roles_in(body))
        peer.send(accept_pdu(body))
        peer.serve()

    with RawPeer(script) as peer:
        async with connect(peer.port, roles={CT: SCP, aiodicom.VERIFICATION: BOTH}) as association:
            assert association.proposal is not None
            assert association.proposal.user_information.roles == (
                RoleSelection(CT, False, True),
                RoleSelection(aiodicom.VERIFICATION, True, True),
            )
    assert seen == [[role(CT, 0, 1), role(aiodicom.VERIFICATION, 1, 1)]]


async def test_an_acceptor_that_asks_is_refused_what_is_not_in_its_role() -> None:
    statuses: list[int] = []

    def script(peer: Connection) -> None:
        peer.accept()
        for sent in (hostile.echo(), p_data(1, hostile.store_command(), b"data")):
            peer.send(sent)
            answer = peer.message()
            assert answer is not None
            statuses.append(answer.number(0x0900))
        peer.serve()

    with RawPeer(script) as peer:
        contexts = [(CT, [IMPLICIT])]
        association = await connect(peer.port, contexts=contexts)
        await until(lambda: len(statuses) == 2)
        await association.release()
    assert statuses == [0x0211, 0x0211]
