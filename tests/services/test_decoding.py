"""Data sets of requests that are not whole, or not what they should be: refused, and kept by nobody."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, StudyRoot
from aiodicom.services.index import MemoryIndex
from aiodicom.services.instances import MemoryInstances
from aiodicom.services.matching import Keys
from aiodicom.services.mpps import PerformedProcedureSteps
from aiodicom.services.query_retrieve import QueryRetrieve
from aiodicom.services.storage_commitment import StorageCommitment, Transaction
from aiodicom.services.ups import UnifiedProcedureSteps
from aiodicom.services.worklist import Worklist
from aiodicom.standard.models import ModalityWorklist, UPSPull
from aiodicom.standard.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    MODALITY_PERFORMED_PROCEDURE_STEP,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
    UNIFIED_PROCEDURE_STEP_PUSH,
)
from tests.net.hostile import proposal, requestor, serving, status_of
from tests.rawpeer import P_DATA_TF, p_data, ui, us

MPPS, UPS, COMMITMENT = MODALITY_PERFORMED_PROCEDURE_STEP, UNIFIED_PROCEDURE_STEP_PUSH, STORAGE_COMMITMENT_PUSH_MODEL
N_SET_RQ, N_ACTION_RQ, N_CREATE_RQ, C_FIND_RQ, C_GET_RQ = 0x0120, 0x0130, 0x0140, 0x0020, 0x0010

#: An element that says it is longer than it is, as the last of a data set.
CUT = b"\x10\x00\x20\x00LO\x08\x001234"
#: Performed Protocol Code Sequence, Scheduled Step Attributes Sequence: nothing that is an item in them.
NO_ITEM = b"\x40\x00\x70\x02SQ\0\0\x08\0\0\0abcdefgh"
#: Referenced SOP Sequence as a number, Patient ID as a sequence.
NO_SEQUENCE = b"\x08\x00\x99\x11US\x02\0\x01\0"
A_SEQUENCE = b"\x10\x00\x20\x00SQ\0\0\0\0\0\0"

BEGUN = Dataset(PerformedProcedureStepStatus="IN PROGRESS", Modality="CT").to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)


class Archive:
    async def begin(self, transaction: Transaction) -> None:
        raise AssertionError("nothing was asked for that could be")

    async def verify(self, transaction: Transaction) -> Mapping[str, int]:
        raise AssertionError

    async def end(self, transaction: Transaction) -> None:
        raise AssertionError


class Server(aiodicom.Server):
    """With a service of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.instances = MemoryInstances()
        self.commitment = StorageCommitment(Archive())
        index = MemoryIndex()
        index.add(Dataset(PatientID="1234", StudyInstanceUID="1.2", SeriesInstanceUID="1.3", SOPInstanceUID="1.4"))
        for service in (
            PerformedProcedureSteps(self.instances),
            UnifiedProcedureSteps(MemoryInstances()),
            QueryRetrieve(index),
            Worklist([Dataset(PatientID="1234")]),
            self.commitment,
        ):
            service.attach(self)


def request(field: int, sop_class: str, data: bytes, instance: str = "1.2.3") -> bytes:
    """A request of any service with this data set, on context 1."""
    command: dict[int, bytes] = {0x0100: us(field), 0x0110: us(1), 0x0800: us(1)}
    if field in (C_FIND_RQ, C_GET_RQ):
        command |= {0x0002: ui(sop_class), 0x0700: us(0)}
    elif field == N_CREATE_RQ:
        command |= {0x0002: ui(sop_class), 0x1000: ui(instance)}
    else:
        command |= {0x0003: ui(sop_class), 0x1001: ui(instance)}
    if field == N_ACTION_RQ:
        command[0x1008] = us(1)
    return p_data(1, command, data)


async def ask(server: Server, field: int, sop_class: str, data: bytes, **more: Any) -> int:
    """The status of the final, and only, response."""
    async with serving(server) as (_, port), requestor(port) as peer:
        await peer.associate(proposal([(1, sop_class, (EXPLICIT_VR_LITTLE_ENDIAN,))]))
        await peer.send(request(field, sop_class, data, **more))
        return status_of(await peer.expect(P_DATA_TF))


@pytest.mark.parametrize(
    ("field", "sop_class", "before"),
    [
        (C_FIND_RQ, StudyRoot.find, Dataset(QueryRetrieveLevel="STUDY")),
        (C_GET_RQ, StudyRoot.get, Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")),
        (C_FIND_RQ, ModalityWorklist.find, Dataset()),
        (C_FIND_RQ, UPSPull.find, Dataset()),
    ],
)
@pytest.mark.parametrize("end", [CUT, NO_ITEM], ids=["cut", "no item"])
async def test_identifiers(
    field: int, sop_class: str, before: Dataset, end: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    status = await ask(Server(), field, sop_class, before.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN) + end)
    assert status == 0xA900
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("field", "sop_class", "data", "status"),
    [
        (N_CREATE_RQ, MPPS, BEGUN + CUT, 0x0110),
        (N_CREATE_RQ, MPPS, BEGUN + NO_ITEM, 0x0110),
        (N_CREATE_RQ, MPPS, A_SEQUENCE + BEGUN, 0x0106),
        (N_SET_RQ, MPPS, CUT, 0x0110),
        (N_SET_RQ, MPPS, NO_ITEM, 0x0110),
        (N_SET_RQ, MPPS, b"\x40\x00\x52\x02CS\x04\0A\\B ", 0x0106),
        (N_CREATE_RQ, UPS, NO_ITEM, 0x0110),
        (N_CREATE_RQ, UPS, A_SEQUENCE, 0x0106),
    ],
)
async def test_attributes(
    field: int, sop_class: str, data: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    await server.instances.put("1.2.4", Dataset(PerformedProcedureStepStatus="IN PROGRESS"))
    assert await ask(server, field, sop_class, data, instance="1.2.3" if field == N_CREATE_RQ else "1.2.4") == status
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(server.instances) == 1
    assert await server.instances.get("1.2.4") == Dataset(PerformedProcedureStepStatus="IN PROGRESS")


async def test_what_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiodicom.net.requests._MOST_IDENTIFIER", 40)
    monkeypatch.setattr("aiodicom.services.decoding._MOST", 40)
    query = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="9")
    assert await ask(Server(), C_FIND_RQ, StudyRoot.find, query.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)) == 0
    query.StudyDescription = "x" * 40
    assert await ask(Server(), C_FIND_RQ, StudyRoot.find, query.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)) == 0xA900
    assert await ask(Server(), N_CREATE_RQ, MPPS, BEGUN + bytes(40)) == 0x0213


@pytest.mark.parametrize(("information", "status"), [(NO_SEQUENCE, 0x0106), (CUT, 0x0110)])
async def test_action_information(information: bytes, status: int, caplog: pytest.LogCaptureFixture) -> None:
    data = Dataset(TransactionUID="1.2.3").to_bytes(EXPLICIT_VR_LITTLE_ENDIAN) + information
    instance = STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
    assert await ask(Server(), N_ACTION_RQ, COMMITMENT, data, instance=instance) == status
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("value", ["x", "1.2", "*x*", "20240101"])
def test_a_sequence_in_the_place_of_a_value_matches_nothing(value: str) -> None:
    entity = Dataset.from_bytes(A_SEQUENCE, EXPLICIT_VR_LITTLE_ENDIAN)
    assert not Keys(Dataset(PatientID=value)).match(entity)
