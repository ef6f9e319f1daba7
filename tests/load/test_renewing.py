"""Copies of objects are other objects, and everything else is as it was."""

from __future__ import annotations

import io
import itertools
import os
import tracemalloc
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest

from aiodicom.dataset import Dataset
from aiodicom.errors import LocalError
from aiodicom.load.renewing import MADE_UP, Identity, Renewed, read_objects, template_of
from aiodicom.load.supply import Instance, Study
from aiodicom.load.template import TEXTS
from aiodicom.net.sources import KnownFile
from aiodicom.part10.meta import encode_file_meta
from aiodicom.services.scan import scan
from aiodicom.standard.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    is_valid_uid,
)
from tests.cli.objects import put

CT = "1.2.840.10008.5.1.4.1.1.2"
#: Frames of reference that PS3.6 table A-2 registers are no things of a study.
TALAIRACH = "1.2.840.10008.1.4.1.1"
PRIVATE_CLASS = "1.2.3.4.5.6"
KEPT = {"SOPClassUID", "RelatedGeneralSOPClassUID", "ReferencedSOPClassUID", "DeviceUID"}
RENEWED = {"AccessionNumber", "PatientName", "PatientID", "StudyID"}
SYNTAXES = [
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
]


def image(patient: str, study: int, number: int, pixels: int = 20_000) -> Dataset:
    """A CT image of series 1 of a study, which refers to the one before and to its source in the study before."""
    own = f"1.9.{study}.1.{number}"
    source = Dataset(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=f"1.9.{study - 1}.1.{number}")
    before = Dataset(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=f"1.9.{study}.1.{number - 1}")
    data_set = Dataset(
        SOPClassUID=CT,
        SOPInstanceUID=own,
        RelatedGeneralSOPClassUID=[PRIVATE_CLASS, "1.2.7"],
        StudyDate="20200202",
        ContentDate="20200203",
        AcquisitionDateTime="20200203101112.5",
        AccessionNumber="A",
        Modality="CT",
        FailedSOPInstanceUIDList=[own, TALAIRACH, f"1.9.{study}.1.{number + 1}"],
        PatientName="Old^Name",
        PatientID=patient,
        StudyInstanceUID=f"1.9.{study}",
        SeriesInstanceUID=f"1.9.{study}.1",
        FrameOfReferenceUID=f"1.9.{study}.5",
        StudyID="7",
        DeviceUID="1.2.3.99",
        ReferencedImageSequence=[before],
        RequestAttributesSequence=[Dataset(AccessionNumber="A", StudyInstanceUID=f"1.9.{study}", StudyID="7")],
        ReferencedSeriesSequence=[
            Dataset(
                SeriesInstanceUID=f"1.9.{study}.1",
                ReferencedSOPSequence=[before, Dataset(SourceImageSequence=[source])],
            )
        ],
    )
    data_set.ReferencedSeriesSequence.is_undefined_length = True
    data_set.add_new(0x00910010, "LO", "PRIVATE")
    data_set.add_new(0x00911001, "UI", own)
    data_set.add_new("PixelData", "OW", bytes(number for number in range(250)) * (pixels // 250))
    return data_set


def objects() -> list[Dataset]:
    """Two patients, three studies of two images."""
    return [
        image(patient, study, number)
        for patient, study, number in [("P", 1, 1), ("P", 1, 2), ("Q", 2, 1), ("Q", 2, 2), ("P", 3, 1), ("P", 3, 2)]
    ]


def renewed(syntax: str = EXPLICIT_VR_LITTLE_ENDIAN, identity: Identity = MADE_UP, seed: Any = 1) -> Renewed:
    templates = [template_of(Dataset.from_bytes(each.to_bytes(syntax), syntax), syntax, identity) for each in objects()]
    return Renewed(templates, seed=seed, identity=identity)


def decoded(instance: Instance) -> pydicom.Dataset:
    """What another reader makes of it."""
    head = encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax)
    return pydicom.dcmread(io.BytesIO(head + b"".join(instance.buffers)))


def instances(study: Study) -> list[Instance]:
    return [instance for series in study.series for instance in series.instances]


def elements(data_set: pydicom.Dataset) -> Iterator[pydicom.DataElement]:
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)
        else:
            yield element


def texts_of(data_set: pydicom.Dataset, keyword: str) -> set[str]:
    return {str(element.value) for element in elements(data_set) if element.keyword == keyword}


