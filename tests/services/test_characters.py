"""Text that the character set of a data set lacks, in what services make: nobody gets another name with Success."""

from __future__ import annotations

import pytest

from aiodicom import Dataset
from aiodicom.net.handlers import Handlers
from aiodicom.services.characters import sayable
from aiodicom.services.finding import find_studies
from aiodicom.services.index import MemoryIndex
from aiodicom.services.instances import MemoryInstances, changed_by
from aiodicom.services.mpps import PerformedProcedureSteps, mpps
from aiodicom.services.query_retrieve import QueryRetrieve
from aiodicom.services.ups import UnifiedProcedureSteps
from aiodicom.services.worklist import Worklist
from aiodicom.standard.models import ModalityWorklist, StudyRoot
from aiodicom.standard.uids import (
    MODALITY_PERFORMED_PROCEDURE_STEP,
    MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
    UNIFIED_PROCEDURE_STEP_EVENT,
    UNIFIED_PROCEDURE_STEP_PUSH,
)
from tests.net.sides import until
from tests.services.sides import served

NAME = "Łukasz^山田"
UTF_8 = "ISO_IR 192"
MPPS, RETRIEVE = MODALITY_PERFORMED_PROCEDURE_STEP, MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE
PUSH = UNIFIED_PROCEDURE_STEP_PUSH


def decoded(data_set: Dataset) -> Dataset:
    return Dataset.from_bytes(data_set.to_bytes())


