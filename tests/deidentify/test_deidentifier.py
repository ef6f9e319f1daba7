"""What becomes of attributes, by profile, options, IOD and place."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

import aiodicom
from aiodicom.dataset import DataElement, Dataset, Sequence
from aiodicom.deidentify import Deidentifier, Options
from aiodicom.errors import DecodeError, LocalError
from aiodicom.standard.uids import is_valid_uid

KEY = bytes(range(32))
CT = "1.2.840.10008.5.1.4.1.1.2"
SR = "1.2.840.10008.5.1.4.1.1.88.33"
EXPLICIT = "1.2.840.10008.1.2.1"


def apply(data_set: Dataset, *retain: str, clean: tuple[str, ...] = (), **others: Any) -> Dataset:
    return Deidentifier(Options.named(retain, clean, **others), key=KEY).apply(data_set)


def ct(**values: Any) -> Dataset:
    return Dataset(
        **{
            "SOPClassUID": CT,
            "SOPInstanceUID": "1.2.3",
            "StudyInstanceUID": "1.2.4",
            "PatientName": "Doe^John",
            "PatientID": "12345",
            **values,
        }
    )


def item(**values: Any) -> Sequence:
    return Sequence([Dataset(**values)])


def test_uids_are_mapped_alike_everywhere_and_those_of_the_standard_stay() -> None:
    source = ct(
        FrameOfReferenceUID="1.2.840.10008.1.4.1.1",
        ReferencedImageSequence=item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.3"),
        SourceImageSequence=item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.9"),
        ReferencedFrameOfReferenceSequence=item(FrameOfReferenceUID="1.2.4"),
    )
    result = apply(source)
    assert result.SOPClassUID == CT
    assert result.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert is_valid_uid(result.SOPInstanceUID)
    assert result.SOPInstanceUID.startswith("2.25.")
    assert result.ReferencedImageSequence[0].ReferencedSOPInstanceUID == result.SOPInstanceUID
    assert result.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID == result.StudyInstanceUID
    assert result.SourceImageSequence[0].ReferencedSOPInstanceUID not in ("1.2.9", result.SOPInstanceUID)
    assert result.SourceImageSequence[0].ReferencedSOPClassUID == CT
    assert Deidentifier(key=KEY).uid("1.2.3") == result.SOPInstanceUID
    assert Deidentifier(Options(retain_uids=True), key=KEY).uid("1.2.3") == "1.2.3"
    kept = apply(source, "uids")
    assert (kept.SOPInstanceUID, kept.SourceImageSequence[0].ReferencedSOPInstanceUID) == ("1.2.3", "1.2.9")


def test_types_of_the_iod_decide() -> None:
    """Content Date (Z/D) is of type 1 in a structured report, and of type 2C in a CT image."""
    values = {"ContentDate": "20200101", "ContentTime": "1200", "AcquisitionDate": "20200101"}
    assert apply(ct(**values)).ContentDate is None
    assert apply(ct(**values, SOPClassUID=SR)).ContentDate == "19000101"
    # Whoever knows nothing of the IOD keeps it valid whatever that says.
    assert apply(ct(**values, SOPClassUID="1.2.3.4")).ContentDate == "19000101"
    # Of X/Z, where it is optional.
    assert "AcquisitionDate" not in apply(ct(**values))
    # X, but the IOD of a presentation state has it with type 1.
    state = ct(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1", PresentationCreationDate="20200101")
    assert apply(state).PresentationCreationDate == "19000101"


def test_pseudonyms() -> None:
    one, two = (apply(ct(AccessionNumber="A77", StudyInstanceUID=uid)) for uid in ("1.2.4", "1.2.5"))
    assert one.PatientID == one.PatientName == two.PatientID
    assert one.PatientID.startswith("ANON-")
    assert one.AccessionNumber == two.AccessionNumber != "A77"
    assert len(one.AccessionNumber) <= 16
    assert apply(ct(PatientID="12346")).PatientID != one.PatientID
    without = apply(ct(AccessionNumber="A77"), pseudonyms=False)
    assert (without.PatientName, without.PatientID, without.AccessionNumber) == (None, None, None)
    assert apply(ct(PatientID="")).PatientID == ""


def test_options_retain() -> None:
    source = ct(
        PatientAge="040Y",
        PatientSex="F",
        InstitutionName="Clinic",
        DeviceSerialNumber="SN1",
        StationName="CT1",
        StudyDate="20200229",
        StudyTime="1122",
        SeriesDescription="Doe thorax of 2020-02-29",
        StationAETitle="CT_ONE",
    )
    assert {"PatientAge", "InstitutionName", "DeviceSerialNumber", "SeriesDescription"}.isdisjoint(apply(source).dir())
    assert apply(source).PatientSex is None
    assert (apply(source, "patient").PatientAge, apply(source, "patient").PatientSex) == ("040Y", "F")
    assert apply(source, "institution").InstitutionName == "Clinic"
    device = apply(source, "device")
    assert (device.DeviceSerialNumber, device.StationName) == ("SN1", "CT1")
    assert device.StationAETitle.startswith("AE")
    assert len(device.StationAETitle) == 16
    assert apply(source, "dates").StudyDate == "20200229"
    assert apply(source, clean=("descriptors",)).SeriesDescription == "thorax of"


def test_dates_move_together() -> None:
    source = ct(StudyDate="20200301", AcquisitionDateTime="20200303101112.5+0100", StudyTime="1122")
    other = ct(StudyInstanceUID="1.2.77", StudyDate="20200401")
    first, second = (apply(each, "modified-dates") for each in (source, other))
    dates = [aiodicom.Dataset(StudyDate=each.StudyDate).StudyDate for each in (first, second)]
    days = [_days(str(date)) for date in dates]
    assert days[1] - days[0] == 31
    assert _days(str(first.AcquisitionDateTime)[:8]) - days[0] == 2
    assert str(first.AcquisitionDateTime)[8:] == "101112.5+0100"
    assert first.StudyTime == "1122"
    assert first.LongitudinalTemporalInformationModified == "MODIFIED"
    assert apply(ct(PatientID="9", StudyDate="20200301"), "modified-dates").StudyDate != first.StudyDate
    assert apply(source).LongitudinalTemporalInformationModified == "REMOVED"
    assert apply(source, "dates").LongitudinalTemporalInformationModified == "UNMODIFIED"


def _days(text: str) -> int:
    from datetime import datetime

    return datetime.strptime(text, "%Y%m%d").toordinal()


def test_what_was_done_is_recorded() -> None:
    result = apply(ct(), "uids", clean=("descriptors", "pixels"))
    assert result.PatientIdentityRemoved == "YES"
    codes = [(code.CodeValue, code.CodingSchemeDesignator) for code in result.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113110", "DCM"), ("113105", "DCM"), ("113101", "DCM")]
    assert len(result.DeidentificationMethod) == 4
    assert all(len(method) <= 64 for method in result.DeidentificationMethod)


def test_private_attributes() -> None:
    source = ct()
    safe = source.private_block(0x0019, "GEMS_ACQU_01", create=True)
    safe.add_new(0x23, "DS", "7.5")
    safe.add_new(0x24, "DS", "8")
    safe.add_new(0x01, "LO", "secret")
    other = source.private_block(0x0029, "SOMEBODY", create=True)
    other.add_new(0x23, "LO", "secret")
    states = source.private_block(0x2001, "Philips Imaging DD 129", create=True)
    states.add_new(0x00, "SQ", item(ReferencedSOPInstanceUID="1.2.3", PatientName="Doe", TextComments="Doe"))
    assert not [each.tag for each in apply(source) if each.is_private]
    result = apply(source, "safe-private")
    assert [f"{each.tag:08X}" for each in result if each.is_private] == [
        *("00190010", "00191023", "00191024"),
        *("20010010", "20011000"),
    ]
    inner = result.private_block(0x2001, "Philips Imaging DD 129")[0].value[0]
    assert inner.ReferencedSOPInstanceUID == result.SOPInstanceUID
    assert "Doe" not in str(inner)


def test_private_attributes_that_say_that_they_are_safe() -> None:
    source = ct(
        PrivateDataElementCharacteristicsSequence=Sequence(
            [
                Dataset(
                    PrivateGroupReference=0x0029,
                    PrivateCreatorReference="ALL SAFE",
                    BlockIdentifyingInformationStatus="SAFE",
                ),
                Dataset(
                    PrivateGroupReference=0x0029,
                    PrivateCreatorReference="SOME",
                    BlockIdentifyingInformationStatus="MIXED",
                    NonidentifyingPrivateElements=[1, 2],
                ),
            ]
        )
    )
    for creator in ("ALL SAFE", "SOME", "NONE"):
        block = source.private_block(0x0029, creator, create=True)
        for offset in (1, 2, 3):
            block.add_new(offset, "LO", f"{creator} of Doe")
    result = apply(source, "safe-private")
    assert {f"{each.tag:08X}": each.value for each in result if each.is_private} == {
        "00290010": "ALL SAFE",
        "00290011": "SOME",
        **{f"0029100{offset}": "ALL SAFE of" for offset in (1, 2, 3)},
        **{f"0029110{offset}": "SOME of" for offset in (1, 2)},
    }


def test_overlays_and_curves() -> None:
    source = ct(OverlayRows=2, OverlayColumns=8, OverlayType="G", OverlayComments="Doe", OverlayData=b"\1\2")
    for offset, value in ((0x10, 2), (0x40, "R"), (0x1500, "Doe 7"), (0x3000, b"\3\4")):
        vr = {int: "US", str: "LO", bytes: "OW"}[type(value)]
        source.add_new(0x60020000 | offset, "CS" if offset == 0x40 else vr, value)
    source.add_new(0x50000022, "LO", "Doe's curve")
    source.add_new(0x50003000, "OW", b"\5\6")
    source.add_new(0x5000200C, "OW", b"speech")
    assert not [each.tag for each in apply(source) if each.tag >> 24 in (0x50, 0x60)]
    result = apply(source, clean=("graphics",))
    kept = {f"{each.tag:08X}": each.value for each in result if each.tag >> 24 in (0x50, 0x60)}
    assert kept == {
        "50000022": "'s curve",
        "50003000": b"\5\6",
        "60020010": 2,
        "60020040": "R",
        "60021500": "7",
        "60023000": b"\3\4",
    }


def content(kind: str, code: str, **values: Any) -> Dataset:
    name = item(CodeValue=code, CodingSchemeDesignator="DCM", CodeMeaning="Concept")
    return Dataset(RelationshipType="CONTAINS", ValueType=kind, ConceptNameCodeSequence=name, **values)


def report() -> Dataset:
    return ct(
        SOPClassUID=SR,
        ContentSequence=Sequence(
            [
                content("TEXT", "121071", TextValue="Mr Doe has a nodule of 8 mm, see 2020-01-02"),
                content("PNAME", "121008", PersonName="Miller^Ann"),
                content("TEXT", "121022", TextValue="A77"),
                content("UIDREF", "112040", UID="1.2.3"),
                content(
                    "CONTAINER",
                    "121070",
                    ContinuityOfContent="SEPARATE",
                    ContentSequence=Sequence([content("TEXT", "121073", TextValue="Doe: healthy")]),
                ),
            ]
        ),
    )


def test_structured_content_becomes_dummies() -> None:
    result = apply(report())
    found = result.ContentSequence
    assert [each.ValueType for each in found] == ["TEXT", "PNAME", "TEXT", "UIDREF", "CONTAINER"]
    assert found[0].TextValue == found[4].ContentSequence[0].TextValue == "ANONYMIZED"
    assert found[0].ConceptNameCodeSequence[0].CodeValue == "121071"
    assert result.SOPInstanceUID == found[3].UID


def test_structured_content_is_cleaned() -> None:
    result = apply(report(), clean=("structured-content", "descriptors"))
    found = {each.ConceptNameCodeSequence[0].CodeValue: each for each in result.ContentSequence}
    assert "121022" not in found  # Accession Number: X
    assert found["121071"].TextValue == "has a nodule of 8 mm, see"
    assert found["121070"].ContentSequence[0].TextValue == "healthy"
    assert result.SOPInstanceUID == found["112040"].UID
    assert "Miller" not in str(result)


def test_what_is_written_otherwise_than_the_dictionary_has_it() -> None:
    source = ct()
    inner = Dataset(PatientName="Doe^John").to_bytes("1.2.840.10008.1.2")
    nested = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    source.add(DataElement(0x00081140, "UN", nested))  # a sequence as bytes
    source.add(DataElement(0x0020000E, "LO", "1.2.3.4 Doe"))  # a UID as text
    source.add(DataElement(0x00180050, "LO", "Doe"))  # a number as text
    source.add(DataElement(0x00081030, "SQ", item(TextComments="Doe", ImageComments="Doe")))  # a text as sequence
    source.add(DataElement(0x00181020, "SQ", item(SoftwareVersions="Doe")))
    source.add(DataElement(0x00100020, "UN", b"12345 "))
    source.add(DataElement(0x00280FFE, "LO", "Doe"))  # nobody knows what
    source.add(DataElement(0x00280000, "UL", 7))
    again = Dataset.from_bytes(source.to_bytes(EXPLICIT), EXPLICIT)
    for clean in ((), ("descriptors", "structured-content")):
        result = apply(again, clean=clean)
        output = result.to_bytes(EXPLICIT)
        assert b"Doe" not in output
        assert b"12345" not in output
        assert 0x00280FFE not in result
        assert 0x00280000 not in result


def test_what_stands_behind_the_data_set_goes() -> None:
    encoded = ct().to_bytes(EXPLICIT) + b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0John Doe" + b"\0" * 6
    source = Dataset.from_bytes(encoded, EXPLICIT)
    assert b"Doe" not in apply(source).to_bytes()


def test_what_is_refused() -> None:
    with pytest.raises(LocalError, match="a DICOMDIR"):
        apply(Dataset(DirectoryRecordSequence=Sequence([])))
    with pytest.raises(DecodeError):
        apply(Dataset.from_bytes(ct().to_bytes(EXPLICIT)[:-1], EXPLICIT))
    with pytest.raises(LocalError, match="too short"):
        Deidentifier(key=b"short")
    with pytest.raises(LocalError, match="not both"):
        Options(retain_longitudinal_full_dates=True, retain_longitudinal_modified_dates=True)
    with pytest.raises(LocalError, match="max_shift_days"):
        Options(max_shift_days=0)
    with pytest.raises(LocalError, match="nothing to retain is called 'all'"):
        Options.named(("all",))


def test_what_is_untouched_is_copied() -> None:
    """Down to how its lengths are encoded; what others hold of the original stays as it is."""
    source = ct(RescaleSlope="1.500", CTDIPhantomTypeCodeSequence=item(CodeValue="1", CodeMeaning="x"))
    encoded = source.to_bytes(EXPLICIT, lengths="undefined")
    decoded = Dataset.from_bytes(encoded, EXPLICIT)
    output = apply(decoded).to_bytes()
    start = encoded.index(b"\x18\x00\x46\x93")
    assert encoded[start : start + 60] in output
    assert b"1.500 " in output
    assert decoded.to_bytes() == encoded


def test_pydicom_data_sets() -> None:
    import pydicom

    file = BytesIO()
    aiodicom.dcmwrite(file, ct(SpecificCharacterSet="ISO_IR 192", PatientComments="Jürgen"))
    theirs = pydicom.dcmread(BytesIO(file.getvalue()))
    assert apply(theirs).PatientID == apply(ct()).PatientID
    assert theirs.PatientName == "Doe^John"