def uids_of(element: pydicom.DataElement) -> list[str]:
    return [str(uid) for uid in ([element.value] if element.VM == 1 else element.value)]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_new_and_what_is_not(syntax: str) -> None:
    became: dict[str, str] = {}
    originals = iter(objects())
    for study in itertools.islice(renewed(syntax).studies(), 3):
        for instance in instances(study):
            assert sum(map(len, instance.buffers)) == instance.size
            assert all(len(buffer) % 2 == 0 for buffer in instance.buffers)
            original, copy = pydicom.dcmread(io.BytesIO(part10(next(originals), syntax))), decoded(instance)
            for old, new in zip(elements(original), elements(copy), strict=True):
                assert (old.tag, old.VR, old.VM) == (new.tag, new.VR, new.VM)
                if old.VR == "UI" and old.keyword not in KEPT:
                    for before, after in zip(uids_of(old), uids_of(new), strict=True):
                        assert became.setdefault(before, after) == after
                elif old.keyword in RENEWED:
                    assert old.value != new.value
                else:
                    assert old.value == new.value
            assert copy.SOPInstanceUID == instance.sop_instance_uid
            assert (copy.StudyInstanceUID, copy.PatientID) == (study.study_instance_uid, study.patient_id)
            assert copy.PatientName == study.patient_name
            assert texts_of(copy, "AccessionNumber") == {study.accession_number}
            assert len(texts_of(copy, "StudyID")) == 1
    assert became.pop(TALAIRACH) == TALAIRACH
    assert len(set(became.values())) == len(became) > 15
    assert all(is_valid_uid(uid) and uid.startswith("2.25.") for uid in became.values())


def test_patients_and_rounds() -> None:
    supply = renewed()
    studies = list(itertools.islice(supply.studies(), 9))
    assert supply.round == 3
    for first in (0, 3, 6):
        one, other, again = studies[first : first + 3]
        assert one.patient_id == again.patient_id != other.patient_id
        assert one.patient_name == again.patient_name
    assert len({study.patient_id for study in studies}) == 6
    assert (
        len({study.accession_number for study in studies}) == len({study.study_instance_uid for study in studies}) == 9
    )
    assert len({instance.sop_instance_uid for study in studies for instance in instances(study)}) == 18
    assert all(len(study.series) == 1 and len(study.series[0].instances) == 2 for study in studies)
    for study in studies:
        assert study.series[0].modality == "CT"
        assert {decoded(each).SeriesInstanceUID for each in instances(study)} == {study.series[0].series_instance_uid}


def test_the_seed_decides() -> None:
    def uids(seed: object) -> list[str]:
        supply = renewed(seed=seed)
        return [supply.next().sop_instance_uid for _ in range(20)]

    assert uids(1) == uids(1) == uids("1")
    assert len({*uids(1), *uids(2), *uids("a"), *uids(None), *uids(None)}) == 100
    one, other = renewed(seed=1).study(0), renewed(seed=2).study(0)
    assert one.patient_id != other.patient_id
    assert one.accession_number != other.accession_number
    assert b"".join(instances(renewed().study(5))[1].buffers) == b"".join(instances(renewed().study(5))[1].buffers)


def test_nothing_is_given_twice() -> None:
    supply = renewed()
    studies, others = supply.studies(), supply.studies()
    given = [supply.next().sop_instance_uid for _ in range(3)]
    given += [each.sop_instance_uid for each in instances(next(studies)) + instances(next(others))]
    given += [supply.next().sop_instance_uid for _ in range(3)]
    assert len(set(given)) == 10


def test_instances_are_made_when_asked_for_and_the_same_again() -> None:
    copies = renewed().study(4).series[0].instances
    assert copies[0] == copies[-2] == copies[:1][0] == next(iter(copies))
    assert len(copies) == 2
    with pytest.raises(IndexError):
        copies[2]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixels_are_shared(syntax: str) -> None:
    supply = renewed(syntax)
    for first, second in zip(instances(supply.study(0)), instances(supply.study(3)), strict=True):
        shared = [a for a, b in zip(first.buffers, second.buffers, strict=True) if a is b and len(a) > 2]
        assert len(shared) == 1
        if syntax != DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
            assert first.size - len(shared[0]) < 1500


def test_memory_is_flat() -> None:
    supply = renewed()
    tracemalloc.start()
    try:
        for _ in range(2500):  # more than the interpreter keeps of small objects for reuse
            supply.next()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2500):
            supply.next()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


def test_an_identity_of_ones_own() -> None:
    days = (date(2026, 1, 30), date(2026, 2, 1))
    supply = renewed(identity=Identity("MINE", "Doe^Jane", days))
    said = []
    for study in itertools.islice(supply.studies(), 4):
        assert (study.patient_id, study.patient_name) == ("MINE", "Doe^Jane")
        [copy, _] = map(decoded, instances(study))
        assert (copy.PatientID, copy.PatientName) == ("MINE", "Doe^Jane")
        assert copy.ContentDate == copy.StudyDate == copy.AcquisitionDateTime
        said.append(copy.StudyDate)
    assert said == ["20260130", "20260131", "20260201", "20260130"]


