"""SOP class extended negotiation, and common extended negotiation (PS3.7 D.3.3.5, D.3.3.6)."""

from __future__ import annotations

import struct
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationRejected, ContextNotAccepted, LocalError, ProtocolViolation
from tests.net import hostile
from tests.net.hostile import requestor, serving, store_server
from tests.net.sides import CT, DATA, IMPLICIT, MR, connect, soon
from tests.rawpeer import A_ASSOCIATE_RQ, Connection, RawPeer, accept_pdu, item, items, sub_items

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
#: A specialized storage SOP class of somebody's own, and the Storage service class.
PRIVATE = "1.2.826.0.1.3680043.10.1234.1"
STORAGE = "1.2.840.10008.4.2"
QUERY = aiodicom.QueryRetrieveExtended(relational_queries=True, fuzzy_semantic_matching=True)
SUPPORT = aiodicom.Support(dict.fromkeys((FIND, GET, CT, aiodicom.VERIFICATION), aiodicom.ANY))


async def test_both_sides_know_what_was_answered() -> None:
    server = aiodicom.Server(
        contexts=SUPPORT,
        extended_negotiation={
            FIND: QUERY,
            GET: aiodicom.RetrieveExtended(relational_retrieval=True),
            CT: aiodicom.StorageExtended(2, 1, 0),
            aiodicom.VERIFICATION: b"\xff",
        },
    )
    accepted: list[aiodicom.Association] = []
    server.on_association(accepted.append)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(
            listening.port,
            contexts=[FIND, GET, CT, aiodicom.VERIFICATION],
            extended_negotiation={
                FIND: aiodicom.QueryRetrieveExtended(relational_queries=True, timezone_query_adjustment=True),
                GET: aiodicom.RetrieveExtended(True, True),
                CT: aiodicom.StorageExtended(),
                aiodicom.VERIFICATION: b"hello",
            },
        ) as association,
    ):
        expected = {
            FIND: b"\1\0\0\0\0\0\0",
            GET: b"\1\0",
            CT: b"\2\0\1\0\0\0",
            aiodicom.VERIFICATION: b"\xff",
        }
        assert dict(association.extended_negotiation) == expected
        assert dict(accepted[0].extended_negotiation) == expected
        agreed = aiodicom.QueryRetrieveExtended.decode(association.extended_negotiation[FIND])
        assert agreed == aiodicom.QueryRetrieveExtended(relational_queries=True)


async def test_without_an_answer_the_defaults_hold() -> None:
    async with (
        aiodicom.Server(contexts=SUPPORT).listen("127.0.0.1", 0) as listening,
        connect(listening.port, contexts=[FIND], extended_negotiation={FIND: QUERY}) as association,
    ):
        assert association.extended_negotiation == {}
        agreed = aiodicom.QueryRetrieveExtended.decode(association.extended_negotiation.get(FIND, b""))
        assert agreed == aiodicom.QueryRetrieveExtended()


async def test_a_handler_answers_each_requestor_its_own() -> None:
    server = aiodicom.Server(contexts=SUPPORT, extended_negotiation={FIND: b"not this"})
    asked: list[tuple[str, str, bytes]] = []

    @server.on_extended_negotiation
    def answer(association: aiodicom.Association, sop_class_uid: str, information: bytes) -> Any:
        asked.append((association.calling_aet, sop_class_uid, information))
        return QUERY if association.calling_aet == "FRIEND" else None

    async with server.listen("127.0.0.1", 0) as listening:
        for title, answered in (("FRIEND", {FIND: b"\1\0\1"}), ("OTHER", {}), ("FRIEND", {FIND: b"\1\0\1"})):
            options: dict[str, Any] = {"contexts": [FIND], "extended_negotiation": {FIND: b"\1\1\1"}}
            async with connect(listening.port, calling_aet=title, **options) as association:
                assert association.extended_negotiation == answered
            async with connect(listening.port, calling_aet=title, contexts=[FIND]) as association:
                assert association.extended_negotiation == {}  # nobody has asked
    assert asked == [(title, FIND, b"\1\1\1") for title in ("FRIEND", "OTHER", "FRIEND")]


