"""What a performed procedure step says, out of a worklist item and files."""

from __future__ import annotations

from pathlib import Path

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.errors import DecodeError
from aiodicom.services.performed import performed_series, scheduled_step
from aiodicom.standard.uids import is_valid_uid

CODE = {"CodeValue": "1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Kopf für CT"}


def test_a_scheduled_step() -> None:
    item = Dataset(
        SpecificCharacterSet="ISO_IR 100",
        PatientName="Müller^Jane",
        PatientBirthDate="19700101",
        StudyInstanceUID="1.2.3",
        ReferencedStudySequence=[
            Dataset(ReferencedSOPClassUID="1.2.1", ReferencedSOPInstanceUID="1.2.2", Manufacturer="x")
        ],
        RequestedProcedureCodeSequence=[Dataset(**CODE)],
        ScheduledProcedureStepSequence=[
            Dataset(
                Modality="CT",
                ScheduledStationAETitle=["CT1", "CT2"],
                ScheduledProcedureStepDescription="Head",
                ScheduledProtocolCodeSequence=[Dataset(**CODE)],
            )
        ],
    )
    # As it comes from a peer: encoded, with a character set of its own.
    step = scheduled_step(Dataset.from_bytes(item.to_bytes()))
    (attributes,) = step.ScheduledStepAttributesSequence
    assert attributes.StudyInstanceUID == "1.2.3"
    assert attributes["AccessionNumber"].is_empty
    assert attributes.ScheduledProcedureStepDescription == "Head"
    assert list(attributes.ReferencedStudySequence) == [
        Dataset(ReferencedSOPClassUID="1.2.1", ReferencedSOPInstanceUID="1.2.2")
    ]
    assert (step.Modality, step.PerformedStationAETitle) == ("CT", "CT1")
    assert step.PerformedProcedureStepDescription == "Head"
    assert step["PatientID"].is_empty
    step.SpecificCharacterSet = "ISO_IR 192"
    step = Dataset.from_bytes(step.to_bytes())
    assert str(step.PatientName) == "Müller^Jane"
    for sequence in (step.ProcedureCodeSequence, step.PerformedProtocolCodeSequence):
        assert [each.CodeMeaning for each in sequence] == ["Kopf für CT"]


def test_an_unscheduled_step() -> None:
    step = scheduled_step()
    assert is_valid_uid(step.ScheduledStepAttributesSequence[0].StudyInstanceUID)
    assert "Modality" not in step
    assert step["PatientName"].is_empty


def test_series(tmp_path: Path) -> None:
    for number, series in enumerate(("1.2.1", "1.2.2", "1.2.1")):
        data_set = Dataset(
            SpecificCharacterSet="ISO_IR 100",
            SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            SOPInstanceUID=f"1.2.3.{number}",
            SeriesInstanceUID=series,
            SeriesDescription="Schädel",
        )
        aiodicom.dcmwrite(tmp_path / f"{number}.dcm", data_set)
    first, second = performed_series(sorted(tmp_path.iterdir()))
    assert [each.ReferencedSOPInstanceUID for each in first.ReferencedImageSequence] == ["1.2.3.0", "1.2.3.2"]
    assert [each.ReferencedSOPInstanceUID for each in second.ReferencedImageSequence] == ["1.2.3.1"]
    assert (first.SeriesDescription, first.ProtocolName) == ("Schädel", "Schädel")
    assert performed_series([]) == []


def test_a_file_that_ends_too_early(tmp_path: Path) -> None:
    data_set = Dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID="1.2.3", SeriesInstanceUID="1.2.1")
    aiodicom.dcmwrite(tmp_path / "x.dcm", data_set)
    (tmp_path / "x.dcm").write_bytes((tmp_path / "x.dcm").read_bytes()[:-4])
    with pytest.raises(DecodeError):
        performed_series([tmp_path / "x.dcm"])