def test_texts_have_even_lengths() -> None:
    """So that a copy is as long as its template."""
    assert all(text.length % 2 == 0 for text in TEXTS.values())
    for number in range(50):
        study = renewed().study(number)
        lengths = (len(study.patient_name), len(study.patient_id), len(study.accession_number))
        assert lengths == tuple(TEXTS[tag].length for tag in (0x00100010, 0x00100020, 0x00080050))


def part10(data_set: Dataset, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    return encode_file_meta(CT, data_set.SOPInstanceUID, syntax) + data_set.to_bytes(syntax)


def test_files(tmp_path: Path) -> None:
    for number, data_set in enumerate(objects()):
        (tmp_path / f"{number}.dcm").write_bytes(part10(data_set))
    (tmp_path / "again.dcm").write_bytes(part10(objects()[0]))
    (tmp_path / "cut.dcm").write_bytes(part10(image("P", 9, 9))[:-7])
    (tmp_path / "note.txt").write_text("none")
    put(tmp_path / "x" / "bare.dcm", "1.2.3")
    read = read_objects([tmp_path])
    assert len(read.templates) == 7
    reasons = {Path(each.path).name: each.reason for each in read.unusable}
    assert reasons.keys() == {"again.dcm" if "0.dcm" not in reasons else "0.dcm", "cut.dcm", "note.txt"}
    supply = Renewed(read.templates, seed=3)
    assert supply.contexts == ((CT, (EXPLICIT_VR_LITTLE_ENDIAN,)),)
    assert supply.round == 4
    copies = [decoded(instance) for number in range(4) for instance in instances(supply.study(number))]
    bare = copies[-1]
    assert bare.SOPClassUID == CT
    assert len({bare.SOPInstanceUID, bare.StudyInstanceUID, bare.SeriesInstanceUID}) == 3


def test_files_of_many_makers() -> None:
    """pydicom's, of all kinds, encodings and faults: everything else in them stays what it is."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    templates = read_objects([folder], most_bytes=1 << 30).templates
    assert len(templates) > 50
    by_uid = {template.sop_instance_uid: template for template in templates}
    for entry in scan([str(folder)]):
        template = by_uid.pop(entry.meta.sop_instance_uid, None) if isinstance(entry, KnownFile) else None
        if template is None or os.path.getsize(entry.path) > 100_000:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is wrong with some
            old = {place: element for place, element in placed(pydicom.dcmread(entry.path)) if place[-1] & 0xFFFF}
            new = dict(placed(decoded(Renewed([template]).next())))
            assert old.keys() <= new.keys(), entry.path
            for place, element in old.items():
                if element.VR != "UI" and place[-1] not in TEXTS:
                    assert repr(element.value) == repr(new[place].value), (entry.path, place)


def placed(data_set: pydicom.Dataset, *at: int) -> Iterator[tuple[tuple[int, ...], pydicom.DataElement]]:
    """Elements but sequences, each with the tags and numbers of items that lead to it."""
    for element in data_set:
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from placed(item, *at, int(element.tag), number)
        else:
            yield (*at, int(element.tag)), element


def test_its_own_uids_are_new_whatever_they_are() -> None:
    """As those of the standard's colour palettes are, when they are sent (PS3.6 annex B)."""
    data_set = image("P", 1, 1)
    data_set.SOPInstanceUID = "1.2.840.10008.1.5.1"
    instance = Renewed([template_of(data_set, EXPLICIT_VR_LITTLE_ENDIAN, MADE_UP)]).next()
    assert decoded(instance).SOPInstanceUID == instance.sop_instance_uid
    assert instance.sop_instance_uid.startswith("2.25.")


def test_what_cannot_be_sent(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no DICOM files"):
        Renewed(read_objects([tmp_path]).templates)
    put(tmp_path / "a.dcm", "1.2.3", size=5000)
    put(tmp_path / "b.dcm", "1.2.4", size=5000)
    with pytest.raises(LocalError, match=r"b\.dcm: .* 8,000 bytes .* name fewer"):
        read_objects([tmp_path], most_bytes=8000)
    for number in range(130):
        put(tmp_path / "many" / f"{number}.dcm", f"1.2.5.{number}", sop_class=f"1.2.{number}", size=0)
    with pytest.raises(ValueError, match="130 kinds of objects are more than 127"):
        Renewed(read_objects([tmp_path / "many"]).templates)
    with pytest.raises(ValueError, match="no SOPInstanceUID"):
        template_of(Dataset(SOPClassUID=CT), EXPLICIT_VR_LITTLE_ENDIAN, Identity())
