"""The index in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.errors import LocalError
from aiodicom.net.sources import SubOperation
from aiodicom.services.index import MemoryIndex
from aiodicom.services.levels import find_query, retrieve_query
from aiodicom.standard.models import PatientRoot, StudyRoot

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def instance(study: int, series: int, number: int, **values: Any) -> Dataset:
    made = Dataset(
        PatientID="A",
        StudyInstanceUID=f"1.2.{study}",
        SeriesInstanceUID=f"1.2.{study}.{series}",
        SOPClassUID=CT,
        SOPInstanceUID=f"1.2.{study}.{series}.{number}",
        Modality="CT",
    )
    made.update(values)
    return made


async def entities(index: MemoryIndex, level: str, **keys: Any) -> list[Dataset]:
    query = find_query(PatientRoot, Dataset(QueryRetrieveLevel=level, **keys), is_relational=True)
    return [entity async for entity in index.find(query)]


async def sources(index: MemoryIndex, **keys: Any) -> list[Any]:
    return list(await index.instances(retrieve_query(StudyRoot, Dataset(QueryRetrieveLevel="STUDY", **keys))))


async def test_an_instance_in_the_place_of_another() -> None:
    index = MemoryIndex()
    index.add(instance(1, 1, 1, InstanceNumber=1), "old.dcm")
    index.add(instance(1, 1, 1, InstanceNumber=2), "new.dcm")
    assert len(index) == 1
    assert "1.2.1.1.1" in index
    assert [image.InstanceNumber for image in await entities(index, "IMAGE")] == [2]
    assert await sources(index, StudyInstanceUID="1.2.1") == [SubOperation("new.dcm", None, "1.2.1.1.1")]


async def test_what_is_empty_goes() -> None:
    index = MemoryIndex()
    for number in (1, 2):
        index.add(instance(1, number, 1))
    assert (await entities(index, "STUDY"))[0].NumberOfStudyRelatedSeries == 2
    assert index.remove("1.2.1.1.1")
    assert not index.remove("1.2.1.1.1")
    (study,) = await entities(index, "STUDY")
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (1, 1)
    index.remove("1.2.1.2.1")
    assert await entities(index, "PATIENT") == []
    assert len(index) == 0


async def test_a_study_has_the_patient_of_its_first_instance() -> None:
    index = MemoryIndex()
    index.add(instance(1, 1, 1))
    index.add(instance(1, 1, 2, PatientID="B"))
    (patient,) = await entities(index, "PATIENT")
    assert (patient.PatientID, patient.NumberOfPatientRelatedInstances) == ("A", 2)


async def test_patients_without_id_are_different_ones() -> None:
    index = MemoryIndex()
    for study in (1, 2):
        index.add(instance(study, 1, 1, PatientID=""))
    index.add(instance(3, 1, 1))
    index.add(instance(4, 1, 1, IssuerOfPatientID="elsewhere"))
    assert len(await entities(index, "PATIENT")) == 4
    assert len(await entities(index, "STUDY", PatientID="A")) == 2


def test_it_is_bounded() -> None:
    index = MemoryIndex(max_instances=1)
    index.add(instance(1, 1, 1))
    index.add(instance(1, 1, 1))
    with pytest.raises(LocalError, match="1 instances"):
        index.add(instance(1, 1, 2))
    with pytest.raises(LocalError, match="no SeriesInstanceUID"):
        index.add(Dataset(StudyInstanceUID="1.2", SOPInstanceUID="1.3"))


async def test_files(tmp_path: Path) -> None:
    for number in (1, 2):
        made = instance(
            1, 1, number, PatientName="M\u00fcller", SpecificCharacterSet="ISO_IR 192", PixelData=bytes(100_000)
        )
        made.file_meta = Dataset(TransferSyntaxUID=EXPLICIT)
        aiodicom.dcmwrite(tmp_path / f"{number}.dcm", made)
    nameless = Dataset(SOPClassUID=CT, SOPInstanceUID="1.2.9")
    nameless.file_meta = Dataset(TransferSyntaxUID=EXPLICIT)
    aiodicom.dcmwrite(tmp_path / "3.dcm", nameless)
    (tmp_path / "note.txt").write_text("no DICOM")
    index = MemoryIndex()
    unusable = await index.add_files([str(tmp_path)])
    assert [Path(each.path).name for each in unusable] == ["3.dcm", "note.txt"]
    found = await sources(index, StudyInstanceUID="1.2.1")
    assert [(Path(each.source.path).name, each.sop_class_uid, each.sop_instance_uid) for each in found] == [
        ("1.dcm", CT, "1.2.1.1.1"),
        ("2.dcm", CT, "1.2.1.1.2"),
    ]
    (study,) = await entities(index, "STUDY")
    assert study.PatientName == "M\u00fcller"
    with pytest.raises(LocalError, match="1 instances"):
        await MemoryIndex(max_instances=1).add_files([str(tmp_path)])


async def test_what_is_long_or_broken_is_left_out() -> None:
    broken = instance(1, 1, 1, ImageComments="a" * 10_000, StudyDescription="fine")
    broken.add(aiodicom.DataElement("RequestAttributesSequence", "SQ", [Dataset(RequestedProcedureID="1")]))
    data = broken.to_bytes(EXPLICIT)
    at = data.index(b"\xfe\xff\x00\xe0")
    data = data[: at + 8] + b"\xff" * 8 + data[at + 16 :]
    index = MemoryIndex()
    index.add(Dataset.from_bytes(data))
    (series,) = await entities(index, "SERIES")
    assert series.StudyDescription == "fine"
    assert "RequestAttributesSequence" not in series
    index.add(instance(1, 1, 2, ImageComments="a" * 20_000))
    comments = [image.get("ImageComments") for image in await entities(index, "IMAGE")]
    assert comments == ["a" * 10_000, None]