class TestSayable:
    @pytest.mark.parametrize(
        "data_set",
        [
            Dataset(PatientName="Doe^Jane", PatientID=None, Rows=2, ImageType=["ORIGINAL", "PRIMARY"]),
            Dataset(SpecificCharacterSet=UTF_8, PatientName=NAME),
            Dataset(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎"),
            Dataset(SpecificCharacterSet="ISO_IR 100", OtherPatientNames=["Müller", "Doe"]),
            Dataset(RequestAttributesSequence=[Dataset(SpecificCharacterSet=UTF_8, ScheduledProcedureStepID=NAME)]),
            decoded(Dataset(SpecificCharacterSet=UTF_8, PatientName=NAME)),
            # What others have encoded without saying how goes on as it has come.
            Dataset.from_bytes(b"\x10\x00\x10\x00PN\x06\x00M\xfcller"),
        ],
    )
    def test_what_is_left_as_it_is(self, data_set: Dataset) -> None:
        before = data_set.to_bytes()
        assert sayable(data_set) is data_set
        assert data_set.to_bytes() == before

    def test_an_item_that_names_a_character_set_of_its_own(self) -> None:
        item = Dataset(SpecificCharacterSet="ISO_IR 100", StudyID=NAME)
        data_set = Dataset(PatientName="Doe", RequestAttributesSequence=[item])
        said = sayable(data_set)
        assert decoded(said).RequestAttributesSequence[0].StudyID == NAME
        assert said.SpecificCharacterSet == UTF_8
        assert item.SpecificCharacterSet == "ISO_IR 100"

    @pytest.mark.parametrize("is_read", [False, True])
    def test_names_that_were_decoded_in_another_character_set(self, is_read: bool) -> None:
        data_set = decoded(Dataset(SpecificCharacterSet=UTF_8, OtherPatientNames=[NAME, "Doe"]))
        if is_read:
            assert data_set.OtherPatientNames == [NAME, "Doe"]
        data_set.SpecificCharacterSet = "ISO_IR 100"
        assert decoded(sayable(data_set)).OtherPatientNames == [NAME, "Doe"]

    def moved() -> Dataset:  # type: ignore[misc]
        """An item in another data set than the one that says its character set."""
        source = decoded(Dataset(SpecificCharacterSet=UTF_8, RequestAttributesSequence=[Dataset(StudyID=NAME)]))
        return Dataset(RequestAttributesSequence=[source.RequestAttributesSequence[0]])

    def changed() -> Dataset:  # type: ignore[misc]
        source = decoded(Dataset(SpecificCharacterSet=UTF_8, PatientName=NAME, PatientID="1"))
        source.SpecificCharacterSet = "ISO_IR 100"
        return source

    def listed() -> Dataset:  # type: ignore[misc]
        source = decoded(Dataset(OtherPatientNames=["Doe", "Roe"]))
        source.OtherPatientNames[1] = NAME
        return source

    def nested() -> Dataset:  # type: ignore[misc]
        source = decoded(Dataset(RequestAttributesSequence=[Dataset(StudyID="1")]))
        source.RequestAttributesSequence[0].StudyID = NAME
        return source

    @pytest.mark.parametrize(
        "data_set",
        [
            Dataset(PatientName=NAME),
            Dataset(PatientName="Müller"),
            Dataset(SpecificCharacterSet="ISO_IR 100", PatientName=NAME),
            Dataset(OtherPatientNames=["Doe", NAME]),
            Dataset(RequestAttributesSequence=[Dataset(StudyID="1"), Dataset(StudyID=NAME)]),
            moved(),
            changed(),
            listed(),
            nested(),
        ],
    )
    def test_what_is_said_in_utf_8(self, data_set: Dataset) -> None:
        told = decoded(sayable(data_set))
        assert told.SpecificCharacterSet == UTF_8
        assert [element for element in told.iterall() if element.tag != 0x00080005] == [
            element for element in data_set.iterall() if element.tag != 0x00080005
        ]

    def test_the_data_set_itself_is_not_changed(self) -> None:
        data_set = Dataset(PatientName=NAME)
        assert sayable(data_set) == Dataset(PatientName=NAME, SpecificCharacterSet=UTF_8)
        assert data_set == Dataset(PatientName=NAME)

    def test_changes_to_what_said_nothing(self) -> None:
        instance = Dataset.from_bytes(b"\x10\x00\x10\x00PN\x06\x00M\xfcller")
        changed = changed_by(instance, Dataset(SpecificCharacterSet="ISO_IR 126", StudyID="Κρανίο"))
        assert (changed.SpecificCharacterSet, decoded(changed).PatientName) == (UTF_8, "Müller")


async def test_a_worklist() -> None:
    item = Dataset(
        PatientName=NAME, ScheduledProcedureStepSequence=[Dataset(ScheduledPerformingPhysicianName="Müller^Jürgen")]
    )
    asked = Dataset(PatientName="", ScheduledProcedureStepSequence=[Dataset(ScheduledPerformingPhysicianName="")])
    async with served(Worklist([item]), contexts=[ModalityWorklist.find or ""]) as (_, association):
        (match,) = [match async for match in association.c_find(asked, ModalityWorklist)]
    (step,) = match.ScheduledProcedureStepSequence
    assert (match.SpecificCharacterSet, match.PatientName) == (UTF_8, NAME)
    assert step == Dataset(ScheduledPerformingPhysicianName="Müller^Jürgen")


async def test_an_index_and_a_query() -> None:
    index = MemoryIndex()
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.4"}
    index.add(Dataset(PatientName=NAME, PatientID="8", SOPClassUID="1.2.840.10008.5.1.4.1.1.2", **uids))
    async with served(QueryRetrieve(index), contexts=[StudyRoot.find or ""]) as (_, association):
        (match,) = [match async for match in find_studies(association, PatientName="łukasz*")]
    assert (match.SpecificCharacterSet, match.PatientName) == (UTF_8, NAME)


async def test_a_performed_procedure_step() -> None:
    instances = MemoryInstances()
    async with served(PerformedProcedureSteps(instances), contexts=[MPPS, RETRIEVE]) as (_, association):
        async with mpps(association, Dataset(PatientName=NAME), sop_instance_uid="1.2") as step:
            step.add_series(Dataset(SeriesInstanceUID="1.3", ProtocolName="Schädel"))
        told = (await association.n_get(RETRIEVE, "1.2")).dataset
        await instances.put("1.4", Dataset(PatientName=NAME))
        kept = (await association.n_get(RETRIEVE, "1.4")).dataset
    assert told is not None
    assert kept is not None
    assert (told.PatientName, told.PerformedSeriesSequence[0].ProtocolName) == (NAME, "Schädel")
    assert kept == Dataset(SpecificCharacterSet=UTF_8, PatientName=NAME)


async def test_a_unified_procedure_step_and_its_events() -> None:
    events: list[Dataset] = []
    handlers = Handlers()
    handlers.on_n_event_report(lambda request: events.append(request.dataset))
    instances = MemoryInstances()
    contexts = [PUSH, "1.2.840.10008.5.1.4.34.6.2", UNIFIED_PROCEDURE_STEP_EVENT]
    steps = UnifiedProcedureSteps(instances, worklist_label="Schädel")
    async with served(steps, contexts=contexts, handlers=handlers) as (_, association):
        step = Dataset(
            ProcedureStepState="SCHEDULED",
            ScheduledProcedureStepPriority="MEDIUM",
            ProcedureStepLabel="Contour",
            ScheduledProcedureStepStartDateTime="20240229103000",
            InputReadinessState="READY",
        )
        created = await association.n_create(PUSH, step, "1.2")
        assert created.dataset == Dataset(SpecificCharacterSet=UTF_8, WorklistLabel="Schädel")
        kept = (await association.n_get(PUSH, "1.2")).dataset
        assert kept is not None
        assert kept.WorklistLabel == "Schädel"
        receiver = Dataset(ReceivingAE="SCU", DeletionLock="FALSE")
        watch = "1.2.840.10008.5.1.4.34.6.2"
        await association.n_action(PUSH, "1.2", 3, receiver, abstract_syntax=watch)
        await instances.put("1.2", _called_off(await instances.get("1.2")))
        reason = Dataset(SpecificCharacterSet=UTF_8, ReasonForCancellation="Łódź")
        await association.n_action(PUSH, "1.2", 2, reason, abstract_syntax=watch)
        await until(lambda: len(events) == 2)
    assert events[1].ReasonForCancellation == "Łódź"


def _called_off(step: Dataset | None) -> Dataset:
    assert step is not None
    step = step.copy()
    step.ProcedureStepState = "IN PROGRESS"
    return step
