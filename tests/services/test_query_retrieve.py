"""Query/retrieve over an index in memory, with our own SCU."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.errors import StatusError
from aiodicom.net.sources import SubOperation
from aiodicom.net.suboperations import Destination
from aiodicom.services.finding import find_instances, find_series, find_studies
from aiodicom.services.index import MemoryIndex
from aiodicom.services.levels import UNIQUE_KEYS
from aiodicom.services.query_retrieve import QueryRetrieve
from aiodicom.standard.models import (
    CompositeInstanceRetrieveWithoutBulkData,
    CompositeInstanceRoot,
    InformationModel,
    PatientRoot,
    PatientStudyOnly,
    StudyRoot,
)
from aiodicom.standard.status import Status
from aiodicom.ul.extended import QueryRetrieveExtended, RetrieveExtended

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"


def instance(patient: str, study: int, series: int, number: int, **values: Any) -> Dataset:
    """An instance of a small archive: patients A and B, their studies, CT and MR series."""
    made = Dataset(
        SpecificCharacterSet="ISO_IR 100",
        PatientID=patient,
        PatientName=f"Müller^{patient}",
        PatientBirthDate="19600101",
        StudyInstanceUID=f"1.2.{study}",
        StudyDate=f"202401{study:02}",
        StudyTime="101112",
        StudyDescription=f"Schädel {study}",
        SeriesInstanceUID=f"1.2.{study}.{series}",
        SeriesNumber=series,
        Modality="CT" if series == 1 else "MR",
        SOPClassUID=CT if series == 1 else MR,
        SOPInstanceUID=f"1.2.{study}.{series}.{number}",
        InstanceNumber=number,
        Rows=4,
        Columns=4,
        BitsAllocated=8,
        PixelData=bytes(16),
    )
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


#: Study 1 of A: CT and MR with two instances each; study 2 of A and study 3 of B: one CT each.
ARCHIVE = [
    *(instance("A", 1, series, number) for series, number in itertools.product((1, 2), (1, 2))),
    instance("A", 2, 1, 1),
    instance("B", 3, 1, 1),
]


CT_SERIES = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}


def asked(level: str, **keys: Any) -> Dataset:
    return Dataset(QueryRetrieveLevel=level, **keys)


def index() -> MemoryIndex:
    made = MemoryIndex()
    for each in ARCHIVE:
        made.add(Dataset.from_bytes(each.to_bytes()))
    return made


@asynccontextmanager
async def archive(
    service: QueryRetrieve | None = None, *, destinations: Any = None, **options: Any
) -> AsyncIterator[aiodicom.Association]:
    """An association with an archive."""
    service = service or QueryRetrieve(index())
    server = aiodicom.Server(
        ae_title="ARCHIVE", extended_negotiation=service.extended_negotiation, destinations=destinations
    )
    service.attach(server)
    models = (PatientRoot, StudyRoot, PatientStudyOnly, CompositeInstanceRoot, CompositeInstanceRetrieveWithoutBulkData)
    contexts = [uid for model in models for uid in (model.find, model.move, model.get) if uid is not None]
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect(
            "127.0.0.1",
            listening.port,
            called_aet="ARCHIVE",
            contexts=contexts,
            receives=[CT, MR],
            **options,
        ) as association,
    ):
        yield association


async def found(
    association: aiodicom.Association, query: Dataset, model: InformationModel = StudyRoot
) -> list[Dataset]:
    return [match async for match in association.c_find(query, model)]


class TestFind:
    @pytest.mark.parametrize(
        ("model", "query", "expected"),
        [
            (PatientRoot, asked("PATIENT", PatientID="*"), "A B"),
            (PatientRoot, asked("PATIENT", PatientID="", PatientName="muller^a"), "A"),
            (PatientStudyOnly, asked("PATIENT", PatientID="B"), "B"),
            (PatientRoot, asked("STUDY", PatientID="A", StudyInstanceUID=""), "1.2.1 1.2.2"),
            (StudyRoot, asked("STUDY", StudyInstanceUID=""), "1.2.1 1.2.2 1.2.3"),
            (StudyRoot, asked("STUDY", StudyInstanceUID="", PatientID="B"), "1.2.3"),
            (StudyRoot, asked("STUDY", StudyInstanceUID="1.2.3", PatientID="?"), "1.2.3"),
            (StudyRoot, asked("STUDY", StudyInstanceUID=["1.2.3", "1.2.1", "9"]), "1.2.1 1.2.3"),
            (StudyRoot, asked("STUDY", StudyInstanceUID="", StudyDate="-20240102"), "1.2.1 1.2.2"),
            (StudyRoot, asked("STUDY", StudyInstanceUID="", ModalitiesInStudy="MR"), "1.2.1"),
            (StudyRoot, asked("SERIES", StudyInstanceUID="1.2.1", SeriesInstanceUID="", Modality="MR"), "1.2.1.2"),
            (StudyRoot, asked("IMAGE", **CT_SERIES, SOPInstanceUID="", InstanceNumber=2), "1.2.1.1.2"),
            (StudyRoot, asked("IMAGE", **CT_SERIES | {"StudyInstanceUID": "1.2.2"}, SOPInstanceUID=""), ""),
        ],
    )
    async def test_levels(self, model: InformationModel, query: Dataset, expected: str) -> None:
        level = query.QueryRetrieveLevel
        async with archive() as association:
            matches = await found(association, query, model)
        assert sorted(match[UNIQUE_KEYS[level]].value for match in matches) == expected.split()
        for match in matches:
            assert match.QueryRetrieveLevel == level
            assert (match.RetrieveAETitle, match.InstanceAvailability) == ("ARCHIVE", "ONLINE")

    async def test_an_answer(self) -> None:
        query = asked(
            "STUDY",
            RetrieveAETitle="",
            InstanceAvailability="",
            StudyInstanceUID="1.2.1",
            PatientName="",
            StudyDescription="schädel *".title(),
            SpecificCharacterSet="ISO_IR 192",
            ModalitiesInStudy="",
            SOPClassesInStudy="",
            NumberOfStudyRelatedSeries=None,
            NumberOfStudyRelatedInstances=None,
            AccessionNumber="",
        )
        service = QueryRetrieve(index(), retrieve_ae_title="ELSEWHERE", instance_availability=None)
        async with archive(service) as association:
            async with association.c_find(query) as matches:
                (match,) = [match async for match in matches]
            assert matches.response is not None
        assert match == Dataset(
            SpecificCharacterSet="ISO_IR 100",
            QueryRetrieveLevel="STUDY",
            RetrieveAETitle="ELSEWHERE",
            StudyInstanceUID="1.2.1",
            PatientName="Müller^A",
            StudyDescription="Schädel 1",
            ModalitiesInStudy=["CT", "MR"],
            SOPClassesInStudy=[CT, MR],
            NumberOfStudyRelatedSeries=2,
            NumberOfStudyRelatedInstances=4,
            AccessionNumber="",
        )

    async def test_numbers_of_patients_and_series(self) -> None:
        async with archive() as association:
            patient = Dataset(
                QueryRetrieveLevel="PATIENT",
                PatientID="A",
                NumberOfPatientRelatedStudies=None,
                NumberOfPatientRelatedSeries=None,
                NumberOfPatientRelatedInstances=None,
            )
            (match,) = await found(association, patient, PatientRoot)
            assert [match[tag].value for tag in (0x00201200, 0x00201202, 0x00201204)] == [2, 3, 5]
            (series,) = [each async for each in find_series(association, "1.2.1", Modality="CT")]
            assert series.NumberOfSeriesRelatedInstances == 2

    async def test_keys_below_the_level_are_not_supported(self) -> None:
        service = QueryRetrieve(index())
        query = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1", Rows=9, PatientID="")
        statuses = []

        async def spy(request: Any) -> AsyncIterator[Any]:
            async for status, answer in service.find(request):  # type: ignore[misc]
                statuses.append(status)
                yield status, answer

        server = aiodicom.Server()
        server.on_c_find(spy)
        async with (
            server.listen("127.0.0.1", 0) as listening,
            aiodicom.connect("127.0.0.1", listening.port, contexts=[StudyRoot.find]) as association,
        ):
            (match,) = await found(association, query)
        assert statuses == [Status.PENDING_WARNING]
        assert "Rows" not in match
        assert match.PatientID == "A"

    @pytest.mark.parametrize(
        ("model", "query", "offending"),
        [
            (StudyRoot, Dataset(StudyInstanceUID=""), "QueryRetrieveLevel"),
            (StudyRoot, Dataset(QueryRetrieveLevel="PATIENT", PatientID=""), "QueryRetrieveLevel"),
            (PatientStudyOnly, Dataset(QueryRetrieveLevel="SERIES", SeriesInstanceUID=""), "QueryRetrieveLevel"),
            (PatientRoot, Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=""), "PatientID"),
            (PatientRoot, Dataset(QueryRetrieveLevel="STUDY", PatientID="A*"), "PatientID"),
            (StudyRoot, Dataset(QueryRetrieveLevel="SERIES", StudyInstanceUID=["1.2.1", "1.2.2"]), "StudyInstanceUID"),
            (StudyRoot, Dataset(QueryRetrieveLevel="IMAGE", StudyInstanceUID="1.2.1"), "SeriesInstanceUID"),
            (StudyRoot, Dataset(QueryRetrieveLevel="STUDY", StudyDate="yesterday"), "StudyDate"),
        ],
    )
    async def test_what_the_model_does_not_have_is_refused(
        self, model: InformationModel, query: Dataset, offending: str
    ) -> None:
        async with archive() as association:
            with pytest.raises(StatusError) as refusal:
                await found(association, query, model)
            assert refusal.value.status == 0xA900
            assert refusal.value.response.offending_elements == (Dataset(**{offending: None})[offending].tag,)
            assert await found(association, Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=""))

    async def test_relational_queries_where_they_are_negotiated(self) -> None:
        query = Dataset(QueryRetrieveLevel="IMAGE", SOPInstanceUID="1.2.2.1.1")
        extended = {StudyRoot.find: QueryRetrieveExtended(relational_queries=True)}
        async with archive(extended_negotiation=extended) as association:
            assert [match.SOPInstanceUID for match in await found(association, query)] == ["1.2.2.1.1"]
        async with archive(QueryRetrieve(index(), relational=True)) as association:
            assert len(await found(association, query)) == 1
        async with archive(QueryRetrieve(index(), relational=False), extended_negotiation=extended) as association:
            with pytest.raises(StatusError, match="A900"):
                await found(association, query)

    async def test_combined_dates_and_times_where_they_are_negotiated(self) -> None:
        query = Dataset(
            QueryRetrieveLevel="STUDY", StudyInstanceUID="", StudyDate="20240101-20240103", StudyTime="11-0930"
        )
        extended = {StudyRoot.find: QueryRetrieveExtended(date_time_matching=True)}
        async with archive(extended_negotiation=extended) as association:
            negotiated = QueryRetrieveExtended.decode(association.extended_negotiation[StudyRoot.find])
            assert negotiated == QueryRetrieveExtended(date_time_matching=True)
            assert [match.StudyInstanceUID for match in await found(association, query)] == ["1.2.2"]
        async with archive() as association:
            assert await found(association, query) == []

    async def test_an_index_may_give_more_than_what_matches_and_say_more_of_it(self) -> None:
        class Everything:
            def supported(self, level: str) -> None:
                return None

            async def find(self, query: Any) -> AsyncIterator[Dataset]:
                yield Dataset(PatientID="A", StudyInstanceUID="1.2")
                yield Dataset(
                    PatientID="B", StudyInstanceUID="1.3", InstanceAvailability="NEARLINE", RetrieveAETitle="B"
                )

            async def instances(self, query: Any) -> list[Any]:
                return []

        async with archive(QueryRetrieve(Everything())) as association:
            query = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientID="B")
            (match,) = await found(association, query)
        assert (match.StudyInstanceUID, match.InstanceAvailability, match.RetrieveAETitle) == ("1.3", "NEARLINE", "B")


class TestRetrieve:
    @pytest.mark.parametrize(
        ("model", "query", "expected"),
        [
            (PatientRoot, {"QueryRetrieveLevel": "PATIENT", "PatientID": "A"}, 5),
            (PatientRoot, {"QueryRetrieveLevel": "STUDY", "PatientID": "A", "StudyInstanceUID": "1.2.1"}, 4),
            (StudyRoot, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ["1.2.1", "1.2.3"]}, 5),
            (
                StudyRoot,
                {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.2"},
                2,
            ),
            (StudyRoot, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "9.9"}, 0),
            (CompositeInstanceRoot, {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": ["1.2.1.1.1", "1.2.3.1.1"]}, 2),
        ],
    )
    async def test_get(self, model: InformationModel, query: dict[str, Any], expected: int) -> None:
        async with archive() as association:
            retrieved = association.c_get(Dataset(**query), model)
            objects = [(each.dataset.SOPInstanceUID, bytes(each.data)) async for each in retrieved]
            assert retrieved.result is not None
            assert retrieved.result.completed == expected
        stored = {each.SOPInstanceUID: each.to_bytes(EXPLICIT) for each in ARCHIVE}
        assert all(stored[uid] == data for uid, data in objects)
        assert len(objects) == expected

    @pytest.mark.parametrize(
        ("model", "query"),
        [
            (StudyRoot, Dataset(QueryRetrieveLevel="STUDY")),
            (StudyRoot, Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="*")),
            (StudyRoot, Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.*")),
            (StudyRoot, Dataset(QueryRetrieveLevel="SERIES", SeriesInstanceUID="1.2.1.1")),
            (PatientRoot, Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")),
            (CompositeInstanceRoot, Dataset(QueryRetrieveLevel="FRAME", SOPInstanceUID="1.2.1.1.1", SimpleFrameList=1)),
        ],
    )
    async def test_what_names_nothing_is_refused(self, model: InformationModel, query: Dataset) -> None:
        async with archive() as association:
            with pytest.raises(StatusError, match="A900"):
                [each async for each in association.c_get(query, model)]

    async def test_relational_retrieval_where_it_is_negotiated(self) -> None:
        extended = {StudyRoot.get: RetrieveExtended(relational_retrieval=True)}
        async with archive(extended_negotiation=extended) as association:
            query = Dataset(QueryRetrieveLevel="SERIES", SeriesInstanceUID="1.2.1.1")
            assert len([each async for each in association.c_get(query)]) == 2

    async def test_move(self) -> None:
        received = []
        store = aiodicom.Server()
        store.on_c_store(lambda request: received.append(request.affected_sop_instance_uid))
        async with store.listen("127.0.0.1", 0) as listening:
            destinations = {"STORE": Destination("127.0.0.1", listening.port, associations=1)}
            async with archive(destinations=destinations) as association:
                query = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
                result = await association.c_move(query, "STORE")
                assert (result.status, result.completed) == (Status.SUCCESS, 4)
                with pytest.raises(StatusError, match="A801"):
                    await association.c_move(query, "NOWHERE")
        assert sorted(received) == ["1.2.1.1.1", "1.2.1.1.2", "1.2.1.2.1", "1.2.1.2.2"]

    @pytest.mark.parametrize("size", [100, 100_000, 5_000_000])
    @pytest.mark.parametrize("by", ["get", "move", "get without bulk data"])
    @pytest.mark.parametrize("given", ["folder", "path"])
    async def test_a_file_that_has_become_another_instance(
        self, tmp_path: Path, size: int, by: str, given: str
    ) -> None:
        """What was asked for has failed then; the object of somebody else is not sent in its place."""
        paths = {}
        made = MemoryIndex()
        for patient, number in (("A", 1), ("A", 2), ("B", 1)):
            whole = instance(patient, 1 if patient == "A" else 3, 1, number, PixelData=bytes(size))
            whole.file_meta = Dataset(TransferSyntaxUID=EXPLICIT)
            paths[patient, number] = path = tmp_path / f"{patient}{number}.dcm"
            aiodicom.dcmwrite(path, whole)
            if given == "path":
                made.add(whole, path)
        if given == "folder":
            assert not await made.add_files([str(tmp_path)])
        shutil.copy(paths["B", 1], paths["A", 1])
        received = []
        store = aiodicom.Server()
        store.on_c_store(lambda request: received.append(request.affected_sop_instance_uid))
        async with store.listen("127.0.0.1", 0) as listening:
            destinations = {"STORE": Destination("127.0.0.1", listening.port, associations=1)}
            async with archive(QueryRetrieve(made), destinations=destinations) as association:
                if by == "move":
                    result = await association.c_move(asked("STUDY", StudyInstanceUID="1.2.1"), "STORE")
                elif by == "get":
                    retrieved = association.c_get(asked("STUDY", StudyInstanceUID="1.2.1"))
                else:
                    query = asked("IMAGE", SOPInstanceUID=["1.2.1.1.1", "1.2.1.1.2"])
                    retrieved = association.c_get(query, CompositeInstanceRetrieveWithoutBulkData)
                if by != "move":
                    received = [each.affected_sop_instance_uid async for each in retrieved]
                    assert retrieved.result is not None
                    result = retrieved.result
        assert received == ["1.2.1.1.2"]
        assert (result.status, result.completed, result.failed) == (0xB000, 1, 1)
        assert result.failed_sop_instance_uids == ("1.2.1.1.1",)

    @pytest.mark.parametrize("kind", ["data set", "file", "encoded", "part 10", "encapsulated"])
    async def test_without_bulk_data(self, kind: str, tmp_path: Path) -> None:
        whole = instance("A", 1, 1, 1)
        whole.WaveformSequence = [Dataset(WaveformBitsAllocated=8, WaveformData=bytes(8), MultiplexGroupLabel="A")]
        whole.IconImageSequence = [Dataset(Rows=1, PixelData=bytes(2))]
        whole.add(aiodicom.DataElement(0x60003000, "OW", bytes(2)))
        whole.add(aiodicom.DataElement(0x60023000, "OW", bytes(2)))
        whole.add(aiodicom.DataElement(0x60000010, "US", 3))
        whole.EncapsulatedDocument = b"ab"
        source: Any = whole
        if kind in ("file", "part 10", "encapsulated"):
            if kind == "encapsulated":
                whole.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x02\0\0\0ab"
            path = tmp_path / "whole.dcm"
            whole.file_meta = Dataset(TransferSyntaxUID=JPEG if kind == "encapsulated" else EXPLICIT)
            aiodicom.dcmwrite(path, whole)
            source = path.read_bytes() if kind == "part 10" else path
        elif kind == "encoded":
            source = SubOperation(whole.to_bytes(EXPLICIT), CT, whole.SOPInstanceUID, EXPLICIT)
        made = MemoryIndex()
        made.add(whole, source)
        async with archive(QueryRetrieve(made)) as association:
            query = Dataset(QueryRetrieveLevel="IMAGE", SOPInstanceUID="1.2.1.1.1")
            (received,) = [
                each.dataset async for each in association.c_get(query, CompositeInstanceRetrieveWithoutBulkData)
            ]
        for keyword in ("PixelData", "EncapsulatedDocument", 0x60003000, 0x60023000):
            assert keyword not in received
        assert received[0x60000010].value == 3
        assert "PixelData" in received.IconImageSequence[0]
        assert received.WaveformSequence[0] == Dataset(WaveformBitsAllocated=8, MultiplexGroupLabel="A")
        assert (received.PatientName, received.Rows) == ("Müller^A", 4)
        assert "PixelData" in whole
        assert "WaveformData" in whole.WaveformSequence[0]


class TestFinding:
    async def test_from_studies_to_instances(self) -> None:
        async with archive() as association:
            (study,) = [
                each async for each in find_studies(association, PatientName="müller^*", ModalitiesInStudy="MR")
            ]
            assert (study.StudyInstanceUID, study.NumberOfStudyRelatedInstances) == ("1.2.1", 4)
            series = [each async for each in find_series(association, study.StudyInstanceUID)]
            assert [each.Modality for each in series] == ["CT", "MR"]
            instances = [
                each.SOPInstanceUID
                async for each in find_instances(association, study.StudyInstanceUID, series[0].SeriesInstanceUID)
            ]
            assert instances == ["1.2.1.1.1", "1.2.1.1.2"]
            patients = find_studies(association, model=PatientRoot, PatientID="B", keys=["StudyDate"])
            (answer,) = [each async for each in patients]
            assert answer.StudyDate == "20240103"
            assert "StudyTime" not in answer

    async def test_with_a_pool(self) -> None:
        service = QueryRetrieve(index())
        server = aiodicom.Server()
        service.attach(server)
        async with (
            server.listen("127.0.0.1", 0) as listening,
            aiodicom.Pool("127.0.0.1", listening.port, contexts=[StudyRoot.find]) as pool,
        ):
            assert len([each async for each in find_studies(pool)]) == 3


async def test_many_matches_leave_others_their_turn() -> None:
    made = MemoryIndex()
    for number in range(1000):
        made.add(instance("A", 1, 1, number))
    async with archive(QueryRetrieve(made)) as association:
        matches = [each async for each in find_instances(association, "1.2.1", "1.2.1.1")]
    assert [match.InstanceNumber for match in matches] == list(range(1000))
