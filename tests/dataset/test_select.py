"""Parts of data sets, and elements of other data sets."""

from __future__ import annotations

import pytest
from pydicom_files import sample

from aiodicom.dataset import DataElement, Dataset
from aiodicom.standard.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)


def ct() -> Dataset:
    one = sample("test_files/CT_small.dcm")
    return Dataset.from_bytes(one.data, one.transfer_syntax)


def round_trip(data_set: Dataset, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> Dataset:
    return Dataset.from_bytes(data_set.to_bytes(syntax), syntax, strict=True)


class TestSelect:
    def test_what_is_there_of_what_is_named(self) -> None:
        whole = ct()
        selection = whole.select(["PatientName", 0x00080060, (0x0010, 0x0020), "PatientComments", "0008,0005"])
        assert selection == Dataset(
            [whole[tag] for tag in (0x00080005, 0x00080060, 0x00100010, 0x00100020)]
        )  # fmt: skip
        assert "StudyDate" not in selection
        assert len(selection) == 4

    @pytest.mark.parametrize("syntax", [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN])
    def test_it_is_encoded_without_the_others(self, syntax: str) -> None:
        whole = round_trip(ct(), syntax)
        selection = whole.select(["PatientName", "Rows", "PixelSpacing", "SpecificCharacterSet"])
        for target in (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN):
            assert round_trip(selection, target) == selection
        assert selection.copy().to_bytes() == selection.to_bytes()
        assert len(selection.to_bytes()) < 200

    def test_a_deflated_data_set_is_not_given_as_it_came(self) -> None:
        deflated = "1.2.840.10008.1.2.1.99"
        whole = Dataset.from_bytes(ct().to_bytes(deflated), deflated)
        assert Dataset.from_bytes(whole.select(["Rows"]).to_bytes(), deflated) == Dataset(Rows=whole.Rows)

    def test_changes_are_taken_over_and_stay_apart(self) -> None:
        whole = Dataset.from_bytes(Dataset(PatientID="1", ImageType=["A", "B"], Rows=1, Columns=2).to_bytes())
        whole.PatientID = "2"
        whole.ImageType.append("C")
        del whole.Rows
        selection = whole.select(["PatientID", "ImageType", "Rows"])
        assert selection == Dataset(PatientID="2", ImageType=["A", "B", "C"])
        selection.PatientID = "3"
        selection.Columns = 7
        assert (whole.PatientID, whole.Columns) == ("2", 2)

    def test_text_keeps_its_character_set(self) -> None:
        whole = Dataset.from_bytes(Dataset(SpecificCharacterSet="ISO_IR 100", PatientName="Müller").to_bytes())
        selection = whole.select(["PatientName"])
        assert selection.PatientName == "Müller"
        selection.SpecificCharacterSet = "ISO_IR 192"
        assert Dataset.from_bytes(selection.to_bytes()).PatientName == "Müller"


def test_an_element_of_another_data_set_brings_its_value() -> None:
    source = Dataset.from_bytes(
        Dataset(PatientName="Doe", RequestAttributesSequence=[Dataset(PatientID="1")]).to_bytes()
    )
    taken = Dataset(source)
    taken["PatientID"] = DataElement("PatientID", "LO", "1")
    other = Dataset()
    for element in source:
        other.add(element)
    assert Dataset.from_bytes(other.to_bytes()) == source
    assert Dataset.from_bytes(taken.to_bytes()).PatientName == "Doe"
