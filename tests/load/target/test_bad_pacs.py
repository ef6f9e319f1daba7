"""The bad PACS over loopback: what it does to an SCU of ours, and on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionLost,
    ContextNotAccepted,
    DeadlineExceeded,
    DecodeError,
    ProtocolViolation,
    RemoteError,
    StatusError,
)
from aiodicom.load.target.bad_pacs import BadPACS
from aiodicom.load.target.scenario import convert_scenario
from aiodicom.services.storage_commitment import CommitmentListener, ReferencedInstance, request_commitment
from aiodicom.standard.models import ModalityWorklist
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP, STORAGE_COMMITMENT_PUSH_MODEL
from tests.certificates import Authority
from tests.net.hostile import echo, requestor, status_of
from tests.rawpeer import P_DATA_TF, items

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
CONTEXTS: list[Any] = [
    aiodicom.VERIFICATION,
    (CT, [IMPLICIT]),
    aiodicom.StudyRoot.find,
    ModalityWorklist.find,
    MODALITY_PERFORMED_PROCEDURE_STEP,
]
#: Seconds that anything may take before the test fails.
PATIENCE = 20.0


class Target:
    """A bad PACS that listens."""

    def __init__(self, pacs: BadPACS, port: int) -> None:
        self.pacs = pacs
        self.port = port

    @property
    def counts(self) -> Any:
        return self.pacs.counts

    def connect(self, *, dimse: float = PATIENCE, acse: float = PATIENCE, **options: Any) -> Any:
        options.setdefault("contexts", CONTEXTS)
        return aiodicom.connect("127.0.0.1", self.port, timeouts=aiodicom.Timeouts(dimse=dimse, acse=acse), **options)


@asynccontextmanager
async def target(ssl: Any = None, **tables: Any) -> AsyncIterator[Target]:
    """A bad PACS of this scenario, for at most `PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        pacs = BadPACS(convert_scenario(tables))
        listening = await pacs.listen("127.0.0.1", 0, ssl=ssl)
        try:
            yield Target(pacs, listening.port)
        finally:
            await pacs.close()


def faulty(fault: str, kind: str = "all") -> dict[str, Any]:
    return {"operations": {kind: {"faults": {fault: "100%"}}}}


async def store(association: aiodicom.Association, data: bytes = bytes(8)) -> None:
    await association.c_store(data, sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax=IMPLICIT)


async def find(association: aiodicom.Association) -> list[Any]:
    return [match async for match in association.c_find(aiodicom.Dataset(QueryRetrieveLevel="STUDY"))]


DO: dict[str, Any] = {"echo": aiodicom.Association.c_echo, "store": store, "find": find}


async def test_without_a_scenario_it_is_a_good_one() -> None:
    async with target(matches=3) as bad:
        async with bad.connect() as association:
            await association.c_echo()
            await store(association)
            query = aiodicom.Dataset(QueryRetrieveLevel="STUDY", PatientName="", StudyInstanceUID="", StudyDate="")
            found = [match async for match in association.c_find(query)]
            await association.n_create(MODALITY_PERFORMED_PROCEDURE_STEP, aiodicom.Dataset(PatientID="1"))
        assert [str(match.PatientName) for match in found] == ["MATCH1", "MATCH2", "MATCH3"]
        assert len({match.StudyInstanceUID for match in found}) == 3
        assert bad.counts.accepted == bad.counts.asked == 1
        assert bad.counts.operations == {"echo": 1, "store": 1, "find": 1, "mpps": 1}
        assert bad.counts.statuses == {"0000H": 4}
        assert bad.counts.bytes_received == 8
        assert not bad.counts.faults


async def test_a_worklist_has_items() -> None:
    step = aiodicom.Dataset(Modality="", ScheduledStationAETitle="CT1", ScheduledProcedureStepStartDate="20260101-")
    async with target() as bad, bad.connect() as association:
        query = aiodicom.Dataset(PatientName="DOE*", ScheduledProcedureStepSequence=[step])
        first = [match async for match in association.c_find(query, ModalityWorklist)]
        again = [match async for match in association.c_find(query, ModalityWorklist)]
    assert first == again
    (item,) = first[0].ScheduledProcedureStepSequence
    assert (item.Modality, item.ScheduledStationAETitle, item.ScheduledProcedureStepStartDate) == (
        "CT",
        "CT1",
        "20260101",
    )


async def test_statuses_by_kind() -> None:
    operations = {"store": {"statuses": {"A700": "100%"}}, "find": {"statuses": {"A700": 1}}, "all": {"latency": "1ms"}}
    async with target(operations=operations) as bad:
        async with bad.connect() as association:
            await association.c_echo()
            with pytest.raises(StatusError) as stored:
                await store(association)
            with pytest.raises(StatusError) as found:
                await find(association)
        assert stored.value.status == found.value.status == 0xA700
        assert bad.counts.statuses == {"0000H": 1, "A700H": 2}


async def test_latency() -> None:
    async with target(operations={"echo": {"latency": "60ms"}}) as bad, bad.connect() as association:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await association.c_echo()
        assert loop.time() - begun >= 0.058  # uvloop's clock has whole milliseconds


@pytest.mark.parametrize(
    ("kind", "fault", "error"),
    [
        ("echo", "abort", AssociationAborted),
        ("echo", "close", ConnectionLost),
        ("echo", "half-close", ConnectionLost),
        ("echo", "wrong-message-id", ProtocolViolation),
        ("echo", "wrong-command-field", ProtocolViolation),
        ("echo", "wrong-status", ProtocolViolation),
        ("echo", "wrong-context", ProtocolViolation),
        ("echo", "truncated-command-set", ProtocolViolation),
        ("echo", "garbage", ProtocolViolation),
        ("store", "wrong-command-field", ProtocolViolation),
        ("find", "abort", AssociationAborted),
        ("find", "wrong-message-id", ProtocolViolation),
        ("find", "wrong-status", DecodeError),
    ],
)
async def test_a_fault(kind: str, fault: str, error: type[Exception]) -> None:
    async with target(**faulty(fault, kind)) as bad:
        association = await bad.connect()
        with pytest.raises(error):
            await DO[kind](association)
        association.abort()
        await association.wait_closed()
        assert bad.counts.faults == {fault: 1}
        assert not bad.counts.statuses


@pytest.mark.parametrize("fault", ["never", "half-pdu"])
async def test_a_response_that_does_not_come(fault: str) -> None:
    async with target(**faulty(fault)) as bad:
        association = await bad.connect(dimse=0.1)
        with pytest.raises(DeadlineExceeded):
            await association.c_echo()
        await association.wait_closed()
        assert bad.counts.faults == {fault: 1}


async def test_a_response_that_comes_twice() -> None:
    async with target(**faulty("twice")) as bad, requestor(bad.port) as peer:
        await peer.associate()
        await peer.send(echo())
        assert [status_of(await peer.expect(P_DATA_TF)) for _ in range(2)] == [0, 0]
        assert bad.counts.faults == {"twice": 1}
        assert bad.counts.statuses == {"0000H": 1}


async def test_an_abort_amid_a_data_set() -> None:
    async with target(**faulty("abort-in-data-set", "store")) as bad:
        association = await bad.connect()
        with pytest.raises(AssociationAborted):
            await store(association, bytes(64 << 20))
        await association.wait_closed()
        assert bad.counts.faults == {"abort-in-data-set": 1}
        assert 0 < bad.counts.bytes_received < 64 << 20


async def test_an_abort_after_so_many_operations() -> None:
    async with target(associations={"abort_after": 3}) as bad:
        association = await bad.connect()
        await association.c_echo()
        await association.c_echo()
        with pytest.raises(AssociationAborted):
            await association.c_echo()
        await association.wait_closed()


async def test_rejections_over_so_many_associations() -> None:
    async with target(associations={"most": 1, "rejection": [2, 3, 1]}) as bad:
        async with bad.connect():
            with pytest.raises(AssociationRejected) as rejected:
                await bad.connect()
            assert (rejected.value.result, rejected.value.source, rejected.value.reason) == (2, 3, 1)
        async with bad.connect() as association:
            await association.c_echo()
        assert (bad.counts.asked, bad.counts.accepted, bad.counts.rejected) == (3, 2, 1)


@pytest.mark.parametrize(
    ("fate", "error", "count"),
    [
        ("reject", AssociationRejected, "rejected"),
        ("abort", AssociationAborted, "aborted"),
        ("close", ConnectionLost, "closed"),
        ("ignore", DeadlineExceeded, "ignored"),
    ],
)
async def test_a_fate(fate: str, error: type[Exception], count: str) -> None:
    async with target(associations={fate: "100%", "delay": "2ms"}) as bad:
        # Who is ignored waits for nothing; the others have an answer coming, on a busy machine late.
        with pytest.raises(error):
            await bad.connect(acse=0.1 if fate == "ignore" else PATIENCE)
        assert getattr(bad.counts, count) == bad.counts.asked == 1


async def test_no_context_is_accepted() -> None:
    async with target(associations={"contexts": "none"}) as bad, requestor(bad.port) as peer:
        body = await peer.associate()
        results = [value[2] for kind, value in items(body[68:]) if kind == 0x21]
        assert results
        assert all(results)


async def test_contexts_that_were_not_proposed() -> None:
    async with target(associations={"contexts": "unproposed-transfer-syntax"}) as bad, requestor(bad.port) as peer:
        body = await peer.associate()
        contexts = [value for kind, value in items(body[68:]) if kind == 0x21]
        assert [(value[0], value[2]) for value in contexts] == [(1, 0), (3, 0)]
        assert all(items(value[4:]) == [(0x40, b"1.2.840.10008.1.2.4.80")] for value in contexts)
    async with target(associations={"contexts": "unproposed-context"}) as bad, requestor(bad.port) as peer:
        body = await peer.associate()
        assert [value[0] for kind, value in items(body[68:]) if kind == 0x21] == [5, 7]


async def test_only_some_syntaxes_are_accepted() -> None:
    rules = {"abstract_syntaxes": [aiodicom.VERIFICATION], "transfer_syntaxes": [IMPLICIT]}
    async with target(associations=rules) as bad, bad.connect() as association:
        await association.c_echo()
        with pytest.raises(ContextNotAccepted):
            await store(association)


async def test_a_stall_holds_up_everybody_at_once() -> None:
    async with target(stalls=[{"for": "150ms", "at": "60ms", "every": "250ms"}]) as bad:
        loop = asyncio.get_running_loop()
        async with bad.connect() as one, bad.connect() as other:

            async def has_waited(association: aiodicom.Association) -> None:
                waited = 0.0
                while waited < 0.1:  # on a busy machine perhaps for the next stall
                    before = loop.time()
                    await association.c_echo()
                    waited = loop.time() - before

            await asyncio.gather(has_waited(one), has_waited(other))
        assert bad.counts.stalls >= 1


async def test_slow_reading() -> None:
    async with target(read_rate="2MB/s") as bad, bad.connect() as association:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await store(association, bytes(500_000))
        assert loop.time() - begun >= 0.198
        assert bad.counts.bytes_received == 500_000


async def test_slow_writing() -> None:
    async with target(write_rate="4kB/s") as bad, bad.connect() as association:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await association.c_echo()
        assert loop.time() - begun > 0.01
        await store(association)


async def test_an_endless_query_that_is_written_slowly_piles_up_nothing() -> None:
    async with target(write_rate="200kB/s", matches="endless") as bad:
        association = await bad.connect()
        async with association.c_find(aiodicom.Dataset(QueryRetrieveLevel="STUDY")) as matches:
            number = 0
            async for _ in matches:
                number += 1
                if number == 100:
                    break
        assert bad.counts.matches < 2500
        association.abort()
        await association.wait_closed()


async def test_matches_without_an_end_are_cancelled() -> None:
    async with target(matches="endless", match_interval="1ms") as bad, bad.connect() as association:
        number = 0
        async with association.c_find(aiodicom.Dataset(PatientName=""), ModalityWorklist) as matches:
            async for _ in matches:
                number += 1
                if number == 5:
                    break
        await association.c_echo()
        assert bad.counts.operations["worklist"] == 1


async def test_retrieval() -> None:
    async with target(instances=2) as bad:
        async with bad.connect(contexts=[aiodicom.StudyRoot.get, CT], receives=[CT]) as association:
            query = aiodicom.Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
            objects = [each.affected_sop_instance_uid async for each in association.c_get(query)]
        assert len(set(objects)) == 2


async def test_a_move_goes_where_the_scenario_says() -> None:
    received: list[str] = []
    receiver = aiodicom.Server()
    receiver.on_c_store(lambda request: received.append(request.affected_sop_instance_uid))
    async with receiver.listen("127.0.0.1", 0) as listening:
        where = {"WS1": f"127.0.0.1:{listening.port}"}
        async with (
            target(instances=2, destinations=where) as bad,
            bad.connect(contexts=[aiodicom.StudyRoot.move]) as association,
        ):
            query = aiodicom.Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
            result = await association.c_move(query, destination="WS1")
            assert result.completed == 2
            with pytest.raises(StatusError) as unknown:
                await association.c_move(query, destination="WS2")
    assert unknown.value.status == 0xA801
    assert len(set(received)) == 2


async def commitment(bad: Target, timeout: float = PATIENCE) -> Any:
    listener = CommitmentListener()
    instances = [ReferencedInstance(CT, f"1.2.3.{number}") for number in range(20)]
    async with bad.connect(contexts=[STORAGE_COMMITMENT_PUSH_MODEL], handlers=listener.handlers) as association:
        return await request_commitment(association, instances, listener, timeout=timeout)


async def test_storage_commitment_in_part() -> None:
    async with target(commitment={"fail": "50%", "reason": 0x0213, "delay": "10ms"}) as bad:
        result = await commitment(bad)
        assert result.committed
        assert {each.reason for each in result.failed} == {0x0213}
        assert bad.counts.reports == {"failure": 1}
        assert bad.counts.operations == {"commitment": 1}


async def test_storage_commitment_that_nothing_is_heard_of() -> None:
    async with target(commitment={"never": "100%"}) as bad:
        with pytest.raises(DeadlineExceeded):
            await commitment(bad, timeout=0.1)
        assert bad.counts.reports == {"never": 1}


async def test_storage_commitment_refused() -> None:
    async with target(operations={"commitment": {"statuses": {"0213": "100%"}}}) as bad:
        with pytest.raises(StatusError):
            await commitment(bad)
        assert not bad.counts.reports


async def test_a_seed_does_the_same_again() -> None:
    operations = {"echo": {"statuses": {"0110": "30%"}, "faults": {"abort": "10%"}}}

    async def fates() -> list[str]:
        found = []
        async with target(seed=5, operations=operations) as bad:
            for _ in range(3):
                async with asyncio.timeout(PATIENCE):
                    association = await bad.connect()
                    try:
                        for _ in range(30):
                            try:
                                await association.c_echo()
                                found.append("success")
                            except StatusError as error:
                                found.append(f"{error.status:04X}")
                        await association.release()
                    except RemoteError as error:
                        found.append(type(error).__name__)
                        await association.wait_closed()
        return found

    first = await fates()
    assert {"success", "0110", "AssociationAborted"} <= set(first)
    assert await fates() == first


async def test_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("server", "127.0.0.1")
    server = aiodicom.tls_server_context(cert=files.cert, key=files.key)
    client = aiodicom.tls_client_context(ca=authority.path)
    tables = {**faulty("half-close", "find"), "write_rate": "100kB/s", "read_rate": "5MB/s"}
    async with target(server, **tables) as bad:
        association = await bad.connect(ssl=client)
        await association.c_echo()
        await store(association, bytes(100_000))
        with pytest.raises(ConnectionLost):  # TLS has no half
            await find(association)
        await association.wait_closed()
        assert bad.counts.bytes_received == 100_000


async def test_it_ends_amid_everything() -> None:
    tables = {**faulty("never"), "stalls": [{"for": "1h", "at": "10m"}], "write_rate": "20kB/s", "read_rate": "1kB/s"}
    async with target(**tables) as bad:
        association = await bad.connect()
        waiting = asyncio.create_task(association.c_echo())
        async with requestor(bad.port) as peer:
            await peer.associate()
            await bad.pacs.close()
            await peer.ended()
        with pytest.raises(RemoteError):
            await waiting
        await association.wait_closed()
