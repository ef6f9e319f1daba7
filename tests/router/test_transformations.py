"""Transformations: what each makes of an object, and that everything else stays as it came, byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

from aiodicom.dataset import Dataset, Sequence
from aiodicom.deidentify import write_new_key
from aiodicom.errors import TransformationFailed
from aiodicom.router.config.reading import parse
from aiodicom.router.origin import Origin
from aiodicom.router.routing import Routing
from aiodicom.router.transformations.pipeline import Pipeline, Transformed
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES
from tests.router.objects import ORIGIN, ct

MINIMAL = """
[listen]
port = 11112
[queue]
directory = "queue"
[destinations.pacs]
type = "dimse"
host = "127.0.0.1"
port = 11113
called_aet = "PACS"
"""


def pipeline(steps: str, folder: Path, *, more: str = "", **plug_ins: Any) -> Pipeline:
    """The pipeline of a route with these transformations."""
    steps = " ".join(steps.split())
    route = f'{MINIMAL}{more}\n[[routes]]\nto = ["pacs"]\ntransformations = [\n{steps}\n]\n'
    (plan,) = Routing(parse(route, folder), **plug_ins).plan(ct(), ORIGIN)
    assert plan.pipeline is not None
    return plan.pipeline


def applied(steps: str, folder: Path, data_set: Dataset, **others: Any) -> Dataset:
    """What becomes of an object."""
    outcome = pipeline(steps, folder, **others).apply(data_set, ORIGIN)
    assert outcome is not None
    return decoded(outcome)


def decoded(outcome: Transformed) -> Dataset:
    assert outcome.is_changed
    return Dataset.from_bytes(b"".join(outcome.pieces), outcome.transfer_syntax)


def differing(before: Dataset, after: Dataset) -> set[str]:
    """The keywords, or tags, of what is not the same."""
    tags = {element.tag for element in before} | {element.tag for element in after}
    changed = [tag for tag in tags if before._element(tag) != after._element(tag)]
    return {(before._element(tag) or after._element(tag)).keyword or str(tag) for tag in changed}  # type: ignore[union-attr]


def test_set(tmp_path: Path) -> None:
    before = ct()
    after = applied(
        """{ type = "set", values = { InstitutionName = "Süd", SeriesNumber = 9, ImageType = ["DERIVED", "PRIMARY"],
             PatientComments = "", "(0010,1030)" = 70.5, "RequestAttributesSequence[*].RequestedProcedureID" = "R9",
             '(0009,"ACME CT",02)' = "PLAIN", '(0009,"NEW",01)' = "x" } }""",
        tmp_path,
        before,
    )
    assert after.InstitutionName == "Süd"
    assert after.SeriesNumber == 9
    assert after.ImageType == ["DERIVED", "PRIMARY"]
    assert after["PatientComments"].is_empty
    assert after.PatientWeight == 70.5
    assert [item.RequestedProcedureID for item in after.RequestAttributesSequence] == ["R9", "R9"]
    assert after.get_private_item(0x0009, 0x02, "ACME CT").value == "PLAIN"
    assert after.get_private_item(0x0009, 0x01, "NEW").value == "x"
    assert before.to_bytes() == ct().to_bytes()
    assert len(differing(before, after)) == 9


def test_set_what_is_missing(tmp_path: Path) -> None:
    step = '{ type = "set", values = { InstitutionName = "X", PatientWeight = 70 }, missing_only = true }'
    assert differing(ct(), applied(step, tmp_path, ct())) == {"PatientWeight"}


@pytest.mark.parametrize(
    "step",
    [
        '{ type = "set", values = { InstitutionName = "General", SeriesNumber = 3 } }',
        '{ type = "set", values = { InstitutionName = "X" }, when = \'Modality == "MR"\' }',
        '{ type = "remove", tags = ["PatientWeight", "ContentSequence[0].CodeValue", "(0009,\\"NONE\\",01)"] }',
        '{ type = "prefix", text = "A" }',
        '{ type = "map", tag = "StationName", table = "stations" }',
        '{ type = "split", by = ["ContrastBolusAgent"] }',
        '{ type = "transcode", to = "explicit-le" }',
        '{ type = "drop", when = "Rows > 1000" }',
    ],
)
def test_what_changes_nothing_goes_as_it_came(step: str, tmp_path: Path) -> None:
    before = ct()
    outcome = pipeline(step, tmp_path, more="[tables.stations]\nvalues = { MR1 = 'x' }").apply(before, ORIGIN)
    assert outcome is not None
    assert outcome.header is before
    assert not outcome.is_changed


def test_nothing_but_what_changed_is_encoded_anew(tmp_path: Path) -> None:
    encoded = ct().to_bytes()
    before = Dataset.from_bytes(encoded)
    outcome = pipeline('{ type = "prefix", text = "N-" }', tmp_path).apply(before, ORIGIN)
    assert outcome is not None
    pieces = list(outcome.pieces)
    assert b"".join(pieces) == encoded.replace(b"SH\4\0A77 ", b"SH\6\0N-A77 ")
    # The pixels are those that came, not a copy of them.
    long = max(pieces, key=len)
    assert isinstance(long, memoryview)
    assert long.obj is encoded
    assert len(long) > 8192


def test_what_came_in_a_file_stays_there(tmp_path: Path) -> None:
    (tmp_path / "object").write_bytes(ct().to_bytes())
    before = Dataset.from_file(tmp_path / "object", defer_size=1024)
    outcome = pipeline('{ type = "set", values = { StationName = "X" } }', tmp_path).apply(before, ORIGIN)
    assert outcome is not None
    assert outcome.header["PixelData"].deferred
    assert differing(ct(), decoded(outcome)) == {"StationName"}


def test_remove(tmp_path: Path) -> None:
    before = ct()
    before.RequestAttributesSequence[1].private_block(0x0011, "DEEP", create=True).add_new(1, "LO", "x")
    tags = '["PatientName", "RequestAttributesSequence[0].RequestedProcedureID"]'
    step = f'{{ type = "remove", private = true, tags = {tags} }}'
    after = applied(step, tmp_path, before)
    assert differing(before, after) == {
        "PatientName",
        "RequestAttributesSequence",
        "PrivateCreator",
        "(0009,1002)",
    }
    assert [len(item) for item in after.RequestAttributesSequence] == [1, 2]
    everywhere = '{ type = "remove", tags = ["RequestedProcedureID", "ReferencedSOPInstanceUID"], everywhere = true }'
    after = applied(everywhere, tmp_path, ct())
    assert [len(item) for item in after.RequestAttributesSequence] == [1, 1]
    assert len(after.ReferencedImageSequence[0]) == 0


def test_hash(tmp_path: Path) -> None:
    write_new_key(tmp_path / "key")
    step = """{ type = "hash", key_file = "key", length = 12, everywhere = true, tags = ["PatientID", "PatientName",
        "SOPInstanceUID", "ReferencedSOPInstanceUID", "SOPClassUID", "OtherPatientIDs"] }"""
    before = ct(OtherPatientIDs=["4711", "", "4712"])
    before.ReferencedImageSequence = Sequence([Dataset(ReferencedSOPInstanceUID=before.SOPInstanceUID)])
    after = applied(step, tmp_path, before)
    again = applied(step, tmp_path, ct(PatientName=None, PatientID=" 4711"))
    assert differing(before, after) == {
        "PatientID",
        "PatientName",
        "SOPInstanceUID",
        "ReferencedImageSequence",
        "OtherPatientIDs",
    }
    assert after.PatientID == again.PatientID == after.OtherPatientIDs[0] != after.OtherPatientIDs[2]
    assert after.OtherPatientIDs[1] in (None, "")
    assert len(after.PatientID) == len(after.PatientName) == 12
    assert "PatientName" not in again
    # References lead where they led.
    assert after.SOPInstanceUID.startswith("2.25.")
    assert after.SOPInstanceUID.is_valid
    assert after.ReferencedImageSequence[0].ReferencedSOPInstanceUID == after.SOPInstanceUID
    # Another key, another value.
    (tmp_path / "key").unlink()
    write_new_key(tmp_path / "key")
    assert applied(step, tmp_path, ct()).PatientID != after.PatientID


def test_map(tmp_path: Path) -> None:
    (tmp_path / "stations.csv").write_text("\ufeffaet, room ,name\nER_CT1,Room 1,\n\nCT1,Room 2,First\n")
    more = """
        [tables.rooms]
        file = "stations.csv"
        value = "room"
        [tables.sexes]
        values = { F = "O", "M" = "O" }
    """
    steps = """
        { type = "map", tag = "StationName", table = "rooms" },
        { type = "map", tag = "InstitutionName", source = "calling_aet", table = "rooms" },
        { type = "map", tag = "StudyDescription", source = "AccessionNumber", table = "rooms", otherwise = "empty" },
        { type = "map", tag = "PatientSex", table = "sexes", otherwise = "fail" },
        { type = "map", tag = "Manufacturer", table = "sexes", otherwise = "empty" },
        { type = "map", tag = "PatientComments", source = "peer", table = "sexes" },
    """
    after = applied(steps, tmp_path, ct(), more=more)
    assert (after.StationName, after.InstitutionName, after.PatientSex) == ("Room 2", "Room 1", "O")
    assert after["StudyDescription"].is_empty
    assert after["Manufacturer"].is_empty
    assert "PatientComments" not in after
    with pytest.raises(TransformationFailed, match=r"^map PatientSex: the value is not in the table$"):
        applied(steps, tmp_path, ct(PatientSex="O"), more=more)


def test_prefix(tmp_path: Path) -> None:
    step = """{ type = "prefix", text = "N-" },
        { type = "prefix", text = "X", tag = "RequestAttributesSequence[0].ScheduledProcedureStepID" }"""
    once = applied(step, tmp_path, ct())
    assert once.AccessionNumber == "N-A77"
    assert [item.ScheduledProcedureStepID for item in once.RequestAttributesSequence] == ["XS1", "S2"]
    outcome = pipeline(step, tmp_path).apply(once, ORIGIN)
    assert outcome is not None
    assert not outcome.is_changed
    with pytest.raises(TransformationFailed, match=r"prefix AccessionNumber: the value would have 17 characters"):
        applied(step, tmp_path, ct(AccessionNumber="123456789012345"))
    assert "AccessionNumber" not in applied(step, tmp_path, ct(AccessionNumber=None))
    assert applied(step, tmp_path, ct(AccessionNumber="")).AccessionNumber in (None, "")


def test_split(tmp_path: Path) -> None:
    step = '{ type = "split", by = ["AcquisitionNumber", "ImageType"] }'
    one, same, other = (applied(step, tmp_path, ct(AcquisitionNumber=number)) for number in (1, 1, 2))
    assert one.SeriesInstanceUID == same.SeriesInstanceUID != other.SeriesInstanceUID
    assert one.SeriesInstanceUID.is_valid
    assert differing(ct(), one) == {"SeriesInstanceUID"}
    study = applied('{ type = "split", by = ["AccessionNumber"], level = "study" }', tmp_path, ct())
    assert differing(ct(), study) == {"SeriesInstanceUID", "StudyInstanceUID"}


def test_drop(tmp_path: Path) -> None:
    assert pipeline('{ type = "drop", when = \'"CINE" in SeriesDescription\' }', tmp_path).apply(ct(), ORIGIN) is None


def test_a_condition_sees_what_was_changed_before(tmp_path: Path) -> None:
    steps = """{ type = "set", values = { Modality = "OT" } },
        { type = "set", values = { StationName = "X" }, when = 'Modality == "CT"' }"""
    assert differing(ct(), applied(steps, tmp_path, ct())) == {"Modality"}


def test_transcode(tmp_path: Path) -> None:
    made = pipeline('{ type = "transcode", to = "jpeg-ls", when = \'Modality == "CT"\' }', tmp_path)
    assert made.is_heavy
    outcome = made.apply(ct(), ORIGIN)
    assert outcome is not None
    assert outcome.transfer_syntax == SHORT_NAMES["jpeg-ls-lossless"]
    after = decoded(outcome)
    assert numpy.array_equal(after.frames.to_numpy(), ct().frames.to_numpy())
    assert after.SOPInstanceUID == ct().SOPInstanceUID
    skipped = made.apply(ct(Modality="MR"), ORIGIN)
    assert skipped is not None
    assert not skipped.is_changed


def test_transcoding_with_loss_makes_another_instance(tmp_path: Path) -> None:
    outcome = pipeline('{ type = "transcode", to = "jpeg-extended", quality = 50 }', tmp_path).apply(ct(), ORIGIN)
    assert outcome is not None
    assert outcome.header.SOPInstanceUID == decoded(outcome).SOPInstanceUID != ct().SOPInstanceUID


@pytest.mark.parametrize("keyword", ["PixelData", "Rows"])
def test_what_cannot_be_transcoded(keyword: str, tmp_path: Path) -> None:
    data_set = ct(**{keyword: None})
    if keyword == "Rows":
        # Corrupt, whatever is said about those that cannot be in it.
        with pytest.raises(TransformationFailed, match=r"transcode to RLE Lossless: "):
            pipeline('{ type = "transcode", to = "rle-lossless" }', tmp_path).apply(data_set, ORIGIN)
        return
    outcome = pipeline('{ type = "transcode", to = "rle-lossless" }', tmp_path).apply(data_set, ORIGIN)
    assert outcome is not None
    assert not outcome.is_changed
    with pytest.raises(TransformationFailed, match=r"transcode to RLE Lossless: there are no pixel data"):
        pipeline('{ type = "transcode", to = "rle", otherwise = "fail" }', tmp_path).apply(data_set, ORIGIN)


def test_an_object_that_ends_too_early(tmp_path: Path) -> None:
    cut = Dataset.from_bytes(ct().to_bytes()[:-100])
    with pytest.raises(TransformationFailed, match="reading the object"):
        pipeline('{ type = "remove", tags = ["PatientName"] }', tmp_path).apply(cut, ORIGIN)


def test_text_that_the_character_set_of_the_object_lacks(tmp_path: Path) -> None:
    made = pipeline('{ type = "set", values = { InstitutionName = "東京" } }', tmp_path)
    with pytest.raises(TransformationFailed, match=r"set InstitutionName: .*character set \(ISO_IR 100\) lacks"):
        made.apply(ct(), ORIGIN)
    assert made.apply(ct(SpecificCharacterSet="ISO_IR 192"), ORIGIN) is not None


def test_deidentify(tmp_path: Path) -> None:
    write_new_key(tmp_path / "key")
    (tmp_path / "devices.toml").write_text("")
    more = """
        [deidentify.research]
        key_file = "key"
        retain = ["uids", "dates"]
        [deidentify.clean]
        key_file = "key"
        clean = ["pixels"]
        device_rules = "devices.toml"
    """
    steps = '{ type = "deidentify", profile = "research" }, { type = "set", values = { PatientID = "1" } }'
    made = pipeline(steps, tmp_path, more=more)
    assert not made.is_heavy
    outcome = made.apply(ct(), ORIGIN)
    assert outcome is not None
    after = decoded(outcome)
    assert (after.PatientID, after.PatientIdentityRemoved) == ("1", "YES")
    assert after.PatientName != "Doe^Jane"
    assert after.SOPInstanceUID == ct().SOPInstanceUID
    with pytest.raises(TransformationFailed, match=r"^deidentify: its pixels have burned in annotation"):
        made.apply(ct(BurnedInAnnotation="YES"), ORIGIN)
    cleaned = pipeline('{ type = "deidentify", profile = "clean" }', tmp_path, more=more)
    assert cleaned.is_heavy
    outcome = cleaned.apply(ct(), ORIGIN)
    assert outcome is not None
    assert outcome.header.SOPInstanceUID != ct().SOPInstanceUID


def test_implicit_vr_stays_implicit_vr(tmp_path: Path) -> None:
    syntax = "1.2.840.10008.1.2"
    before = Dataset.from_bytes(ct().to_bytes(syntax), syntax)
    outcome = pipeline('{ type = "prefix", text = "N-" }', tmp_path).apply(before, Origin("A", "B", "", syntax))
    assert outcome is not None
    assert outcome.transfer_syntax == syntax
    assert decoded(outcome).AccessionNumber == "N-A77"