@pytest.mark.parametrize("wrong", [RuntimeError("DOE"), bytes(65470), "text", [bytes(65000)] * 2])
async def test_a_handler_that_fails_rejects_for_now(wrong: Any, caplog: Any) -> None:
    """Also with answers that do not fit into an item together."""
    server = aiodicom.Server(contexts=SUPPORT)
    answers = iter(wrong if isinstance(wrong, list) else [wrong])

    @server.on_extended_negotiation
    def answer(*_: object) -> Any:
        if isinstance(wrong, Exception):
            raise wrong
        return next(answers)

    async with server.listen("127.0.0.1", 0) as listening:
        with pytest.raises(AssociationRejected) as rejected:
            await soon(connect(listening.port, contexts=[FIND, GET], extended_negotiation={FIND: b"\1", GET: b"\1"}))
        assert (rejected.value.result, rejected.value.source, rejected.value.reason) == (2, 3, 1)
    assert "the negotiation failed: rejected" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extended_negotiation": {MR: b"\1"}}, f"extended negotiation for {MR}, which is not among the contexts"),
        ({"extended_negotiation": {CT: bytes(65470)}}, "65470 bytes"),
        ({"extended_negotiation": {CT: "1"}}, "no service class application information"),
        (
            {"common_extended_negotiation": [aiodicom.SOPClassCommonExtendedNegotiation(MR, STORAGE)]},
            f"common extended negotiation for {MR}, which is not among the contexts",
        ),
        ({"common_extended_negotiation": [aiodicom.SOPClassCommonExtendedNegotiation(CT, STORAGE)] * 2}, "twice"),
    ],
)
def test_what_cannot_be_proposed(options: Any, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        connect(104, **options)


@pytest.mark.parametrize("answers", [{CT: bytes(70000)}, {CT: bytes(30000), MR: bytes(3000)}])
def test_answers_that_cannot_be_are_found_at_once(answers: Any) -> None:
    with pytest.raises(LocalError, match="at most"):
        aiodicom.Server(extended_negotiation=answers)


async def test_the_largest_answers_fit_beside_everything_else() -> None:
    """128 SOP classes with UIDs of 64 characters, each with a role, and 32 KiB of answers."""
    uids = [f"1.2.{n:03}".replace(".0", ".9") + "9" * 57 for n in range(128)]
    server = aiodicom.Server(
        contexts=aiodicom.Support(dict.fromkeys(uids, aiodicom.ANY)),
        roles=(True, True),
        extended_negotiation=dict.fromkeys(uids, bytes(256)),
    )
    options: dict[str, Any] = {
        "roles": dict.fromkeys(uids, (True, True)),
        "contexts": [(uid, [IMPLICIT]) for uid in uids],
    }
    async with (
        server.listen("127.0.0.1", 0) as listening,
        connect(listening.port, extended_negotiation=dict.fromkeys(uids, b"\1"), **options) as association,
    ):
        assert association.extended_negotiation == dict.fromkeys(uids, bytes(256))
        assert all(context.as_scp for context in association.contexts.values())


# On the wire --------------------------------------------------------------------------------------------------------


def extended(uid: str, information: bytes) -> bytes:
    """A SOP class extended negotiation sub-item (PS3.7 table D.3-11)."""
    return item(0x56, struct.pack(">H", len(uid)) + uid.encode() + information)


def common(uid: str, *general: str, service: str = STORAGE, rest: bytes = b"") -> bytes:
    """A SOP class common extended negotiation sub-item (PS3.7 table D.3-12)."""

    def field(value: bytes) -> bytes:
        return struct.pack(">H", len(value)) + value

    related = b"".join(field(each.encode()) for each in general)
    return item(0x57, field(uid.encode()) + field(service.encode()) + field(related) + rest)


#: sub-items proposed to a server that answers CT with 20 01, and MR; and those of the answer
WIRE = {
    "one": ([extended(CT, b"\1")], [extended(CT, b"\x20\1")]),
    "empty": ([extended(CT, b"")], [extended(CT, b"\x20\1")]),
    "no support": ([extended(aiodicom.VERIFICATION, b"\1")], []),
    "a sop class that is not proposed": ([extended(MR, b"\1"), extended("", b"\1")], []),
    "twice": ([extended(CT, b"\1"), extended(CT, b"\2")], [extended(CT, b"\x20\1")]),
    "65 kB": ([extended(CT, bytes(65000))], [extended(CT, b"\x20\1")]),
}


@pytest.mark.parametrize(("sent", "expected"), WIRE.values(), ids=WIRE.keys())
async def test_the_sub_items_that_are_answered(sent: list[bytes], expected: list[bytes]) -> None:
    server = store_server(extended_negotiation={CT: b"\x20\1", MR: b"\1"})
    async with serving(server) as (_, port), requestor(port) as peer:
        answer = await peer.associate(hostile.proposal(sub_items=b"".join(sent)))
        assert [item(0x56, value) for value in sub_items(answer, 0x56)] == expected
        assert sub_items(answer, 0x57) == []
        await peer.release()


async def test_the_first_of_several_items_is_asked_about() -> None:
    server = store_server()
    asked: list[bytes] = []

    @server.on_extended_negotiation
    def answer(_association: aiodicom.Association, _uid: str, information: bytes) -> bytes:
        asked.append(information)
        return information

    async with serving(server) as (_, port), requestor(port) as peer:
        sent = extended(CT, b"first") + extended(CT, b"second") + extended(MR, b"no context")
        await peer.associate(hostile.proposal(sub_items=sent))
        await peer.release()
    assert asked == [b"first"]


MALFORMED = {
    "56H: empty": item(0x56, b""),
    "56H: a uid that overruns": item(0x56, b"\0\x09" + b"1.2"),
    "57H: empty": item(0x57, b""),
    "57H: a service class that overruns": item(0x57, b"\0\x031.2\0\x091.2"),
    "57H: no related": item(0x57, b"\0\x031.2\0\x031.2"),
    "57H: related that overruns": item(0x57, b"\0\x031.2\0\x031.2\0\x091.2"),
    "57H: a related uid that overruns": item(0x57, b"\0\x031.2\0\x031.2\0\x05\0\x091.2"),
    "57H: half a length": item(0x57, b"\0\x031.2\0\x031.2\0\x01\0"),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_sub_item_is_aborted(sent: bytes) -> None:
    async with serving() as (server, port):
        async with requestor(port) as peer:
            await peer.send(hostile.proposal(sub_items=sent))
            assert await peer.aborted() == hostile.BY_USER
        assert server.counters.associations == 0


async def test_an_acceptor_that_answers_what_was_not_asked_is_not_heard() -> None:
    def script(peer: Connection) -> None:
        peer.accept(sub_items=extended(MR, b"\1") + extended(CT, b"\2") + extended(CT, b"\3") + common(CT, MR))
        peer.serve()

    with RawPeer(script) as peer:
        async with connect(peer.port) as association:
            assert association.extended_negotiation == {}
        async with connect(peer.port, extended_negotiation={CT: b"\1"}) as association:
            assert association.extended_negotiation == {CT: b"\2"}


async def test_a_malformed_answer() -> None:
    malformed = item(0x56, b"\0\x091.2")
    with RawPeer(lambda peer: peer.accept(sub_items=malformed)) as peer, pytest.raises(ProtocolViolation) as violation:
        await connect(peer.port, extended_negotiation={CT: b"\1"})
    assert violation.value.reason == 6


async def test_what_is_proposed_on_the_wire() -> None:
    seen: list[list[bytes]] = []

    def script(peer: Connection) -> None:
        body = peer.expect(A_ASSOCIATE_RQ)
        seen.append([item(0x56, value) for value in sub_items(body, 0x56)])
        seen.append([item(0x57, value) for value in sub_items(body, 0x57)])
        peer.send(accept_pdu(body))
        peer.serve()

    related = [
        aiodicom.SOPClassCommonExtendedNegotiation(PRIVATE, STORAGE, (CT, MR)),
        aiodicom.SOPClassCommonExtendedNegotiation(CT, STORAGE),
    ]
    options: dict[str, Any] = {"contexts": [FIND, CT, PRIVATE], "common_extended_negotiation": related}
    with RawPeer(script) as peer:
        async with connect(peer.port, extended_negotiation={FIND: QUERY, CT: b"\3\0\0\0\2\0"}, **options):
            pass
    assert seen == [
        [extended(FIND, b"\1\0\1\0\0\0\0"), extended(CT, b"\3\0\0\0\2\0")],
        [common(PRIVATE, CT, MR), common(CT)],
    ]


# A specialized SOP class --------------------------------------------------------------------------------------------


async def test_a_specialized_sop_class_is_stored_like_the_general_one() -> None:
    server = aiodicom.Server(accept_specialized=True, roles={CT: (True, True)})
    stored: list[tuple[str, str]] = []
    server.on_c_store(lambda request: stored.append((request.affected_sop_class_uid, request.context.abstract_syntax)))
    related = [aiodicom.SOPClassCommonExtendedNegotiation(PRIVATE, STORAGE, ("1.2.3", CT))]
    options: dict[str, Any] = {"contexts": [(PRIVATE, [IMPLICIT])], "roles": {PRIVATE: (True, True)}}
    async with server.listen("127.0.0.1", 0) as listening:
        async with connect(listening.port, common_extended_negotiation=related, **options) as association:
            await association.c_store(DATA, sop_class_uid=PRIVATE, sop_instance_uid="1.2.3", transfer_syntax=IMPLICIT)
            assert association.accepted(PRIVATE)[0].as_scp  # its roles are those of the general one as well
        async with connect(listening.port, **options) as association:
            with pytest.raises(ContextNotAccepted, match="abstract syntax not supported"):
                await association.c_store(
                    DATA, sop_class_uid=PRIVATE, sop_instance_uid="1.2.3", transfer_syntax=IMPLICIT
                )
    assert stored == [(PRIVATE, PRIVATE)]


@pytest.mark.parametrize("accept_specialized", [False, True])
async def test_only_a_server_that_is_told_to_accepts_it(accept_specialized: bool) -> None:
    contexts: list[hostile.Context] = [(1, PRIVATE, [IMPLICIT]), (3, "1.2.4", [IMPLICIT]), (5, "../x", [IMPLICIT])]
    server = store_server(accept_specialized=accept_specialized)
    sent = common(PRIVATE, CT, rest=b"of a later version") + common("1.2.4") + common("../x", CT)
    async with serving(server) as (_, port), requestor(port) as peer:
        answer = await peer.associate(hostile.proposal(contexts, sub_items=sent))
        results = {value[0]: value[2] for kind, value in items(answer[68:]) if kind == 0x21}
        assert results == {1: 0 if accept_specialized else 3, 3: 3, 5: 3}
        await peer.release()
