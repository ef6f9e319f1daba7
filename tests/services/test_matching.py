"""Attribute matching as PS3.4 C.2.2.2 has it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.dataset import DataElement, Dataset
from aiodicom.errors import OperationRefused
from aiodicom.services.matching import Keys
from aiodicom.standard.status import Status


def encoded(**values: Any) -> Dataset:
    """A data set as it comes over the network."""
    return Dataset.from_bytes(Dataset(SpecificCharacterSet="ISO_IR 192", **values).to_bytes())


def matches(keyword: str, key: Any, value: Any) -> bool:
    """Whether an entity with this value matches this key; None is an entity without the attribute."""
    entity = encoded() if value is None else encoded(**{keyword: value})
    return Keys(encoded(**{keyword: key})).match(entity)


@pytest.mark.parametrize(
    ("keyword", "key", "value", "expected"),
    [
        # Single value (C.2.2.2.1): exact, case-sensitive but for PN.
        ("PatientID", "A1", "A1", True),
        ("PatientID", "a1", "A1", False),
        ("PatientID", "A1", "A12", False),
        ("PatientID", "A1", "", False),
        ("PatientID", "A1", "  A1", True),
        ("SeriesNumber", "07", "7", True),
        ("SeriesNumber", "7", "8", False),
        ("SliceThickness", "1.50", "1.5", True),
        ("Rows", 512, 512, True),
        ("Rows", 512, 256, False),
        ("PatientAge", "012Y", "012Y", True),
        ("PatientAge", "*", "012Y", True),
        ("StudyInstanceUID", "1.2.3", "1.2.3", True),
        ("StudyInstanceUID", "1.2.*", "1.2.3", False),
        ("FrameIncrementPointer", 0x00181063, 0x00181063, True),
        ("EncapsulatedDocument", b"ab", b"ab", True),
        ("EncapsulatedDocument", b"ab", b"cd", False),
        # List of UID (C.2.2.2.2)
        ("StudyInstanceUID", ["1.2", "1.3"], "1.3", True),
        ("StudyInstanceUID", ["1.2", "1.3"], "1.4", False),
        # Universal (C.2.2.2.3)
        ("PatientID", "", "A1", True),
        ("PatientID", "", "", True),
        ("PatientID", "", None, True),
        ("PatientID", "*", "", True),
        ("PatientID", "**", "", True),
        ("StudyDate", "*", "", True),
        ("SeriesNumber", "", "", True),
        # Wild card (C.2.2.2.4)
        ("PatientID", "A*", "A", True),
        ("PatientID", "A*", "A123", True),
        ("PatientID", "A*", "BA", False),
        ("PatientID", "A?", "A", False),
        ("PatientID", "A?", "A1", True),
        ("PatientID", "a*", "A1", False),
        ("PatientID", "*1*3", "A123", True),
        ("PatientID", "*1*3", "A1234", False),
        ("PatientID", "A.*", "AB", False),
        ("PatientID", "[A]*", "A", False),
        ("Modality", "C?", "CT", True),
        ("StudyDescription", "*ä?el*", "Schädel, nativ", True),
        ("PatientID", "A*", "", False),
        # DA and TM (C.2.2.2.1.3, C.2.2.2.5.1, C.2.2.2.5.2): by meaning, ends included.
        ("StudyDate", "20240229", "20240229", True),
        ("StudyDate", "20240229", "20240228", False),
        ("StudyDate", "20240229", "2024.02.29", True),
        ("StudyDate", "20240101-20241231", "20240101", True),
        ("StudyDate", "20240101-20241231", "20241231", True),
        ("StudyDate", "20240101 - 20241231", "20240601", True),
        ("StudyDate", "20240101-20241231", "20250101", False),
        ("StudyDate", "-20241231", "19000101", True),
        ("StudyDate", "-20241231", "20250101", False),
        ("StudyDate", "20240101-", "20240101", True),
        ("StudyDate", "20240101-", "20231231", False),
        ("StudyDate", "20240101-", "", False),
        ("StudyTime", "2230", "223000", True),
        ("StudyTime", "2230", "223059.999999", True),
        ("StudyTime", "2230", "2231", False),
        ("StudyTime", "101112.50", "101112.5", True),
        ("StudyTime", "101112.5", "101112.6", False),
        ("StudyTime", "101112.0-", "101112", True),
        ("StudyTime", "22:30", "2230", True),
        ("StudyTime", "10-12", "095959", False),
        ("StudyTime", "10-12", "10", True),
        ("StudyTime", "10-12", "125959", True),
        ("StudyTime", "10-12", "13", False),
        ("StudyTime", "-12", "000000", True),
        ("StudyTime", "12-", "120000.000001", True),
        # DT (C.2.2.2.5.3): offsets from UTC count.
        ("AcquisitionDateTime", "19980128103000", "19980128103000.0000", True),
        ("AcquisitionDateTime", "19980128103000+0000", "19980128073000-0300", True),
        ("AcquisitionDateTime", "19980128103000+0000", "19980128103000-0300", False),
        ("AcquisitionDateTime", "19980128103000-0300", "19980128133000+0000", True),
        ("AcquisitionDateTime", "1998", "19981231235959.999999", True),
        ("AcquisitionDateTime", "1998", "1999", False),
        ("AcquisitionDateTime", "199802", "19980228", True),
        ("AcquisitionDateTime", "1998-1999", "19991231", True),
        ("AcquisitionDateTime", "1998-", "1997", False),
        ("AcquisitionDateTime", "-1998", "1997", True),
        ("AcquisitionDateTime", "1998010100-0500-1998010103-0500", "1998010105+0000", True),
        ("AcquisitionDateTime", "1998010100-0500-1998010103-0500", "1998010104+0000", False),
        ("AcquisitionDateTime", "1998010100-0500-", "1998010105+0000", True),
        ("AcquisitionDateTime", "-1998010100-0500", "1998010105+0000", True),
        ("AcquisitionDateTime", "19980128", "nonsense", False),
        # PN (C.2.2.2.1.1)
        ("PatientName", "doe^JANE", "Doe^Jane", True),
        ("PatientName", "Doe^Jane", "Doe^Jane^^^", True),
        ("PatientName", "Doe^Jane^^^", "Doe^Jane", True),
        ("PatientName", "Doe", "Doe^Jane", False),
        ("PatientName", "Doe*", "DOE^JANE", True),
        ("PatientName", "Doe^*", "Doe", True),
        ("PatientName", "Doe^*", "Doering^Jane", False),
        ("PatientName", "Müller", "MULLER", True),
        ("PatientName", "Muller*", "Müller^Jürgen", True),
        ("PatientName", "Wang^XiaoDong", "Wang^XiaoDong=王^小東", True),
        ("PatientName", "王^小東", "Wang^XiaoDong=王^小東", True),
        ("PatientName", "王*", "Wang^XiaoDong=王^小東", True),
        ("PatientName", "=王*", "Wang^XiaoDong=王^小東", True),
        ("PatientName", "Li*=王*", "Wang^XiaoDong=王^小東", False),
        ("PatientName", "かき", "がき", False),
        ("PatientName", "김희?", "김희중", True),
        ("OtherPatientNames", "Roe", ["Doe", "Roe"], True),
        # Several values (C.2.2.3, C.2.2.2.8) and empty ones (C.2.2.2.7)
        ("ModalitiesInStudy", "MR", ["CT", "MR"], True),
        ("ModalitiesInStudy", ["PT", "MR"], ["CT", "MR"], True),
        ("ModalitiesInStudy", ["PT", "M?"], ["CT", "MR"], True),
        ("ModalitiesInStudy", ["PT", "US"], ["CT", "MR"], False),
        ("StudyDate", ["20240101", "20240103-20240104"], "20240104", True),
        ("StudyDate", ["20240101", "20240103-20240104"], "20240102", False),
        ("AccessionNumber", '""', "", True),
        ("AccessionNumber", '""', None, True),
        ("AccessionNumber", '""', "A", False),
    ],
)  # fmt: skip
def test_one_key(keyword: str, key: Any, value: Any, expected: bool) -> None:
    assert matches(keyword, key, value) is expected


@pytest.mark.parametrize("syntax", ["ISO_IR 100", "ISO_IR 192"])
@pytest.mark.parametrize("other", ["ISO_IR 100", "ISO_IR 192"])
def test_character_sets_do_not_matter(syntax: str, other: str) -> None:
    key = Dataset.from_bytes(Dataset(SpecificCharacterSet=syntax, StudyDescription="Schädel").to_bytes())
    entity = Dataset.from_bytes(Dataset(SpecificCharacterSet=other, StudyDescription="Schädel").to_bytes())
    keys = Keys(key)
    assert keys.match(entity)
    answer = Dataset.from_bytes(keys.answer(entity).to_bytes())
    assert answer.StudyDescription == "Schädel"
    assert answer.SpecificCharacterSet == other


@pytest.mark.parametrize(
    ("own", "other", "value", "expected"),
    [
        ("+0100", "+0100", "20240101120000", True),
        ("+0100", "+0000", "20240101120000", False),
        ("+0100", "+0000", "20240101110000", True),
        ("+0100", None, "20240101120000", True),
        (None, "+0100", "20240101120000", True),
        ("+0100", "+0500", "20240101120000+0100", True),
    ],
)
def test_timezone_offset_from_utc(own: str | None, other: str | None, value: str, expected: bool) -> None:
    key, entity = Dataset(AcquisitionDateTime="20240101120000"), Dataset(AcquisitionDateTime=value)
    for data_set, offset in ((key, own), (entity, other)):
        if offset is not None:
            data_set.TimezoneOffsetFromUTC = offset
    assert Keys(key).match(entity) is expected


class TestCombined:
    QUERY = Dataset(StudyDate="20060705-20060707", StudyTime="1000-1800")

    @pytest.mark.parametrize(
        ("date", "time", "separately", "together"),
        [
            ("20060705", "0900", False, False),
            ("20060705", "1000", True, True),
            ("20060706", "0300", False, True),
            ("20060706", "1200", True, True),
            ("20060707", "1800", True, True),
            ("20060707", "1801", False, False),
            ("20060706", "", False, True),
            ("", "1200", False, False),
        ],
    )
    def test_the_example_of_the_standard(self, date: str, time: str, separately: bool, together: bool) -> None:
        entity = encoded(StudyDate=date, StudyTime=time)
        assert Keys(self.QUERY).match(entity) is separately
        for combined in (True, {0x00080020}):
            assert Keys(self.QUERY, combined=combined).match(entity) is together
        assert Keys(self.QUERY, combined={0x00080021}).match(entity) is separately

    def test_open_ranges(self) -> None:
        after = Keys(Dataset(StudyDate="20060705-", StudyTime="1000-"), combined=True)
        assert [after.match(encoded(StudyDate="20060705", StudyTime=time)) for time in ("0959", "1000")] == [
            False,
            True,
        ]
        assert after.match(encoded(StudyDate="20060706", StudyTime="0100"))
        before = Keys(Dataset(StudyDate="-20060705", StudyTime="-1000"), combined=True)
        assert [before.match(encoded(StudyDate="20060705", StudyTime=time)) for time in ("1000", "1001")] == [
            True,
            False,
        ]
        assert before.match(encoded(StudyDate="20060704", StudyTime="2300"))

    def test_ranges_of_different_forms_are_apart(self) -> None:
        keys = Keys(Dataset(StudyDate="20060705-20060707", StudyTime="1000-"), combined=True)
        assert not keys.match(encoded(StudyDate="20060706", StudyTime="0300"))


class TestSequences:
    WORKLIST = encoded(
        PatientName="Doe^Jane",
        ScheduledProcedureStepSequence=[
            Dataset(Modality="CT", ScheduledStationAETitle="CT1", ScheduledProcedureStepID="1"),
            Dataset(Modality="MR", ScheduledStationAETitle="MR1", ScheduledProcedureStepID="2"),
        ],
    )

    def query(self, **values: Any) -> Keys:
        return Keys(encoded(PatientName="", ScheduledProcedureStepSequence=[Dataset(**values)]))

    def test_all_keys_have_to_match_in_one_item(self) -> None:
        assert self.query(Modality="CT", ScheduledStationAETitle="CT1").match(self.WORKLIST)
        assert not self.query(Modality="CT", ScheduledStationAETitle="MR1").match(self.WORKLIST)

    def test_the_items_that_match_are_answered_with_what_was_asked_for(self) -> None:
        keys = self.query(Modality="MR", ScheduledProcedureStepID="", ScheduledProcedureStepDescription="")
        answer = Dataset.from_bytes(keys.answer(self.WORKLIST).to_bytes())
        assert answer.PatientName == "Doe^Jane"
        (item,) = answer.ScheduledProcedureStepSequence
        assert item == Dataset(Modality="MR", ScheduledProcedureStepID="2", ScheduledProcedureStepDescription="")

    @pytest.mark.parametrize("items", [[], [Dataset()]])
    def test_without_keys_the_whole_sequence_is_answered(self, items: list[Dataset]) -> None:
        keys = Keys(encoded(ScheduledProcedureStepSequence=items))
        assert keys.match(self.WORKLIST)
        assert keys.answer(self.WORKLIST).ScheduledProcedureStepSequence == self.WORKLIST.ScheduledProcedureStepSequence
        assert keys.match(Dataset())

    def test_universal_keys_match_what_has_no_sequence(self) -> None:
        keys = self.query(Modality="")
        assert keys.match(Dataset())
        assert len(keys.answer(Dataset()).ScheduledProcedureStepSequence) == 0

    def test_sequences_in_sequences(self) -> None:
        def entity(code: str) -> Dataset:
            return encoded(
                RequestAttributesSequence=[Dataset(RequestedProcedureCodeSequence=[Dataset(CodeValue=code)])]
            )

        keys = Keys(entity("A*"))
        assert keys.match(entity("A1"))
        assert not keys.match(entity("B1"))
        assert keys.answer(entity("A1")) == entity("A1")

    def test_an_item_with_its_own_character_set(self) -> None:
        entity = Dataset.from_bytes(
            Dataset(
                SpecificCharacterSet="ISO_IR 192",
                ScheduledProcedureStepSequence=[Dataset(ScheduledProcedureStepDescription="Schädel")],
            ).to_bytes()
        )
        keys = self.query(ScheduledProcedureStepDescription="Sch?del")
        answer = Dataset.from_bytes(keys.answer(entity).to_bytes())
        assert answer.ScheduledProcedureStepSequence[0].ScheduledProcedureStepDescription == "Schädel"


def test_an_answer_has_all_keys_and_nothing_else() -> None:
    entity = encoded(PatientName="Doe", PatientID="1", StudyDate="20240101", Rows=4)
    identifier = encoded(QueryRetrieveLevel="STUDY", PatientID="", StudyDate="", StudyTime="")
    answer = Keys(identifier).answer(entity)
    assert answer == Dataset(SpecificCharacterSet="ISO_IR 192", PatientID="1", StudyDate="20240101", StudyTime="")
    assert len(entity) == 5


def test_keys_that_are_not_supported_count_for_nothing() -> None:
    identifier = encoded(PatientID="1", SeriesNumber="nonsense", StudyDate="x")
    keys = Keys(identifier, supported={0x00100020})
    assert keys.unsupported
    assert keys.tags == (0x00100020,)
    assert keys.matching == {0x00100020}
    assert keys.match(encoded(PatientID="1", SeriesNumber="3"))
    assert "SeriesNumber" not in keys.answer(encoded(PatientID="1", SeriesNumber="3"))
    assert not Keys(encoded(PatientID="1"), supported={0x00100020}).unsupported


def test_an_answer_says_its_time_zone() -> None:
    entity = encoded(TimezoneOffsetFromUTC="+0100", StudyTime="10")
    assert Keys(encoded(StudyTime="")).answer(entity).TimezoneOffsetFromUTC == "+0100"
    assert "TimezoneOffsetFromUTC" not in Keys(encoded(TimezoneOffsetFromUTC="+0100")).answer(encoded())


@pytest.mark.parametrize(
    "identifier",
    [
        Dataset(StudyDate="2024"),
        Dataset(StudyDate="20241301"),
        Dataset(StudyDate="-"),
        Dataset(StudyDate="20240101-2024"),
        Dataset(StudyTime="25"),
        Dataset(StudyTime="10-noon"),
        Dataset(AcquisitionDateTime="20240101T10"),
        Dataset(AcquisitionDateTime="20240231"),
        Dataset(AcquisitionDateTime="-"),
        Dataset(StudyDescription="a*" * 1000),
        Dataset(Modality=["CT"] * 101),
        Dataset(RequestAttributesSequence=[Dataset(), Dataset()]),
        Dataset([DataElement("PatientID", "UT", "?" * 70000)]),
    ],
)
def test_keys_that_mean_nothing_are_refused(identifier: Dataset) -> None:
    with pytest.raises(OperationRefused) as refusal:
        Keys(identifier)
    assert refusal.value.status == Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS
    assert refusal.value.offending_elements == tuple(int(element.tag) for element in identifier)


def test_a_pattern_takes_no_time_that_grows_with_its_asterisks() -> None:
    started = time.process_time()
    assert not matches("StudyComments", "a*" * 500 + "b", "a" * 10_000)
    assert not matches("StudyComments", "*" + "?a" * 250 + "*b", "a" * 10_000)
    assert time.process_time() - started < 2


TEXTS = st.text("aB1.[\\^$é", max_size=12).filter(lambda text: "\\" not in text).map(str.strip)


@given(pattern=st.text("aB1.[*?é", min_size=1, max_size=10), text=TEXTS)
def test_wild_cards_mean_what_they_say(pattern: str, text: str) -> None:
    expression = "".join(".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern)
    is_universal = not pattern.strip("*")
    expected = is_universal or (text != "" and re.fullmatch(expression, text) is not None)
    assert Keys(Dataset(StudyDescription=pattern)).match(Dataset(StudyDescription=text)) is bool(expected)


DATES = st.dates().map(lambda day: f"{day.year:04}{day.month:02}{day.day:02}")
TIMES = st.times().map(lambda moment: moment.strftime("%H%M%S.%f"))


@given(first=DATES, last=DATES, value=DATES)
def test_ranges_of_dates(first: str, last: str, value: str) -> None:
    assert matches("StudyDate", f"{first}-{last}", value) is (first <= value <= last)
    assert matches("StudyDate", f"{first}-", value) is (first <= value)
    assert matches("StudyDate", f"-{last}", value) is (value <= last)


@given(first=TIMES, last=TIMES, value=TIMES)
def test_ranges_of_times(first: str, last: str, value: str) -> None:
    assert matches("StudyTime", f"{first}-{last}", value) is (first <= value <= last)
    assert matches("StudyTime", f"{first}-{last[:6]}", value) is (first <= value <= f"{last[:6]}.999999")


@given(
    first=st.datetimes(timezones=st.timezones()),
    value=st.datetimes(timezones=st.timezones()),
)
def test_ranges_of_date_times(first: Any, value: Any) -> None:
    def text(moment: Any) -> str:
        return f"{moment.year:04}{moment.strftime('%m%d%H%M%S.%f%z')[:22]}"

    whole = [moment.utcoffset().total_seconds() % 60 == 0 for moment in (first, value)]
    early = [abs(moment.utcoffset().total_seconds()) <= 14 * 3600 for moment in (first, value)]
    if all(whole + early):
        assert matches("AcquisitionDateTime", f"{text(first)}-", text(value)) is (first <= value)
        assert matches("AcquisitionDateTime", f"-{text(first)}", text(value)) is (value <= first)


@given(data=st.binary(max_size=200))
def test_any_identifier_is_understood_or_refused(data: bytes) -> None:
    try:
        keys = Keys(Dataset.from_bytes(data))
    except OperationRefused:
        return
    keys.match(encoded(PatientID="1"))


def test_what_every_answer_includes() -> None:
    """What the entity has of it goes first, and nobody's answer is another's."""
    keys = Keys(Dataset(PatientName="", PatientID="A"))
    keys.include([DataElement(0x00080054, "AE", "HERE"), DataElement(0x00080056, "CS", "ONLINE")])
    entities = [
        Dataset(PatientID="A", PatientName="Doe", Modality="CT"),
        Dataset(PatientID="A", InstanceAvailability="NEARLINE"),
    ]
    answers = [keys.answer(entity) for entity in entities if keys.match(entity)]
    assert answers == [
        Dataset(PatientID="A", PatientName="Doe", RetrieveAETitle="HERE", InstanceAvailability="ONLINE"),
        Dataset(PatientID="A", PatientName=None, RetrieveAETitle="HERE", InstanceAvailability="NEARLINE"),
    ]
    answers[0].RetrieveAETitle = "THERE"
    answers[0].InstanceAvailability = "OFFLINE"
    assert keys.answer(entities[0]).RetrieveAETitle == "HERE"
    assert keys.answer(entities[0]).InstanceAvailability == "ONLINE"
