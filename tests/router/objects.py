"""Headers as scanners send them, for rules to look at."""

from __future__ import annotations

from functools import cache
from typing import Any

from aiodicom.dataset import Dataset, Sequence
from aiodicom.router.origin import Origin

ORIGIN = Origin("ER_CT1", "ROUTER", "10.1.2.3", "1.2.840.10008.1.2.1")


def ct(**values: Any) -> Dataset:
    """A CT image of 64 by 64, decoded from its encoded form; `values` by keyword, None for none."""
    data_set = Dataset.from_bytes(_encoded()).copy()
    for keyword, value in values.items():
        if value is None:
            delattr(data_set, keyword)
        else:
            setattr(data_set, keyword, value)
    return Dataset.from_bytes(data_set.to_bytes())


@cache
def _encoded() -> bytes:
    data_set = Dataset(
        SpecificCharacterSet="ISO_IR 100",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID="1.2.3.1.1.1",
        StudyDate="20240131",
        StudyTime="083000",
        AccessionNumber="A77",
        Modality="CT",
        Manufacturer="ACME",
        InstitutionName="General",
        ReferringPhysicianName="House^Gregory",
        StationName="CT1",
        StudyDescription="Thorax",
        SeriesDescription="CINE thin",
        PatientName="Doe^Jane",
        PatientID="4711",
        PatientBirthDate="19700101",
        PatientSex="F",
        PatientAge="054Y",
        SliceThickness=1.5,
        KVP=120,
        StudyInstanceUID="1.2.3.1",
        SeriesInstanceUID="1.2.3.1.1",
        SeriesNumber=3,
        AcquisitionNumber=1,
        InstanceNumber=7,
        ImagePositionPatient=[-100, -100, 12.5],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=64,
        Columns=64,
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
    )
    data_set.RequestAttributesSequence = Sequence(
        [
            Dataset(RequestedProcedureID="R1", ScheduledProcedureStepID="S1"),
            Dataset(RequestedProcedureID="R2", ScheduledProcedureStepID="S2"),
        ]
    )
    data_set.ReferencedImageSequence = Sequence([Dataset(ReferencedSOPInstanceUID="1.2.3.1.1.9")])
    data_set.private_block(0x0009, "ACME CT", create=True).add_new(0x02, "LO", "SPECIAL")
    data_set.add_new("PixelData", "OW", bytes(range(256)) * 32)
    return data_set.to_bytes()
